"""ElevenLabs as a pipecat service: one request per answer, by the vendor's SDK."""

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

from processors.tts.elevenlabs.errors import refusal_of
from processors.tts.elevenlabs.messages import WHOLE_ANSWER_ATTEMPTS, check_voice
from processors.tts.speech_timeline import SpeechTimeline, TimedSentence
from processors.tts.timed_speech import TimedSpeech

SAMPLE_RATE = 24_000
KEEPALIVE_SECS = 120.0
"""How long an idle connection stays open for the next answer."""


def create_client(
    *, api_key: str, base_url: str = "https://api.elevenlabs.io", timeout_secs: float = 10.0
) -> AsyncElevenLabs:
    """Create the SDK's client, to be shared by all calls of one event loop.

    Args:
        api_key: The vendor's key.
        base_url: The vendor's address.
        timeout_secs: Timeout of the connection, and between two chunks of an answer.
    """
    limits = httpx.Limits(keepalive_expiry=KEEPALIVE_SECS)
    http = httpx.AsyncClient(limits=limits, timeout=timeout_secs)
    return AsyncElevenLabs(
        api_key=api_key, base_url=base_url, timeout=timeout_secs, httpx_client=http
    )


class ElevenLabsWholeTTS(TimedSpeech):
    """Speaks an answer by one request, sent when the answer is complete.

    The vendor knows the whole text from the first word, but the voice starts later than with
    :class:`~processors.tts.elevenlabs.service.ElevenLabsTTS`. Frames and failures are the same. A
    request that fails halfway is repeated for the sentences whose audio had not started.
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
        """Create the voice of one call.

        Args:
            client: From :func:`create_client`.
            voice_id: The vendor's id of the voice.
            model: The vendor's id of the model.
            voice_settings: As for :class:`~processors.tts.elevenlabs.service.ElevenLabsTTS`.
            trim_leading_silence: Remove the silence before an answer's first audible sample.
            stall_secs: Timeout of each chunk of the response.
            retries: Retries of a failed request before the service becomes unusable.
            retry_wait_secs: Delay before each.
            context_idle_secs: Timeout of the answer's completion and the start of its audio.
            name: pipecat's name for the processor.

        Raises:
            ValueError: An argument is invalid; the message names it.
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
        """Reports the time to the first audio, and the characters used."""
        return True

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Collect a sentence or prompt.

        Args:
            text: The text.
            context_id: The context of its answer.
        """
        frame, self._announcing = self._announcing, None
        if frame is None:
            return
        timeline = self._timelines.setdefault(
            context_id,
            SpeechTimeline(sample_rate=self.sample_rate, trim_leading_silence=self._trim),
        )
        timeline.add(TimedSentence(frame, text))
        yield None

    async def on_turn_context_completed(self) -> None:
        """Speak all that was collected; an interruption cancels the request."""
        context_id = self._turn_context_id
        timeline = self._timelines.get(str(context_id))
        if context_id is not None and timeline is not None:
            try:
                await self._speak(context_id, timeline)
            finally:
                self._timelines.pop(context_id, None)
        self._turn_context_id = None

    async def on_audio_context_interrupted(self, context_id: str) -> None:
        """Drop what was collected."""
        self._timelines.pop(context_id, None)
        await super().on_audio_context_interrupted(context_id)

    async def _speak(self, context_id: str, timeline: SpeechTimeline) -> None:
        await self.start_ttfb_metrics()
        for attempt in range(self._retries + 1):
            text = " ".join(sentence.text.strip() for sentence in timeline.unspoken)
            try:
                if text:
                    await self.start_tts_usage_metrics(text)
                    await self._stream(text, context_id, timeline)
                if not timeline.has_audio and any(map(str.isalnum, text)):
                    raise ValueError("it sent no audio")
            except (ApiError, httpx.HTTPError, TimeoutError, ValueError) as error:
                if await self._failed(error, last=attempt == self._retries):
                    return
                timeline.restart()
                await asyncio.sleep(self._retry_wait_secs)
            else:
                break
        await self.finish(context_id, timeline.finish())

    async def _stream(self, text: str, context_id: str, timeline: SpeechTimeline) -> None:
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
                await self.play(context_id, timeline.add_audio(b64decode(chunk.audio_base_64)))

    async def _failed(self, error: Exception, *, last: bool) -> bool:
        """Report an error, and return whether it is permanent."""
        category: ErrorCategory | None = ErrorCategory.CONNECTIVITY
        refused = False
        description = f"{type(error).__name__}: {error}"
        if isinstance(error, ApiError):
            status, said = error.status_code or 0, refusal_of(error.body)
            category = said.category
            refused = category is not None or status == 402
            category = category or classify_http_status_code(status)
            refused = refused or category.is_permanent
            description = f"HTTP {status} {said.code} {said.message}".strip()
        elif isinstance(error, (binascii.Error, ValueError)):
            category = ErrorCategory.SERVER
        permanent = refused or last
        await self.push_error(
            f"ElevenLabs: {description}", category=category, force_treat_as_permanent=permanent
        )
        return permanent
