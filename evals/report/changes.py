"""Describes differences between two runs: of figures, and of a turn's fields."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from conversation.wording import clean
from evals.report import words
from evals.report.plots import difference_strip
from evals.scoring.compare import Changed
from evals.scoring.statistics import Difference as Paired

LIKELY_P = 0.05
"""A difference with a smaller p is called better or worse."""

SEEN_BELOW = ("answer", "heard_text")
"""Fields that the page shows side by side, so that they are not listed as changes."""

NAMES = {
    "question": "understood",
    "heard_text": "heard",
    "e2e_latency": "to the first sound",
}
"""Titles of a turn record's fields that are not titled by their names."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One metric in both runs.

    Parameters:
        anchor: Its anchor in the page.
        title: Its title.
        before: Its value in the first run.
        now: Its value in the second run.
        difference: The difference over the cases that both have.
        interval: The difference's 95 % interval; empty without one.
        p: The test's p, as text; empty without one.
        test: The test's name.
        n: The number of pairs.
        strip: The difference as a chart.
        verdict: ``better``, ``worse``, or empty where chance can explain the difference.
    """

    anchor: str
    title: str
    before: str
    now: str
    difference: str
    interval: str
    p: str
    test: str
    n: int
    strip: Markup
    verdict: str


def field_changes(turn: Changed, without: Sequence[str] = ()) -> Iterator[tuple[str, str, str]]:
    """A turn's changed fields: title, and value in the first and the second run.

    Args:
        turn: The turn.
        without: Fields to leave out.
    """
    for name, (before, after) in turn.changes.items():
        if name in without:
            continue
        yield NAMES.get(name, name.replace("_", " ")), _shown(before), _shown(after)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return words.seconds(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    return "none" if value in (None, "") else clean(str(value))


def one_line(turn: Changed) -> str:
    """A changed turn in one line."""
    changes = "; ".join(
        f"{name}: {before} → {after}" for name, before, after in field_changes(turn)
    )
    call = turn.source.removesuffix(".mcap")
    return f"{call}, turn {turn.a or turn.b}: {changes or 'only in one run'}"


def latency_change(turn: Changed) -> tuple[str, str, str, str, str]:
    """A turn of which only the latency changed: turn, question, both latencies, difference."""
    before, after = turn.changes["e2e_latency"]
    moved = None if before is None or after is None else after - before
    call = turn.source.removesuffix(".mcap")
    return (
        f"{call}, turn {turn.a}",
        clean(turn.question),
        words.seconds(before),
        words.seconds(after),
        words.signed(moved, "s"),
    )


def difference(
    name: str, before: Mapping[str, Any], now: Mapping[str, Any], found: Paired
) -> Difference:
    """Describe a metric's difference between two runs.

    Args:
        name: Its name in ``scores.json``.
        before: Its entry in the first run's ``scores.json``.
        now: Its entry in the second run's.
        found: The difference over the cases that both have.
    """
    unit = str(now.get("unit") or "")
    n = int(found.n)
    moved = found.difference if n else None
    bounds = found.ci95
    reach = max((abs(bound) for bound in (moved or 0.0, *(bounds or ()))), default=0.0) * 1.1
    beyond = bounds is not None and (bounds[0] > 0 or bounds[1] < 0)
    certain = beyond and found.p is not None and found.p < LIKELY_P
    gained = {"higher": 1, "lower": -1}.get(str(now.get("better")), 0) * (moved or 0.0)
    return Difference(
        anchor=f"m-{name}",
        title=words.title(name),
        before=words.figure(before.get("value"), unit),
        now=words.figure(now.get("value"), unit),
        difference=words.signed(moved, unit),
        interval=words.interval(bounds, unit, sign=True),
        p=words.probability(found.p),
        test=found.test,
        n=n,
        strip=difference_strip(moved, bounds, reach),
        verdict="" if not certain or not gained else "better" if gained > 0 else "worse",
    )
