"""How many links may be asked for: from one network, in all, and for one address."""

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
    """So many links in so many seconds.

    Parameters:
        counted: What they are counted by.
        links: How many there may be.
        secs: In how long a time.
    """

    counted: Counted
    links: int
    secs: float


ADDRESS_LINKS = 5
"""For one address in a quarter of an hour."""

LIMITS = (
    # An office behind one address may sign in on a Monday morning.
    Limit("network", 20, QUARTER),
    Limit("network", 100, DAY),
    # What is left to somebody with many networks and many addresses.
    Limit("all", 300, HOUR),
    # Nobody's mailbox is to be filled.
    Limit("address", ADDRESS_LINKS, QUARTER),
    Limit("address", 20, DAY),
)

LONGEST_SECS = max(limit.secs for limit in LIMITS)
"""How long it must be known that a link was asked for."""


def exceeded(db: Session, *, email: str, network: str, now: float) -> Counted | None:
    """Which limit one more link would break, if any; the same work for each address.

    What is counted is in the database, so the limits hold for all processes together.

    Args:
        db: The database.
        email: Whom the link is for.
        network: Where it is asked from.
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
        col(SignInToken.browser_hash) != b"",  # the operator's own, which nobody asked for
    )
    found: tuple[int, ...] = tuple(db.connection().execute(asked).one())
    for limit, links in zip(LIMITS, found, strict=True):
        if links >= limit.links:
            return limit.counted
    return None
