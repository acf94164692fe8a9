"""A backup brings back what there was, by the commands of docs/maintaining.md as they stand."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.store.database import Database
from tests.databases import Cluster
from tests.end_to_end.running import VIVA
from tests.ledger.records import a_call_that_ended, a_turn, keep

PAGE = Path("docs/maintaining.md").read_text("utf-8")


def commands(heading: str) -> str:
    """What is to be typed with SQLite, below a heading."""
    (_, section) = PAGE.split(f"\n## {heading}\n")
    fenced = re.search(r"^```\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert fenced is not None
    return fenced[1]


def with_postgresql(typed: str, command: str) -> str:
    """The same with PostgreSQL: the command that the page names, in place of the one of SQLite."""
    (instead,) = re.findall(rf"`({command} [^`]+)`", PAGE)
    (line,) = (line for line in typed.splitlines() if line.endswith("viva.db"))
    return typed.replace(line, instead)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with `.venv` and the files of a server, in which the commands are typed."""
    (tmp_path / ".venv").symlink_to(VIVA.parents[1])
    data = tmp_path / "data"
    (data / "recordings").mkdir(parents=True)
    (data / "vectors").mkdir()
    data.chmod(0o700)  # as a start makes it
    (data / "recordings" / "c-1.mcap").write_bytes(b"voices")
    (data / "operator-key").write_text("key", "utf-8")
    (data / "vectors" / "x.npz").write_bytes(b"made again")
    return tmp_path


def typed(folder: Path, commands: str, **settings: str) -> str:
    """What a shell says to commands, each of which must succeed."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=folder, env={**os.environ, "COLUMNS": "200", **settings},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def recorded(url: str) -> None:
    database = Database.from_url(url)
    keep(database, a_call_that_ended("c-1"), a_turn("c-1"))
    database.close()


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.thorough
def test_a_backup_of_sqlite_is_restored(checkout: Path) -> None:
    recorded(f"sqlite:///{checkout / 'data' / 'viva.db'}")
    typed(checkout, commands("Back up"))
    assert "c-1" in typed(checkout, commands("Restore"))
    assert files(checkout / "restored") >= {"recordings/c-1.mcap", "operator-key", "viva.db"}
    assert not (checkout / "restored" / "vectors").exists()
    modes = {(checkout / name).stat().st_mode & 0o777 for name in ("backup", "restored")}
    assert modes == {0o700}


@pytest.fixture
def databases(cluster: Cluster) -> Iterator[tuple[str, str]]:
    """A database with Viva's tables, and an empty one."""
    both = cluster.create_with_tables(), cluster.create()
    yield both
    for url in both:
        cluster.drop(url)


@pytest.mark.thorough
def test_a_backup_of_postgresql_is_restored(checkout: Path, databases: tuple[str, str]) -> None:
    if shutil.which("pg_dump") is None:
        pytest.skip("no pg_dump (apt-get install postgresql-client)")
    was, empty = databases
    recorded(was)
    typed(checkout, with_postgresql(commands("Back up"), "pg_dump"), DATABASE_URL=was)
    assert (checkout / "backup" / "viva.dump").stat().st_mode & 0o777 == 0o600
    restored = with_postgresql(commands("Restore"), "pg_restore")
    assert "c-1" in typed(checkout, restored, DATABASE_URL=empty)
    assert files(checkout / "restored") == {"recordings/c-1.mcap", "operator-key"}
