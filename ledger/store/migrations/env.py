"""How Alembic runs a migration: on the connection, and in the transaction, that it is given."""

from typing import Any, Literal

from alembic import context
from sqlmodel import SQLModel
from sqlmodel.sql.sqltypes import AutoString

from ledger.store import tables

__all__ = ["tables"]


def in_plain_terms(kind: str, item: Any, _context: object) -> str | Literal[False]:
    """How a version that is written names a type: SQLAlchemy's name, not SQLModel's."""
    if kind == "type" and isinstance(item, AutoString):
        return f"sa.String({item.length or ''})"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    render_as_batch=True,  # SQLite changes a table by recreating it
    render_item=in_plain_terms,
)
with context.begin_transaction():
    context.run_migrations()
