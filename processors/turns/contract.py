"""The contract of the turn taking stage."""

from typing import Protocol

from pipecat.frames.frames import (
    BotSpeakingFrame,
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    EagerEndOfTurnCancelFrame,
    EagerTranscriptionFrame,
    Frame,
    InputTextRawFrame,
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
    CallerHoldsFrame,
    CallerTextFrame,
    CallerTypingFrame,
    DuckFrame,
    EndCallFrame,
    EndOfTurnFrame,
    FailoverFrame,
    PauseVerdictFrame,
    SecondVoiceFrame,
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
    PauseVerdictFrame,
    VADUserStoppedSpeakingFrame,
    EndOfTurnFrame,
    SecondVoiceFrame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
    ProposedUserStoppedSpeakingFrame,
    EagerTranscriptionFrame,
    EagerEndOfTurnCancelFrame,
    FailoverFrame,
    InputTextRawFrame,
    CallerTypingFrame,
    CallerHoldsFrame,
    EndCallFrame,
    BotStartedSpeakingFrame,
    BotSpeakingFrame,
    BotStoppedSpeakingFrame,
)
"""The last three come from downstream, with the state of the voice."""

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
    SecondVoiceFrame,
    TTSSpeakFrame,
    EndCallFrame,
)


class TurnTakingStage(ChainStage, Protocol):
    """Decides when the caller's turn is over, and when the voice yields.

    * Opens a turn once the caller has finished, with ``conversation.begin_turn``, and pushes one
      ``TurnFrame`` with its number, the question and the history before it.
    * Pushes no ``TurnFrame`` without money (``conversation.affordable()``): it closes the turn with
      ``conversation.close``, and the call ends with a spoken reason.
    * Pushes one ``InterruptionFrame`` when the caller takes the floor from the voice. Passes on
      interruptions of others. The conversation closes the interrupted turn, whoever sent the frame;
      this stage closes only turns for which it pushed no ``TurnFrame``.
    * Does not take a hesitation for the end of a turn, if it claims to judge that.
    * Opens no turn for speech without words.
    * Takes a typed question, ``InputTextRawFrame``, for a whole turn at once, and does not ask
      a caller who types, ``CallerTypingFrame``, whether they are still there.
    * End the turn of a caller who holds a button to talk, ``CallerHoldsFrame``, when they let it
      go, and not before.
    * Tells page and voice activity who speaks: ``UserStartedSpeakingFrame``,
      ``UserStoppedSpeakingFrame`` in both directions, ``CallerTextFrame``.
    * Passes on, upstream, when the voice starts and stops to speak, and downstream that a second
      voice takes turns, ``SecondVoiceFrame``.
    * Consumes the other frames of voice activity, the transcripts and typed questions: passed on,
      one would be spoken.
    * On ``EndCallFrame``, pushes its last words as a ``TTSSpeakFrame``, then the frame itself, and
      answers nothing that is said afterwards. On ``EndFrame`` and ``CancelFrame``, stops all timers
      and passes the frame on, which closes the open turn.
    """


class TurnTakingMaker(Protocol):
    """Creates one call's turn taking, as :class:`~processors.turns.processor.TurnTaking` does."""

    def __call__(self, conversation: Conversation, /) -> TurnTakingStage:
        """Create the stage.

        Args:
            conversation: The call's turns, to which it reports.
        """
        ...
