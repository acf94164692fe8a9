"""Rate limits on sign-in links that nobody can exhaust for somebody else.

They count the requests of *this* network and browser, and the mailbox. Requests of others count
only where they flood a mailbox (:data:`CROWD`) or the server (:data:`ALL_LINKS`), and neither stops
those who have signed in before: such a browser is counted by itself (:data:`KNOWN_LIMITS`), and
such an address gets its links while the server is busy.

Links of addresses that may not sign in are stored and counted as those of others, so no limit
tells who may. While the server is busy only known addresses' links are stored, so nothing that is
shown depends on them: see :data:`BUSY`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Literal

from sqlalchemy import ColumnElement, and_, func
from sqlmodel import Session, col, select

from accounts import secret
from accounts.network import site
from accounts.subaddressing import Subaddressing
from ledger.store.tables import SignInToken

Counted = Literal["network", "site", "browser", "mailbox from site", "mailbox"]

QUARTER, HOUR, DAY = 900.0, 3600.0, 86400.0


@dataclass(frozen=True, slots=True)
class Limit:
    """A rate limit.

    Parameters:
        counted: What links are counted by: the client's network or site (its /48 of IPv6; of IPv4
            its network), the mailbox that they are for from this browser or site, or from all.
        links: Most links.
        secs: Length of the window.
    """

    counted: Counted
    links: int
    secs: float


BROWSER_LINKS = 5
"""For a mailbox, from one browser, in a quarter of an hour."""

KNOWN_LIMITS = (Limit("browser", BROWSER_LINKS, QUARTER), Limit("browser", 20, DAY))
"""Of a browser that has signed in as this address before."""

LIMITS = (
    # An office behind one address signs in on a Monday morning.
    Limit("network", 20, QUARTER),
    Limit("network", 100, DAY),
    # Whoever has a /48 has as many networks as they like.
    Limit("site", 60, QUARTER),
    Limit("site", 300, DAY),
    *KNOWN_LIMITS,
    Limit("mailbox from site", 10, QUARTER),
    Limit("mailbox from site", 40, DAY),
    # Nobody's mailbox may be flooded from many networks, either; 60 of them have to ask for this.
    Limit("mailbox", 140, HOUR),
)

CROWD = Limit("mailbox", 20, DAY)
"""A mailbox that more links were asked for gets few from each site, and each site still gets some:
whoever it belongs to asks from one that has not asked."""

CROWDED_LIMITS = (Limit("mailbox from site", 2, HOUR),)

ALL_LINKS = 300
"""Of all networks in an hour. Beyond it, addresses that are not known get none."""

BUSY = "busy "
"""Begins the network of a link that was stored beyond :data:`ALL_LINKS`. As only those of known
addresses are, they count for nothing that is shown, then or later."""

LONGEST_SECS = DAY
"""How long a request for a link must be remembered."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether one more link may be had.

    Parameters:
        exceeded: The limit that it would exceed, if any.
        busy: Whether so many links were asked for, by anybody, that only known addresses get any.
    """

    exceeded: Limit | None
    busy: bool


def judge(
    db: Session,
    email: str,
    *,
    browser: str,
    network: str,
    known: bool,
    subaddressing: Subaddressing,
    now: float,
) -> Verdict:
    """Judge a request for a link. Takes the same time for every address.

    Counts in the database, so that the limits hold across processes.

    Args:
        db: The database.
        email: The address that the link is for.
        browser: The secret of the browser that asks.
        network: Its network.
        known: Whether that browser has signed in as that address before.
        subaddressing: Which addresses are of one mailbox.
        now: Unix seconds.
    """
    place, created_at = col(SignInToken.network), col(SignInToken.created_at)
    shown = ~place.startswith(BUSY, autoescape=True)
    mailbox = subaddressing.matches(col(SignInToken.email), email)
    of_site = col(SignInToken.network).startswith(stored_site(network), autoescape=True)
    of_site |= col(SignInToken.network).startswith(BUSY + stored_site(network), autoescape=True)
    matches: Mapping[Counted, ColumnElement[bool]] = {
        "network": place == stored_network(network),
        "site": and_(shown, of_site),
        "browser": and_(mailbox, col(SignInToken.browser_hash) == secret.digest(browser)),
        "mailbox from site": and_(mailbox, of_site),
        "mailbox": mailbox,
    }
    every = (*LIMITS, CROWD, *CROWDED_LIMITS)
    counts = [
        func.count().filter(matches[limit.counted], created_at > now - limit.secs, which)
        for which in (shown, created_at > 0.0)
        for limit in every
    ]
    asked = select(func.count().filter(shown, created_at > now - HOUR), *counts).where(
        created_at > now - LONGEST_SECS,
        col(SignInToken.browser_hash) != b"",  # not the operator's own links
    )
    everybody, *found = (int(count) for count in db.connection().execute(asked).one())
    busy = everybody >= ALL_LINKS
    shown_counts, all_counts = found[: len(every)], found[len(every) :]
    links = dict(zip(every, all_counts if busy or known else shown_counts, strict=True))
    limits: tuple[Limit, ...] = KNOWN_LIMITS if known else LIMITS
    if not known and links[CROWD] >= CROWD.links:
        limits += CROWDED_LIMITS
    return Verdict(next((limit for limit in limits if links[limit] >= limit.links), None), busy)


def stored_network(network: str, *, busy: bool = False) -> str:
    """A network as links hold it: IPv6 in full, so that those of a site begin alike."""
    text = ip_network(network).exploded if network else ""
    return BUSY + text if busy else text


def stored_site(network: str) -> str:
    """What the networks of a network's site begin with, as links hold them."""
    found = ip_network(site(network))
    if found.version == 4:
        return found.exploded
    return found.exploded[: found.prefixlen // 16 * len("2001:")]
