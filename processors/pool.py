"""A thread pool for embedded engines that measures how long work waits for a thread."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from processors.window import Lateness, Sizes, Window


class Pool(ThreadPoolExecutor, Lateness):
    """A thread pool that counts its pending work and measures its waits.

    Queued work counts with its wait so far, and cancelled work with its wait until then.

    Parameters:
        workers: Number of threads; they start on demand.
        name: The engine's name.
    """

    def __init__(self, workers: int, name: str) -> None:
        super().__init__(workers, thread_name_prefix=name)
        self.name = name
        self.pending = 0
        """Number of calls running or queued."""
        self._lock = threading.Lock()
        self._waiting: dict[object, float] = {}
        self._waits = Window()
        self.sizes = Sizes()

    def quantile(self, share: float) -> float:
        """Return a quantile of the waits in the last 10 s, in seconds, at a share of 0 to 1."""
        with self._lock:
            now = time.monotonic()
            so_far = [max(0.0, now - since) for since in self._waiting.values()]
            return self._waits.quantile(share, now, so_far)

    def reset_waits(self) -> None:
        """Drop the waits measured so far."""
        self._waits.clear()
        self.sizes.clear()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Schedule a call, and count it until it has ended or was cancelled."""
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
            self._waits.add(waited := max(0.0, now - since), now)
            self.sizes.add(waited)
