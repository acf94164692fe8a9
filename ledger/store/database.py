"""The database: SQLite in ``DATA_DIR``, or PostgreSQL by ``DATABASE_URL``."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlmodel import Session

from ledger.store import migrations, tables
from pipeline.data_dir import PRIVATE_FOLDER, private_opener
from settings import Settings

__all__ = ["Database", "DatabaseError", "database_of", "tables"]

FILE = "viva.db"
"""File name of the SQLite database in ``DATA_DIR``."""

BUSY_TIMEOUT_SECS = 10.0
"""Longest wait for a lock (SQLite)."""

CONNECT_TIMEOUT_SECS = 5
"""Time limit for connecting, and for TCP acknowledgements (PostgreSQL)."""

STATEMENT_TIMEOUT_SECS = 30
"""Time limit for a statement, and for an idle transaction (PostgreSQL)."""

_ALLOWED = "postgresql://user:password@host/name, or empty for SQLite in DATA_DIR"


def database_of(settings: Settings) -> str:
    """Which database the settings name, in words and without its password."""
    if not settings.database_url:
        return f"SQLite in {(settings.data_dir / FILE).absolute()}"
    try:
        url = make_url(settings.database_url)
    except ArgumentError:
        return "the database of DATABASE_URL"
    return url.difference_update_query(["password"]).render_as_string(hide_password=True)


class DatabaseError(Exception):
    """The database cannot be used; the message says why and what to do."""


class Database:
    """The database, behind a connection pool. The methods block; call them in a thread.

    Parameters:
        engine: SQLAlchemy's engine.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @classmethod
    def open(cls, settings: Settings) -> "Database":
        """Open the database of the settings, creating or migrating its tables.

        Raises:
            DatabaseError: It is unreachable, or newer than this version of Viva.
        """
        if settings.database_url:
            return cls.from_url(settings.database_url)
        folder = settings.data_dir
        try:
            folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        except OSError as error:
            reason = error.strerror or error
            raise DatabaseError(
                f"DATA_DIR={folder} cannot be made ({reason}). Set it to a directory of your own."
            ) from None
        with suppress(OSError):  # SQLite says what is wrong; its other files get the same mode
            os.close(private_opener(str(folder / FILE), os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        return cls.from_url(f"sqlite:///{folder / FILE}")

    @classmethod
    def from_url(cls, url: str) -> "Database":
        """Open the database at a URL, creating or migrating its tables.

        Args:
            url: ``postgresql://user:password@host/name``, or ``sqlite:///`` and a file's path.

        Raises:
            DatabaseError: It is unreachable, or newer than this version of Viva.
        """
        address = _address(url)
        engine = _ENGINES[address.drivername](address)
        try:
            with _in_words(address):
                migrations.upgrade(engine)
        except DatabaseError:
            engine.dispose()
            raise
        return cls(engine)

    @staticmethod
    def inspect(settings: Settings) -> "Examined":
        """Inspect the database of the settings without changing anything.

        Raises:
            DatabaseError: It is unreachable, or newer than this version of Viva.
        """
        url = settings.database_url or f"sqlite:///{settings.data_dir / FILE}"
        address = _address(url)
        where = address.render_as_string(hide_password=True)
        if address.drivername != "sqlite":
            engine = _ENGINES[address.drivername](address)
        else:
            path = Path(str(address.database))
            if not path.exists():
                if not settings.database_url:
                    _check_folder(settings.data_dir)
                return Examined(where, "absent")
            # Read-only: opening it as Viva does would change its journal mode.
            engine = create_engine(f"sqlite:///file:{quote(str(path.absolute()))}?mode=ro&uri=true")
        try:
            with _in_words(address), engine.connect() as connection:
                return Examined(where, migrations.state(connection))
        finally:
            engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that reads one consistent snapshot."""
        with Session(self.engine) as session:
            if self.engine.dialect.name == "sqlite":
                session.connection().exec_driver_sql("BEGIN")
            else:
                session.connection(
                    execution_options={
                        "isolation_level": "REPEATABLE READ",
                        "postgresql_readonly": True,
                    }
                )
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A session with one transaction, committed at the end or rolled back.

        On SQLite it takes the write lock at once, so that what it has read stays true.
        """
        with Session(self.engine, expire_on_commit=False) as session:
            if self.engine.dialect.name == "sqlite":
                session.connection().exec_driver_sql("BEGIN IMMEDIATE")
            yield session
            session.commit()

    def ping(self) -> None:
        """Check that the database responds, and can be written: it is neither full nor locked.

        Raises:
            SQLAlchemyError: It does not, or cannot.
        """
        with self.writing() as session:
            # The one row that is always there; as it is, it is written again.
            session.connection().exec_driver_sql(
                "UPDATE alembic_version SET version_num = version_num"
            )

    def truncate_log(self) -> None:
        """Remove deleted data from SQLite's write-ahead log too. PostgreSQL needs no such step.

        Pages that others are still reading are removed later.
        """
        if self.engine.dialect.name == "sqlite":
            with self.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").close()

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


@dataclass(frozen=True, slots=True)
class Examined:
    """Result of :meth:`Database.inspect`.

    Parameters:
        where: The database's URL, without password.
        state: ``absent`` for a SQLite file that the first start will create.
    """

    where: str
    state: migrations.State | Literal["absent"]


def _check_folder(folder: Path) -> None:
    """Check that nothing but a directory is in the place of a folder or of its parents.

    Raises:
        DatabaseError: Something is, so that the folder cannot be made.
    """
    nearest = next((at for at in (folder, *folder.absolute().parents) if os.path.lexists(at)), None)
    if nearest is not None and not nearest.is_dir():
        raise DatabaseError(
            f"DATA_DIR={folder} cannot be made ({nearest} is not a directory). "
            "Set it to a directory of your own."
        )


@contextmanager
def _in_words(address: URL) -> Iterator[None]:
    """Turn errors into a message that names the database and says what to do."""
    where = f"The database {address.render_as_string(hide_password=True)}"
    try:
        yield
    except migrations.MigrationError as error:
        raise DatabaseError(f"{where} {error}") from None
    except SQLAlchemyError as error:
        cause = str(error.orig) if isinstance(error, DBAPIError) else str(error)
        raise DatabaseError(
            f"{where} cannot be used: {' '.join(cause.split())}. "
            "Check DATABASE_URL and DATA_DIR, and that the database is running."
        ) from None


def _address(url: str) -> URL:
    try:
        address = make_url(url)
    except (ArgumentError, ValueError):  # its message may contain a password
        raise DatabaseError(f"DATABASE_URL is not an address; allowed: {_ALLOWED}.") from None
    if address.drivername in ("postgres", "postgresql"):
        address = address.set(drivername="postgresql+psycopg")
    shown = address.render_as_string(hide_password=True)
    if address.drivername not in _ENGINES:
        raise DatabaseError(
            f"DATABASE_URL={shown}: {address.drivername} is not supported; allowed: {_ALLOWED}."
        )
    if address.drivername == "sqlite" and address.database in (None, "", ":memory:"):
        raise DatabaseError(f"DATABASE_URL={shown} names no file; allowed: {_ALLOWED}.")
    return address


def _sqlite(address: URL) -> Engine:
    engine = create_engine(
        address, hide_parameters=True, connect_args={"timeout": BUSY_TIMEOUT_SECS}
    )

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # we send BEGIN ourselves
        for pragma in (
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "foreign_keys=ON",
            "secure_delete=ON",  # erased data must not remain in the file
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    return engine


def _postgresql(address: URL) -> Engine:
    engine = create_engine(
        address,
        hide_parameters=True,
        pool_pre_ping=True,
        connect_args={
            "application_name": "viva",
            "connect_timeout": CONNECT_TIMEOUT_SECS,
            "tcp_user_timeout": CONNECT_TIMEOUT_SECS * 1000,
        }
        | dict(address.query),
    )

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: object) -> None:
        milliseconds = STATEMENT_TIMEOUT_SECS * 1000
        for setting in ("statement_timeout", "idle_in_transaction_session_timeout"):
            connection.execute(f"SET {setting} = {milliseconds}")
        connection.commit()

    return engine


_ENGINES: Mapping[str, Callable[[URL], Engine]] = {
    "sqlite": _sqlite,
    "postgresql+psycopg": _postgresql,
}
