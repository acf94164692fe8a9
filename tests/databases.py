"""The databases that tests run on: SQLite in a file, and a PostgreSQL cluster of the tests' own."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ledger.store.database import Database

START_SECS = 60.0
"""Longest wait for the cluster to answer, and to stop."""

ENGINES = ("sqlite", "postgresql")


def preferably(engine: str) -> pytest.MarkDecorator:
    """A test of many processes or requests runs on this engine, and in thorough runs on all."""
    others = [other for other in ENGINES if other != engine]
    params = [engine, *(pytest.param(other, marks=pytest.mark.thorough) for other in others)]
    return pytest.mark.parametrize("database_url", params, indirect=True)


_OPTIONS = {
    "listen_addresses": "",  # its socket is in its directory, so no port can be taken
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "log_min_messages": "fatal",
}

# It outlives no test run: when the run is over, or was killed, standard input ends.
_GUARD = """
postgres=$1 directory=$2; shift 2
"$postgres" -D "$directory/data" -k "$directory" "$@" &
read -r word
[ "$word" = stop ] && signal=INT || signal=QUIT
kill -$signal $! && wait $!
[ "$word" = stop ] || rm -rf "$directory"
"""


class NoPostgreSQL(Exception):  # noqa: N818  # it is a reason to skip, not a mistake
    """There is no PostgreSQL here that tests could start; the text says why."""


class Cluster:
    """A PostgreSQL server on a socket in a temporary directory, owned by whoever may run one."""

    def __init__(self) -> None:
        self._binaries = _binaries()
        self._owner = _owner()
        # Short, for a socket's path may not be long; and open to its owner, whoever runs the tests.
        self.directory = Path(tempfile.mkdtemp(prefix="viva-pg-", dir="/tmp"))
        if self._owner:
            shutil.chown(self.directory, self._owner["user"], self._owner["group"])
        self._guard: subprocess.Popen[str] | None = None
        self._made = 0
        self._with_tables: str | None = None
        self._run(
            "initdb", "-D", f"{self.directory}/data", "-U", "viva", "-A", "trust", "-N",
            "-E", "UTF8", "--locale=C",
        )  # fmt: skip
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = [f"-c{name}={value}" for name, value in _OPTIONS.items()]
        self._guard = guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "sh", self._binaries / "postgres", self.directory, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=self.directory,
            **self._owner,
            start_new_session=True,  # Ctrl-C is for the tests, which then stop it
        )
        give_up = time.monotonic() + START_SECS
        while True:
            try:
                psycopg.connect(self._address("postgres")).close()
            except psycopg.OperationalError:
                assert guard.poll() is None, "PostgreSQL did not start"
                assert time.monotonic() < give_up, "PostgreSQL does not answer"
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """Stop it, and cut its connections; what it holds stays."""
        self._end("stop\n")

    def remove(self) -> None:
        """Stop it at once, and remove all that it holds."""
        # A word, not only the end of the pipe: that comes late if a process holds a copy of it.
        self._end("remove\n")
        shutil.rmtree(self.directory, ignore_errors=True)

    def create(self, *, template: str = "template1") -> str:
        """The address of a new database: an empty one, or a copy of another."""
        self._made += 1
        name = f"viva_{self._made}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return f"postgresql://viva@/{name}?host={self.directory}"

    def create_with_tables(self) -> str:
        """The address of a new database in which Viva's tables are."""
        if self._with_tables is None:
            url = self.create()
            Database.from_url(url).close()
            self._with_tables = _name(url)
        return self.create(template=self._with_tables)

    def drop(self, url: str) -> None:
        """Remove a database, whoever is still connected."""
        self._execute(f"DROP DATABASE {_name(url)} WITH (FORCE)")

    def _end(self, word: str) -> None:
        if self._guard is not None:
            self._guard.communicate(word, timeout=START_SECS)
            self._guard = None

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self._address("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())

    def _address(self, name: str) -> str:
        return f"host={self.directory} user=viva dbname={name}"

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._binaries / program, *arguments],
            capture_output=True,
            text=True,
            cwd=self.directory,
            **self._owner,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def _name(url: str) -> str:
    return url.partition("@/")[2].partition("?")[0]


def _binaries() -> Path:
    """Where PostgreSQL's programs are: on the path, or where Debian puts the newest."""
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for place in places:
        if (place / "initdb").exists() and (place / "postgres").exists():
            return place
    raise NoPostgreSQL("PostgreSQL is not installed (apt-get install postgresql)")


def _owner() -> dict[str, Any]:
    """Who it runs as: whoever runs the tests, but not root, whom it refuses."""
    if os.geteuid() != 0:
        return {}
    try:
        owner = pwd.getpwnam("postgres")
    except KeyError:
        raise NoPostgreSQL("PostgreSQL refuses to run as root; no user postgres") from None
    return {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The cluster of this test run; tests that need it are skipped where there is none."""
    try:
        running = Cluster()
    except NoPostgreSQL as reason:
        pytest.skip(str(reason))
    yield running
    running.remove()


@pytest.fixture(scope="session")
def sqlite_with_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file in which Viva's tables are, to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "viva.db"
    Database.from_url(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def sqlite_url(sqlite_with_tables: Path, tmp_path: Path) -> str:
    """The address of a SQLite database of the test's own; its tables are made."""
    return f"sqlite:///{shutil.copyfile(sqlite_with_tables, tmp_path / 'viva.db')}"


@pytest.fixture
def data_dir(sqlite_with_tables: Path, tmp_path: Path) -> Path:
    """A server's folder in which the tables are made: every server of a test would make them."""
    shutil.copyfile(sqlite_with_tables, tmp_path / "viva.db")
    return tmp_path


@pytest.fixture(params=ENGINES)
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database of the test's own without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'viva.db'}"
        return
    cluster: Cluster = request.getfixturevalue("cluster")
    url = cluster.create()
    yield url
    cluster.drop(url)


def of_engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a database of the test's own, on the engine that its parameter names.

    Its tables are made, and they are empty. Making them anew for each test would take a quarter of
    a second, so they are copied.
    """
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_url")
        return
    cluster: Cluster = request.getfixturevalue("cluster")
    url = cluster.create_with_tables()
    yield url
    cluster.drop(url)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.thorough)])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A database for one process or several: on SQLite, and in thorough runs on PostgreSQL, too.

    The ledger's own tests, where statements differ between the two, run on both in every run.
    """
    yield from of_engine(request)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A database of the test's own, with its tables made."""
    opened = Database.from_url(database_url)
    yield opened
    opened.close()
