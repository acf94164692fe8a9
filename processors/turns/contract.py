"""What turn taking takes and gives, and what it is told of the call."""

from typing import Protocol

from pipecat.frames.frames import (
    BotSpeakingFrame,
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    EagerEndOfTurnCancelFrame,
    EagerTranscriptionFrame,
    Frame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    ProposedUserStoppedSpeakingFrame,
    TranscriptionFrame,
    TTSSpeakFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)

from conversation.frames import (
    CallerTextFrame,
    DuckFrame,
    EndCallFrame,
    EndOfTurnFrame,
    FailoverFrame,
    SpeechPauseFrame,
    TranscribeNowFrame,
    TurnFrame,
    UnduckFrame,
)
from conversation.turns import Conversation
from processors.contract import ChainStage

TAKES: tuple[type[Frame], ...] = (
    VADUserStartedSpeakingFrame,
    SpeechPauseFrame,
    VADUserStoppedSpeakingFrame,
    EndOfTurnFrame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
    ProposedUserStoppedSpeakingFrame,
    EagerTranscriptionFrame,
    EagerEndOfTurnCancelFrame,
    FailoverFrame,
    EndCallFrame,
    BotStartedSpeakingFrame,
    BotSpeakingFrame,
    BotStoppedSpeakingFrame,
)
"""The last three come from downstream, and say how the voice stands."""

GIVES: tuple[type[Frame], ...] = (
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
    CallerTextFrame,
    TurnFrame,
    EagerEndOfTurnCancelFrame,
    TranscribeNowFrame,
    InterruptionFrame,
    DuckFrame,
    UnduckFrame,
    TTSSpeakFrame,
    EndCallFrame,
)


class TurnTakingStage(ChainStage, Protocol):
    """Decides when the caller's turn is over, and when the voice yields.

    * A turn begins once, when the caller has finished, with ``conversation.begin_turn``; then one
      ``TurnFrame`` has its number, the question and the history before it.
    * Without money (``conversation.affordable()``) no ``TurnFrame`` goes out: the turn is closed
      with ``conversation.close``, and the call ends in words.
    * The voice yields to a caller who takes the floor: one ``InterruptionFrame``, sent from here.
      Others may send one, too, and it is passed on. The turn that it cuts short is closed by the
      conversation, whoever sent it; this stage closes none but those it never put.
    * A hesitation is not the end of a turn, if the stage claims to judge that.
    * Speech without words leaves no turn.
    * Page and voice activity learn who speaks: ``UserStartedSpeakingFrame``,
      ``UserStoppedSpeakingFrame`` in both directions, ``CallerTextFrame``.
    * Voice activity and transcripts end here.
    * On ``EndCallFrame`` its last words go out as a ``TTSSpeakFrame``, then the frame itself, and
      nothing that is said afterwards is answered. ``EndFrame`` and ``CancelFrame`` stop all timers
      and are passed on, which closes the turn that is open.
    """


class TurnTakingMaker(Protocol):
    """Makes one call's turn taking; :class:`~processors.turns.processor.TurnTaking` is one."""

    def __call__(self, conversation: Conversation, /) -> TurnTakingStage:
        """Make it.

        Args:
            conversation: The call's turns, to which it reports.
        """
        ...
