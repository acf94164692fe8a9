"""The threads that an embedded engine works in, and how long its work waits for one of them."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from processors.window import Lateness, Window


class Pool(ThreadPoolExecutor, Lateness):
    """A thread pool that knows how much it has to do, and how long it leaves work waiting.

    Work that still waits counts with what it has waited so far, and work that is taken back with
    what it had waited until then: for so long no thread was free.

    Parameters:
        workers: How many threads it has; they start as they are needed.
        name: The engine's name.
    """

    def __init__(self, workers: int, name: str) -> None:
        super().__init__(workers, thread_name_prefix=name)
        self.name = name
        self.pending = 0
        """How much work is being done or waits."""
        self._lock = threading.Lock()
        self._waiting: dict[object, float] = {}
        self._waits = Window()

    def quantile(self, share: float) -> float:
        """Wait in seconds that a share, 0 to 1, of the last 10 seconds' work does not exceed."""
        with self._lock:
            now = time.monotonic()
            so_far = [max(0.0, now - since) for since in self._waiting.values()]
            return self._waits.quantile(share, now, so_far)

    def forget(self) -> None:
        """Drop what was measured: it is over, and says nothing of what comes."""
        self._waits.clear()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Schedule a call, and count it until it has ended or been taken back."""
        job = object()
        with self._lock:
            self.pending += 1
            self._waiting[job] = time.monotonic()
        try:
            future = super().submit(self._work, job, fn, *args, **kwargs)
        except BaseException:
            self._ended(job)
            raise
        future.add_done_callback(lambda _: self._ended(job))
        return future

    def _work(self, job: object, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        with self._lock:
            self._waited(job)
        return fn(*args, **kwargs)

    def _ended(self, job: object) -> None:
        with self._lock:
            self.pending -= 1
            self._waited(job)

    def _waited(self, job: object) -> None:
        since = self._waiting.pop(job, None)
        if since is not None:
            now = time.monotonic()
            self._waits.add(max(0.0, now - since), now)
