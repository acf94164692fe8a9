"""A ledger's writer at work, and what has become of its records."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlmodel import col, select

from ledger.store.database import Database
from ledger.store.tables import Call, Turn
from ledger.store.writer import LedgerWriter

PATIENCE_SECS = 20.0


@asynccontextmanager
async def writing(database: Database, spool: Path, **more: Any) -> AsyncIterator[LedgerWriter]:
    """A writer at work, closed at the end."""
    writer = LedgerWriter(database, spool=spool, **({"retry_secs": 0.02} | more))
    writer.start()
    try:
        yield writer
    finally:
        await writer.close()


async def until(holds: Callable[[], bool]) -> None:
    """Wait for a moment that nothing announces."""
    give_up = time.monotonic() + PATIENCE_SECS
    while not holds():
        assert time.monotonic() < give_up, "it did not come to that"
        await asyncio.sleep(0.01)


async def all_written(writer: LedgerWriter) -> None:
    await until(lambda: writer.waiting == 0)


def calls_of(database: Database) -> list[Call]:
    with database.reading() as session:
        return list(session.exec(select(Call).order_by(Call.id)))


def turns_of(database: Database) -> list[Turn]:
    with database.reading() as session:
        return list(session.exec(select(Turn).order_by(Turn.call, col(Turn.number))))


def pending(spool: Path) -> list[Path]:
    return sorted(spool.glob("pending-*"))


def spooled(spool: Path) -> int:
    """Records that wait on disk."""
    return sum(file.read_text().count("\n") for file in pending(spool))
