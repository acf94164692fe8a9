"""How late the event loop is: the first thing to go wrong when a process has too many calls."""

import asyncio
import time
from collections import deque
from collections.abc import Callable

from processors.window import WINDOW_SECS, Lateness, quantile

INTERVAL_SECS = 0.1
"""How often lateness is sampled."""


class EventLoopLag(Lateness):
    """Samples how late a timer of the running event loop fires, over a sliding window.

    While the loop is held up, no timer fires, so that one long stall would count as one sample. The
    samples that it swallowed are therefore filled in: a stall of a second is in the window as all
    the timers that were late because of it.

    Parameters:
        interval_secs: How often a sample is taken.
        window_secs: How far back the quantiles look; it bounds the samples kept.
        clock: Seconds that only go up; ``time.monotonic`` by default.
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
        self._samples: deque[float] = deque(maxlen=max(1, round(window_secs / interval_secs)))
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    def start(self) -> None:
        """Begin to sample the running loop."""
        if self._timer is None:
            self._wait()

    def close(self) -> None:
        """Stop sampling; the quantiles stay as they are."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def forget(self) -> None:
        """Drop the samples: what held the loop up is over, and will not come again."""
        self._samples.clear()

    def quantile(self, share: float) -> float:
        """Lateness in seconds that a share of the window's samples, 0 to 1, does not exceed."""
        return quantile(self._samples, share)

    def _wait(self) -> None:
        self._due = self._clock() + self._interval
        self._timer = asyncio.get_running_loop().call_later(self._interval, self._sample)

    def _sample(self) -> None:
        late = max(0.0, self._clock() - self._due)
        swallowed = min(int(late / self._interval), (self._samples.maxlen or 1) - 1)
        for missed in range(swallowed, -1, -1):
            self._samples.append(late - missed * self._interval)
        self._wait()
