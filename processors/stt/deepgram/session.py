"""What both of Deepgram's recognisers have in common: one call's line, and what becomes of it."""

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
    DeepgramLine,
    LineTimes,
    Lost,
    Refused,
    Version,
)


class DeepgramService(STTService):
    """Transcribes one call over one connection to Deepgram, renewed when it drops.

    Audio stops here. Audio that has no final words yet is kept, and sent once more when the
    connection drops or falls silent while the caller speaks. A refusal that cannot pass
    (:data:`~processors.stt.deepgram.connection.PASSING`) makes the service unusable for good. So
    does an outage longer than the audio that is kept, until a connection stands again.

    Args:
        client: From :func:`processors.stt.deepgram.connection.connect_to`.
        query: The request's parameters, by Deepgram's names.
        version: Of Deepgram's protocol.
        language: What callers speak, a BCP-47 tag.
        times: The connection's waits.
        name: pipecat's name for the processor.
    """

    def __init__(
        self,
        *,
        client: AsyncDeepgramClient,
        query: Mapping[str, Any],
        version: Version,
        language: str,
        times: LineTimes,
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
        self._line = DeepgramLine(
            client,
            query,
            tell=self._told,
            sent=self._record_stt_audio_usage,
            times=times,
            version=version,
        )
        self._line_task: asyncio.Task[None] | None = None
        # "multi" is none; whoever is told of a transcript needs one.
        self._spoken_language = Language.EN if language == "multi" else Language(language)

    def can_generate_metrics(self) -> bool:
        """Time from the end of speech to the final transcript, and seconds of audio."""
        return True

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        """Send audio; its transcripts are pushed when they come."""
        self._hear(audio)
        yield None

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        """Check the audio's rate.

        Raises:
            ValueError: The pipeline's input is not at 16 kHz.
        """
        await super().setup(setup)
        check_input_rate(setup, SAMPLE_RATE)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Keep audio, follow the voice activity, and pass on what is not audio."""
        if isinstance(frame, InputAudioRawFrame):
            await self.take_audio(frame)
            return
        if isinstance(frame, (EndFrame, CancelFrame)):
            await self._hang_up()
        await super().process_frame(frame, direction)
        if isinstance(frame, StartFrame) and self._line_task is None:
            self._line_task = self.create_task(self._line.run(), "deepgram")
        else:
            await self._follow(frame)

    async def take_audio(self, frame: InputAudioRawFrame) -> None:
        """Keep audio; nothing of the base classes is needed for it."""
        self._hear(frame.audio)

    async def cleanup(self) -> None:
        """Leave no task behind."""
        await super().cleanup()
        await self._hang_up()

    def _hear(self, audio: bytes) -> None:
        if audio and not self._muted:  # an empty message would end Deepgram's stream
            self._line.hear(audio)

    async def _hang_up(self) -> None:
        task, self._line_task = self._line_task, None
        if task is not None:
            await self._line.close()
            await self.cancel_task(task)

    @abstractmethod
    async def _follow(self, frame: Frame) -> None:
        """Act on what voice activity and turn taking say."""

    @abstractmethod
    async def _heard(self, event: Any) -> None:
        """Act on a message of Deepgram's, or on what the line says beside them."""

    async def _connected(self) -> None:
        """Begin anew: the new connection knows nothing of what the old one was told."""
        if not self.is_usable:
            await self.set_usable(True)

    async def _told(self, event: Any) -> None:
        try:
            match event:
                case Connected():
                    await self._connected()
                case Lost():
                    await self._lost(event)
                case Refused():
                    await self.push_error(event.why, force_treat_as_permanent=True)
                case _:
                    await self._heard(event)
        except (AttributeError, IndexError, TypeError) as error:
            # The SDK makes messages of whatever comes, unchecked.
            logger.warning(f"{self}: a message of Deepgram's makes no sense: {error}")

    async def _lost(self, lost: Lost) -> None:
        if lost.attempts == 1 or (lost.gone and self.is_usable):
            await self.push_error(
                f"Deepgram's connection was lost: {lost.why}", force_treat_as_permanent=lost.gone
            )
        else:
            logger.warning(f"{self}: attempt {lost.attempts} to reconnect failed: {lost.why}")

    async def _guess(self, text: str, *, result: Any) -> None:
        await self.push_frame(
            InterimTranscriptionFrame(
                text, self._user_id, time_now_iso8601(), self._spoken_language, result=result
            )
        )

    async def _final(self, text: str, *, finalized: bool, result: Any) -> None:
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
    """How much audio lasts so long."""
    return 2 * round(secs * SAMPLE_RATE)


def now() -> float:
    """Seconds on the loop's clock."""
    return asyncio.get_running_loop().time()
