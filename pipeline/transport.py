"""The contract of a transport."""

from typing import Protocol

from pipecat.processors.frame_processor import FrameProcessor


class Transport(Protocol):
    """Where a call's frames enter and leave; any of pipecat's transports is one.

    The input gives ``InputAudioRawFrame`` (16 kHz mono s16le) and takes what goes upstream. The
    output takes ``TTSAudioRawFrame`` (24 kHz mono s16le) and what is told to the page.

    * The output tells turn taking, upstream, how the voice stands: ``BotStartedSpeakingFrame``,
      ``BotSpeakingFrame`` while it sounds, ``BotStoppedSpeakingFrame`` when all was played.
    * Past an ``InterruptionFrame`` it plays nothing of what came before. It closes no turn:
      :class:`~processors.turns.keeper.TurnKeeper` in front of it has reported the interruption.
    * Audio goes out no more than a fraction of a second ahead of real time, and a caller who stops
      taking it in must not hold up the chain.
    * ``EndFrame`` ends the call once everything before it was played, ``CancelFrame`` at once.
    * One that knows what was played sets ``Conversation.playback_is_reported`` and reports it.
      Otherwise audio counts as played in real time.
    """

    def input(self) -> FrameProcessor:
        """Where frames enter the chain."""
        ...

    def output(self) -> FrameProcessor:
        """Where they leave it."""
        ...
