"""The embedded voice in the chain: each sentence spoken as it comes, an answer one context."""

from collections.abc import AsyncGenerator, Mapping

from pipecat.frames.frames import ErrorFrame, Frame, TTSAudioRawFrame
from pipecat.services.settings import TTSSettings
from pipecat.utils.errors import ErrorCategory

from processors.tts.hibari.engine import FRAME_BYTES, SAMPLE_RATE, HibariEngine, markup
from processors.tts.speech_queue import SpeechQueue


class HibariTTS(SpeechQueue):
    """Speaks with the voice that all calls of the process share.

    Between ``LLMFullResponseStartFrame`` and ``LLMFullResponseEndFrame`` every ``SentenceFrame``
    (or other ``AggregatedTextFrame``) is spoken as it comes. Around the audio of one answer go
    downstream, in this order and all with its ``context_id`` unless noted::

        LLMFullResponseStartFrame                    (no context_id)
        SentenceFrame         will_be_spoken=True    the very frame that came in
        TTSStartedFrame
        TTSAudioRawFrame      60 ms each             the first sentence's audio
        TTSTextFrame          segment_id             id of its SentenceFrame: all its audio is out
        SentenceFrame, TTSAudioRawFrame …, TTSTextFrame    for each further sentence
        TTSStoppedFrame
        LLMFullResponseEndFrame                      (no context_id)

    A ``TTSSpeakFrame`` (a greeting, a prompt) is such a context of its own, without the two LLM
    frames and with one ``AggregatedTextFrame`` for all of its text. ``LLMTextFrame`` works as in
    pipecat: it is gathered into sentences first. After an ``InterruptionFrame`` has been handled
    nothing of the context follows, no ``TTSStoppedFrame`` either, nor of words that arrived before
    the interruption.

    Text that cannot be pronounced costs an ``ErrorFrame`` upstream, and the answer goes on: its
    ``TTSTextFrame`` then comes with no audio before it.
    """

    def __init__(
        self,
        *,
        engine: HibariEngine,
        pronunciations: Mapping[str, str] | None = None,
        context_idle_secs: float = 10.0,
        name: str | None = None,
    ) -> None:
        """Speak in one call.

        Args:
            engine: The voice.
            pronunciations: Words and their IPA.
            context_idle_secs: An answer whose next sentence or end is not here after so long is
                closed; a sentence that comes later opens it anew.
            name: pipecat's name for the processor.
        """
        super().__init__(
            name=name,
            sample_rate=SAMPLE_RATE,
            push_start_frame=True,
            push_stop_frames=True,
            stop_frame_timeout_s=context_idle_secs,
            # Three answers of "…" in a row are three faults of the text, not of the voice.
            max_consecutive_zero_audio_contexts=0,
            settings=TTSSettings(model="hibari", voice=engine.voice, language="en"),
            text_transforms=[("*", self.pronunciation_transform_ipa(pronunciations))]
            if pronunciations
            else None,
        )
        self._engine = engine

    @classmethod
    def format_pronunciation(cls, word: str, ipa: str) -> str | None:
        """Write a word in hibari's markup, or say that the voice has no such sound."""
        return markup(word, ipa)

    def can_generate_metrics(self) -> bool:
        """Time to first audio and characters used are reported."""
        return True

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Speak one sentence, or one utterance, in frames of 60 ms.

        Args:
            text: The text, pronunciations written into it.
            context_id: The answer that it belongs to.
        """
        await self.start_tts_usage_metrics(text)
        try:
            async for pcm in self._engine.synthesise(text):
                for start in range(0, len(pcm), FRAME_BYTES):
                    yield TTSAudioRawFrame(
                        pcm[start : start + FRAME_BYTES], SAMPLE_RATE, 1, context_id=context_id
                    )
        except Exception as error:  # the rest of the answer must still be heard
            yield ErrorFrame(
                error=f"speech failed: {error}",
                exception=error,
                category=ErrorCategory.APPLICATION,
            )

    async def on_turn_context_completed(self) -> None:
        """Close the answer's context, even when its last sentence gave no audio."""
        self._is_yielding_frames_synchronously = True
        await super().on_turn_context_completed()
