"""Sign-in links: each works once, for a limited time, in the browser that asked for it."""

from typing import Literal

from sqlalchemy import delete, update
from sqlmodel import Session, col, select

from accounts import secret
from accounts.access import address_matches
from accounts.sign_in import limits
from accounts.subaddressing import EVERYWHERE, Subaddressing
from ledger.store.tables import SignInToken

LINK_SECS = 15 * 60.0
"""How long a link works."""

KNOWN_SECS = 90 * 86400.0
"""How long it is remembered that a browser has signed in as an address."""

Reason = Literal["unknown", "used", "expired", "browser", "elsewhere", "denied"]

_ANY_BROWSER = b""
"""In place of a browser's hash: the link works in any browser on this machine."""


class LinkError(Exception):
    """A link is refused.

    Parameters:
        reason: ``unknown``: no such link; ``used``, ``expired``: it was valid once;
            ``browser``: another browser asked for it; ``elsewhere``: it works on this machine
            only; ``denied``: its address may no longer sign in.
        email: The address that a used link has signed in.
    """

    def __init__(self, reason: Reason, email: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.email = email


def create_link(
    db: Session,
    email: str,
    *,
    now: float,
    browser: str | None = None,
    network: str = "",
    token: str = "",
) -> str:
    """Create a link and return its token.

    Args:
        db: A writing session.
        email: The address that it signs in.
        now: Unix seconds.
        browser: The secret of the browser that asks; ``None`` for any browser on this machine.
        network: The client's network, as limits count it.
        token: Its token; empty to make one.

    Returns:
        The token, of which only the hash is stored.
    """
    token = token or secret.new_secret()
    db.add(
        SignInToken(
            hash=secret.digest(token),
            email=email,
            browser_hash=_ANY_BROWSER if browser is None else secret.digest(browser),
            network=network,
            created_at=now,
            expires_at=now + LINK_SECS,
        )
    )
    return token


def has_signed_in(db: Session, email: str, *, browser: str, now: float) -> bool:
    """Whether a browser has signed in as an address in the last :data:`KNOWN_SECS`."""
    used = select(SignInToken.hash).where(
        col(SignInToken.email) == email,
        col(SignInToken.browser_hash) == secret.digest(browser),
        col(SignInToken.used_at).is_not(None),
        col(SignInToken.created_at) > now - KNOWN_SECS,
    )
    return db.exec(select(used.exists())).one()


def redeem_link(db: Session, token: str, *, browser: str, loopback: bool, now: float) -> str:
    """Redeem a link.

    Args:
        db: A writing session.
        token: The link's token.
        browser: The secret of the browser that opened it.
        loopback: Whether that browser is on this machine.
        now: Unix seconds.

    Returns:
        The address that it signs in.

    Raises:
        LinkError: The link is refused, and stays as it was.
    """
    link = db.get(SignInToken, secret.digest(token))
    if link is None:
        raise LinkError("unknown")
    if link.used_at is not None:
        raise LinkError("used", link.email)
    if link.expires_at <= now:
        raise LinkError("expired")
    if link.browser_hash == _ANY_BROWSER:
        if not loopback:
            raise LinkError("elsewhere")
    elif link.browser_hash != secret.digest(browser):
        raise LinkError("browser")
    # Of several requests at the same moment, one succeeds.
    taken = update(SignInToken).where(
        col(SignInToken.hash) == link.hash, col(SignInToken.used_at).is_(None)
    )
    if db.exec(taken.values(used_at=now)).rowcount != 1:
        raise LinkError("used", link.email)
    return link.email


def expire_links(
    db: Session, whose: str, *, now: float, subaddressing: Subaddressing = EVERYWHERE
) -> None:
    """Expire the links of a mailbox, or of a domain's addresses."""
    db.exec(
        update(SignInToken)
        .where(
            address_matches(col(SignInToken.email), whose, subaddressing),
            col(SignInToken.expires_at) > now,
        )
        .values(expires_at=now)
    )


def delete_old_links(db: Session, *, now: float) -> None:
    """Delete links that no rate limit counts any more.

    Of those that have signed a browser in, what says so is kept for :data:`KNOWN_SECS`, without
    the network.
    """
    created_at, used_at = col(SignInToken.created_at), col(SignInToken.used_at)
    old = created_at <= now - limits.LONGEST_SECS
    db.exec(delete(SignInToken).where(old, used_at.is_(None) | (created_at <= now - KNOWN_SECS)))
    db.exec(update(SignInToken).where(old, col(SignInToken.network) != "").values(network=""))
