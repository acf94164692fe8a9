"""The base of Deepgram's recognisers: audio, connection and errors of one call."""

import asyncio
from abc import abstractmethod
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from deepgram import AsyncDeepgramClient
from loguru import logger
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    StartFrame,
    TranscriptionFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessorSetup
from pipecat.services.settings import STTSettings
from pipecat.services.stt_latency import DEEPGRAM_TTFS_P99
from pipecat.services.stt_service import STTService
from pipecat.transcriptions.language import Language
from pipecat.utils.time import time_now_iso8601

from processors.audio import check_input_rate
from processors.stt.deepgram.connection import (
    SAMPLE_RATE,
    Connected,
    ConnectionTimes,
    DeepgramConnection,
    Lost,
    Refused,
    Version,
)


class DeepgramService(STTService):
    """Transcribes one call over a connection to Deepgram, which is renewed when it drops.

    Consumes audio. Audio without final words is buffered, and sent again when the connection drops
    or stalls while the caller speaks. A permanent refusal (a 4xx not in
    :data:`~processors.stt.deepgram.connection.TRANSIENT_STATUSES`) makes the service unusable. So
    does an outage longer than the buffer, until the connection is established again.

    Args:
        client: From :func:`processors.stt.deepgram.connection.create_client`.
        query: The request's parameters, by Deepgram's names.
        version: Version of Deepgram's protocol.
        language: The callers' language, a BCP-47 tag, or "multi".
        times: The connection's timeouts and waits.
        name: pipecat's name for the processor.
    """

    def __init__(
        self,
        *,
        client: AsyncDeepgramClient,
        query: Mapping[str, Any],
        version: Version,
        language: str,
        times: ConnectionTimes,
        name: str | None = None,
    ) -> None:
        super().__init__(
            name=name,
            audio_passthrough=False,
            sample_rate=SAMPLE_RATE,
            ttfs_p99_latency=DEEPGRAM_TTFS_P99,
            settings=STTSettings(model=str(query["model"]), language=language),
            enable_direct_mode=True,
        )
        self._connection = DeepgramConnection(
            client,
            query,
            on_event=self._on_event,
            on_sent=self._record_stt_audio_usage,
            times=times,
            version=version,
        )
        self._connection_task: asyncio.Task[None] | None = None
        # Transcription frames need a language, which "multi" is not.
        self._spoken_language = Language.EN if language == "multi" else Language(language)

    def can_generate_metrics(self) -> bool:
        """Reports the time from the end of speech to the final transcript, and seconds of audio."""
        return True

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        """Send audio; its transcripts are pushed as they arrive."""
        self._add_audio(audio)
        yield None

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        """Set up the processor.

        Raises:
            ValueError: The pipeline's input is not at 16 kHz.
        """
        await super().setup(setup)
        check_input_rate(setup, SAMPLE_RATE)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Send audio, act on voice activity, and pass on everything but audio."""
        if isinstance(frame, InputAudioRawFrame):
            await self.take_audio(frame)
            return
        if isinstance(frame, (EndFrame, CancelFrame)):
            await self._disconnect()
        await super().process_frame(frame, direction)
        if isinstance(frame, StartFrame) and self._connection_task is None:
            self._connection_task = self.create_task(self._connection.run(), "deepgram")
        else:
            await self._on_speech_frame(frame)

    async def take_audio(self, frame: InputAudioRawFrame) -> None:
        """Send audio. The base classes' processing is not needed for it."""
        self._add_audio(frame.audio)

    async def cleanup(self) -> None:
        """Disconnect and cancel the processor's task."""
        await super().cleanup()
        await self._disconnect()

    def _add_audio(self, audio: bytes) -> None:
        if audio and not self._muted:  # an empty message would end the stream
            self._connection.add_audio(audio)

    async def _disconnect(self) -> None:
        task, self._connection_task = self._connection_task, None
        if task is not None:
            await self._connection.close()
            await self.cancel_task(task)

    @abstractmethod
    async def _on_speech_frame(self, frame: Frame) -> None:
        """Act on a frame of voice activity's or turn taking's."""

    @abstractmethod
    async def _on_message(self, event: Any) -> None:
        """Act on a message of Deepgram's, or on :class:`FinalizeUnanswered`."""

    async def _on_connected(self) -> None:
        """Reset what depends on the previous connection."""
        if not self.is_usable:
            await self.set_usable(True)

    async def _on_event(self, event: Any) -> None:
        try:
            match event:
                case Connected():
                    await self._on_connected()
                case Lost():
                    await self._on_lost(event)
                case Refused():
                    await self.push_error(event.why, force_treat_as_permanent=True)
                case _:
                    await self._on_message(event)
        except (AttributeError, IndexError, TypeError) as error:
            # The SDK does not validate messages.
            logger.warning(f"{self}: malformed message from Deepgram: {error}")

    async def _on_lost(self, lost: Lost) -> None:
        if lost.attempts == 1 or (lost.gone and self.is_usable):
            await self.push_error(
                f"Deepgram's connection was lost: {lost.why}", force_treat_as_permanent=lost.gone
            )
        else:
            logger.warning(f"{self}: attempt {lost.attempts} to reconnect failed: {lost.why}")

    async def _push_interim(self, text: str, *, result: Any) -> None:
        await self.push_frame(
            InterimTranscriptionFrame(
                text, self._user_id, time_now_iso8601(), self._spoken_language, result=result
            )
        )

    async def _push_final(self, text: str, *, finalized: bool, result: Any) -> None:
        await self.emit_stt_usage_metrics()
        await self.push_frame(
            TranscriptionFrame(
                text,
                self._user_id,
                time_now_iso8601(),
                self._spoken_language,
                result=result,
                finalized=finalized,
            )
        )


def bytes_of(secs: float) -> int:
    """Return the size of some audio: 16-bit mono at 16 kHz."""
    return 2 * round(secs * SAMPLE_RATE)


def now() -> float:
    """Return the event loop's time in seconds."""
    return asyncio.get_running_loop().time()
