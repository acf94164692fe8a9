"""The tables of the ledger and the accounts, on SQLite and PostgreSQL alike.

Times are Unix seconds, days are UTC (``YYYY-MM-DD``), money is whole micro-dollars.
"""

from typing import Any

from sqlalchemy import JSON, BigInteger, LargeBinary
from sqlmodel import Field, SQLModel

# Named constraints, so that migrations can change them.
SQLModel.metadata.naming_convention = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


class User(SQLModel, table=True):
    """Someone who has signed in."""

    id: int | None = Field(default=None, primary_key=True)
    email: str = Field(unique=True, max_length=254, description="In lower case.")
    created_at: float
    last_seen_at: float


class AccessRule(SQLModel, table=True):
    """Allows or denies an address, or a domain such as ``@example.com``."""

    __tablename__ = "access_rule"

    pattern: str = Field(primary_key=True, max_length=254, description="In lower case.")
    allowed: bool
    created_at: float


class SignInToken(SQLModel, table=True):
    """A sign-in link; only its hash is stored."""

    __tablename__ = "sign_in_token"

    hash: bytes = Field(primary_key=True, sa_type=LargeBinary)
    email: str = Field(index=True, max_length=254)
    browser_hash: bytes = Field(
        sa_type=LargeBinary, description="Of the cookie of the browser that asked."
    )
    network: str = Field(default="", max_length=64, description="Where it was asked from.")
    created_at: float = Field(index=True)
    expires_at: float
    used_at: float | None = None


class Session(SQLModel, table=True):
    """A sign-in session; only the hash of its cookie is stored."""

    hash: bytes = Field(primary_key=True, sa_type=LargeBinary)
    user_id: int = Field(foreign_key="user.id", index=True)
    created_at: float
    last_seen_at: float
    expires_at: float
    revoked_at: float | None = None


class Call(SQLModel, table=True):
    """A call, with the sums of its turns."""

    id: str = Field(primary_key=True, max_length=32)
    caller: str = Field(default="", index=True, max_length=254)
    caller_key: str = Field(default="", index=True, max_length=254)
    day: str = Field(index=True, max_length=10)
    started_at: float = Field(index=True)
    ended_at: float | None = None
    why: str = Field(default="", max_length=32)
    document: str = ""
    document_hash: str = Field(default="", max_length=64)
    stt: str = ""
    brain: str = ""
    tts: str = ""
    turns: int = 0
    stt_cost: int = Field(default=0, sa_type=BigInteger)
    brain_cost: int = Field(default=0, sa_type=BigInteger)
    tts_cost: int = Field(default=0, sa_type=BigInteger)
    cost: int = Field(default=0, sa_type=BigInteger)
    reply_to: str | None = Field(
        default=None, max_length=254, description="The address that the caller left."
    )


class Turn(SQLModel, table=True):
    """A turn; see :class:`conversation.records.TurnRecord`."""

    call: str = Field(primary_key=True, foreign_key="call.id", max_length=32)
    number: int = Field(primary_key=True)
    at: float = Field(index=True)
    question: str = ""
    decision: str | None = Field(default=None, index=True, max_length=16)
    reason: str = ""
    confidence: str | None = Field(default=None, max_length=8)
    sections: list[str] = Field(default_factory=list, sa_type=JSON)
    lines: list[int] = Field(default_factory=list, sa_type=JSON)
    checks: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSON)
    answer: str = ""
    heard_text: str = ""
    interrupted: bool = False
    withdrawn: bool = False
    transcription_delay: float | None = None
    end_of_turn_delay: float | None = None
    llm_ttft: float | None = None
    llm_ttfs: float | None = None
    tts_ttfb: float | None = None
    e2e_latency: float | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    wasted_tokens: int = 0
    characters: int = 0
    audio_seconds: float = 0.0
    stt: str = ""
    brain: str = ""
    tts: str = ""
    stt_model: str = ""
    brain_model: str = ""
    tts_model: str = ""
    stt_cost: int = Field(default=0, sa_type=BigInteger)
    brain_cost: int = Field(default=0, sa_type=BigInteger)
    tts_cost: int = Field(default=0, sa_type=BigInteger)
    cost: int = Field(default=0, sa_type=BigInteger)
    errors: list[str] = Field(default_factory=list, sa_type=JSON)
    failovers: list[dict[str, str]] = Field(default_factory=list, sa_type=JSON)
    looked_up: list[dict[str, str]] | None = Field(
        default_factory=list, sa_type=JSON, nullable=True, description="None before version 0002."
    )
    was_right: bool | None = Field(
        default=None, description="What the caller said of the answer; None if nothing."
    )


class SpendDay(SQLModel, table=True):
    """A day's budget: what was spent, and what open calls may still spend."""

    __tablename__ = "spend_day"

    day: str = Field(primary_key=True, max_length=10)
    spent: int = Field(default=0, sa_type=BigInteger)
    held: int = Field(default=0, sa_type=BigInteger)


class SpendHold(SQLModel, table=True):
    """What one open call may still spend; deleted when it ends or its process dies."""

    __tablename__ = "spend_hold"

    call: str = Field(primary_key=True, max_length=32)
    day: str = Field(index=True, max_length=10)
    caller_key: str = Field(default="", index=True, max_length=254)
    held: int = Field(sa_type=BigInteger)
    spent: int = Field(default=0, sa_type=BigInteger)
    created_at: float
    expires_at: float = Field(index=True)


class CallerDay(SQLModel, table=True):
    """How many calls of a caller were admitted on a day, begun or not; deleted after the day."""

    __tablename__ = "caller_day"

    day: str = Field(primary_key=True, max_length=10)
    caller_key: str = Field(primary_key=True, max_length=254)
    admitted: int


class OutboxMail(SQLModel, table=True):
    """A mail until it is sent; afterwards a record without body.

    Claimed by advancing ``next_attempt_at``, so that no two processes send it.
    """

    __tablename__ = "outbox_mail"

    key: str = Field(primary_key=True, max_length=320, description="So that it is sent once.")
    recipient: str = Field(index=True, max_length=254)
    call: str = Field(default="", index=True, max_length=32, description="What it reports.")
    subject: str
    text: str
    html: str = ""
    created_at: float
    attempts: int = Field(default=0, description="Begun.")
    next_attempt_at: float = Field(index=True)
    give_up_at: float | None = Field(default=None, description="Of no use from then on.")
    sent_at: float | None = Field(default=None, index=True)
    failed_at: float | None = Field(default=None, index=True)
    error: str = Field(default="", description="Of the last attempt.")
    keep_secs: float = Field(default=0.0, description="How long its body outlasts its end.")
    digest: str | None = Field(
        default=None,
        index=True,
        max_length=320,
        description="Key of the digest that it is a line of; such a row is not sent itself.",
    )
