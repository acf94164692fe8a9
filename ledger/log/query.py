"""Queries on the ledger: calls, turns, and daily spend, oldest first."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, func, or_
from sqlmodel import col, select

from conversation.records import day_of
from ledger.store.database import Database
from ledger.store.tables import Call, SpendHold, Turn

CALL_COLUMNS = tuple(Call.model_fields)
"""Columns of :func:`list_calls`."""

TURN_COLUMNS = tuple(Turn.model_fields)
"""Columns of :func:`list_turns`."""

SPEND_COLUMNS = ("day", "calls", "turns", "stt_cost", "brain_cost", "tts_cost", "spent", "held")
"""Columns of :func:`daily_spend`."""

_MOMENT_SECS = 0.001  # a day that ends at midnight does not include the next

_ROWS_AT_ONCE = 1_000
"""Rows in memory while a listing is read: a year of calls does not fit."""


def list_calls(
    database: Database,
    *,
    since: float | None = None,
    until: float | None = None,
    caller: str = "",
) -> list[dict[str, Any]]:
    """List calls by start time.

    Args:
        database: The ledger.
        since: Earliest start, Unix seconds.
        until: Start before this time.
        caller: Only calls of this address, or of this key that calls are counted by.

    Returns:
        Each call's columns; times in Unix seconds, money in micro-dollars.
    """
    return list(each_call(database, since=since, until=until, caller=caller))


def each_call(
    database: Database,
    *,
    since: float | None = None,
    until: float | None = None,
    caller: str = "",
) -> Iterator[dict[str, Any]]:
    """Read calls one after another, as :func:`list_calls` lists them."""
    query = (
        select(Call)
        .where(*_within(Call.started_at, since, until), *of_caller(caller))
        .order_by(col(Call.started_at), col(Call.id))
    )
    yield from _each(database, query, Call, CALL_COLUMNS)


def list_turns(
    database: Database,
    *,
    since: float | None = None,
    until: float | None = None,
    caller: str = "",
    call: str = "",
) -> list[dict[str, Any]]:
    """List turns by the end of the caller's speech.

    Args:
        database: The ledger.
        since: Earliest time, Unix seconds.
        until: Before this time.
        caller: Only turns of this caller's calls.
        call: Only turns of this call.

    Returns:
        Each turn's columns; times in Unix seconds, delays in seconds, money in micro-dollars.
    """
    return list(each_turn(database, since=since, until=until, caller=caller, call=call))


def each_turn(
    database: Database,
    *,
    since: float | None = None,
    until: float | None = None,
    caller: str = "",
    call: str = "",
) -> Iterator[dict[str, Any]]:
    """Read turns one after another, as :func:`list_turns` lists them."""
    query = (
        select(Turn)
        .join(Call, col(Turn.call) == col(Call.id))
        .where(*_within(Turn.at, since, until), *of_caller(caller))
        .order_by(col(Turn.at), col(Turn.call), col(Turn.number))
    )
    if call:
        query = query.where(col(Turn.call) == call)
    yield from _each(database, query, Turn, TURN_COLUMNS)


def daily_spend(
    database: Database,
    *,
    since: float | None = None,
    until: float | None = None,
    caller: str = "",
) -> list[dict[str, Any]]:
    """List each UTC day's spend, and what is reserved for open calls.

    Args:
        database: The ledger.
        since: From the day of this time on, Unix seconds.
        until: Up to the day before this time.
        caller: Only the spend of this caller.

    Returns:
        Each day with money spent or reserved; in micro-dollars.
    """
    days: dict[str, dict[str, Any]] = {}
    summed = ("turns", "stt_cost", "brain_cost", "tts_cost", "cost")
    sums = [func.sum(col(getattr(Call, name))) for name in summed]
    spent = (
        select(col(Call.day), func.count(), *sums)
        .where(*_on_days(Call.day, since, until), *of_caller(caller))
        .group_by(col(Call.day))
    )
    held = (
        select(col(SpendHold.day), func.sum(col(SpendHold.held)))
        .where(*_on_days(SpendHold.day, since, until))
        .group_by(col(SpendHold.day))
    )
    if caller:
        held = held.where(col(SpendHold.caller_key).in_(spellings(caller)))
    with database.reading() as session:
        for day, *figures in session.execute(spent):
            days[day] = dict(zip(SPEND_COLUMNS, (day, *map(int, figures), 0), strict=True))
        for day, micros in session.execute(held):
            nothing = dict(zip(SPEND_COLUMNS, (day, *[0] * 7), strict=True))
            days.setdefault(day, nothing)["held"] = int(micros)
    return [days[day] for day in sorted(days)]


def of_caller(caller: str) -> list[ColumnElement[bool]]:
    """SQL conditions for the calls of a caller: an address, or a key that calls are counted by.

    An address that was left to be answered at is the caller's, too.

    Args:
        caller: Empty for any caller.
    """
    if not caller:
        return []
    names = spellings(caller)
    columns = (Call.caller, Call.caller_key, Call.reply_to)
    return [or_(*(col(column).in_(names) for column in columns))]


def spellings(caller: str) -> tuple[str, ...]:
    """How a caller may be stored: an address in lower case, anything else as it is."""
    return (caller.strip(), caller.strip().lower())


def _each(
    database: Database, query: Any, table: type[Call | Turn], columns: tuple[str, ...]
) -> Iterator[dict[str, Any]]:
    query = query.with_only_columns(*(col(getattr(table, name)) for name in columns))
    with database.reading() as session:
        for row in session.execute(query.execution_options(yield_per=_ROWS_AT_ONCE)):
            yield dict(zip(columns, row, strict=True))


def _within(column: Any, since: float | None, until: float | None) -> list[ColumnElement[bool]]:
    bounds = []
    if since is not None:
        bounds.append(col(column) >= since)
    if until is not None:
        bounds.append(col(column) < until)
    return bounds


def _on_days(column: Any, since: float | None, until: float | None) -> list[ColumnElement[bool]]:
    bounds = []
    if since is not None:
        bounds.append(col(column) >= day_of(since))
    if until is not None:
        bounds.append(col(column) <= day_of(until - _MOMENT_SECS))
    return bounds
