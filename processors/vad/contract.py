"""The contract of the voice activity stage."""

from typing import Protocol

from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)

from conversation.frames import (
    EndOfTurnFrame,
    PauseVerdictFrame,
    SecondVoiceFrame,
    SpeechPauseFrame,
)
from processors.contract import ChainStage

TAKES: tuple[type[Frame], ...] = (InputAudioRawFrame, UserStoppedSpeakingFrame)
"""16 kHz mono s16le audio; a ``UserStoppedSpeakingFrame`` from downstream ends a turn's audio."""

GIVES: tuple[type[Frame], ...] = (
    VADUserStartedSpeakingFrame,
    SpeechPauseFrame,
    PauseVerdictFrame,
    VADUserStoppedSpeakingFrame,
    EndOfTurnFrame,
    SecondVoiceFrame,
)


class VoiceActivityStage(ChainStage, Protocol):
    """Detects when the caller speaks, and how likely it is that their turn is over.

    * Forwards audio at once, before any inference on it has finished (:mod:`processors.audio`).
    * ``VADUserStartedSpeakingFrame`` and ``VADUserStoppedSpeakingFrame`` alternate; their
      ``start_secs`` and ``stop_secs`` are how long before the frame speech began and ended.
    * A pause gives at most one ``SpeechPauseFrame``, ahead of the stop.
    * With a turn model, one ``EndOfTurnFrame`` follows each stop, unless speech resumes first. A
      ``PauseVerdictFrame`` tells the same verdict between the pause and the stop, if it is there.
    * A ``SecondVoiceFrame`` may say, once a call, that a second voice takes turns.
    * Models are shared by all calls of the process. When audio stops, so does speech.
    * It sends no interruptions: those are turn taking's decision.
    """
