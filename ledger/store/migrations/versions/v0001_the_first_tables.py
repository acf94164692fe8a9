"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """From the version before."""
    op.create_table(
        "access_rule",
        sa.Column("pattern", sa.String(254), nullable=False),
        sa.Column("allowed", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("pattern", name=op.f("pk_access_rule")),
    )
    op.create_table(
        "call",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("caller", sa.String(254), nullable=False),
        sa.Column("caller_key", sa.String(254), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("started_at", sa.Float(), nullable=False),
        sa.Column("ended_at", sa.Float(), nullable=True),
        sa.Column("why", sa.String(32), nullable=False),
        sa.Column("document", sa.String(), nullable=False),
        sa.Column("document_hash", sa.String(64), nullable=False),
        sa.Column("stt", sa.String(), nullable=False),
        sa.Column("brain", sa.String(), nullable=False),
        sa.Column("tts", sa.String(), nullable=False),
        sa.Column("turns", sa.Integer(), nullable=False),
        sa.Column("stt_cost", sa.BigInteger(), nullable=False),
        sa.Column("brain_cost", sa.BigInteger(), nullable=False),
        sa.Column("tts_cost", sa.BigInteger(), nullable=False),
        sa.Column("cost", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_call")),
    )
    op.create_index("ix_call_caller", "call", ["caller"])
    op.create_index("ix_call_caller_key", "call", ["caller_key"])
    op.create_index("ix_call_day", "call", ["day"])
    op.create_index("ix_call_started_at", "call", ["started_at"])

    op.create_table(
        "outbox_mail",
        sa.Column("key", sa.String(320), nullable=False),
        sa.Column("recipient", sa.String(254), nullable=False),
        sa.Column("call", sa.String(32), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("html", sa.String(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.Float(), nullable=False),
        sa.Column("give_up_at", sa.Float(), nullable=True),
        sa.Column("sent_at", sa.Float(), nullable=True),
        sa.Column("failed_at", sa.Float(), nullable=True),
        sa.Column("error", sa.String(), nullable=False),
        sa.Column("keep_secs", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_outbox_mail")),
    )
    op.create_index("ix_outbox_mail_call", "outbox_mail", ["call"])
    op.create_index("ix_outbox_mail_failed_at", "outbox_mail", ["failed_at"])
    op.create_index("ix_outbox_mail_next_attempt_at", "outbox_mail", ["next_attempt_at"])
    op.create_index("ix_outbox_mail_recipient", "outbox_mail", ["recipient"])
    op.create_index("ix_outbox_mail_sent_at", "outbox_mail", ["sent_at"])

    op.create_table(
        "sign_in_token",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("browser_hash", sa.LargeBinary(), nullable=False),
        sa.Column("network", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.Column("used_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_sign_in_token")),
    )
    op.create_index("ix_sign_in_token_created_at", "sign_in_token", ["created_at"])
    op.create_index("ix_sign_in_token_email", "sign_in_token", ["email"])

    op.create_table(
        "spend_day",
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("spent", sa.BigInteger(), nullable=False),
        sa.Column("held", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_spend_day")),
    )
    op.create_table(
        "spend_hold",
        sa.Column("call", sa.String(32), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("caller_key", sa.String(254), nullable=False),
        sa.Column("held", sa.BigInteger(), nullable=False),
        sa.Column("spent", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("call", name=op.f("pk_spend_hold")),
    )
    op.create_index("ix_spend_hold_caller_key", "spend_hold", ["caller_key"])
    op.create_index("ix_spend_hold_day", "spend_hold", ["day"])
    op.create_index("ix_spend_hold_expires_at", "spend_hold", ["expires_at"])

    op.create_table(
        "user",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("last_seen_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user")),
        sa.UniqueConstraint("email", name=op.f("uq_user_email")),
    )
    op.create_table(
        "session",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("last_seen_at", sa.Float(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.Column("revoked_at", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_session_user_id")),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_session")),
    )
    op.create_index("ix_session_user_id", "session", ["user_id"])

    op.create_table(
        "turn",
        sa.Column("call", sa.String(32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("question", sa.String(), nullable=False),
        sa.Column("decision", sa.String(16), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("confidence", sa.String(8), nullable=True),
        sa.Column("sections", sa.JSON(), nullable=False),
        sa.Column("lines", sa.JSON(), nullable=False),
        sa.Column("checks", sa.JSON(), nullable=False),
        sa.Column("answer", sa.String(), nullable=False),
        sa.Column("heard_text", sa.String(), nullable=False),
        sa.Column("interrupted", sa.Boolean(), nullable=False),
        sa.Column("withdrawn", sa.Boolean(), nullable=False),
        sa.Column("transcription_delay", sa.Float(), nullable=True),
        sa.Column("end_of_turn_delay", sa.Float(), nullable=True),
        sa.Column("llm_ttft", sa.Float(), nullable=True),
        sa.Column("llm_ttfs", sa.Float(), nullable=True),
        sa.Column("tts_ttfb", sa.Float(), nullable=True),
        sa.Column("e2e_latency", sa.Float(), nullable=True),
        sa.Column("input_tokens", sa.Integer(), nullable=False),
        sa.Column("output_tokens", sa.Integer(), nullable=False),
        sa.Column("cache_read_tokens", sa.Integer(), nullable=False),
        sa.Column("cache_write_tokens", sa.Integer(), nullable=False),
        sa.Column("wasted_tokens", sa.Integer(), nullable=False),
        sa.Column("characters", sa.Integer(), nullable=False),
        sa.Column("audio_seconds", sa.Float(), nullable=False),
        sa.Column("stt", sa.String(), nullable=False),
        sa.Column("brain", sa.String(), nullable=False),
        sa.Column("tts", sa.String(), nullable=False),
        sa.Column("stt_model", sa.String(), nullable=False),
        sa.Column("brain_model", sa.String(), nullable=False),
        sa.Column("tts_model", sa.String(), nullable=False),
        sa.Column("stt_cost", sa.BigInteger(), nullable=False),
        sa.Column("brain_cost", sa.BigInteger(), nullable=False),
        sa.Column("tts_cost", sa.BigInteger(), nullable=False),
        sa.Column("cost", sa.BigInteger(), nullable=False),
        sa.Column("errors", sa.JSON(), nullable=False),
        sa.Column("failovers", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["call"], ["call.id"], name=op.f("fk_turn_call")),
        sa.PrimaryKeyConstraint("call", "number", name=op.f("pk_turn")),
    )
    op.create_index("ix_turn_at", "turn", ["at"])
    op.create_index("ix_turn_decision", "turn", ["decision"])
