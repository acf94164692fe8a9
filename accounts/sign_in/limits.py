"""Rate limits on sign-in links: per network, per address, and in all."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import ColumnElement, func
from sqlmodel import Session, col, select, true

from ledger.store.tables import SignInToken

Counted = Literal["network", "all", "address"]

QUARTER, HOUR, DAY = 900.0, 3600.0, 86400.0


@dataclass(frozen=True, slots=True)
class Limit:
    """A rate limit.

    Parameters:
        counted: What links are counted by.
        links: Most links.
        secs: Length of the window.
    """

    counted: Counted
    links: int
    secs: float


ADDRESS_LINKS = 5
"""Per address in a quarter of an hour."""

LIMITS = (
    # An office behind one address signs in on a Monday morning.
    Limit("network", 20, QUARTER),
    Limit("network", 100, DAY),
    # Bounds an attacker with many networks and many addresses.
    Limit("all", 300, HOUR),
    # Nobody's mailbox may be flooded.
    Limit("address", ADDRESS_LINKS, QUARTER),
    Limit("address", 20, DAY),
)

LONGEST_SECS = max(limit.secs for limit in LIMITS)
"""How long a request for a link must be remembered."""


def exceeded_limit(db: Session, *, email: str, network: str, now: float) -> Counted | None:
    """Which limit one more link would exceed, if any. Takes the same time for every address.

    Counts in the database, so that the limits hold across processes.

    Args:
        db: The database.
        email: The address that the link is for.
        network: The client's network.
        now: Unix seconds.
    """
    matches: Mapping[Counted, ColumnElement[bool]] = {
        "network": col(SignInToken.network) == network,
        "all": true(),
        "address": col(SignInToken.email) == email,
    }
    counts = [
        func.count().filter(matches[limit.counted], col(SignInToken.created_at) > now - limit.secs)
        for limit in LIMITS
    ]
    asked = select(*counts).where(
        col(SignInToken.created_at) > now - LONGEST_SECS,
        col(SignInToken.browser_hash) != b"",  # not the operator's own links
    )
    found: tuple[int, ...] = tuple(db.connection().execute(asked).one())
    for limit, links in zip(LIMITS, found, strict=True):
        if links >= limit.links:
            return limit.counted
    return None
