"""Which stretches of which calls a report lets one hear, within what it may weigh."""

from collections.abc import Iterable
from dataclasses import dataclass

from evals.report.waveform import clip_bytes

LONGEST_SECS = 30.0
"""A clip is cut there; a turn's question and the beginning of its answer are well within it."""

Place = tuple[int, str, int]
"""Which run, from 0; which call's file; which turn."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A stretch that somebody will want to hear.

    Parameters:
        place: The turn it is of.
        start: Seconds after the call's start.
        end: Seconds likewise.
    """

    place: Place
    start: float
    end: float

    @property
    def secs(self) -> float:
        """How long it is."""
        return self.end - self.start

    @property
    def size(self) -> int:
        """How many bytes it takes in a page."""
        return clip_bytes(self.secs)


@dataclass(frozen=True, slots=True)
class Selection:
    """What there is room for.

    Parameters:
        taken: The clips that are in, by their places.
        left_out: The others.
    """

    taken: dict[Place, Clip]
    left_out: tuple[Clip, ...]

    @property
    def size(self) -> int:
        """Bytes of those that are in."""
        return sum(clip.size for clip in self.taken.values())


def select(clips: Iterable[Clip], most_bytes: float) -> Selection:
    """Take clips in the order in which they matter, as many as there is room for.

    One that is too large for what is left is passed over, and a smaller one behind it still taken.

    Args:
        clips: The most telling first; a place that comes again is passed over.
        most_bytes: How much they may weigh together.
    """
    taken: dict[Place, Clip] = {}
    left_out: dict[Place, Clip] = {}
    room = most_bytes
    for clip in clips:
        if clip.place in taken or clip.place in left_out or clip.secs <= 0:
            continue
        if clip.size <= room:
            taken[clip.place] = clip
            room -= clip.size
        else:
            left_out[clip.place] = clip
    return Selection(taken, tuple(left_out.values()))


def bounded(start: float, end: float) -> tuple[float, float]:
    """A stretch, not longer than a clip may be."""
    return start, min(end, start + LONGEST_SECS)
