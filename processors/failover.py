"""The next vendor takes over when one can no longer do its stage, and the turn is not lost.

pipecat's ``ServiceSwitcher`` moves the frames; what it lacks is kept here: the speech that the
failed recogniser had heard but not transcribed, and the sentences that the failed voice had been
given but not spoken.
"""

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence

from pipecat.frames.frames import ErrorFrame, Frame
from pipecat.pipeline.service_switcher import (
    ServiceSwitcher,
    ServiceSwitcherStrategyFailover,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from conversation.frames import FailoverFrame
from processors.stage_boundary import StageBoundary


class _NextUsable(ServiceSwitcherStrategyFailover):
    """pipecat's strategy, which also says at once, and not in a task, that it has switched."""

    switched: Callable[[FrameProcessor], Awaitable[None]] | None = None

    async def handle_error(self, error: ErrorFrame) -> FrameProcessor | None:
        """Switch if the error warrants it, before any other frame can reach the new service."""
        service = await super().handle_error(error)
        if service is not None and self.switched is not None:
            await self.switched(service)
        return service


class StageFailover(ServiceSwitcher[_NextUsable]):
    """Tells the chain of each switch, and hands the new service the work of the old one."""

    stage = ""

    def __init__(
        self,
        services: Sequence[FrameProcessor],
        *,
        names: Sequence[str],
        ends_turns: Sequence[bool] = (),
    ) -> None:
        super().__init__(list(services), _NextUsable)
        self._names: Mapping[FrameProcessor, str] = dict(zip(services, names, strict=True))
        self._ends_turns: Mapping[FrameProcessor, bool] = dict(
            zip(services, ends_turns or [False] * len(services), strict=True)
        )
        self._serving = services[0]
        self.strategy.switched = self._switched

    async def _switched(self, service: FrameProcessor) -> None:
        failed, self._serving = self._serving, service
        notice = FailoverFrame(
            stage=self.stage,
            failed=self._names[failed],
            vendor=self._names[service],
            ends_turns=self._ends_turns[service],
        )
        await self.push_frame(notice)
        for frame in await self._unfinished(failed):
            await service.queue_frame(frame)

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Report an error before pipecat's switcher, where it switches, stops it."""
        if isinstance(frame, ErrorFrame) and isinstance(self.previous, StageBoundary):
            self.previous.report(frame)
        await super().push_frame(frame, direction)

    @abstractmethod
    async def _unfinished(self, failed: FrameProcessor) -> Sequence[Frame]:
        """What a service leaves to be done by the next."""
