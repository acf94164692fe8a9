"""Pages of the call log, newest call first, and single calls with their turns."""

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import tuple_
from sqlmodel import Session, col, select

from ledger.log.filter import Filter, Position
from ledger.store.tables import Call, Turn


class NoSuchCallError(LookupError):
    """The ledger has no call with that id."""


@dataclass(frozen=True, slots=True)
class Entries:
    """A page of the call log.

    Parameters:
        calls: The columns of each call, plus ``question`` (what was asked in turn ``turn``: the
            first turn, or the first that matches the search), ``escalations`` (turns handed to a
            person), ``interruptions`` and ``e2e_p50``, the median latency of its turns in seconds.
        next: Position of the next page; ``None`` on the last page.
    """

    calls: list[dict[str, Any]]
    next: Position | None


def list_entries(
    session: Session, chosen: Filter, *, limit: int, before: Position | None = None
) -> Entries:
    """One page of the calls that match a filter, newest first.

    Args:
        session: A reading session.
        chosen: The filter.
        limit: Page size.
        before: The last call of the previous page; ``None`` for the first page.
    """
    started_at, id = col(Call.started_at), col(Call.id)
    query = select(Call).where(*chosen.conditions())
    if before is not None:
        query = query.where(tuple_(started_at, id) < (before.started_at, before.id))
    query = query.order_by(started_at.desc(), id.desc()).limit(limit + 1)
    found = session.exec(query).all()
    page = found[:limit]
    turns = _turns(session, [call.id for call in page])
    last = page[-1] if len(found) > limit else None
    return Entries(
        calls=[call.model_dump() | _summary(chosen, turns[call.id]) for call in page],
        next=None if last is None else Position(last.started_at, last.id),
    )


def read_entry(session: Session, id: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """All columns of a call, and of its turns in order.

    Raises:
        NoSuchCallError: There is no such call.
    """
    call = session.get(Call, id)
    if call is None:
        raise NoSuchCallError(f"There is no call {id}; it may have been erased.")
    query = select(Turn).where(col(Turn.call) == id).order_by(col(Turn.number))
    return call.model_dump(), [turn.model_dump() for turn in session.exec(query)]


@dataclass(frozen=True, slots=True)
class _Said:
    """The columns of a turn that the log shows."""

    number: int
    question: str
    answer: str
    decision: str | None
    reason: str
    interrupted: bool
    e2e_latency: float | None


def _turns(session: Session, ids: Sequence[str]) -> defaultdict[str, list[_Said]]:
    columns = (col(getattr(Turn, name)) for name in ("call", *_Said.__slots__))
    query = select(*columns).where(col(Turn.call).in_(ids)).order_by(col(Turn.number))
    turns: defaultdict[str, list[_Said]] = defaultdict(list)
    for call, *fields in session.exec(query):
        turns[call].append(_Said(*fields))
    return turns


def _summary(chosen: Filter, turns: Sequence[_Said]) -> dict[str, Any]:
    asked = [turn for turn in turns if turn.question]
    shown = next(
        (turn for turn in asked if chosen.matches(turn.question, turn.answer)),
        asked[0] if asked else None,
    )
    measured = [turn.e2e_latency for turn in turns if turn.e2e_latency is not None]
    return {
        "turn": shown.number if shown else None,
        "question": shown.question if shown else "",
        "escalations": sum(
            turn.decision == "escalate" and turn.reason != "unclear" for turn in turns
        ),
        "interruptions": sum(turn.interrupted for turn in turns),
        "e2e_p50": statistics.median_low(measured) if measured else None,
    }
