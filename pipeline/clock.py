"""Virtual time: an event loop on which a call of minutes takes as long as its work.

The loop never waits for a timer. When nothing is runnable and no thread is at work for it, its
clock moves straight to the next timer. The same program then takes the same steps in the same
order on every run, however fast the machine is.
"""

import asyncio
import selectors
import threading
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar
from unittest import mock

T = TypeVar("T")

START = 1_000_000_000.0
"""What every clock shows when virtual time begins, in seconds."""

THREAD_POLL_SECS = 0.0005
"""How long the loop really sleeps at a time while a thread is at work for it."""


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is virtual.

    Work handed to threads by ``run_in_executor`` (and so ``asyncio.to_thread``) freezes the clock
    until it is done. Real sockets may be used, but their latency is real and takes no virtual time.
    """

    def __init__(self) -> None:
        self._virtual = START
        self._at_work = 0
        self._counting = threading.Lock()
        super().__init__(_NoWaitSelector(self))
        # A float of a billion seconds cannot show the nanosecond that asyncio adds to its clock.
        self._clock_resolution = 1e-6

    def time(self) -> float:
        """Virtual seconds; every loop begins at the same moment."""
        return self._virtual

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Any, *args: Any
    ) -> Any:
        """Run in a thread, the clock standing still meanwhile."""
        with self._counting:
            self._at_work += 1
        try:
            future = super().run_in_executor(executor, func, *args)
        except BaseException:
            self._done_working(None)
            raise
        future.add_done_callback(self._done_working)
        return future

    def _done_working(self, _future: "Future[Any] | asyncio.Future[Any] | None") -> None:
        with self._counting:
            self._at_work -= 1

    @property
    def busy(self) -> bool:
        """Whether a thread is at work for this loop."""
        return self._at_work > 0

    def advance(self, secs: float) -> None:
        """Move the clock; only for the selector, when nothing is runnable."""
        self._virtual += secs


class _NoWaitSelector(selectors.DefaultSelector):
    """A selector that moves its loop's clock instead of waiting."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            return super().select(0)
        ready = super().select(0)
        if ready:
            return ready
        if self._loop.busy or timeout is None:
            # A thread, or nothing at all, will wake the loop: that takes real time.
            return super().select(THREAD_POLL_SECS if self._loop.busy else timeout)
        self._loop.advance(timeout)
        return []


@contextmanager
def virtual_clocks(loop: VirtualTimeLoop) -> Iterator[None]:
    """Let ``time.time`` and its kin show the loop's time, as pipecat reads them everywhere."""

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


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in virtual time."""
    loop = VirtualTimeLoop()
    with virtual_clocks(loop), asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main)


def day_of(seconds: float) -> str:
    """The UTC day of a Unix time, ``YYYY-MM-DD``.

    Raises:
        ValueError: It is in no year that has four digits; ``OverflowError`` and ``OSError`` far
            beyond.
    """
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
