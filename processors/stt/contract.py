"""The contract of the speech to text stage."""

from typing import Protocol

from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    EagerEndOfTurnCancelFrame,
    EagerTranscriptionFrame,
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    ProposedUserStoppedSpeakingFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)

from conversation.frames import FailoverFrame, SpeechPauseFrame, TranscribeNowFrame
from processors.contract import ChainStage

TAKES: tuple[type[Frame], ...] = (
    InputAudioRawFrame,
    VADUserStartedSpeakingFrame,
    SpeechPauseFrame,
    VADUserStoppedSpeakingFrame,
    TranscribeNowFrame,
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
)
"""The last three come from downstream."""

GIVES: tuple[type[Frame], ...] = (
    InterimTranscriptionFrame,
    TranscriptionFrame,
    ProposedUserStoppedSpeakingFrame,
    EagerTranscriptionFrame,
    EagerEndOfTurnCancelFrame,
    FailoverFrame,
)


class SpeechToTextStage(ChainStage, Protocol):
    """Transcribes what the caller says.

    * Consumes audio; passes everything else on.
    * Pushes one ``TranscriptionFrame``, perhaps empty, for each stretch of speech within seconds
      of its stop, for turn taking waits for it. Interim results before it are
      ``InterimTranscriptionFrame``. ``metadata["doubt"]`` may say how probable it is that a word
      was heard wrongly, 0 to 1; from 0.5 on, the answer is less sure than the brain says.
    * A vendor that ends turns (``Vendor.ends_turns``) pushes ``ProposedUserStoppedSpeakingFrame``
      after the words of a turn, which it may hold back until then. Other vendors leave the end of
      a turn to the turn model, or propose it only when the turn model has missed it.
    * A vendor that predicts the end (``Vendor.early_answers``) pushes ``EagerTranscriptionFrame``
      with all words of the turn, and ``EagerEndOfTurnCancelFrame`` if the caller continues.
    * May answer ``TranscribeNowFrame``, which comes from downstream while the caller speaks, with
      words, final or not. ``BotStartedSpeakingFrame`` and ``BotStoppedSpeakingFrame``, from there,
      too, say when the caller speaks over the voice, so that a few words decide who has the floor.
    * Reconnects when a connection drops. A permanent error, such as a refused key or an
      unreachable vendor, makes the stage unusable within seconds; its reserve takes over
      (``FailoverFrame``) and transcribes again what was not transcribed.
    * Interruptions concern the voice: speech being transcribed is not discarded.
    """
