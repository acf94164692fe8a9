"""Runs processors in a pipeline of their own and collects the frames that leave it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Self, TypeVar

from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.utils.asyncio.task_manager import TaskManager
from pipecat.workers.base_worker import WorkerParams

from conversation.turns import INPUT_SAMPLE_RATE, OUTPUT_SAMPLE_RATE

T = TypeVar("T")

START_SECS = 10.0
"""Maximum time for a pipeline to start."""

CLOSE_SECS = 5.0
"""Maximum time for a pipeline to end."""

MOST_CANCELS = 4
"""Number of attempts to end a pipeline before it is abandoned."""

CHUNK_SECS = 0.02
"""Length of the microphone's chunks."""

_CHUNK_BYTES = 2 * round(CHUNK_SECS * INPUT_SAMPLE_RATE)


class NonconformanceError(Exception):
    """A check failed; the text says what was observed instead of what the contract requires."""


class NotStartedError(NonconformanceError):
    """The processors cannot be started, so no call is possible with them."""


class NotApplicableError(Exception):
    """A check does not apply to its subject; the text says why."""


def made(make: Callable[..., Any], *given: Any) -> Any:
    """Make a stage for one call.

    Args:
        make: What makes it.
        given: Its arguments.

    Raises:
        NotStartedError: It makes none.
    """
    try:
        stage = make(*given)
    except Exception as error:
        raise NotStartedError(f"it cannot be made: {type(error).__name__}: {error}") from error
    if not isinstance(stage, FrameProcessor):
        kind = type(stage).__name__
        raise NotStartedError(f"{kind} was made; a stage is a FrameProcessor")
    return stage


class StageHarness:
    """One call's processors in a pipeline, with a microphone before it and a listener behind it.

    The microphone sends 16 kHz audio in real time, from :meth:`listen` or the first :meth:`say`
    on: what is said, otherwise silence. Audio that leaves the pipeline counts as played at once
    (``BotStartedSpeakingFrame``, ``BotStoppedSpeakingFrame``), since pipecat's voices wait for
    that.

    Parameters:
        processors: The processors, in the order of the chain.

    Attributes:
        frames: Frames received downstream, each with the event loop's time.
        up: Frames received upstream.
        errors: The ``ErrorFrame`` among them.
    """

    def __init__(self, *processors: FrameProcessor) -> None:
        self.frames: list[tuple[float, Frame]] = []
        self.up: list[Frame] = []
        self.errors: list[ErrorFrame] = []
        self._news = asyncio.Event()
        self._saying = bytearray()
        self._said = asyncio.Event()
        self._microphone: asyncio.Task[None] | None = None
        self._running: asyncio.Task[None] | None = None
        self._sounding = False
        self._bottom = _End(self._came_down, FrameDirection.DOWNSTREAM)
        self._tasks = TaskManager(loop=asyncio.get_running_loop())
        self._worker = PipelineWorker(
            Pipeline([_End(self._came_up, FrameDirection.UPSTREAM), *processors, self._bottom]),
            params=PipelineParams(
                audio_in_sample_rate=INPUT_SAMPLE_RATE, audio_out_sample_rate=OUTPUT_SAMPLE_RATE
            ),
            task_manager=self._tasks,
            enable_rtvi=False,
            enable_turn_tracking=False,
            idle_timeout_secs=None,
            cancel_timeout_secs=CLOSE_SECS / 2,
            setup_timeout_secs=START_SECS,
            start_timeout_secs=START_SECS,
        )

    async def __aenter__(self) -> Self:
        started = asyncio.Event()

        async def on_started(*_: object) -> None:
            started.set()

        self._worker.add_event_handler("on_pipeline_started", on_started)
        params = WorkerParams(task_manager=self._tasks)
        running = self._running = asyncio.create_task(self._worker.run(params))
        starting = asyncio.create_task(started.wait())
        try:
            await asyncio.wait(
                {running, starting}, timeout=START_SECS, return_when=asyncio.FIRST_COMPLETED
            )
            if not started.is_set():
                if running.done() and (error := running.exception()):
                    raise NotStartedError(f"it failed to start: {error}")
                raise NotStartedError(f"it did not start{self.reported}")
        except BaseException:
            await self._end()
            raise
        finally:
            starting.cancel()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        await self._end()
        if kind is None and (left := len(self._tasks.current_tasks())):
            raise NonconformanceError(f"{left} of its tasks still run after the end of the call")

    @property
    def reported(self) -> str:
        """The errors reported so far, in parentheses for a message; empty if there are none."""
        errors = dict.fromkeys(error.error for error in self.errors)
        return f" (it reported: {'; '.join(errors)[:300]})" if errors else ""

    async def push(self, *frames: Frame) -> None:
        """Send frames downstream, from the start of the pipeline."""
        for frame in frames:
            await self._worker.queue_frame(frame)

    async def push_up(self, *frames: Frame) -> None:
        """Send frames upstream, from the end of the pipeline."""
        for frame in frames:
            await self._bottom.push_frame(frame, FrameDirection.UPSTREAM)

    def listen(self) -> None:
        """Open the microphone."""
        if self._microphone is None:
            self._microphone = asyncio.create_task(self._talk())

    async def say(self, pcm: bytes) -> float:
        """Say 16-bit mono PCM at 16 kHz; return the event loop's time at its end."""
        self._saying += pcm
        self._said.clear()
        self.listen()
        await self._said.wait()
        return asyncio.get_running_loop().time()

    async def wait_for(self, found: Callable[[], T | None], within_secs: float, missing: str) -> T:
        """Wait until a function returns something true; return that.

        Args:
            found: Called after each received frame.
            within_secs: The maximum wait.
            missing: The failure's text, such as "no audio".

        Raises:
            NonconformanceError: The wait was too long.
        """
        try:
            async with asyncio.timeout(within_secs):
                while not (it := found()):
                    self._news.clear()
                    await self._news.wait()
                return it
        except TimeoutError:
            late = f"{missing} within {within_secs:g} s{self.reported}"
            raise NonconformanceError(late) from None

    @property
    def down(self) -> list[Frame]:
        """Frames received downstream, in order."""
        return [frame for _, frame in self.frames]

    def received(self, *kinds: type[Frame]) -> list[tuple[float, Any]]:
        """Frames of these types received downstream, each with the event loop's time."""
        return [(at, frame) for at, frame in self.frames if isinstance(frame, kinds)]

    async def _talk(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            chunk = bytes(self._saying[:_CHUNK_BYTES]).ljust(_CHUNK_BYTES, b"\0")
            del self._saying[:_CHUNK_BYTES]
            await self.push(InputAudioRawFrame(chunk, INPUT_SAMPLE_RATE, 1))
            due += CHUNK_SECS
            await asyncio.sleep(max(0.0, due - loop.time()))
            if not self._saying:
                self._said.set()

    async def _came_down(self, frame: Frame) -> None:
        self.frames.append((asyncio.get_running_loop().time(), frame))
        if isinstance(frame, TTSAudioRawFrame) and not self._sounding:
            self._sounding = True
            await self._bottom.push_frame(BotStartedSpeakingFrame(), FrameDirection.UPSTREAM)
        elif isinstance(frame, TTSStoppedFrame) and self._sounding:
            self._sounding = False
            await self._bottom.push_frame(BotStoppedSpeakingFrame(), FrameDirection.UPSTREAM)
        self._news.set()

    async def _came_up(self, frame: Frame) -> None:
        self.up.append(frame)
        if isinstance(frame, ErrorFrame):
            self.errors.append(frame)
        self._news.set()

    async def _end(self) -> None:
        if self._microphone is not None:
            self._microphone.cancel()
        if self._running is None:
            return
        cancelling = asyncio.create_task(self._worker.cancel(reason="checked"))
        tasks = {cancelling, self._running}
        _, pending = await asyncio.wait(tasks, timeout=CLOSE_SECS)
        # A processor that swallows a cancellation keeps the worker waiting, so cancel again.
        for _ in range(MOST_CANCELS):
            if pending:
                for task in pending:
                    task.cancel()
                _, pending = await asyncio.wait(pending, timeout=CLOSE_SECS)
        await asyncio.gather(*(tasks - pending), return_exceptions=True)


class _End(FrameProcessor):
    """One end of a pipeline: reports the frames that reach it in one direction."""

    def __init__(self, came: Callable[[Frame], Awaitable[None]], direction: FrameDirection) -> None:
        super().__init__(enable_direct_mode=True)
        self._came = came
        self._direction = direction

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if direction is self._direction:
            await self._came(frame)
        await self.push_frame(frame, direction)
