"""Writes entries as rows, and updates the sums of their calls, in one transaction."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Insert, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    SQLAlchemyError,
    StatementError,
)
from sqlmodel import Session, SQLModel, col

from conversation.records import day_of
from ledger.store.database import Database
from ledger.store.entry import SUMS, Entry
from ledger.store.tables import Call, Turn


def write_entries(database: Database, entries: Sequence[Entry]) -> set[str]:
    """Write entries, all or none; later ones replace earlier ones.

    Returns:
        Ids of the calls that were written.

    Raises:
        Exception: See :func:`is_fault_of_a_record`.
    """
    with database.writing() as session:
        for entry in entries:
            values = entry.values()
            if entry.table == "turn":
                # The call's own entry may come later or never. Its row stays locked for the sums.
                _upsert(session, "call", _call_of(values), update=("id",))
            _upsert(session, entry.table, values, update=values)
        calls = {entry.call for entry in entries}
        _sum_up(session, calls)
    return calls


def _call_of(turn: Mapping[str, Any]) -> dict[str, Any]:
    """A placeholder call, known only from a turn."""
    try:
        day = day_of(turn["at"])
    except OSError:  # raised on some platforms
        raise ValueError("at is not a time") from None
    return Call(id=turn["call"], day=day, started_at=turn["at"]).model_dump()


def _upsert(
    session: Session, table: str, values: Mapping[str, Any], *, update: Iterable[str]
) -> None:
    statement = _statement(session.get_bind().dialect.name, table, tuple(update))
    session.connection().execute(statement, values)


@cache
def _statement(dialect: str, table: str, update: tuple[str, ...]) -> Insert:
    """The upsert, cached: building it takes several times as long as executing it."""
    to = SQLModel.metadata.tables[table]
    insert = postgresql.insert(to) if dialect == "postgresql" else sqlite.insert(to)
    return insert.on_conflict_do_update(
        index_elements=list(to.primary_key),
        set_={column: insert.excluded[column] for column in update},
    )


def _sum_up(session: Session, calls: set[str]) -> None:
    """Update the sums of calls from their turns."""
    turns = select(func.count()).where(col(Turn.call) == col(Call.id), col(Turn.number) > 0)
    sums = {
        name: select(func.coalesce(func.sum(col(getattr(Turn, name))), 0))
        .where(col(Turn.call) == col(Call.id))
        .scalar_subquery()
        for name in SUMS
    }
    session.connection().execute(
        update(Call).where(col(Call.id).in_(calls)).values(turns=turns.scalar_subquery(), **sums)
    )


def is_fault_of_a_record(error: Exception) -> bool:
    """Whether this data cannot be written, rather than the database failing as a whole.

    An error that the database did not raise is the data's: written again, it would fail for ever.
    """
    match error:
        case DataError() | IntegrityError():
            return True
        case DBAPIError():
            return False
        case StatementError():
            return True
    return not isinstance(error, (OSError, SQLAlchemyError, MemoryError))


def describe_error(error: Exception) -> str:
    """A description for logs, without anything that was said."""
    match error:
        case ValidationError():
            fields = (".".join(map(str, problem["loc"])) for problem in error.errors())
            return f"not allowed in {', '.join(fields)}"
        case DataError() | IntegrityError():
            return type(error).__name__
        case DBAPIError():
            return " ".join(str(error.orig).split())
        case OSError() | SQLAlchemyError():
            return str(error)
    return type(error).__name__
