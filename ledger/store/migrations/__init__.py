"""Migrates a database to the newest version of the tables.

After a change of :mod:`ledger.store.tables`, ``python -m ledger.store.migrations "what changes"``
writes the next version, to be read, corrected and tested before it is committed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect
from sqlmodel import SQLModel

__all__ = ["MigrationError", "State", "state", "upgrade"]

State = Literal["newest", "behind", "empty"]
"""Of a database that this program can use: up to date, of an older version, or without tables."""

_LOCK = 0x76697661
"""PostgreSQL's advisory lock, held during a migration."""


class MigrationError(Exception):
    """The database cannot be migrated; the text completes a sentence that starts with its name."""


def upgrade(engine: Engine) -> None:
    """Migrate a database to the newest version; an empty one gets its tables.

    Several processes may call this at once: one migrates, and the others wait.

    Raises:
        MigrationError: It is newer than this program, or its tables are somebody else's.
    """
    with engine.connect() as connection:
        if _revision(connection) == ScriptDirectory.from_config(config()).get_current_head():
            return
    with _alone(engine) as connection:
        if state(connection) != "newest":
            command.upgrade(config(connection), "head")


def state(connection: Connection) -> State:
    """Compare a database with the newest version, without changing it.

    Raises:
        MigrationError: It is newer than this program, or its tables are somebody else's.
    """
    script = ScriptDirectory.from_config(config())
    newest = script.get_current_head()
    revision = _revision(connection)
    if revision == newest:
        return "newest"
    if revision is not None:
        if revision not in {version.revision for version in script.walk_revisions()}:
            raise MigrationError(
                f"was made by a newer version of Viva: its revision is {revision}, and this "
                f"version knows them up to {newest}. Install the newer version, or set "
                "DATABASE_URL or DATA_DIR to another database."
            )
        return "behind"
    taken = set(inspect(connection).get_table_names()) & set(SQLModel.metadata.tables)
    if taken:
        raise MigrationError(
            f"has tables that Viva has not made: {', '.join(sorted(taken))}. "
            "Set DATABASE_URL or DATA_DIR to a database of its own."
        )
    return "empty"


def config(connection: Connection | None = None) -> Config:
    """Alembic's settings, which are all of them here and in ``env.py``.

    Args:
        connection: To the database that is migrated; its transaction is the caller's.
    """
    settings = Config(attributes={"connection": connection})
    settings.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    settings.set_main_option("path_separator", "os")
    return settings


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """A transaction during which no other process migrates; committed at the end."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            # Recreating a table must not delete the rows that refer to it.
            connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        yield connection
        connection.commit()
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA foreign_keys=ON")
