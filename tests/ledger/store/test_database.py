"""The database: how it comes by its tables, what it refuses, and what a transaction is."""

import multiprocessing
import socket
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from alembic import command, op
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, Table, create_engine, inspect, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlmodel import SQLModel, select

from ledger.store import migrations
from ledger.store.database import Database, DatabaseError
from ledger.store.tables import Call, SpendDay, Turn, User
from settings import Settings

PROCESSES = 4
DAY = "2026-11-30"
NEWEST = ScriptDirectory.from_config(migrations.config()).get_current_head()


def somebody(email: str) -> User:
    return User(email=email, created_at=1.0, last_seen_at=1.0)


def emails(database: Database) -> list[str]:
    with database.reading() as session:
        return sorted(session.exec(select(User.email)).all())


def table_names(url: str) -> list[str]:
    database = create_engine(make_url(url).set(drivername=_driver(url)))
    names = inspect(database).get_table_names()
    database.dispose()
    return names


def _driver(url: str) -> str:
    return "sqlite" if url.startswith("sqlite") else "postgresql+psycopg"


def test_migrations_make_exactly_the_tables_that_the_program_uses(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, SQLModel.metadata) == []


def test_turns_of_the_first_version_stay_and_can_be_read(empty_database_url: str) -> None:
    engine = create_engine(make_url(empty_database_url).set(drivername=_driver(empty_database_url)))
    with engine.begin() as connection:
        command.upgrade(migrations.config(connection), "0001")
        call = Call(id="c-1", day=DAY, started_at=1.0).model_dump()
        del call["reply_to"]
        connection.execute(
            Table("call", MetaData(), autoload_with=connection).insert().values(call)
        )
        row = Turn(call="c-1", number=1, at=1.0, sections=["education"]).model_dump()
        del row["looked_up"], row["was_right"]
        connection.execute(Table("turn", MetaData(), autoload_with=connection).insert().values(row))
    engine.dispose()
    database = Database.from_url(empty_database_url)
    with database.reading() as session:
        (turn,) = session.exec(select(Turn)).all()
        assert (turn.sections, turn.looked_up) == (["education"], None)
    database.close()


def test_a_database_that_has_its_tables_is_left_as_it_is(empty_database_url: str) -> None:
    for email in ("ada@example.com", "joe@example.com"):
        database = Database.from_url(empty_database_url)
        with database.writing() as session:
            session.add(somebody(email))
        database.close()
    database = Database.from_url(empty_database_url)
    assert emails(database) == ["ada@example.com", "joe@example.com"]
    database.close()


def _start(url: str, ready: Any, name: str, said: Any) -> None:
    ready.wait()
    try:
        database = Database.from_url(url)
        with database.writing() as session:
            session.add(somebody(name))
        database.close()
        said.put("")
    except Exception as error:
        said.put(repr(error))


def test_processes_that_start_at_once_make_the_tables_once(empty_database_url: str) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])  # imported once, not by each
    ready, said = context.Barrier(PROCESSES), context.Queue()
    starting = [
        context.Process(target=_start, args=(empty_database_url, ready, f"{n}@example.com", said))
        for n in range(PROCESSES)
    ]
    for process in starting:
        process.start()
    troubles = [said.get(timeout=60) for _ in starting]
    for process in starting:
        process.join()
    assert troubles == [""] * PROCESSES
    database = Database.from_url(empty_database_url)
    assert len(emails(database)) == PROCESSES
    database.close()


def test_a_migration_that_fails_leaves_nothing_behind(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise RuntimeError("the machine is switched off")

    with monkeypatch.context() as patched:
        patched.setattr(op, "create_index", fail)
        with pytest.raises(RuntimeError):
            Database.from_url(empty_database_url)
    assert table_names(empty_database_url) == []
    Database.from_url(empty_database_url).close()
    assert "turn" in table_names(empty_database_url)


def test_a_newer_database_is_refused_and_left_alone(empty_database_url: str) -> None:
    database = Database.from_url(empty_database_url)
    with database.writing() as session:
        session.connection().execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    with pytest.raises(DatabaseError) as refusal:
        Database.from_url(empty_database_url)
    assert "was made by a newer version of Viva: its revision is 9999" in str(refusal.value)
    assert f"knows them up to {NEWEST}. Install the newer version" in str(refusal.value)
    with pytest.raises(DatabaseError, match="9999"):
        Database.from_url(empty_database_url)


def test_a_database_with_tables_of_somebody_else_is_refused(empty_database_url: str) -> None:
    engine = create_engine(make_url(empty_database_url).set(drivername=_driver(empty_database_url)))
    with engine.begin() as connection:
        connection.execute(text('CREATE TABLE "user" (name VARCHAR(20))'))
    engine.dispose()
    with pytest.raises(DatabaseError, match=r"has tables that Viva has not made: user\."):
        Database.from_url(empty_database_url)
    assert table_names(empty_database_url) == ["user"]


def test_what_is_written_is_written_whole_or_not_at_all(database: Database) -> None:
    def write_half() -> None:
        with database.writing() as session:
            session.add(somebody("ada@example.com"))
            session.flush()
            raise KeyError("the caller's fault")

    with pytest.raises(KeyError):
        write_half()
    assert emails(database) == []


def test_a_reader_sees_the_database_as_it_was_at_one_moment(database: Database) -> None:
    with database.writing() as session:
        session.add(SpendDay(day="2026-11-24", spent=1))
    with database.reading() as reader:
        before = reader.exec(select(SpendDay.spent)).one()
        with database.writing() as writer:
            writer.add(SpendDay(day="2026-11-25", spent=2))
        assert reader.exec(select(SpendDay.spent)).all() == [before]
    with database.reading() as reader:
        assert len(reader.exec(select(SpendDay.spent)).all()) == 2


def test_without_an_address_it_is_a_file_that_others_cannot_read(tmp_path: Path) -> None:
    folder = tmp_path / "var" / "data"
    Database.open(Settings.load(data_dir=folder)).close()
    assert (folder / "viva.db").stat().st_size > 0
    assert folder.stat().st_mode & 0o077 == 0


def test_a_data_dir_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("in the way")
    with pytest.raises(DatabaseError, match=r"^DATA_DIR=.*/data cannot be made \(File exists\)"):
        Database.open(Settings.load(data_dir=tmp_path / "data"))


def test_a_file_that_is_no_database_is_named_and_kept(tmp_path: Path) -> None:
    file = tmp_path / "viva.db"
    file.write_text("dear diary, " * 1000)
    with pytest.raises(DatabaseError, match=r"viva\.db cannot be used: file is not a database"):
        Database.from_url(f"sqlite:///{file}")
    assert file.read_text().startswith("dear diary")


def test_a_server_that_cannot_be_reached_is_named_without_its_password() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        with pytest.raises(DatabaseError) as refusal:
            Database.from_url(f"postgresql://viva:s3cret@127.0.0.1:{port}/ledger")
    told = str(refusal.value)
    assert f"127.0.0.1:{port}/ledger cannot be used: " in told
    assert "refused" in told
    assert told.endswith("and that the database is running.")
    assert "s3cret" not in told


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("ledger on the other machine", "DATABASE_URL is not an address; allowed: postgresql://"),
        ("mysql://viva:s3cret@db/ledger", "mysql is not supported; allowed: postgresql://"),
        ("postgresql+asyncpg://viva:s3cret@db/x", "postgresql+asyncpg is not supported; allowed: "),
        ("sqlite://", "DATABASE_URL=sqlite:// names no file; allowed: postgresql://"),
    ],
)
def test_an_address_that_cannot_be_used_is_answered_with_those_that_can(
    url: str, told: str
) -> None:
    with pytest.raises(DatabaseError) as refusal:
        Database.from_url(url)
    assert told in str(refusal.value)
    assert "s3cret" not in str(refusal.value)


def test_errors_do_not_tell_what_was_to_be_written(database: Database) -> None:
    def write() -> None:
        with database.writing() as session:
            session.add(SpendDay(day="2026-11-24", spent=2**80))

    with pytest.raises((DBAPIError, OverflowError)) as refusal:
        write()
    assert str(2**80) not in str(refusal.value)


def test_a_reader_waits_for_no_writer(database: Database) -> None:
    with database.writing() as session:
        session.add(somebody("ada@example.com"))
        session.flush()
        assert emails(database) == []


def test_a_file_is_written_ahead(tmp_path: Path) -> None:
    Database.from_url(f"sqlite:///{tmp_path / 'viva.db'}").close()
    with sqlite3.connect(tmp_path / "viva.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
