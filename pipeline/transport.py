"""The contract of a transport."""

from typing import Protocol

from pipecat.processors.frame_processor import FrameProcessor


class Transport(Protocol):
    """The ends of a call's chain; any of pipecat's transports is one.

    The input pushes ``InputAudioRawFrame`` (16 kHz mono s16le) and takes what goes upstream. The
    output takes ``TTSAudioRawFrame`` (24 kHz mono s16le) and what is sent to the page.

    * The output reports the voice's state upstream, for turn taking: ``BotStartedSpeakingFrame``,
      ``BotSpeakingFrame`` while it plays, ``BotStoppedSpeakingFrame`` when all was played.
    * After an ``InterruptionFrame`` it plays nothing from before. It closes no turns:
      :class:`~processors.turns.keeper.TurnKeeper`, ahead of it, has reported the interruption.
    * It sends audio at most a fraction of a second ahead of real time, and a caller that stops
      reading must not block the chain.
    * ``EndFrame`` ends the call when everything before it was played, ``CancelFrame`` at once.
    * If it knows what was played, it sets ``Conversation.playback_is_reported`` and reports it.
      Otherwise audio counts as played in real time.
    """

    def input(self) -> FrameProcessor:
        """Return the processor where frames enter the chain."""
        ...

    def output(self) -> FrameProcessor:
        """Return the processor where frames leave the chain."""
        ...
