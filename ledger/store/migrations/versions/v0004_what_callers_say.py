"""The address that a caller left to be answered at, and whether they found an answer right."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """From the version before."""
    op.add_column("call", sa.Column("reply_to", sa.String(length=254), nullable=True))
    op.add_column("turn", sa.Column("was_right", sa.Boolean(), nullable=True))
