"""How many calls of each caller were admitted on a day."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """From the version before."""
    op.create_table(
        "caller_day",
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("caller_key", sa.String(254), nullable=False),
        sa.Column("admitted", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("day", "caller_key", name=op.f("pk_caller_day")),
    )
