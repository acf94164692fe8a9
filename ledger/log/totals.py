"""Totals of the call log: of all matching calls, and per day."""

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import ColumnElement, case, func, literal, select
from sqlmodel import Session, col

from ledger.log.filter import Filter
from ledger.store.tables import Call, Turn

_SUMMED = ("stt_cost", "brain_cost", "tts_cost", "cost")


@dataclass(frozen=True, slots=True)
class Totals:
    """Totals of calls; a call in progress counts with its figures so far.

    Parameters:
        calls: Number of calls.
        turns: Number of turns.
        minutes: Total length of the calls that have ended.
        stt_cost: Cost of speech to text, in micro-dollars.
        brain_cost: Cost of the brain.
        tts_cost: Cost of text to speech.
        cost: Sum of the three.
        escalations: Turns handed to a person; what nobody has understood is asked for again.
        interruptions: Interrupted answers.
        e2e_p50: Median ``e2e_latency`` of the turns, seconds; ``None`` without measurements.
        e2e_p95: 95th percentile; both are by nearest rank.
    """

    calls: int = 0
    turns: int = 0
    minutes: float = 0.0
    stt_cost: int = 0
    brain_cost: int = 0
    tts_cost: int = 0
    cost: int = 0
    escalations: int = 0
    interruptions: int = 0
    e2e_p50: float | None = None
    e2e_p95: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """The fields, ready for JSON."""
        return asdict(self)


def compute_totals(session: Session, chosen: Filter) -> tuple[Totals, dict[str, Totals]]:
    """Totals of the calls that match a filter, and of each UTC day with calls, oldest first."""
    by_day: dict[str, dict[str, Any]] = {
        day: {"calls": calls, "turns": int(turns), "minutes": float(seconds or 0) / 60}
        | {name: int(cost) for name, cost in zip(_SUMMED, costs, strict=True)}
        for day, calls, turns, seconds, *costs in session.execute(_calls(chosen))
    }
    for day, escalations, interruptions in session.execute(_turns(chosen)):
        by_day[day] |= {"escalations": escalations, "interruptions": interruptions}
    whole: dict[str, Any] = {}
    for day, p50, p95, whole_p50, whole_p95 in session.execute(_latencies(chosen)):
        by_day[day] |= {"e2e_p50": p50, "e2e_p95": p95}
        if whole_p50 is not None:
            whole["e2e_p50"] = whole_p50
        if whole_p95 is not None:
            whole["e2e_p95"] = whole_p95
    days = {day: Totals(**fields) for day, fields in by_day.items()}
    added = ("calls", "turns", "minutes", *_SUMMED, "escalations", "interruptions")
    whole |= {name: sum(getattr(day, name) for day in days.values()) for name in added}
    return Totals(**whole), days


def _calls(chosen: Filter) -> Any:
    seconds = func.sum(col(Call.ended_at) - col(Call.started_at))
    costs = [func.sum(getattr(Call, name)) for name in _SUMMED]
    return (
        select(col(Call.day), func.count(), func.sum(col(Call.turns)), seconds, *costs)
        .where(*chosen.conditions())
        .group_by(col(Call.day))
        .order_by(col(Call.day))
    )


def _turns(chosen: Filter) -> Any:
    return (
        select(
            col(Call.day),
            func.count().filter(col(Turn.decision) == "escalate", col(Turn.reason) != "unclear"),
            func.count().filter(col(Turn.interrupted)),
        )
        .join_from(Turn, Call)
        .where(*chosen.conditions())
        .group_by(col(Call.day))
    )


def _latencies(chosen: Filter) -> Any:
    """Percentiles by window functions, the one way that both databases support.

    One row per day; percentiles over all days are repeated in the rows of the days measured.
    """
    e2e = col(Turn.e2e_latency)
    ranked = (
        select(
            col(Call.day).label("day"),
            e2e.label("e2e"),
            func.row_number().over(partition_by=col(Call.day), order_by=e2e).label("rank"),
            func.count().over(partition_by=col(Call.day)).label("count"),
            func.row_number().over(order_by=e2e).label("whole_rank"),
            func.count().over(partition_by=literal(1)).label("whole_count"),
        )
        .join_from(Turn, Call)
        .where(e2e.is_not(None), *chosen.conditions())
        .subquery()
        .c
    )

    def percentile(percent: int, rank: Any, count: Any) -> ColumnElement[float]:
        nearest = (count * percent + 99) // 100
        return func.max(case((rank == nearest, ranked.e2e)))

    return select(
        ranked.day,
        percentile(50, ranked.rank, ranked.count),
        percentile(95, ranked.rank, ranked.count),
        percentile(50, ranked.whole_rank, ranked.whole_count),
        percentile(95, ranked.whole_rank, ranked.whole_count),
    ).group_by(ranked.day)
