"""What voice activity takes and gives."""

from typing import Protocol

from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)

from conversation.frames import EndOfTurnFrame, SpeechPauseFrame
from processors.contract import ChainStage

TAKES: tuple[type[Frame], ...] = (InputAudioRawFrame, UserStoppedSpeakingFrame)
"""Audio, 16 kHz mono s16le; ``UserStoppedSpeakingFrame`` from downstream ends a turn's audio."""

GIVES: tuple[type[Frame], ...] = (
    VADUserStartedSpeakingFrame,
    SpeechPauseFrame,
    VADUserStoppedSpeakingFrame,
    EndOfTurnFrame,
)


class VoiceActivityStage(ChainStage, Protocol):
    """Says when the caller speaks, and how likely it is that they have finished.

    * Audio is passed on at once, whatever is still being worked out about it
      (:mod:`processors.audio`).
    * ``VADUserStartedSpeakingFrame`` and ``VADUserStoppedSpeakingFrame`` alternate; ``start_secs``
      and ``stop_secs`` tell how long before them speech began and ended.
    * ``SpeechPauseFrame`` comes at most once a pause, ahead of the stop.
    * With a turn model, one ``EndOfTurnFrame`` follows each stop, unless speech goes on before.
    * Inference is done in threads shared by all calls. Speech counts as stopped when audio stops.
    * It judges nothing else: an interruption is turn taking's to send.
    """
