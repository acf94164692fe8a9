"""What a voice takes and gives."""

from typing import Protocol

from pipecat.frames.frames import (
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)

from conversation.frames import FailoverFrame, SentenceFrame
from processors.contract import ChainStage

TAKES: tuple[type[Frame], ...] = (
    LLMFullResponseStartFrame,
    SentenceFrame,
    LLMFullResponseEndFrame,
    TTSSpeakFrame,
    InterruptionFrame,
)

GIVES: tuple[type[Frame], ...] = (
    SentenceFrame,
    TTSStartedFrame,
    TTSTextFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
    FailoverFrame,
)


class TextToSpeechStage(ChainStage, Protocol):
    """Speaks an answer.

    * An answer, from ``LLMFullResponseStartFrame`` to ``LLMFullResponseEndFrame``, is one audio
      context: one ``TTSStartedFrame``, one ``TTSStoppedFrame``, one ``context_id``.
    * The very same ``SentenceFrame`` goes out just ahead of its audio, which is mono s16le at the
      declared rate; words that the vendor times go out as ``TTSTextFrame`` with ``pts``.
    * The first audio comes within seconds. A vendor that refuses, or owes audio and sends none,
      makes the stage unusable, for a reserve to say what was not said (``FailoverFrame``).
    * An interruption aborts the request at the vendor. Nothing that it has overtaken in the queue
      is spoken (:class:`~processors.tts.speech_queue.SpeechQueue`).
    * It sends no interruption, and closes no turn.
    """
