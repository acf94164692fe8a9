"""Deepgram in the chain: one call's speech, as interim and final transcripts and ends of turn.

Built on Deepgram's SDK (`/v1/listen <https://developers.deepgram.com/reference/speech-to-text/
listen-streaming>`_) and pipecat's ``STTService``. pipecat's own ``DeepgramSTTService`` ignores
``speech_final`` and ``UtteranceEnd``, loses the audio of a dropped connection, holds the call's
start until it is connected, and makes an HTTP client of its own for every call.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from deepgram import AsyncDeepgramClient
from deepgram.listen.v1.types import ListenV1Error, ListenV1Results, ListenV1UtteranceEnd
from loguru import logger
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    ProposedUserStoppedSpeakingFrame,
    StartFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessorSetup
from pipecat.services.settings import STTSettings
from pipecat.services.stt_latency import DEEPGRAM_TTFS_P99
from pipecat.services.stt_service import STTService
from pipecat.transcriptions.language import Language
from pipecat.utils.time import time_now_iso8601

from processors.stt.deepgram.connection import (
    BYTES_A_SEC,
    SAMPLE_RATE,
    Connected,
    DeepgramLine,
    LineTimes,
    Lost,
    Refused,
    Unanswered,
    keyterms_within_limit,
)

_LEEWAY = BYTES_A_SEC // 4  # less than the shortest silence between two stretches of speech


class DeepgramSTT(STTService):
    """Transcribes one call over one connection to Deepgram, renewed when it drops.

    Audio stops here. Downstream go ``InterimTranscriptionFrame`` while the caller speaks, a
    ``TranscriptionFrame`` for every segment that will not change any more, and
    ``ProposedUserStoppedSpeakingFrame`` right after the segment that Deepgram calls
    ``speech_final``, or at ``UtteranceEnd`` when it calls none so. A segment is ``finalized`` when
    it is ``speech_final`` or answers the ``Finalize`` that each ``VADUserStoppedSpeakingFrame``
    sends. After each such frame comes a finalized segment, its text empty when there was nothing
    more to say: it was a cough, or the words had come before the speech stopped; in that case an
    end of turn that was proposed too early is proposed again. ``result`` of either frame is
    Deepgram's own message.

    Audio that has no final words yet is kept, and sent once more when the connection drops or
    falls silent while the caller speaks. A refusal (4xx) makes the service unusable for good. So
    does an outage longer than the audio that is kept, until a connection stands again.
    """

    def __init__(
        self,
        *,
        client: AsyncDeepgramClient,
        model: str = "nova-3",
        language: str = "en-GB",
        keyterms: Sequence[str] = (),
        endpointing_ms: int = 150,
        utterance_end_ms: int = 1000,
        times: LineTimes | None = None,
        name: str | None = None,
    ) -> None:
        """Listen to one call.

        Args:
            client: From :func:`processors.stt.deepgram.connection.connect_to`.
            model: Deepgram's model.
            language: A BCP-47 tag that the model knows.
            keyterms: Names that may be said, the most useful first; see
                :func:`~processors.stt.deepgram.connection.keyterms_within_limit`.
            endpointing_ms: Silence after which Deepgram calls a segment ``speech_final``.
            utterance_end_ms: Gap after the last word for ``UtteranceEnd``, 1000 to 5000.
            times: The connection's waits.
            name: pipecat's name for the processor.

        Raises:
            ValueError: A number is out of its range.
        """
        super().__init__(
            name=name,
            audio_passthrough=False,
            sample_rate=SAMPLE_RATE,
            ttfs_p99_latency=DEEPGRAM_TTFS_P99,
            settings=STTSettings(model=model, language=language),
            enable_direct_mode=True,
        )
        if not endpointing_ms > 0:
            raise ValueError(f"endpointing_ms is {endpointing_ms}: it must be more than 0")
        if not 1000 <= utterance_end_ms <= 5000:
            raise ValueError(f"utterance_end_ms is {utterance_end_ms}: it must be 1000 to 5000")
        times = times or LineTimes()
        query: dict[str, Any] = {
            "model": model,
            "language": language,
            "encoding": "linear16",
            "sample_rate": str(SAMPLE_RATE),
            "channels": "1",
            "endpointing": str(endpointing_ms),
            "utterance_end_ms": str(utterance_end_ms),
            "interim_results": "true",
            "vad_events": "true",
            "punctuate": "true",
            "smart_format": "false",
        }
        if kept := keyterms_within_limit(keyterms):
            query["keyterm"] = list(kept)
        self._line = DeepgramLine(
            client,
            query,
            tell=self._told,
            sent=self._record_stt_audio_usage,
            times=times,
        )
        self._forget_secs = times.forget
        self._line_task: asyncio.Task[None] | None = None
        self._spoken_language = Language(language)
        self._vad_speaking = False
        self._speech_ended = 0  # where in the audio, in bytes
        self._speech_ended_at = 0.0  # when
        self._awaiting = False  # the speech has ended; no finalized segment has followed
        self._interim = ""
        self._words = False  # there were words since an end of turn was last proposed
        self._proposed_early = False  # an end was proposed before the speech ended

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
        if setup.audio_in_sample_rate != SAMPLE_RATE:
            raise ValueError(
                f"audio_in_sample_rate is {setup.audio_in_sample_rate}: it must be {SAMPLE_RATE}"
            )

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Keep audio, follow the voice activity, and pass on what is not audio."""
        if isinstance(frame, InputAudioRawFrame):
            await self.take_audio(frame)
            return
        if isinstance(frame, (EndFrame, CancelFrame)):
            await self._hang_up()
        await super().process_frame(frame, direction)
        match frame:
            case StartFrame() if self._line_task is None:
                self._line_task = self.create_task(self._line.run(), "deepgram")
            case VADUserStartedSpeakingFrame():
                self._vad_speaking = True
                if self._awaiting and _now() - self._speech_ended_at >= self._forget_secs:
                    self._line.forget()
                self._awaiting = False
                self._line.expect(True)
            case VADUserStoppedSpeakingFrame():
                self._vad_speaking = False
                self._awaiting = True
                self._speech_ended = self._line.untranscribed.end
                self._speech_ended_at = _now()
                self._line.expect(True)
                self._line.finalize()

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

    async def _told(self, event: Any) -> None:
        try:
            match event:
                case ListenV1Results():
                    await self._results(event)
                case ListenV1UtteranceEnd():
                    await self._propose_end()
                case Unanswered() if not self._interim:
                    await self._no_more_words()
                case Connected():
                    await self._connected()
                case Lost():
                    await self._lost(event)
                case Refused():
                    await self.push_error(event.why, force_treat_as_permanent=True)
                case ListenV1Error():
                    await self.push_error(f"Deepgram reports: {str(event.description)[:200]}")
        except (AttributeError, IndexError, TypeError) as error:
            # The SDK makes messages of whatever comes, unchecked.
            logger.warning(f"{self}: a message of Deepgram's makes no sense: {error}")

    async def _connected(self) -> None:
        self._interim = ""
        if self._awaiting:
            self._line.finalize()
        if not self.is_usable:
            await self.set_usable(True)

    async def _lost(self, lost: Lost) -> None:
        if lost.attempts == 1 or (lost.gone and self.is_usable):
            await self.push_error(
                f"Deepgram's connection was lost: {lost.why}", force_treat_as_permanent=lost.gone
            )
        else:
            logger.warning(f"{self}: attempt {lost.attempts} to reconnect failed: {lost.why}")

    async def _results(self, message: ListenV1Results) -> None:
        text = message.channel.alternatives[0].transcript.strip()
        upto = self._line.origin + 2 * round((message.start + message.duration) * SAMPLE_RATE)
        if not message.is_final:
            if text and text != self._interim:
                self._proposed_early = False
                await self.push_frame(
                    InterimTranscriptionFrame(
                        text,
                        self._user_id,
                        time_now_iso8601(),
                        self._spoken_language,
                        result=message,
                    )
                )
            self._interim = text
            return
        self._interim = ""
        self._line.untranscribed.heard(upto)
        if text:
            self._words = True
            self._proposed_early = False
            finalized = bool(message.speech_final or message.from_finalize)
            await self._segment(text, finalized=finalized, result=message)
        elif message.from_finalize and upto >= self._speech_ended - _LEEWAY:
            await self._no_more_words(message)
        if message.speech_final:
            await self._propose_end()

    async def _segment(self, text: str, *, finalized: bool, result: Any) -> None:
        if finalized:
            self._awaiting = False
            self._line.expect(self._vad_speaking)
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

    async def _no_more_words(self, result: Any = None) -> None:
        """The speech that ended held no words, or none that had not come before."""
        if self._awaiting:
            await self._segment("", finalized=True, result=result)
            if self._proposed_early:
                self._proposed_early = False
                await self.push_frame(ProposedUserStoppedSpeakingFrame())

    async def _propose_end(self) -> None:
        if self._words:
            self._words = False
            self._proposed_early = self._vad_speaking
            await self.push_frame(ProposedUserStoppedSpeakingFrame())


def _now() -> float:
    return asyncio.get_running_loop().time()
