"""Sessions: which browser is signed in as whom. They are in the database, so they can be ended."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, or_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session as Db
from sqlmodel import col, select

from accounts import secret
from accounts.access import belongs
from ledger.store.tables import Session, User

SEEN_SECS = 300.0
"""How often it is noted that a session is in use, at most."""

KEEP_SECS = 86400.0
"""How long a session that is over stays on record."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A browser that is signed in.

    Parameters:
        email: As whom.
        since: Since when, Unix seconds.
        last_seen_at: When it was last in use, to :data:`SEEN_SECS`.
        expires_at: Until when at most.
    """

    email: str
    since: float
    last_seen_at: float
    expires_at: float


def begin(db: Db, email: str, *, secs: float, now: float) -> str:
    """Sign a browser in.

    Args:
        db: The database, to be written.
        email: As whom.
        secs: For how long.
        now: Unix seconds.

    Returns:
        The session's secret, which is kept nowhere and was nobody's before.
    """
    insert = postgresql.insert if db.get_bind().dialect.name == "postgresql" else sqlite.insert
    user = insert(User).values(email=email, created_at=now, last_seen_at=now)
    user = user.on_conflict_do_update(index_elements=["email"], set_={"last_seen_at": now})
    user_id = db.connection().execute(user.returning(col(User.id))).scalar_one()
    assert user_id is not None, "a primary key"
    cookie = secret.new()
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


def find(db: Db, cookie: str, *, now: float) -> SignedIn | None:
    """Who is signed in by a secret, if anybody is."""
    found = db.exec(
        select(User.email, Session)
        .join(User, col(User.id) == col(Session.user_id))
        .where(col(Session.hash) == secret.digest(cookie), *_open(now))
    ).first()
    return None if found is None else _signed_in(*found)


def seen(db: Db, cookie: str, *, now: float) -> None:
    """Note that a session is in use."""
    session = db.get(Session, secret.digest(cookie))
    if session is not None:
        session.last_seen_at = now
        db.exec(update(User).where(col(User.id) == session.user_id).values(last_seen_at=now))


def end(db: Db, cookie: str, *, now: float) -> None:
    """End a session, if there is one by this secret."""
    db.exec(
        update(Session)
        .where(col(Session.hash) == secret.digest(cookie), *_open(now))
        .values(revoked_at=now)
    )


def end_all(db: Db, whose: str, *, now: float) -> int:
    """End the sessions of an address, or of a domain's addresses; how many there were."""
    users = select(User.id).where(belongs(col(User.email), whose))
    ended = update(Session).where(col(Session.user_id).in_(users), *_open(now))
    return int(db.exec(ended.values(revoked_at=now)).rowcount)


def open_sessions(db: Db, *, now: float) -> Sequence[SignedIn]:
    """Every browser that is signed in, by address, the last one in use first."""
    found = db.exec(
        select(User.email, Session)
        .join(User, col(User.id) == col(Session.user_id))
        .where(*_open(now))
        .order_by(col(User.email), col(Session.last_seen_at).desc())
    )
    return [_signed_in(*one) for one in found]


def sweep(db: Db, *, now: float) -> None:
    """Forget the sessions that have been over for a while."""
    over = or_(
        col(Session.expires_at) <= now - KEEP_SECS, col(Session.revoked_at) <= now - KEEP_SECS
    )
    db.exec(delete(Session).where(over))


def _open(now: float) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return col(Session.revoked_at).is_(None), col(Session.expires_at) > now


def _signed_in(email: str, session: Session) -> SignedIn:
    return SignedIn(email, session.created_at, session.last_seen_at, session.expires_at)
