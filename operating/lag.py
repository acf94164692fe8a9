"""Lateness of the event loop, the first sign of too many calls in one process."""

import asyncio
import time
from collections import deque
from collections.abc import Callable

from processors.window import WINDOW_SECS, Lateness, Sizes, quantile

INTERVAL_SECS = 0.1
"""How often lateness is sampled."""


class EventLoopLag(Lateness):
    """Samples how late the running loop's timers fire. Quantiles over a sliding window.

    No timer fires while the loop is blocked, so a long stall would count as one sample. The missed
    samples are filled in: a stall counts once for each timer that it delayed.

    Parameters:
        interval_secs: Sampling interval.
        window_secs: Length of the window; bounds the samples kept.
        clock: A monotonic clock in seconds; ``time.monotonic`` by default.
    """

    def __init__(
        self,
        *,
        interval_secs: float = INTERVAL_SECS,
        window_secs: float = WINDOW_SECS,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._interval = interval_secs
        self._clock = clock or time.monotonic
        self.sizes = Sizes()
        self._samples: deque[float] = deque(maxlen=max(1, round(window_secs / interval_secs)))
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    def start(self) -> None:
        """Start sampling the running loop."""
        if self._timer is None:
            self._wait()

    def close(self) -> None:
        """Stop sampling; the samples are kept."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def reset(self) -> None:
        """Drop the samples, after a stall that will not come back, such as loading models."""
        self._samples.clear()
        self.sizes.clear()

    def quantile(self, share: float) -> float:
        """A quantile, 0 to 1, of the lateness in the window, in seconds."""
        return quantile(self._samples, share)

    def _wait(self) -> None:
        self._due = self._clock() + self._interval
        self._timer = asyncio.get_running_loop().call_later(self._interval, self._sample)

    def _sample(self) -> None:
        late = max(0.0, self._clock() - self._due)
        swallowed = min(int(late / self._interval), (self._samples.maxlen or 1) - 1)
        for missed in range(swallowed, -1, -1):
            self._samples.append(sample := late - missed * self._interval)
            self.sizes.add(sample)
        self._wait()
