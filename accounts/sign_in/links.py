"""Sign-in links: each works once, for a limited time, in the browser that asked for it."""

from typing import Literal

from sqlalchemy import delete, update
from sqlmodel import Session, col

from accounts import secret
from accounts.access import address_matches
from accounts.sign_in import limits
from ledger.store.tables import SignInToken

LINK_SECS = 15 * 60.0
"""How long a link works."""

Reason = Literal["unknown", "used", "expired", "browser", "elsewhere", "denied"]

_ANY_BROWSER = b""
"""In place of a browser's hash: the link works in any browser on this machine."""


class LinkError(Exception):
    """A link is refused.

    Parameters:
        reason: ``unknown``: no such link; ``used``, ``expired``: it was valid once;
            ``browser``: another browser asked for it; ``elsewhere``: it works on this machine
            only; ``denied``: its address may no longer sign in.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


def create_link(
    db: Session, email: str, *, now: float, browser: str | None = None, network: str = ""
) -> str:
    """Create a link and return its token.

    Args:
        db: A writing session.
        email: The address that it signs in.
        now: Unix seconds.
        browser: The secret of the browser that asks; ``None`` for any browser on this machine.
        network: The client's network.

    Returns:
        The token, of which only the hash is stored.
    """
    token = secret.new_secret()
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
        raise LinkError("used")
    return link.email


def expire_links(db: Session, whose: str, *, now: float) -> None:
    """Expire the links of an address, or of a domain's addresses."""
    db.exec(
        update(SignInToken)
        .where(address_matches(col(SignInToken.email), whose), col(SignInToken.expires_at) > now)
        .values(expires_at=now)
    )


def delete_old_links(db: Session, *, now: float) -> None:
    """Delete links that no rate limit counts any more."""
    db.exec(delete(SignInToken).where(col(SignInToken.created_at) <= now - limits.LONGEST_SECS))
