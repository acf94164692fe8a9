"""A run's figures as its report shows them, each with the turns behind it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from conversation.wording import NONE
from evals.report import words
from evals.report.plots import MARKED, Bin, Series, distribution, reliability, strip
from evals.report.run import ScoredRun
from evals.report.waterfall import DELAYS
from evals.scoring.statistics import quantile

MOST_SHOWN = 30
"""Maximum number of turns listed behind a figure; ``scores.json`` has them all."""

Location = tuple[str, int | None, float]
"""What evidence refers to: a call's file, a turn's number if any, and seconds of the call."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One turn or moment behind a figure.

    Parameters:
        link: Its link within the page; empty if the page does not show it.
        place: The call and turn, as text.
        at: The time, such as ``1:07.4``.
        value: Its contribution to the figure.
        note: A remark.
    """

    link: str
    place: str
    at: str
    value: str
    note: str


@dataclass(frozen=True, slots=True)
class Figure:
    """One metric of a run.

    Parameters:
        name: Its name in ``scores.json``.
        anchor: Its anchor in the page.
        title: Its title.
        value: The value with its unit.
        interval: The 95 % interval, as text; empty without one.
        n: The number of samples.
        wanted: The target, as text; empty without one.
        met: Whether the target is met; ``None`` if that is unknown.
        strip: The value as a chart.
        definition: The documentation page that defines it.
        note: Why it has no value, or a caution.
        evidence: The first :data:`MOST_SHOWN` turns behind it.
        unlisted: The number of further ones.
    """

    name: str
    anchor: str
    title: str
    value: str
    interval: str
    n: int
    wanted: str
    met: bool | None
    strip: Markup
    definition: str
    note: str
    evidence: tuple[Evidence, ...]
    unlisted: int

    @property
    def behind(self) -> int:
        """The number of turns behind it."""
        return len(self.evidence) + self.unlisted


@dataclass(frozen=True, slots=True)
class Family:
    """The figures that one documentation page defines.

    Parameters:
        title: Their subject.
        definition: The page.
        figures: The figures, in the order of ``scores.json``.
    """

    title: str
    definition: str
    figures: tuple[Figure, ...]


@dataclass(frozen=True, slots=True)
class Spread:
    """Percentiles of one delay in one run.

    Parameters:
        run: The run's name.
        n: The number of turns.
        marked: The p50, p95 and p99.
    """

    run: str
    n: int
    marked: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Delay:
    """The distribution of one delay.

    Parameters:
        title: The event at its end.
        field: Its field in a turn's record.
        plot: The plot.
        rows: The percentiles of each run.
    """

    title: str
    field: str
    plot: Markup
    rows: tuple[Spread, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table of ``scores.json``.

    Parameters:
        title: Its title.
        head: The names of its columns.
        rows: Its cells, row by row.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def figures(run: ScoredRun, link: Callable[[Location], str]) -> tuple[Figure, ...]:
    """A run's metrics as figures.

    Args:
        run: The run.
        link: Gives the link of evidence within the page; empty if the page does not show it.
    """
    return tuple(_figure(name, metric, link) for name, metric in run.metrics.items())


def families(all_figures: Iterable[Figure]) -> tuple[Family, ...]:
    """Group figures by the page that defines them."""
    grouped: dict[str, list[Figure]] = {}
    for figure in all_figures:
        grouped.setdefault(figure.definition, []).append(figure)
    return tuple(
        Family(words.title(_stem(definition)) or "Other figures", definition, tuple(members))
        for definition, members in grouped.items()
    )


def ranked_evidence(run: ScoredRun) -> list[tuple[str, Mapping[str, Any]]]:
    """Evidence as ``(metric, entry)``: first of missed targets, then of met ones, then the rest."""
    order = {False: 0, True: 1, None: 2}
    ranked = sorted(run.metrics.items(), key=lambda item: order[words.met(item[1])])
    return [(name, entry) for name, metric in ranked for entry in metric.get("evidence") or ()]


def delays(runs: Sequence[ScoredRun]) -> tuple[Delay, ...]:
    """The distribution of each delay, end to end first."""
    found: list[Delay] = []
    for field, name in (DELAYS[-1], *DELAYS[:-1]):
        series = [Series(run.name, _delays_of(run, field)) for run in runs]
        if not any(curve.values for curve in series):
            continue
        rows = tuple(
            Spread(
                curve.name,
                len(curve.values),
                tuple(words.seconds(quantile(curve.values, share)) for share in MARKED),
            )
            for curve in series
            if curve.values
        )
        title = "To the first audible sample" if field == DELAYS[-1][0] else name.capitalize()
        found.append(Delay(title, field, distribution(series, label=title), rows))
    return tuple(found)


def calibration(runs: Sequence[ScoredRun]) -> Markup | None:
    """The reliability plot; ``None`` if it is unknown which answers were right."""
    bins = [_bins(run) for run in runs]
    if not any(bin_.count for run_bins in bins for bin_ in run_bins):
        return None
    described = "; ".join(
        f"{bin_.label or bin_.stated}: said {bin_.stated:.2f}, right {bin_.right:.2f}, "
        f"n {bin_.count}"
        for run_bins in bins
        for bin_ in run_bins
    )
    return reliability(bins, label=f"Reliability of the stated confidence. {described}")


def tables(run: ScoredRun) -> tuple[Table, ...]:
    """The tables of ``scores.json``."""
    found: list[Table] = []
    for name, rows in (run.scores.get("tables") or {}).items():
        if (
            not isinstance(rows, list)
            or not rows
            or not all(isinstance(entry, dict) for entry in rows)
        ):
            continue
        head = list(dict.fromkeys(column for row in rows for column in row))
        cells = tuple(tuple(_cell(row.get(column)) for column in head) for row in rows)
        found.append(Table(words.title(name), tuple(head), cells))
    return tuple(found)


def _figure(name: str, metric: Mapping[str, Any], link: Callable[[Location], str]) -> Figure:
    unit = str(metric.get("unit") or "")
    bounds = metric.get("ci95")
    entries: Sequence[Mapping[str, Any]] = metric.get("evidence") or ()
    value, target = metric.get("value"), metric.get("target")
    return Figure(
        name=name,
        anchor=f"m-{name}",
        title=words.title(name),
        value=words.figure(value, unit),
        interval=words.interval(bounds, unit),
        n=int(metric.get("n") or 0),
        wanted=words.wanted(metric),
        met=words.met(metric),
        strip=strip(value, tuple(bounds) if bounds else None, target, ratio=unit == "ratio"),
        definition=str(metric.get("definition") or ""),
        note=str(metric.get("note") or ""),
        evidence=tuple(_evidence(entry, unit, link) for entry in entries[:MOST_SHOWN]),
        unlisted=max(0, len(entries) - MOST_SHOWN),
    )


def _evidence(entry: Mapping[str, Any], unit: str, link: Callable[[Location], str]) -> Evidence:
    file, turn, at = str(entry["call"]), entry.get("turn"), float(entry.get("at") or 0.0)
    place = file.removesuffix(".mcap") + (f", turn {turn}" if turn else "")
    return Evidence(
        link=link((file, turn, at)),
        place=place,
        at=words.clock(at),
        value=formatted(entry.get("value"), unit),
        note=str(entry.get("note") or ""),
    )


def against(metric: Mapping[str, Any], value: object) -> bool:
    """Whether a sample's value counts as a failure: a majority of it, or a missed target."""
    if not isinstance(value, (int, float)) or metric.get("better") not in ("lower", "higher"):
        return False
    if metric.get("unit") == "ratio":
        return value > 0.5 if metric["better"] == "lower" else value < 0.5
    return words.met({**metric, "value": value}) is False


def formatted(value: object, unit: str) -> str:
    """A sample's value, as text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return words.figure(value, unit)
    return "" if value is None else str(value)


def _delays_of(run: ScoredRun, field: str) -> tuple[float, ...]:
    return tuple(
        float(turn[field])
        for call in run.calls
        for turn in call.get("turns") or ()
        if turn.get(field) is not None and not turn.get("withdrawn")
    )


def _bins(run: ScoredRun) -> list[Bin]:
    rows = (run.scores.get("tables") or {}).get("reliability") or ()
    return [
        Bin(
            stated=float(row["claimed"]),
            right=float(row["accuracy"]),
            count=int(row["n"]),
            label=str(row["confidence"]),
            low=row["ci95"][0] if row.get("ci95") else None,
            high=row["ci95"][1] if row.get("ci95") else None,
        )
        for row in rows
        if row.get("accuracy") is not None
    ]


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return " to ".join(_cell(item) for item in value)
    return NONE if value is None else str(value)


def _stem(definition: str) -> str:
    return definition.rpartition("/")[2].removesuffix(".md").replace("-", "_")
