"""Results of tools that an answer cites."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """From the version before."""
    # Nullable: a worker of the version before may still write turns.
    op.add_column("turn", sa.Column("looked_up", sa.JSON(), nullable=True))
