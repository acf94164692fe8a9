"""Selects the audio clips that a report includes, within its size limit."""

from collections.abc import Iterable
from dataclasses import dataclass

from evals.report.waveform import clip_bytes

LONGEST_SECS = 30.0
"""Longest clip; it holds a turn's question and the start of its answer with room to spare."""

TurnKey = tuple[int, str, int]
"""Identifies a turn: the run, from 0, the call's file and the turn's number."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A part of a call to listen to.

    Parameters:
        place: The turn's key.
        start: Seconds after the call's start.
        end: Seconds after the call's start.
    """

    place: TurnKey
    start: float
    end: float

    @property
    def secs(self) -> float:
        """Its length in seconds."""
        return self.end - self.start

    @property
    def size(self) -> int:
        """Its size in the page, in bytes."""
        return clip_bytes(self.secs)


@dataclass(frozen=True, slots=True)
class ClipSelection:
    """The clips that a report includes.

    Parameters:
        included: The clips included, by turn.
        left_out: The others.
    """

    included: dict[TurnKey, Clip]
    left_out: tuple[Clip, ...]

    @property
    def size(self) -> int:
        """Size of the included clips, in bytes."""
        return sum(clip.size for clip in self.included.values())


def select(clips: Iterable[Clip], most_bytes: float) -> ClipSelection:
    """Include clips in order while they fit; one that does not fit is skipped.

    Args:
        clips: The clips, most important first; a turn's second clip is skipped.
        most_bytes: The maximum total size, in bytes.
    """
    taken: dict[TurnKey, Clip] = {}
    left_out: dict[TurnKey, Clip] = {}
    room = most_bytes
    for clip in clips:
        if clip.place in taken or clip.place in left_out or clip.secs <= 0:
            continue
        if clip.size <= room:
            taken[clip.place] = clip
            room -= clip.size
        else:
            left_out[clip.place] = clip
    return ClipSelection(taken, tuple(left_out.values()))


def bounded(start: float, end: float) -> tuple[float, float]:
    """An interval, cut to at most :data:`LONGEST_SECS`."""
    return start, min(end, start + LONGEST_SECS)
