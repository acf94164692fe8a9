"""A metric: its samples, what is computed of them, and what it is held to."""

import zlib
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from evals.scoring.matching import MatchedCall
from evals.scoring.statistics import Statistic, Values, interval, mean

Unit = Literal["s", "ratio", "score", "usd", "per turn"]
Better = Literal["lower", "higher", "none"]

NEEDS_TRUTH = "needs ground truth (--truth)"
NONE_CAME = "nothing of that kind happened"


@dataclass(frozen=True, slots=True)
class Sample:
    """One case that a metric counts.

    Parameters:
        call: Name of the call's file.
        source: Name of the recording that it was replayed from; pairs two runs.
        value: What it counts as.
        weight: What it counts for.
        group: Which bin it belongs to, from 0.
        turn: The turn it is about.
        utterance: The utterance it is about, from 0.
        part: Which of several cases of one utterance.
        at: When it happened, in seconds of the call.
        note: In words.
    """

    call: str
    source: str
    value: float
    weight: float = 1.0
    group: int = 0
    turn: int | None = None
    utterance: int | None = None
    part: int = 0
    at: float = 0.0
    note: str = ""

    @property
    def key(self) -> Hashable:
        """The same for the same case in another run."""
        if self.utterance is not None:
            return (self.source, "utterance", self.utterance, self.part)
        return (self.source, "turn", self.turn, self.part)


def values_of(samples: Sequence[Sample]) -> Values:
    """The samples as arrays."""
    return Values(
        np.array([sample.value for sample in samples], dtype=np.float64),
        np.array([sample.weight for sample in samples], dtype=np.float64),
        np.array([sample.group for sample in samples], dtype=np.int64),
    )


@dataclass(frozen=True)
class Metric:
    """One metric of a run.

    Parameters:
        name: Such as ``"stop_time"``.
        unit: Of its value.
        better: Which way is better.
        page: The page under docs/metrics/ that defines it.
        samples: The cases that it counts.
        statistic: What is computed of them.
        binary: Every sample is 0 or 1.
        target: What the corpus that ships is held to.
        shown: The samples that explain it, where that is not all.
        note: Why there is no value, or what to know of it.
    """

    name: str
    unit: Unit
    better: Better
    page: str
    samples: tuple[Sample, ...]
    statistic: Statistic = mean
    binary: bool = False
    target: float | None = None
    shown: tuple[Sample, ...] | None = None
    note: str = ""

    @property
    def definition(self) -> str:
        """Where it is defined."""
        return f"docs/metrics/{self.page}.md"

    @cached_property
    def value(self) -> float | None:
        """The metric; ``None`` without samples."""
        return self.statistic(values_of(self.samples)) if self.samples else None

    @cached_property
    def ci95(self) -> tuple[float, float] | None:
        """Its 95 % interval."""
        if not self.samples:
            return None
        return interval(
            values_of(self.samples),
            [sample.source for sample in self.samples],
            self.statistic,
            binary=self.binary,
            seed=zlib.crc32(self.name.encode()),
        )

    @property
    def evidence(self) -> tuple[Sample, ...]:
        """The samples that explain its value, the worst first."""
        shown = self.samples if self.shown is None else self.shown
        if self.better == "none":
            return shown
        return tuple(sorted(shown, key=lambda one: one.value, reverse=self.better == "lower"))


def sample(
    call: MatchedCall,
    value: float,
    *,
    turn: int | None = None,
    utterance: int | None = None,
    part: int = 0,
    at: float = 0.0,
    weight: float = 1.0,
    group: int = 0,
    note: str = "",
) -> Sample:
    """A sample of a call."""
    return Sample(
        call=call.facts.name,
        source=call.facts.source,
        value=float(value),
        weight=weight,
        group=group,
        turn=turn,
        utterance=utterance,
        part=part,
        at=at,
        note=note,
    )


def gathered(
    calls: Iterable[MatchedCall], of: Callable[[MatchedCall], Iterable[Sample]]
) -> tuple[Sample, ...]:
    """The samples of all calls."""
    return tuple(sample for call in calls for sample in of(call))


def rate(
    name: str,
    page: str,
    samples: tuple[Sample, ...],
    *,
    better: Better,
    target: float | None = None,
    note: str = "",
) -> Metric:
    """The share of samples that are 1."""
    return Metric(name, "ratio", better, page, samples, binary=True, target=target, note=note)


def seconds(
    name: str, page: str, samples: tuple[Sample, ...], *, target: float | None = None
) -> Metric:
    """A mean time, the shorter the better."""
    return Metric(name, "s", "lower", page, samples, target=target)
