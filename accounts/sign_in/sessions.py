"""Sessions: which browser is signed in as whom. Stored in the database, so they can be revoked."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, func, or_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session as Db
from sqlmodel import col, select

from accounts import secret
from accounts.access import address_matches
from accounts.subaddressing import EVERYWHERE, Subaddressing
from ledger.store.tables import Session, User

SEEN_SECS = 300.0
"""Resolution of ``last_seen_at``."""

KEEP_SECS = 86400.0
"""How long an ended session stays on record."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A signed-in browser.

    Parameters:
        email: The address that is signed in.
        since: Since when, Unix seconds.
        last_seen_at: Last use, to :data:`SEEN_SECS`.
        expires_at: When it expires at the latest.
    """

    email: str
    since: float
    last_seen_at: float
    expires_at: float


def create_session(db: Db, email: str, *, secs: float, now: float) -> str:
    """Create a session.

    Args:
        db: A writing session of the database.
        email: The address to sign in.
        secs: Lifetime.
        now: Unix seconds.

    Returns:
        The session's secret, freshly made; only its hash is stored.
    """
    insert = postgresql.insert if db.get_bind().dialect.name == "postgresql" else sqlite.insert
    user = insert(User).values(email=email, created_at=now, last_seen_at=now)
    user = user.on_conflict_do_update(index_elements=["email"], set_={"last_seen_at": now})
    user_id = db.connection().execute(user.returning(col(User.id))).scalar_one()
    assert user_id is not None, "a primary key"
    cookie = secret.new_secret()
    db.add(
        Session(
            hash=secret.digest(cookie),
            user_id=user_id,
            created_at=now,
            last_seen_at=now,
            expires_at=now + secs,
        )
    )
    return cookie


def find_session(db: Db, cookie: str, *, now: float) -> SignedIn | None:
    """The session of a secret, if it is open."""
    found = db.exec(
        select(User.email, Session)
        .join(User, col(User.id) == col(Session.user_id))
        .where(col(Session.hash) == secret.digest(cookie), *_open(now))
    ).first()
    return None if found is None else _signed_in(*found)


def record_use(db: Db, cookie: str, *, now: float) -> None:
    """Note that a session is in use."""
    session = db.get(Session, secret.digest(cookie))
    if session is not None:
        session.last_seen_at = now
        db.exec(update(User).where(col(User.id) == session.user_id).values(last_seen_at=now))


def end_session(db: Db, cookie: str, *, now: float) -> None:
    """End the session of a secret, if there is one."""
    db.exec(
        update(Session)
        .where(col(Session.hash) == secret.digest(cookie), *_open(now))
        .values(revoked_at=now)
    )


def end_sessions(
    db: Db, whose: str, *, now: float, subaddressing: Subaddressing = EVERYWHERE
) -> int:
    """End the sessions of a mailbox, or of a domain's addresses; returns their number."""
    users = select(User.id).where(address_matches(col(User.email), whose, subaddressing))
    ended = update(Session).where(col(Session.user_id).in_(users), *_open(now))
    return int(db.exec(ended.values(revoked_at=now)).rowcount)


def count_sessions(
    db: Db, whose: str, *, now: float, subaddressing: Subaddressing = EVERYWHERE
) -> int:
    """Number of open sessions of a mailbox, or of a domain's addresses."""
    users = select(User.id).where(address_matches(col(User.email), whose, subaddressing))
    return db.exec(select(func.count()).where(col(Session.user_id).in_(users), *_open(now))).one()


def open_sessions(db: Db, *, now: float) -> Sequence[SignedIn]:
    """Every open session, by address, most recently used first."""
    found = db.exec(
        select(User.email, Session)
        .join(User, col(User.id) == col(Session.user_id))
        .where(*_open(now))
        .order_by(col(User.email), col(Session.last_seen_at).desc())
    )
    return [_signed_in(*row) for row in found]


def delete_old_sessions(db: Db, *, now: float) -> None:
    """Delete sessions that ended a while ago."""
    over = or_(
        col(Session.expires_at) <= now - KEEP_SECS, col(Session.revoked_at) <= now - KEEP_SECS
    )
    db.exec(delete(Session).where(over))


def _open(now: float) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return col(Session.revoked_at).is_(None), col(Session.expires_at) > now


def _signed_in(email: str, session: Session) -> SignedIn:
    return SignedIn(email, session.created_at, session.last_seen_at, session.expires_at)
