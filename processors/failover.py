"""Failover: the next vendor of a stage takes over when one fails, without losing the turn.

Builds on pipecat's ``ServiceSwitcher``, and adds what it lacks: the next vendor also gets the
failed one's unfinished work, such as speech not transcribed or sentences not spoken.
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
    """pipecat's strategy, with a callback that is awaited at once and not run in a task."""

    switched: Callable[[FrameProcessor], Awaitable[None]] | None = None

    async def handle_error(self, error: ErrorFrame) -> FrameProcessor | None:
        """Switch after a permanent error, and await the callback before any other frame passes."""
        service = await super().handle_error(error)
        if service is not None and self.switched is not None:
            await self.switched(service)
        return service


class StageFailover(ServiceSwitcher[_NextUsable]):
    """Pushes a ``FailoverFrame`` at each switch, and queues the failed service's unfinished work.

    Parameters:
        services: The vendors' services, in order of preference.
        names: The vendors' names in settings.
        ends_turns: For each service, whether it ends turns itself; by default none does.
    """

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
        """Report an error to the observer, because pipecat's switcher may consume it."""
        if isinstance(frame, ErrorFrame) and isinstance(self.previous, StageBoundary):
            self.previous.report(frame)
        await super().push_frame(frame, direction)

    @abstractmethod
    async def _unfinished(self, failed: FrameProcessor) -> Sequence[Frame]:
        """Return the frames of a failed service's unfinished work."""
