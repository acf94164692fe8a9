"""A metric: its samples, the statistic computed from them, and its target."""

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
    """One sample of a metric.

    Parameters:
        call: The call's file name.
        source: The name of the recording that it was replayed from; pairs samples of two runs.
        value: Its value.
        weight: Its weight.
        group: Its bin, from 0, for statistics with bins.
        turn: The turn's number.
        utterance: The utterance's index, from 0.
        part: Its index among several samples of one utterance.
        at: Its time, in seconds of the call.
        note: A description.
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
        """A key that the same sample has in another run."""
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
        name: Its name, such as ``"stop_time"``.
        unit: The unit of its value.
        better: Which direction is better.
        page: The page under docs/metrics/ that defines it.
        samples: Its samples.
        statistic: Computes its value from them.
        binary: Whether every sample is 0 or 1.
        target: The target for the corpus that ships.
        shown: The samples shown as evidence, if not all of them.
        note: Why it has no value, or a caution.
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
        """The path of the page that defines it."""
        return f"docs/metrics/{self.page}.md"

    @cached_property
    def value(self) -> float | None:
        """Its value; ``None`` without samples."""
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
        """The samples that explain its value, worst first."""
        shown = self.samples if self.shown is None else self.shown
        if self.better == "none":
            return shown
        return tuple(sorted(shown, key=lambda item: item.value, reverse=self.better == "lower"))


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
    """A metric that is the share of samples that are 1."""
    return Metric(name, "ratio", better, page, samples, binary=True, target=target, note=note)


def seconds(
    name: str, page: str, samples: tuple[Sample, ...], *, target: float | None = None
) -> Metric:
    """A metric that is a mean time in seconds; lower is better."""
    return Metric(name, "s", "lower", page, samples, target=target)
