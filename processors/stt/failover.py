"""The next recogniser takes over when one fails, and hears again what was not transcribed."""

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
    """Recognisers in order of preference; the speech that was not transcribed is heard again.

    Parameters:
        services: The recognisers.
        names: Their names in settings.
        ends_turns: Which of them say themselves when a turn is over.
        keep_secs: How much speech is kept; longer speech is heard again from its end.
        pre_roll_secs: Audio kept from before the speech.
        patience_secs: How long a recogniser that has reported a fault, and has given no word
            since, may owe the transcript of speech that is over before the next is asked.
        forget_secs: Speech that has been over for so long is not heard again once new speech
            begins: its caller has been told that it was not understood.
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
        self._fault: ErrorFrame | None = None  # reported since the last word
        self._losing_patience: asyncio.Task[None] | None = None

    async def cleanup(self) -> None:
        """Leave no task behind."""
        await super().cleanup()
        if self._losing_patience is not None:
            await self.cancel_task(self._losing_patience)
            self._losing_patience = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Keep what a recogniser has not transcribed yet."""
        match frame:
            case InputAudioRawFrame():
                self._keep(frame)
            case VADUserStartedSpeakingFrame():
                if self._stopped is not None and _now() - self._stopped_at >= self._forget_secs:
                    self._forget(self._pre_roll_secs)
                self._started, self._stopped = frame, None
            case VADUserStoppedSpeakingFrame():
                self._stopped, self._stopped_at = frame, _now()
                self._be_patient()
        await super().process_frame(frame, direction)

    async def take_audio(self, frame: InputAudioRawFrame) -> None:
        """Keep audio, and hand it to the recogniser in use past the switch around it."""
        self._keep(frame)
        if (service := self.strategy.active_service) is not None:
            await forward_audio_to(service, frame)

    def _keep(self, frame: InputAudioRawFrame) -> None:
        self._audio.append(frame)
        self._secs += _secs(frame)
        speaking = self._started is not None
        self._forget(self._keep_secs if speaking else self._pre_roll_secs)

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Forget speech once its final transcript is there; note a fault until there are words."""
        match frame:
            case TranscriptionFrame():
                self._fault = None
                if self._stopped is not None:
                    self._started = self._stopped = None
                    self._forget(self._pre_roll_secs)
            case InterimTranscriptionFrame():
                self._fault = None
            case ErrorFrame() if frame.processor is self._serving:
                self._fault = frame
                self._be_patient()
        await super().push_frame(frame, direction)

    def _be_patient(self) -> None:
        idle = self._losing_patience is None or self._losing_patience.done()
        if idle and self._fault is not None and self._stopped is not None:
            self._losing_patience = self.create_task(self._lose_patience(), "patience")

    async def _lose_patience(self) -> None:
        """Give the speech to the next, unless the recogniser recovers in time."""
        fault, speech = self._fault, self._stopped
        await asyncio.sleep(self._patience_secs)
        service = self._serving
        owed = fault is not None and fault is self._fault and speech is self._stopped
        if owed and fault is not None and service.is_usable and self._others_usable:
            await service.set_usable(False)
            await self.strategy.handle_error(fault)

    @staticmethod
    def _make_pipeline_definitions(
        services: list[FrameProcessor], strategy: ServiceSwitcherStrategy
    ) -> list[Any]:
        """Let out the words of the active recogniser alone; pipecat's filters keep others' work in.

        One that was given up may find its words later, when the next has given them.
        """

        def gate(service: FrameProcessor) -> FunctionFilter:
            async def active(_: Frame) -> bool:
                return service is strategy.active_service

            return FunctionFilter(active, filter_system_frames=True, enable_direct_mode=True)

        definitions = ServiceSwitcher._make_pipeline_definitions(services, strategy)
        return [
            [*definition, gate(service)]
            for service, definition in zip(services, definitions, strict=True)
        ]

    @property
    def _others_usable(self) -> bool:
        return any(one.is_usable for one in self.strategy.services if one is not self._serving)

    def _forget(self, keep_secs: float) -> None:
        while self._audio and self._secs > keep_secs:
            self._secs -= _secs(self._audio.popleft())

    async def _unfinished(self, failed: FrameProcessor) -> Sequence[Frame]:
        if self._started is None:
            return ()
        again: list[Frame] = [*self._audio]
        # The recogniser must know of the speech before it hears the rest of it.
        again.insert(0, self._started)
        if self._stopped is not None:
            again.append(self._stopped)
        return again


def _now() -> float:
    return asyncio.get_running_loop().time()


def _secs(frame: InputAudioRawFrame) -> float:
    return frame.num_frames / frame.sample_rate
