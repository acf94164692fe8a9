"""Intervals of time, and operations on sets of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """A half-open interval ``[start, end)`` of a call, in seconds.

    Parameters:
        start: Its start.
        end: Its end, not before ``start``.
    """

    start: float
    end: float

    def __post_init__(self) -> None:
        if not self.start <= self.end:
            raise ValueError(f"an interval cannot end at {self.end} and start at {self.start}")

    @property
    def length(self) -> float:
        """Its length, in seconds."""
        return self.end - self.start

    def holds(self, at: float) -> bool:
        """Whether it contains a time."""
        return self.start <= at < self.end


def merged(intervals: Iterable[Interval], *, gap: float = 0.0) -> tuple[Interval, ...]:
    """The union in order, joining intervals that are at most ``gap`` seconds apart."""
    joined: list[Interval] = []
    for interval in sorted(intervals):
        if joined and interval.start <= joined[-1].end + gap:
            joined[-1] = Interval(joined[-1].start, max(joined[-1].end, interval.end))
        else:
            joined.append(interval)
    return tuple(joined)


def clipped(intervals: Iterable[Interval], start: float, end: float) -> tuple[Interval, ...]:
    """The parts of the intervals between two times."""
    return tuple(
        Interval(max(interval.start, start), min(interval.end, end))
        for interval in intervals
        if interval.start < end and interval.end > start
    )


def without(intervals: Iterable[Interval], holes: Iterable[Interval]) -> tuple[Interval, ...]:
    """The intervals minus the holes."""
    cuts = merged(holes)
    left: list[Interval] = []
    for interval in merged(intervals):
        start = interval.start
        for hole in cuts:
            if hole.end <= start or hole.start >= interval.end:
                continue
            if hole.start > start:
                left.append(Interval(start, hole.start))
            start = max(start, hole.end)
        if start < interval.end:
            left.append(Interval(start, interval.end))
    return tuple(left)


def overlap(some: Iterable[Interval], others: Iterable[Interval]) -> float:
    """Total length of the intersection, in seconds."""
    others = merged(others)
    return sum(
        max(0.0, min(interval.end, other.end) - max(interval.start, other.start))
        for interval in merged(some)
        for other in others
    )


def total(intervals: Iterable[Interval]) -> float:
    """Total length of the union, in seconds."""
    return sum(interval.length for interval in merged(intervals))


def at(intervals: Sequence[Interval], moment: float) -> Interval | None:
    """The first interval that contains a time."""
    return next((interval for interval in intervals if interval.holds(moment)), None)
