"""What a recogniser takes and gives."""

from typing import Protocol

from pipecat.frames.frames import (
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
)

GIVES: tuple[type[Frame], ...] = (
    InterimTranscriptionFrame,
    TranscriptionFrame,
    ProposedUserStoppedSpeakingFrame,
    EagerTranscriptionFrame,
    EagerEndOfTurnCancelFrame,
    FailoverFrame,
)


class SpeechToTextStage(ChainStage, Protocol):
    """Writes down what the caller says.

    * Audio ends here; everything else is passed on.
    * Each stretch of speech gives one ``TranscriptionFrame``, perhaps empty, within seconds of its
      stop: turn taking waits for it. Guesses before it are ``InterimTranscriptionFrame``.
    * A vendor that ends turns (``Vendor.ends_turns``) pushes ``ProposedUserStoppedSpeakingFrame``
      after the words of a turn, and may keep those until then; any other leaves that to the turn
      model, or proposes an end only when nobody else has noticed it.
    * One that foretells the end (``Vendor.early_answers``) pushes ``EagerTranscriptionFrame`` with
      all words of the turn, and ``EagerEndOfTurnCancelFrame`` if the caller goes on after all.
    * ``TranscribeNowFrame``, which comes from downstream, may be answered in the midst of speech
      with words, final or not.
    * A dropped connection is made again. What cannot pass, such as a refused key or a vendor that
      cannot be reached, makes the stage unusable within seconds, for a reserve to take over
      (``FailoverFrame``) and hear again what was not transcribed.
    * An interruption is of the voice: speech that is being transcribed is not thrown away.
    """
