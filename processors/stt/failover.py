"""Failover between recognisers: the next one also gets the speech not yet transcribed."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.service_switcher import ServiceSwitcher, ServiceSwitcherStrategy
from pipecat.processors.filters.function_filter import FunctionFilter
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from processors.audio import forward_audio_to
from processors.failover import StageFailover


class SpeechToTextFailover(StageFailover):
    """Recognisers in order of preference, with the audio to transcribe again at failover.

    Parameters:
        services: The recognisers.
        names: Their names in settings.
        ends_turns: For each recogniser, whether it ends turns itself.
        keep_secs: Maximum speech kept for the next recogniser; of longer speech, the end is kept.
        pre_roll_secs: Audio kept from before the speech.
        patience_secs: After an error, how long a recogniser may leave finished speech without a
            transcript before the next one takes over.
        forget_secs: Speech that ended this long ago is dropped when new speech starts, because by
            then the caller has been told that it was not understood.
    """

    stage = "stt"

    def __init__(
        self,
        services: Sequence[FrameProcessor],
        *,
        names: Sequence[str],
        ends_turns: Sequence[bool] = (),
        keep_secs: float = 20.0,
        pre_roll_secs: float = 0.5,
        patience_secs: float = 0.6,
        forget_secs: float = 3.0,
    ) -> None:
        super().__init__(services, names=names, ends_turns=ends_turns)
        self._keep_secs = keep_secs
        self._pre_roll_secs = pre_roll_secs
        self._patience_secs = patience_secs
        self._forget_secs = forget_secs
        self._audio: deque[InputAudioRawFrame] = deque()
        self._secs = 0.0
        self._started: VADUserStartedSpeakingFrame | None = None
        self._stopped: VADUserStoppedSpeakingFrame | None = None
        self._stopped_at = 0.0
        self._finalized_at = float("-inf")  # of speech that voice activity still heard
        self._error: ErrorFrame | None = None  # reported since the last transcript
        self._deadline: asyncio.Task[None] | None = None

    async def cleanup(self) -> None:
        """Cancel the processor's task."""
        await super().cleanup()
        if self._deadline is not None:
            await self.cancel_task(self._deadline)
            self._deadline = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Store audio that is not transcribed yet, and pass the frame on."""
        match frame:
            case InputAudioRawFrame():
                self._store(frame)
            case VADUserStartedSpeakingFrame():
                if self._stopped is not None and _now() - self._stopped_at >= self._forget_secs:
                    self._trim(self._pre_roll_secs)
                self._started, self._stopped = frame, None
            case VADUserStoppedSpeakingFrame() if self._was_finalized:
                self._forget_speech()
            case VADUserStoppedSpeakingFrame():
                self._stopped, self._stopped_at = frame, _now()
                self._set_deadline()
        await super().process_frame(frame, direction)

    async def take_audio(self, frame: InputAudioRawFrame) -> None:
        """Store audio, and give it to the active recogniser, past pipecat's switcher."""
        self._store(frame)
        if (service := self.strategy.active_service) is not None:
            await forward_audio_to(service, frame)

    def _store(self, frame: InputAudioRawFrame) -> None:
        self._audio.append(frame)
        self._secs += _secs(frame)
        speaking = self._started is not None
        self._trim(self._keep_secs if speaking else self._pre_roll_secs)

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Drop audio once its final transcript arrives; note an error until words arrive."""
        match frame:
            case TranscriptionFrame():
                self._error = None
                if self._stopped is not None:
                    self._forget_speech()
                elif frame.finalized and self._ends_turns[self._serving]:
                    self._finalized_at = _now()
                    self._trim(self._pre_roll_secs)
            case InterimTranscriptionFrame():
                self._error = None
                self._finalized_at = float("-inf")
            case ErrorFrame() if frame.processor is self._serving:
                self._error = frame
                self._set_deadline()
        await super().push_frame(frame, direction)

    @property
    def _was_finalized(self) -> bool:
        """Whether a recogniser that ends turns has ended this one before voice activity did.

        What is said after its end is kept by another start or other words, or by its length.
        """
        return _now() - self._finalized_at <= self._pre_roll_secs

    def _forget_speech(self) -> None:
        self._started = self._stopped = None
        self._trim(self._pre_roll_secs)

    def _set_deadline(self) -> None:
        idle = self._deadline is None or self._deadline.done()
        if idle and self._error is not None and self._stopped is not None:
            self._deadline = self.create_task(self._enforce_deadline(), "patience")

    async def _enforce_deadline(self) -> None:
        """Switch to the next recogniser, unless this one transcribes the speech in time."""
        error, speech = self._error, self._stopped
        await asyncio.sleep(self._patience_secs)
        service = self._serving
        missed = error is not None and error is self._error and speech is self._stopped
        if missed and error is not None and service.is_usable and self._others_usable:
            await service.set_usable(False)
            await self.strategy.handle_error(error)

    @staticmethod
    def _make_pipeline_definitions(
        services: list[FrameProcessor], strategy: ServiceSwitcherStrategy
    ) -> list[Any]:
        """Add a filter behind each recogniser, so that only the active one's transcripts pass.

        pipecat filters what goes into an inactive service. But a recogniser that has been replaced
        may still finish a transcript, after the next one has given the same words.
        """

        def only_active(service: FrameProcessor) -> FunctionFilter:
            async def active(_: Frame) -> bool:
                return service is strategy.active_service

            return FunctionFilter(active, filter_system_frames=True, enable_direct_mode=True)

        definitions = ServiceSwitcher._make_pipeline_definitions(services, strategy)
        return [
            [*definition, only_active(service)]
            for service, definition in zip(services, definitions, strict=True)
        ]

    @property
    def _others_usable(self) -> bool:
        services = self.strategy.services
        return any(other.is_usable for other in services if other is not self._serving)

    def _trim(self, keep_secs: float) -> None:
        while self._audio and self._secs > keep_secs:
            self._secs -= _secs(self._audio.popleft())

    async def _unfinished(self, failed: FrameProcessor) -> Sequence[Frame]:
        if self._started is None:
            return ()
        # The recogniser must know that there is speech before it gets the audio.
        replayed: list[Frame] = [self._started, *self._audio]
        if self._stopped is not None:
            replayed.append(self._stopped)
        return replayed


def _now() -> float:
    return asyncio.get_running_loop().time()


def _secs(frame: InputAudioRawFrame) -> float:
    return frame.num_frames / frame.sample_rate
