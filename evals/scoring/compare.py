"""Compares two runs of the same calls: turns that differ, and each metric's difference."""

import math
import zlib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from evals.scoring.facts import TurnFacts
from evals.scoring.matching import MatchedCall
from evals.scoring.metrics.metric import Metric, Sample, values_of
from evals.scoring.score import Scores
from evals.scoring.statistics import Difference, compare

NEAR_SECS = 1.5
"""Turns of two runs are paired if their speech ends within this time, on the source's time line."""

LATENCY_STEP_SECS = 0.01
"""Smallest change of a latency that counts."""

TOLD = (
    "question",
    "decision",
    "reason",
    "confidence",
    "sections",
    "answer",
    "heard_text",
    "interrupted",
)
"""Fields of a turn's record that are compared."""


@dataclass(frozen=True, slots=True)
class Changed:
    """A turn that differs, or that only one run has.

    Parameters:
        source: The recording.
        utterance: The index of its utterance in the truth; ``None`` without truth.
        a: Its number in the first run; ``None`` if that has no such turn.
        b: Its number in the second run; ``None`` if that has no such turn.
        question: The transcript.
        changes: The fields that differ, each with its value in both runs.
    """

    source: str
    utterance: int | None
    a: int | None
    b: int | None
    question: str
    changes: Mapping[str, tuple[Any, Any]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The comparison of two runs.

    Parameters:
        a: The first run's name.
        b: The second run's name.
        calls: The number of calls in both.
        only_a: Recordings only in the first.
        only_b: Recordings only in the second.
        turns: The number of paired turns.
        changed: The turns that differ.
        metrics: The difference of each metric's paired samples.
    """

    a: str
    b: str
    calls: int
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    turns: int
    changed: tuple[Changed, ...]
    metrics: Mapping[str, Difference]

    def as_dict(self) -> dict[str, Any]:
        """As plain values, ready for JSON."""
        plain = asdict(self)
        for name, difference in self.metrics.items():
            row = plain["metrics"][name] | {"difference": difference.difference}
            plain["metrics"][name] = {
                key: None if isinstance(value, float) and math.isnan(value) else value
                for key, value in row.items()
            }
        return plain


def compare_runs(a: Scores, b: Scores) -> Comparison:
    """Compare two scored runs, call by call and turn by turn."""
    calls_a = {call.facts.source: call for call in a.calls}
    calls_b = {call.facts.source: call for call in b.calls}
    both = [source for source in calls_a if source in calls_b]
    pairs = {source: _pairs(calls_a[source], calls_b[source]) for source in both}
    same = {
        (source, turn_b.number): turn_a.number
        for source, turns in pairs.items()
        for turn_a, turn_b in turns
        if turn_a is not None and turn_b is not None
    }
    changed = [
        found
        for source, turns in pairs.items()
        for turn_a, turn_b in turns
        if (found := _changed(calls_a[source], calls_b[source], turn_a, turn_b)) is not None
    ]
    return Comparison(
        a=a.run.name,
        b=b.run.name,
        calls=len(both),
        only_a=tuple(source for source in calls_a if source not in calls_b),
        only_b=tuple(source for source in calls_b if source not in calls_a),
        turns=len(same),
        changed=tuple(changed),
        metrics={
            name: _difference(metric, b.metrics[name], same)
            for name, metric in a.metrics.items()
            if name in b.metrics
        },
    )


def _pairs(a: MatchedCall, b: MatchedCall) -> list[tuple[TurnFacts | None, TurnFacts | None]]:
    """Pair the turns of two replays of one call, in order of time.

    Each turn is paired with the nearest unpaired one whose speech ends within
    :data:`NEAR_SECS` of its own.
    """
    at_a = {turn.number: a.facts.recorded(turn.at) for turn in a.facts.turns}
    at_b = {turn.number: b.facts.recorded(turn.at) for turn in b.facts.turns}
    apart = sorted(
        (abs(at_a[number_a] - at_b[number_b]), number_a, number_b)
        for number_a in at_a
        for number_b in at_b
        if abs(at_a[number_a] - at_b[number_b]) <= NEAR_SECS
    )
    found: dict[int, int] = {}
    taken: set[int] = set()
    for _, number_a, number_b in apart:
        if number_a not in found and number_b not in taken:
            found[number_a] = number_b
            taken.add(number_b)
    by_number = {turn.number: turn for turn in b.facts.turns}
    pairs: list[tuple[float, TurnFacts | None, TurnFacts | None]] = [
        (at_a[turn.number], turn, by_number[found[turn.number]] if turn.number in found else None)
        for turn in a.facts.turns
    ]
    pairs += [(at_b[turn.number], None, turn) for turn in b.facts.turns if turn.number not in taken]
    return [(turn_a, turn_b) for _, turn_a, turn_b in sorted(pairs, key=lambda pair: pair[0])]


def _changed(
    a: MatchedCall, b: MatchedCall, turn_a: TurnFacts | None, turn_b: TurnFacts | None
) -> Changed | None:
    changes: dict[str, tuple[Any, Any]] = {}
    if turn_a is not None and turn_b is not None:
        for name in TOLD:
            before, after = turn_a.record.get(name), turn_b.record.get(name)
            if before != after:
                changes[name] = (before, after)
        waits = turn_a.seconds("e2e_latency"), turn_b.seconds("e2e_latency")
        if _moved(*waits):
            changes["e2e_latency"] = waits
        if not changes:
            return None
    turn, call = (turn_a, a) if turn_a is not None else (turn_b, b)
    assert turn is not None
    heard = call.of_turn(turn.number)
    return Changed(
        source=call.facts.source,
        utterance=heard.index if heard else None,
        a=turn_a.number if turn_a else None,
        b=turn_b.number if turn_b else None,
        question=turn.question,
        changes=changes,
    )


def _moved(before: float | None, after: float | None) -> bool:
    if before is None or after is None:
        return before is not after
    return abs(before - after) > LATENCY_STEP_SECS


def _difference(a: Metric, b: Metric, same: Mapping[tuple[str, int], int]) -> Difference:
    """A metric's difference over the samples that both runs have."""
    mine = {sample.key: sample for sample in a.samples}
    theirs = {_key(sample, same): sample for sample in b.samples}
    keys = [key for key in mine if key in theirs]
    return compare(
        values_of([mine[key] for key in keys]),
        values_of([theirs[key] for key in keys]),
        [mine[key].source for key in keys],
        a.statistic,
        binary=a.binary,
        seed=zlib.crc32(a.name.encode()),
    )


def _key(sample: Sample, same: Mapping[tuple[str, int], int]) -> Hashable:
    """The key of the same sample in the first run."""
    if sample.utterance is not None or sample.turn is None:
        return sample.key
    number = same.get((sample.source, sample.turn))
    return (
        replace(sample, turn=number).key
        if number is not None
        else (sample.source, "only b", sample.turn)
    )


def describe(changed: Sequence[Changed]) -> list[str]:
    """Describe the changes, one per line."""
    lines = []
    for change in changed:
        where = f"{change.source}, {change.question!r}"
        if change.a is None or change.b is None:
            lines.append(
                f"{where}: turn {change.a or change.b} is only in "
                f"{'A' if change.b is None else 'B'}"
            )
        for name, (before, after) in change.changes.items():
            lines.append(f"{where}: {name} {_shown(before)} → {_shown(after)}")
    return lines


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    return "none" if value in (None, "") else str(value)
