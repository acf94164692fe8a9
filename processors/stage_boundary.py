"""Reports to the call's observer what passes between two stages of the chain."""

from collections.abc import Coroutine, Iterator, Sequence
from typing import Any

from pipecat.frames.frames import ErrorFrame, Frame, InputAudioRawFrame, TTSAudioRawFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from conversation.observer import CallObserver
from processors.audio import forward_audio
from processors.contract import ChainStage


class StageBoundary(FrameProcessor):
    """Stands between two stages, reports what passes, and passes it on unchanged.

    Frames going downstream are attributed to the stage before it, those going upstream to the stage
    after it, even if they come from further downstream. It runs in direct mode, so a frame is
    reported the moment its stage pushes it.

    Parameters:
        observer: The call's observer.
        before: The stage before it; empty if that is not observed.
        after: The stage after it; empty if that is not observed.
    """

    def __init__(self, observer: CallObserver, *, before: str, after: str) -> None:
        super().__init__(enable_direct_mode=True)
        self._observer = observer
        self._before = before
        self._after = after

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Report a frame, and pass it on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, (InputAudioRawFrame, TTSAudioRawFrame)):
            await self.take_audio(frame)
            return
        upstream = direction is FrameDirection.UPSTREAM
        if stage := self._after if upstream else self._before:
            self._observer.gave(stage, frame, upstream=upstream)
        await self.push_frame(frame, direction)

    def report(self, error: ErrorFrame) -> None:
        """Report an error of the stage after it that does not leave that stage."""
        if self._after:
            self._observer.gave(self._after, error, upstream=True)

    def take_audio(self, frame: InputAudioRawFrame | TTSAudioRawFrame) -> Coroutine[Any, Any, None]:
        """Report a piece of audio, and forward it."""
        if self._before:
            self._observer.gave(self._before, frame)
        return forward_audio(self, frame)


def observed(
    observer: CallObserver, *stages: tuple[str, Sequence[ChainStage]]
) -> Iterator[ChainStage]:
    """Yield the processors of all stages, with boundaries between stages if they are observed.

    Args:
        observer: The call's observer.
        stages: Each stage's name and processors, in order.
    """
    before = ""
    for stage, processors in stages:
        if observer.live:
            yield StageBoundary(observer, before=before, after=stage)
        yield from processors
        before = stage
    if observer.live:
        yield StageBoundary(observer, before=before, after="")
