"""A sliding window: figures of the last seconds, and what a share of them does not exceed."""

import math
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable

WINDOW_SECS = 10.0
"""How far back one looks to tell whether a process keeps up."""


def quantile(figures: Iterable[float], share: float) -> float:
    """What a share of figures, 0 to 1, does not exceed; 0 if there are none."""
    ordered = sorted(figures)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


class Lateness(ABC):
    """Something that can be late, as it was in the last seconds."""

    @abstractmethod
    def quantile(self, share: float) -> float:
        """Seconds that a share of what was measured, 0 to 1, does not exceed; 0 if nothing was."""

    @property
    def p50(self) -> float:
        """Median lateness in seconds."""
        return self.quantile(0.5)

    @property
    def p99(self) -> float:
        """Lateness in seconds that one in a hundred is above."""
        return self.quantile(0.99)


class Window:
    """Figures that are forgotten when they are as old as the window is long; for any thread.

    Parameters:
        secs: How far back it reaches.
    """

    def __init__(self, secs: float = WINDOW_SECS) -> None:
        self._secs = secs
        self._figures: deque[tuple[float, float]] = deque()
        self._lock = threading.Lock()

    def add(self, figure: float, at: float) -> None:
        """Take a figure, which is no older than those that were added before it.

        Args:
            figure: What was measured.
            at: When, by the clock that is read for :meth:`quantile` too.
        """
        with self._lock:
            self._forget(at)
            self._figures.append((at, figure))

    def quantile(self, share: float, now: float, more: Iterable[float] = ()) -> float:
        """What a share of the window's figures, 0 to 1, does not exceed; 0 if there are none.

        Args:
            share: The share.
            now: The moment at which the window ends.
            more: Figures that count beside those that were added.
        """
        with self._lock:
            self._forget(now)
            figures = [figure for _, figure in self._figures]
        return quantile([*figures, *more], share)

    def clear(self) -> None:
        """Forget all of it."""
        with self._lock:
            self._figures.clear()

    def __len__(self) -> int:
        """How many figures are kept."""
        return len(self._figures)

    def _forget(self, now: float) -> None:
        # What is later than now was measured by another clock, as in virtual time.
        figures = self._figures
        while figures and not 0.0 <= now - figures[0][0] < self._secs:
            figures.popleft()
