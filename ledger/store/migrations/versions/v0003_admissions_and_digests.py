"""How many calls of each caller were admitted on a day, and lines of digests in the outbox."""

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
    # Nullable: a worker of the version before may still queue mail.
    op.add_column("outbox_mail", sa.Column("digest", sa.String(320), nullable=True))
    op.create_index("ix_outbox_mail_digest", "outbox_mail", ["digest"])
