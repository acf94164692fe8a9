"""Where one stage of a call's chain ends and the next begins, for whoever observes the call."""

from collections.abc import Coroutine, Iterator, Sequence
from typing import Any

from pipecat.frames.frames import ErrorFrame, Frame, InputAudioRawFrame, TTSAudioRawFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from conversation.observer import CallObserver
from processors.audio import forward_audio
from processors.contract import ChainStage


class StageBoundary(FrameProcessor):
    """Stands between two stages, tells an observer what passes, and passes it on unchanged.

    What goes down is of the stage before it, what goes up of the stage after it, or of one further
    on. It runs in direct mode: a frame is told in the moment at which its stage gave it.

    Parameters:
        observer: Who is told.
        before: The stage before it; empty for none that is observed.
        after: The stage after it.
    """

    def __init__(self, observer: CallObserver, *, before: str, after: str) -> None:
        super().__init__(enable_direct_mode=True)
        self._observer = observer
        self._before = before
        self._after = after

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Tell of a frame, and pass it on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, (InputAudioRawFrame, TTSAudioRawFrame)):
            await self.take_audio(frame)
            return
        upstream = direction is FrameDirection.UPSTREAM
        if stage := self._after if upstream else self._before:
            self._observer.gave(stage, frame, upstream=upstream)
        await self.push_frame(frame, direction)

    def report(self, error: ErrorFrame) -> None:
        """Tell of an error in the stage after it, even where it goes no further than that."""
        if self._after:
            self._observer.gave(self._after, error, upstream=True)

    def take_audio(self, frame: InputAudioRawFrame | TTSAudioRawFrame) -> Coroutine[Any, Any, None]:
        """Tell of a piece of audio, and hand it on."""
        if self._before:
            self._observer.gave(self._before, frame)
        return forward_audio(self, frame)


def observed(
    observer: CallObserver, *stages: tuple[str, Sequence[ChainStage]]
) -> Iterator[ChainStage]:
    """The processors of all stages in order, with boundaries between stages if anybody observes.

    Args:
        observer: Who is told.
        stages: Each stage's name, and its processors.
    """
    before = ""
    for stage, processors in stages:
        if observer.live:
            yield StageBoundary(observer, before=before, after=stage)
        yield from processors
        before = stage
    if observer.live:
        yield StageBoundary(observer, before=before, after="")
