"""ElevenLabs in the chain, one request for the whole answer, by the vendor's own SDK."""

import asyncio
import binascii
from base64 import b64decode
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

import httpx
from elevenlabs import VoiceSettings
from elevenlabs.client import AsyncElevenLabs
from elevenlabs.core.api_error import ApiError
from pipecat.frames.frames import Frame
from pipecat.services.settings import TTSSettings
from pipecat.utils.errors import ErrorCategory, classify_http_status_code

from processors.tts.elevenlabs.errors import category_of, status_of
from processors.tts.elevenlabs.messages import WHOLE_ANSWER_ATTEMPTS, check_voice
from processors.tts.speech_timeline import Sentence, SpeechTimeline
from processors.tts.timed_speech import TimedSpeech

SAMPLE_RATE = 24_000
KEEPALIVE_SECS = 120.0
"""How long a connection is kept for the next answer."""


def client(
    *, api_key: str, base_url: str = "https://api.elevenlabs.io", timeout_secs: float = 10.0
) -> AsyncElevenLabs:
    """The vendor's client, for all calls of one event loop.

    Args:
        api_key: The vendor's key.
        base_url: Where the vendor listens.
        timeout_secs: Longest wait for a connection, and between two pieces of an answer.
    """
    limits = httpx.Limits(keepalive_expiry=KEEPALIVE_SECS)
    http = httpx.AsyncClient(limits=limits, timeout=timeout_secs)
    return AsyncElevenLabs(
        api_key=api_key, base_url=base_url, timeout=timeout_secs, httpx_client=http
    )


class ElevenLabsWholeTTS(TimedSpeech):
    """Speaks an answer by one request, made when the answer is complete.

    The voice has the whole text in view from its first word; it begins that much later than
    :class:`~processors.tts.elevenlabs.service.ElevenLabsTTS`, with the same frames and failures. A
    request that fails on the way is made again for the sentences not begun.
    """

    def __init__(
        self,
        *,
        client: AsyncElevenLabs,
        voice_id: str,
        model: str = "eleven_flash_v2_5",
        voice_settings: Mapping[str, float | bool] | None = None,
        trim_leading_silence: bool = True,
        stall_secs: float = 3.0,
        retries: int = WHOLE_ANSWER_ATTEMPTS - 1,
        retry_wait_secs: float = 0.25,
        context_idle_secs: float = 15.0,
        name: str | None = None,
    ) -> None:
        """Speak in one call.

        Args:
            client: The vendor's client, see :func:`client`.
            voice_id: The vendor's id of the voice.
            model: The vendor's id of the model.
            voice_settings: As for :class:`~processors.tts.elevenlabs.service.ElevenLabsTTS`.
            trim_leading_silence: Leave out the silence before an answer's first audible sample.
            stall_secs: A vendor that sends nothing for so long has failed.
            retries: How often a request that failed is made again before the vendor is given up.
            retry_wait_secs: Wait before that.
            context_idle_secs: Longest an answer may take to be complete and its audio to begin.
            name: pipecat's name for the processor.

        Raises:
            ValueError: A setting is not what it may be; the message names it.
        """
        check_voice(voice_id, voice_settings or {})
        super().__init__(
            name=name,
            sample_rate=SAMPLE_RATE,
            push_text_frames=False,
            push_stop_frames=True,
            stop_frame_timeout_s=context_idle_secs,
            max_consecutive_zero_audio_contexts=0,
            settings=TTSSettings(model=model, voice=voice_id, language=None),
        )
        self._client = client
        self._request: dict[str, Any] = {
            "voice_id": voice_id,
            "model_id": model,
            "output_format": f"pcm_{SAMPLE_RATE}",
        }
        if voice_settings:
            self._request["voice_settings"] = VoiceSettings(**dict[str, Any](voice_settings))
        self._trim = trim_leading_silence
        self._stall_secs = stall_secs
        self._retries = retries
        self._retry_wait_secs = retry_wait_secs
        self._timelines: dict[str, SpeechTimeline] = {}

    def can_generate_metrics(self) -> bool:
        """Time to first audio and characters used are reported."""
        return True

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Collect one sentence, or one utterance.

        Args:
            text: The text.
            context_id: The answer that it belongs to.
        """
        frame, self._announcing = self._announcing, None
        if frame is None:
            return
        timeline = self._timelines.setdefault(
            context_id,
            SpeechTimeline(sample_rate=self.sample_rate, trim_leading_silence=self._trim),
        )
        timeline.add(Sentence(frame, text))
        yield None

    async def on_turn_context_completed(self) -> None:
        """Say all that was collected; an interruption cancels it here."""
        context_id = self._turn_context_id
        timeline = self._timelines.get(str(context_id))
        if context_id is not None and timeline is not None:
            try:
                await self._say(context_id, timeline)
            finally:
                self._timelines.pop(context_id, None)
        self._turn_context_id = None

    async def on_audio_context_interrupted(self, context_id: str) -> None:
        """Forget what was collected."""
        self._timelines.pop(context_id, None)
        await super().on_audio_context_interrupted(context_id)

    async def _say(self, context_id: str, timeline: SpeechTimeline) -> None:
        await self.start_ttfb_metrics()
        for attempt in range(self._retries + 1):
            text = " ".join(sentence.text.strip() for sentence in timeline.unsaid)
            try:
                if text:
                    await self.start_tts_usage_metrics(text)
                    await self._ask(text, context_id, timeline)
                if not timeline.heard and any(map(str.isalnum, text)):
                    raise ValueError("it sent no audio")
            except (ApiError, httpx.HTTPError, TimeoutError, ValueError) as error:
                if await self._failed(error, last=attempt == self._retries):
                    return
                timeline.restart()
                await asyncio.sleep(self._retry_wait_secs)
            else:
                break
        await self.played(context_id, timeline.finish())

    async def _ask(self, text: str, context_id: str, timeline: SpeechTimeline) -> None:
        stream = self._client.text_to_speech.stream_with_timestamps(text=text, **self._request)
        async with aclosing(stream) as chunks:
            while True:
                async with asyncio.timeout(self._stall_secs):
                    chunk = await anext(chunks, None)
                if chunk is None:
                    return
                if times := chunk.alignment:
                    timeline.align(
                        times.characters, times.character_start_times_seconds, absolute=True
                    )
                await self.play(context_id, timeline.take(b64decode(chunk.audio_base_64)))

    async def _failed(self, error: Exception, *, last: bool) -> bool:
        """Report it, and say whether the vendor is given up."""
        category: ErrorCategory | None = ErrorCategory.CONNECTIVITY
        refused = False
        what = f"{type(error).__name__}: {error}"
        if isinstance(error, ApiError):
            status, (code, message) = error.status_code or 0, status_of(error.body)
            category = category_of(code, message)
            refused = category is not None or status == 402
            category = category or classify_http_status_code(status)
            refused = refused or category.is_permanent
            what = f"HTTP {status} {code} {message}".strip()
        elif isinstance(error, (binascii.Error, ValueError)):
            category = ErrorCategory.SERVER
        await self.push_error(
            f"ElevenLabs: {what}", category=category, force_treat_as_permanent=refused or last
        )
        return refused or last
