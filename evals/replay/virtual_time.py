"""Virtual time: an event loop on which a call of minutes takes only its processor time.

The loop never waits for a timer. When nothing is runnable and no thread works for it, its clock
jumps to the next timer, so that a program takes the same steps in the same order on every run,
however fast the machine is.
"""

import asyncio
import contextvars
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar
from unittest import mock

T = TypeVar("T")

START = 1_000_000_000.0
"""Default time of every clock at the start of virtual time, in seconds."""

RESOLUTION_SECS = 1e-6
"""Timers that are due within it are due at the same time."""

_real_clock, _process_time = time.perf_counter, time.process_time  # bound before patching
_worker = threading.local()

_count = threading.Lock()
_used: dict[int, float] = {}
"""What each thread of loops and of their work has used, by its clock. The identifier of one that
has ended is given to the next, which would begin with what that one used."""

_ended: list[float] = [0.0]
"""What those that have ended used together."""


def cpu_clock() -> float:
    """Processor time of a job, in seconds; other work on the machine does not count.

    That is this thread's, and that of threads which libraries keep for themselves. What the loop
    and other jobs use meanwhile is theirs.
    """
    own = _clock_of_thread()
    with _count:
        for clock in tuple(_used):
            try:
                _used[clock] = time.clock_gettime(clock)
            except OSError:  # the thread has ended
                _ended[0] += _used.pop(clock)
        others = _ended[0] + sum(used for clock, used in _used.items() if clock != own)
        return _process_time() - others


def _clock_of_thread() -> int | None:
    """The clock of this thread; none on macOS, where everybody's time counts."""
    if not hasattr(time, "pthread_getcpuclockid"):
        return None
    return time.pthread_getcpuclockid(threading.get_ident())


def _know_thread() -> None:
    if (clock := _clock_of_thread()) is not None:
        with _count:
            _used.setdefault(clock, 0.0)


@dataclass(slots=True)
class _Job:
    """Work in a thread on behalf of a loop."""

    loop: "VirtualTimeLoop"
    submitted: float
    clock: Callable[[], float]
    began: float | None = None
    ended: float | None = None
    calls: deque[tuple[float, asyncio.Handle, contextvars.Context, Callable[[], Any]]] = field(
        default_factory=deque
    )
    done: bool = False

    def begin(self) -> None:
        """Begin in this thread, behind what it did before."""
        _know_thread()
        loop, free_at = getattr(_worker, "free", (None, 0.0))
        if loop is self.loop:
            self.submitted = max(self.submitted, free_at)
        self.began = self.clock()

    def now(self) -> float:
        """The virtual time, had the clock run on while this thread did the work."""
        if self.ended is not None:
            return self.ended
        return self.submitted + (0.0 if self.began is None else self.clock() - self.began)

    def end(self) -> None:
        """End in the thread that it began in."""
        self.ended = self.now()
        _worker.free = self.loop, self.ended


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is virtual.

    Work submitted to threads by ``run_in_executor`` (or ``asyncio.to_thread``) freezes the clock
    until it is done, so it must not wait for the loop. By default it takes no virtual time: its
    ``call_soon_threadsafe`` calls, and then its result, arrive in the order in which the work was
    submitted, each once nothing else is runnable. With ``counted`` they arrive after the time that
    they really took, behind everything due before.

    Real sockets work, but their latency is real and takes no virtual time, except in
    :meth:`real_time`. A child process does not know the virtual time: while one runs, the clock
    moves as a real one does.
    """

    def __init__(
        self,
        *,
        start: float = START,
        counted: bool = False,
        counted_by: Callable[[], float] = _real_clock,
    ) -> None:
        """Create a loop.

        Args:
            start: The time of every clock at its start, in seconds.
            counted: Whether work in threads takes the time that it really took, instead of none.
            counted_by: The clock that measures that.
        """
        self._virtual = start
        self._counted = counted
        self._counted_by = counted_by
        self._jobs: deque[_Job] = deque()
        self._in_real_time = 0
        self._behind = 0.0
        self._threads: ThreadPoolExecutor | None = None
        super().__init__(_NoWaitSelector(self))
        # A float of a billion seconds cannot show the nanosecond that asyncio adds to its clock.
        self._clock_resolution = RESOLUTION_SECS

    def time(self) -> float:
        """Virtual seconds."""
        return _real_clock() + self._behind if self._in_real_time else self._virtual

    @contextmanager
    def real_time(self) -> Iterator[None]:
        """Let the clock move as a real one does while any of these contexts is open.

        For what answers over a network, in its own time.
        """
        if not self._in_real_time:
            self._behind = self._virtual - _real_clock()
        self._in_real_time += 1
        try:
            yield
        finally:
            if self._in_real_time == 1:
                self._virtual = self.time()
            self._in_real_time -= 1

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., Any],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Schedule a call; however short the delay, the clock has moved by then.

        Whoever waits for a moment by sleeping for what is left of the time would wait for ever if
        it had not.
        """
        if delay > 0:
            delay = max(delay, 2 * RESOLUTION_SECS)
        handle: asyncio.TimerHandle = super().call_later(delay, callback, *args, context=context)
        return handle

    async def subprocess_exec(
        self, protocol_factory: Callable[[], Any], *args: Any, **kwargs: Any
    ) -> tuple[asyncio.SubprocessTransport, Any]:
        """Start a process; the clock moves as a real one until it has ended."""
        running = ExitStack()
        running.enter_context(self.real_time())

        def watched() -> Any:
            protocol = protocol_factory()
            exited = protocol.process_exited

            def process_exited() -> None:
                running.close()
                exited()

            protocol.process_exited = process_exited
            return protocol

        try:
            return await super().subprocess_exec(watched, *args, **kwargs)
        except BaseException:
            running.close()
            raise

    @property
    def in_real_time(self) -> bool:
        """Whether the clock moves as a real one."""
        return self._in_real_time > 0

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Run a function in a thread; the clock stands still meanwhile."""
        if executor is None:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(thread_name_prefix="asyncio")
                self.set_default_executor(self._threads)
            executor = self._threads
        _know_thread()
        job = _Job(self, self.time(), self._counted_by)
        answer: asyncio.Future[T] = self.create_future()
        self._jobs.append(job)
        try:
            work = executor.submit(_work, job, func, args)
        except BaseException:
            self._jobs.remove(job)
            raise
        work.add_done_callback(lambda done: self._worked(job, done, answer))
        answer.add_done_callback(lambda _: work.cancel())
        return answer

    def call_soon_threadsafe(  # type: ignore[override]
        self,
        callback: Callable[..., Any],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        """Schedule a call from a thread; one that works for the loop keeps its calls in order."""
        job: _Job | None = getattr(_worker, "job", None)
        if job is not None and job.loop is self:
            return self._hear(job, callback, args, context)
        handle: asyncio.Handle = super().call_soon_threadsafe(callback, *args, context=context)
        return handle

    def _hear(
        self,
        job: _Job,
        callback: Callable[..., Any],
        args: tuple[Any, ...],
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        self._check_closed()  # type: ignore[attr-defined]
        context = context or contextvars.copy_context()
        handle = asyncio.Handle(callback, args, self, context)

        def call() -> None:
            if not handle.cancelled():
                callback(*args)

        job.calls.append((job.now(), handle, context, call))
        super().call_soon_threadsafe(_nothing)  # wakes the selector
        return handle

    def _worked(self, job: _Job, work: "Future[T]", answer: asyncio.Future[T]) -> None:
        """Called in the thread that did the work, or on the loop if it was cancelled."""
        with suppress(RuntimeError):  # the loop has been closed meanwhile
            self._hear(job, _settle, (work, answer))
            job.done = True
            super().call_soon_threadsafe(_nothing)

    @property
    def busy(self) -> bool:
        """Whether a thread works for this loop."""
        return any(not job.done for job in self._jobs)

    def hear_threads(self) -> bool:
        """Schedule the due calls of threads; only for the selector, when nothing is runnable.

        Returns:
            Whether any was due.
        """
        if self.in_real_time:
            jobs = list(self._jobs)
        elif self._counted:
            jobs = [] if self.busy else list(self._jobs)
        else:
            jobs = [self._jobs[0]] if self._jobs and self._jobs[0].done else []
        heard = False
        for job in jobs:
            done = job.done  # first: what it says before that is in its calls
            while job.calls:
                due, _, context, call = job.calls.popleft()
                heard = True
                if self._counted:
                    self.call_at(due, call, context=context)
                else:
                    self.call_soon(call, context=context)
            if done:
                self._jobs.remove(job)
        return heard

    def advance(self, secs: float) -> None:
        """Move the clock; only for the selector, when nothing is runnable."""
        self._virtual += secs


class _NoWaitSelector(selectors.DefaultSelector):
    """A selector that moves its loop's clock instead of waiting."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        loop = self._loop
        if loop.hear_threads():
            return []
        if loop.in_real_time:
            return super().select(timeout)
        if loop.busy or timeout is None:
            # A thread, or nothing at all, will wake the loop: that takes real time.
            return super().select(None)
        loop.advance(timeout)
        return []


def _work(job: _Job, func: Callable[..., T], args: tuple[Any, ...]) -> T:
    _worker.job = job
    job.begin()
    try:
        return func(*args)
    finally:
        job.end()
        _worker.job = None


def _settle(work: "Future[T]", answer: asyncio.Future[T]) -> None:
    if answer.done():
        return
    if work.cancelled():
        answer.cancel()
    elif (error := work.exception()) is not None:
        answer.set_exception(error)
    else:
        answer.set_result(work.result())


def _nothing() -> None:
    pass


@contextmanager
def virtual_clocks(loop: VirtualTimeLoop) -> Iterator[None]:
    """Make ``time.time`` and its siblings, which pipecat reads everywhere, show the loop's time."""

    def nanoseconds() -> int:
        return int(loop.time() * 1e9)

    with (
        mock.patch.object(time, "time", loop.time),
        mock.patch.object(time, "monotonic", loop.time),
        mock.patch.object(time, "perf_counter", loop.time),
        mock.patch.object(time, "time_ns", nanoseconds),
        mock.patch.object(time, "monotonic_ns", nanoseconds),
        mock.patch.object(time, "perf_counter_ns", nanoseconds),
    ):
        yield


def run(
    main: Coroutine[Any, Any, T],
    *,
    start: float = START,
    counted: bool = False,
    counted_by: Callable[[], float] = _real_clock,
) -> T:
    """Run a coroutine to its end in virtual time.

    Args:
        main: The coroutine.
        start: The time of every clock at its start, in seconds.
        counted: Whether work in threads takes the time that it really took, instead of none.
        counted_by: The clock that measures that; :func:`cpu_clock` on a busy machine.
    """
    loop = VirtualTimeLoop(start=start, counted=counted, counted_by=counted_by)
    with virtual_clocks(loop), asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main)
