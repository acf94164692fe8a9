"""A database of each released version comes to the newest one with all that is in it."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, Table, create_engine, inspect, make_url
from sqlmodel import SQLModel, select

from ledger.store import migrations
from ledger.store.database import Database
from tests.ledger.records import a_call, a_turn, keep

PAGE = Path("docs/maintaining.md").read_text("utf-8")
RELEASED = dict(re.findall(r"^\| (\d+\.\d+\.\d+) \| (\d{4}) \|$", PAGE, re.MULTILINE))
SCRIPT = ScriptDirectory.from_config(migrations.config())
REVISIONS = sorted(version.revision for version in SCRIPT.walk_revisions())
OF_RELEASES = [
    revision
    if revision in RELEASED.values()
    else pytest.param(revision, marks=pytest.mark.thorough)
    for revision in REVISIONS
]
VALUES = {"VARCHAR": "x", "TEXT": "x", "INTEGER": 1, "BIGINT": 1, "FLOAT": 1.5, "BLOB": b"x"}
VALUES |= {"JSON": ["x"], "BOOLEAN": True, "DOUBLE PRECISION": 1.5, "BYTEA": b"x"}


def test_each_released_version_is_listed_with_its_tables() -> None:
    changes = Path("CHANGELOG.md").read_text("utf-8")
    assert set(RELEASED) == set(re.findall(r"^## (\d+\.\d+\.\d+)", changes, re.MULTILINE))
    assert set(RELEASED.values()) <= set(REVISIONS)


def filled(url: str, revision: str) -> dict[str, dict[str, Any]]:
    """Make the tables of a revision, with a row in each; returns the rows."""
    driver = "sqlite" if url.startswith("sqlite") else "postgresql+psycopg"
    engine = create_engine(make_url(url).set(drivername=driver))
    rows: dict[str, dict[str, Any]] = {}
    with engine.begin() as connection:
        command.upgrade(migrations.config(connection), revision)
        names = set(inspect(connection).get_table_names()) & set(SQLModel.metadata.tables)
        for table in SQLModel.metadata.sorted_tables:  # those that others refer to first
            if table.name in names:
                was = Table(table.name, MetaData(), autoload_with=connection)
                row = {c.name: VALUES[str(c.type).partition("(")[0]] for c in was.columns}
                connection.execute(was.insert().values(row))
                rows[table.name] = row
    engine.dispose()
    return rows


@pytest.mark.parametrize("revision", OF_RELEASES)
def test_rows_of_every_table_outlive_an_upgrade(empty_database_url: str, revision: str) -> None:
    rows = filled(empty_database_url, revision)
    database = Database.from_url(empty_database_url)
    with database.reading() as session:
        for mapper in SQLModel._sa_registry.mappers:
            name = mapper.local_table.name  # type: ignore[attr-defined]
            if name in rows:
                (now,) = session.exec(select(mapper.class_)).all()
                assert {column: getattr(now, column) for column in rows[name]} == rows[name]
    database.close()


@pytest.mark.thorough
def test_a_ledger_is_restored_from_a_backup_by_the_commands_of_the_page(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    database = Database.from_url(f"sqlite:///{data / 'viva.db'}")
    keep(database, a_call(), a_turn())  # and in use while it is backed up
    (data / "recordings").mkdir()
    (data / "recordings" / "c-1.mcap").write_bytes(b"sound")
    (data / "spool").mkdir()
    commands = re.findall(r"```\n(umask.*?)```", PAGE, re.DOTALL)
    assert len(commands) == 2
    (tmp_path / ".venv").symlink_to(Path(sys.prefix))
    settings = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    done = subprocess.run(
        ["/bin/sh", "-ec", "".join(commands)],
        cwd=tmp_path,
        env=settings,
        capture_output=True,
        text=True,
        check=False,
    )
    database.close()
    assert done.returncode == 0, done.stderr
    assert "ada@example.com" in done.stdout
    restored = tmp_path / "restored"
    assert (restored / "recordings" / "c-1.mcap").read_bytes() == b"sound"
    assert (restored / "viva.db").stat().st_mode & 0o077 == 0
