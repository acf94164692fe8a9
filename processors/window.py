"""Quantiles over a sliding window of time, and counts by size since the start."""

import math
import threading
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable
from itertools import accumulate

WINDOW_SECS = 10.0
"""The span over which lag and pool waits are measured, in seconds."""


def quantile(figures: Iterable[float], share: float) -> float:
    """Return the nearest-rank quantile at a share of 0 to 1; 0 without figures."""
    ordered = sorted(figures)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


class Sizes:
    """Counts figures by their size since the start, as a histogram of Prometheus does. Thread-safe.

    Attributes:
        total: Sum of the figures.
    """

    BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
    """Upper bounds in seconds, around the limit on lateness, 0.25 s by default."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.clear()

    def add(self, figure: float) -> None:
        """Count a figure."""
        with self._lock:
            self._counts[bisect_left(self.BOUNDS, figure)] += 1
            self.total += figure

    def cumulative(self) -> list[tuple[float, int]]:
        """Each bound, the last one infinite, with the number of figures up to it."""
        with self._lock:
            counts = accumulate(self._counts)
            return list(zip((*self.BOUNDS, math.inf), counts, strict=True))

    def clear(self) -> None:
        """Start anew."""
        with self._lock:
            self._counts = [0] * (len(self.BOUNDS) + 1)
            self.total = 0.0


class Lateness(ABC):
    """The lateness of something, such as the event loop or a thread pool.

    Attributes:
        sizes: All that was measured since the start.
    """

    sizes: Sizes

    @abstractmethod
    def quantile(self, share: float) -> float:
        """Return a quantile of the lateness in seconds, at a share of 0 to 1; 0 if unmeasured."""

    @property
    def p50(self) -> float:
        """Median lateness in seconds."""
        return self.quantile(0.5)

    @property
    def p99(self) -> float:
        """99th percentile of the lateness in seconds."""
        return self.quantile(0.99)


class Window:
    """The figures of the last seconds. Thread-safe.

    Parameters:
        secs: The window's length.
    """

    def __init__(self, secs: float = WINDOW_SECS) -> None:
        self._secs = secs
        self._figures: deque[tuple[float, float]] = deque()
        self._lock = threading.Lock()

    def add(self, figure: float, at: float) -> None:
        """Add a figure, no older than those added before it.

        Args:
            figure: The figure.
            at: When it was measured, on the same clock as the ``now`` of :meth:`quantile`.
        """
        with self._lock:
            self._expire(at)
            self._figures.append((at, figure))

    def quantile(self, share: float, now: float, more: Iterable[float] = ()) -> float:
        """Return a quantile of the window's figures; 0 if it has none.

        Args:
            share: 0 to 1.
            now: The end of the window.
            more: Figures to count beside those added.
        """
        with self._lock:
            self._expire(now)
            figures = [figure for _, figure in self._figures]
        return quantile([*figures, *more], share)

    def clear(self) -> None:
        """Drop all figures."""
        with self._lock:
            self._figures.clear()

    def __len__(self) -> int:
        """Number of figures stored."""
        return len(self._figures)

    def _expire(self, now: float) -> None:
        # A figure later than now was measured on another clock, as in virtual time.
        figures = self._figures
        while figures and not 0.0 <= now - figures[0][0] < self._secs:
            figures.popleft()
