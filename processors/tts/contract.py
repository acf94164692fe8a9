"""The contract of the text to speech stage."""

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
    """Speaks answers and prompts.

    * An answer, from ``LLMFullResponseStartFrame`` to ``LLMFullResponseEndFrame``, is one audio
      context: one ``TTSStartedFrame``, one ``TTSStoppedFrame``, one ``context_id``.
    * The same ``SentenceFrame`` object that came in goes out just ahead of its audio, which is mono
      s16le at the declared rate. Words timed by the vendor go out as ``TTSTextFrame`` with ``pts``.
    * The first audio arrives within seconds. A vendor that refuses a request, or sends no audio for
      one, makes the stage unusable; its reserve speaks the rest (``FailoverFrame``).
    * An interruption aborts the request at the vendor, and nothing that it has overtaken in the
      queue is spoken (:class:`~processors.tts.speech_queue.SpeechQueue`).
    * It sends no interruptions and closes no turns.
    """
