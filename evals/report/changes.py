"""What changed between two runs, in words: figures, and fields of a turn."""

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
"""A difference that is less likely by chance is called one."""

SEEN_BELOW = ("answer", "heard_text")
"""Fields that are to be seen side by side anyway."""

NAMES = {
    "question": "understood",
    "heard_text": "heard",
    "e2e_latency": "to the first sound",
}
"""How fields of a turn's record are called, where not by their own names."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One metric of both runs.

    Parameters:
        anchor: Where it is in the page.
        title: Its name in words.
        before: In the first run.
        now: In the second.
        difference: Of the cases that both have.
        interval: Its 95 % interval; empty without one.
        p: The test's, in words; empty without one.
        test: Which test.
        n: Pairs.
        strip: The difference as a picture.
        verdict: ``better``, ``worse``, or empty where chance may explain it.
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


def told(one: Changed, without: Sequence[str] = ()) -> Iterator[tuple[str, str, str]]:
    """What changed in a turn: a field's name in words, and its value in both runs.

    Args:
        one: The turn.
        without: Fields that are left out.
    """
    for name, (before, after) in one.changes.items():
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


def line(one: Changed) -> str:
    """A changed turn in one line."""
    changes = "; ".join(f"{name}: {before} → {after}" for name, before, after in told(one))
    return f"{one.source.removesuffix('.mcap')}, turn {one.a or one.b}: {changes or 'only in one'}"


def faster(one: Changed) -> tuple[str, str, str, str, str]:
    """A turn that only came sooner or later: which, what, in both runs, and the difference."""
    before, after = one.changes["e2e_latency"]
    moved = None if before is None or after is None else after - before
    call = one.source.removesuffix(".mcap")
    return (
        f"{call}, turn {one.a}",
        clean(one.question),
        words.seconds(before),
        words.seconds(after),
        words.signed(moved, "s"),
    )


def difference(
    name: str, before: Mapping[str, Any], now: Mapping[str, Any], found: Paired
) -> Difference:
    """A metric of both runs.

    Args:
        name: As in ``scores.json``.
        before: What that says of it in the first run.
        now: In the second.
        found: The difference of the cases that both have.
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
