"""When the database, the disk or the process fails, records wait, and none is lost."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ledger.store import database as ledger_database
from ledger.store.database import Database
from ledger.store.entry import Entry
from ledger.store.spool import REFUSED, Spool
from ledger.store.writer import LedgerWriter
from tests.databases import Cluster, preferably
from tests.lateness import in_time
from tests.ledger.records import ADA, a_call, a_call_that_ended, a_turn
from tests.ledger.store.writing import (
    all_written,
    calls_of,
    pending,
    spooled,
    turns_of,
    until,
    writing,
)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database gives up soon when another process has locked it."""
    monkeypatch.setattr(ledger_database, "BUSY_TIMEOUT_SECS", 0.05)


@pytest.fixture
def outage(
    database: Database, request: pytest.FixtureRequest
) -> Callable[[], contextlib.AbstractContextManager[None]]:
    """For as long as it lasts the database takes nothing."""

    @contextmanager
    def locked() -> Iterator[None]:
        with database.engine.connect() as other:
            other.exec_driver_sql("BEGIN IMMEDIATE")
            yield
            other.rollback()

    @contextmanager
    def stopped() -> Iterator[None]:
        cluster: Cluster = request.getfixturevalue("cluster")
        cluster.stop()
        try:
            yield
        finally:
            cluster.start()

    return locked if database.engine.dialect.name == "sqlite" else stopped


async def test_while_the_database_is_down_records_wait_on_disk(
    database: Database,
    outage: Callable[[], contextlib.AbstractContextManager[None]],
    tmp_path: Path,
    log: list[str],
) -> None:
    async with writing(database, tmp_path) as writer:
        writer.begun(a_call())
        await all_written(writer)
        with outage():
            for number in range(1, 301):
                writer.turn(a_turn(number=number, heard_text="at first"))
            writer.turn(a_turn(number=7, heard_text="at last"))
            writer.ended(a_call_that_ended())
            await until(lambda: bool(writer.trouble))
            await until(lambda: spooled(tmp_path) == 302)
            assert writer.waiting == 302
            assert len(pending(tmp_path)) == 1
        await all_written(writer)
        assert writer.trouble == ""
    turns = turns_of(database)
    assert [turn.number for turn in turns] == list(range(1, 301))
    assert [turn.number for turn in turns if turn.heard_text == "at last"] == [7]
    (call,) = calls_of(database)
    assert (call.why, call.turns, call.cost) == ("hangup", 300, sum(turn.cost for turn in turns))
    assert pending(tmp_path) == []
    assert sum("writes are failing" in line for line in log) == 1
    assert sum("writes are working again" in line for line in log) == 1


async def test_a_call_does_not_wait_for_a_database_that_hangs(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_database, "BUSY_TIMEOUT_SECS", 30.0)
    database = Database.from_url(database_url)
    with database.engine.connect() as other:
        sqlite = database.engine.dialect.name == "sqlite"
        other.exec_driver_sql(
            "BEGIN IMMEDIATE" if sqlite else 'LOCK TABLE "call" IN EXCLUSIVE MODE'
        )
        writer = LedgerWriter(database, spool=tmp_path)
        writer.start()
        writer.begun(a_call())
        longest = 0.0
        for number in range(1, 51):
            began = time.perf_counter()
            writer.turn(a_turn(number=number))
            longest = max(longest, time.perf_counter() - began)
            await asyncio.sleep(0)
        await until(lambda: spooled(tmp_path) == 51)
        assert calls_of(database) == []
        other.rollback()
    await all_written(writer)
    await writer.close()
    assert len(turns_of(database)) == 50
    # It would wait for as long as the database hangs; a busy machine takes some 0.3 s as well.
    assert longest < ledger_database.BUSY_TIMEOUT_SECS / 10
    database.close()


async def test_without_a_spool_records_go_to_the_database_straight(
    database: Database, tmp_path: Path, log: list[str]
) -> None:
    (tmp_path / "spool").write_text("in the way")
    async with writing(database, tmp_path / "spool", retry_secs=10.0) as writer:
        writer.begun(a_call())
        await all_written(writer)
        for number in range(1, 6):
            writer.turn(a_turn(number=number, heard_text="at first"))
        writer.turn(a_turn(number=1, heard_text="at last"))
        await all_written(writer)
        assert writer.lost == 0
    heard = [turn.heard_text for turn in turns_of(database)]
    assert heard == ["at last", *["at first"] * 4]
    assert sum("cannot write the ledger's spool" in line for line in log) == 1


async def test_with_neither_disk_nor_database_memory_is_bounded(
    database: Database,
    outage: Callable[[], contextlib.AbstractContextManager[None]],
    tmp_path: Path,
) -> None:
    (tmp_path / "spool").write_text("in the way")
    async with writing(database, tmp_path / "spool", most_queued=10) as writer:
        with outage():
            for number in range(1, 16):
                writer.turn(a_turn(number=number))
                await asyncio.sleep(0.01)
            assert (writer.waiting, writer.lost) == (10, 5)
        await all_written(writer)
    assert [turn.number for turn in turns_of(database)] == list(range(1, 11))


async def test_a_disk_that_recovers_is_used_again_and_the_order_is_kept(
    database: Database,
    outage: Callable[[], contextlib.AbstractContextManager[None]],
    tmp_path: Path,
) -> None:
    spool = tmp_path / "spool"
    spool.write_text("in the way")
    async with writing(database, spool, retry_most_secs=0.1) as writer:
        with outage():
            writer.turn(a_turn(heard_text="at first"))
            await until(lambda: bool(writer.trouble))
            spool.unlink()
            writer.turn(a_turn(heard_text="at last"))
            await until(lambda: spooled(spool) == 2)
        await all_written(writer)
    assert [turn.heard_text for turn in turns_of(database)] == ["at last"]


@pytest.mark.real_time
async def test_an_end_without_a_database_leaves_the_records_to_the_next_start(
    database: Database,
    outage: Callable[[], contextlib.AbstractContextManager[None]],
    tmp_path: Path,
) -> None:
    with outage():
        async with writing(database, tmp_path, retry_secs=60.0) as writer:
            writer.turn(a_turn(number=1))
            await until(lambda: bool(writer.trouble))
            writer.turn(a_turn(number=2))
            began = time.monotonic()
        with in_time():
            assert time.monotonic() - began < 4.0  # it does not wait long when that is in vain
        writer.turn(a_turn(number=3))
        assert writer.lost == 0
    async with writing(database, tmp_path) as writer:
        await until(lambda: len(turns_of(database)) == 3)
    assert pending(tmp_path) == []


async def test_records_of_a_process_that_lives_are_left_to_it(
    database: Database, tmp_path: Path
) -> None:
    living = Spool(tmp_path)
    living.append([Entry.of_turn(a_turn("c-1"))])
    async with writing(database, tmp_path) as writer:
        writer.turn(a_turn("c-2"))
        await all_written(writer)
    assert [turn.call for turn in turns_of(database)] == ["c-2"]
    assert living.waiting == 1
    living.close()
    async with writing(database, tmp_path) as writer:
        await until(lambda: len(turns_of(database)) == 2)


async def test_a_line_that_was_cut_short_is_put_aside_and_the_rest_is_written(
    database: Database, tmp_path: Path
) -> None:
    lines = [Entry.of_turn(a_turn(number=number)).to_line() for number in (1, 2, 3)]
    (tmp_path / "pending-1.jsonl").write_text(lines[0] + "[]\n" + lines[1] + lines[2][:99])
    async with writing(database, tmp_path) as writer:
        await until(lambda: len(turns_of(database)) == 2)
        await until(lambda: not pending(tmp_path))
        assert writer.waiting == 0
    aside = [json.loads(line) for line in (tmp_path / REFUSED).read_text().splitlines()]
    assert [entry["record"] for entry in aside] == ["[]\n", lines[2][:99]]


@contextmanager
def a_writing_process(url: str, spool: Path) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.ledger.store.writing_process", url, str(spool)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def killed_in_the_midst(process: "subprocess.Popen[str]", turns: int) -> int:
    """Let it write, kill it, and say how many turns it had told the ledger of by then."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    for _ in range(turns):
        process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    return turns + len(process.stdout.read().splitlines())


@pytest.mark.parametrize("turns", [20, pytest.param(1, marks=pytest.mark.thorough)])
async def test_a_process_that_is_killed_loses_the_turn_in_flight_at_most(
    database: Database, database_url: str, tmp_path: Path, turns: int
) -> None:
    with a_writing_process(database_url, tmp_path) as process:
        told = killed_in_the_midst(process, turns)
    async with writing(database, tmp_path) as writer:
        await until(lambda: not pending(tmp_path))
        await all_written(writer)
    numbers = [turn.number for turn in turns_of(database)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert told - 1 <= len(numbers) <= told + 1
    (call,) = calls_of(database)
    assert (call.caller, call.turns) == (ADA.email, len(numbers))
    assert call.cost == sum(turn.cost for turn in turns_of(database))


@pytest.mark.thorough
@preferably("postgresql")
async def test_killed_while_the_database_is_down_it_loses_no_more(
    database: Database,
    database_url: str,
    outage: Callable[[], contextlib.AbstractContextManager[None]],
    tmp_path: Path,
) -> None:
    with a_writing_process(database_url, tmp_path) as process, outage():
        told = killed_in_the_midst(process, 20)
        assert len(pending(tmp_path)) == 1
    assert turns_of(database) == []
    async with writing(database, tmp_path) as writer:
        await until(lambda: not pending(tmp_path))
        await all_written(writer)
    numbers = [turn.number for turn in turns_of(database)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert told - 1 <= len(numbers) <= told + 1
