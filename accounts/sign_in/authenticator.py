"""The authenticator: redeems links for sessions, without blocking the event loop."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from loguru import logger
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session as Db

from accounts import secret
from accounts.access import OPERATOR, Access
from accounts.sign_in import limits, links, sessions
from accounts.sign_in.limits import Limit
from accounts.sign_in.links import LinkError
from ledger.store.database import Database

REMEMBER_SECS = 3.0
"""How long a session lookup is cached: a session that ends elsewhere, by a command or another
process, is accepted for this long at most."""

MOST_REMEMBERED = 1024
"""Size of the session cache."""

AT_ONCE = 2
"""Threads for session lookups, and threads for sign-ins. The other threads of the pool belong to
calls, however many strangers ask."""


class TooManyLinksError(Exception):
    """A network has asked for too many links.

    Parameters:
        limit: The limit that it exceeds.
    """

    def __init__(self, limit: Limit) -> None:
        super().__init__(limit.counted)
        self.limit = limit


@dataclass(frozen=True, slots=True)
class LinkRequest:
    """Result of a sign-in link request.

    Parameters:
        token: The link's token. Every request makes one, so that all take the same time; if
            not granted, it signs nobody in.
        granted: Whether to send the link. Nothing that is shown may depend on it.
        exceeded: The limit on links for the address that the request exceeds, which may be shown.
        busy: Whether only known addresses get links just now. If so, a granted link has to be
            stored by :meth:`Authenticator.store_link` once the request is answered.
    """

    token: str
    granted: bool
    exceeded: Limit | None = None
    busy: bool = False


class Authenticator:
    """Manages sign-in links and sessions.

    Parameters:
        database: Holds links, sessions and access rules.
        access: The access policy.
        session_secs: Lifetime of a session.
        clock: Returns Unix seconds; the system clock by default.
    """

    def __init__(
        self,
        database: Database,
        access: Access,
        *,
        session_secs: float,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._database = database
        self._access = access
        self.session_secs = session_secs
        self._clock = clock or time.time
        self._remembered: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._looking = asyncio.Semaphore(AT_ONCE)
        self._signing = asyncio.Semaphore(AT_ONCE)

    async def request_link(self, email: str, *, browser: str, network: str) -> LinkRequest:
        """Request a link. The work done does not depend on whether the address may sign in.

        Args:
            email: An address from :func:`accounts.access.normalize_address`.
            browser: The secret of the browser that asks.
            network: The client's network.

        Raises:
            TooManyLinksError: A limit of that network is exceeded.
            SQLAlchemyError: The database cannot be used.
        """
        async with self._signing:
            return await asyncio.to_thread(self._ask, email, browser, network)

    async def store_link(self, token: str, email: str, *, browser: str, network: str) -> None:
        """Store a link that was granted while the server was busy.

        Raises:
            SQLAlchemyError: The database cannot be used.
        """
        async with self._signing:
            await asyncio.to_thread(self._store, token, email, browser, network)

    async def redeem_link(
        self, token: str, *, browser: str, loopback: bool, session: str = ""
    ) -> str:
        """Redeem a link for a session.

        Args:
            token: The link's token.
            browser: The secret of the browser that opened it.
            loopback: Whether that browser is on this machine.
            session: The browser's session so far, which ends.

        Returns:
            The secret of a new session.

        Raises:
            LinkError: The link is refused.
            SQLAlchemyError: The database cannot be used.
        """
        async with self._signing:
            entered = await asyncio.to_thread(self._enter, token, browser, loopback, session)
        self._remembered.pop(session, None)
        return entered

    async def find_email(self, session: str) -> str | None:
        """The address of a session, if it is open and the address may still sign in.

        Raises:
            SQLAlchemyError: The database cannot be used.
        """
        if not secret.is_secret(session):
            return None
        email, until = self._remembered.get(session, ("", 0.0))
        if self._clock() < until:
            return email
        self._remembered.pop(session, None)
        async with self._looking:
            found = await asyncio.to_thread(self._who, session)
        if found is not None:
            self._remembered[session] = (found, self._clock() + REMEMBER_SECS)
            if len(self._remembered) > MOST_REMEMBERED:
                self._remembered.popitem(last=False)
        return found

    async def sign_out(self, session: str) -> None:
        """End a session.

        Raises:
            SQLAlchemyError: The database cannot be used.
        """
        async with self._signing:
            await asyncio.to_thread(self._leave, session)
        self._remembered.pop(session, None)

    async def create_operator_link(self) -> str:
        """The token of a link for the operator, in any browser on this machine.

        It signs in as the first of ``ADMINS``, or as the operator if there is none.

        Raises:
            SQLAlchemyError: The database cannot be used.
        """
        return await asyncio.to_thread(self._welcome)

    # In a thread.

    def _ask(self, email: str, browser: str, network: str) -> LinkRequest:
        with self._database.reading() as db:  # a flood must not hold up writers
            if (asked := self._judge(db, email, browser, network)).busy:
                return asked
        with self._database.writing() as db:
            if self._database.engine.dialect.name == "postgresql":
                # One at a time, so that the counts stay true.
                db.connection().exec_driver_sql(
                    "LOCK TABLE sign_in_token IN SHARE ROW EXCLUSIVE MODE"
                )
            links.delete_old_links(db, now=self._clock())
            if (asked := self._judge(db, email, browser, network)).busy:
                return asked
            # A refused request counts against its network, but does not prolong the address's wait.
            counted = "" if asked.exceeded else email
            links.create_link(
                db,
                counted,
                now=self._clock(),
                browser=browser,
                network=limits.stored_network(network),
                token=asked.token,
            )
            return asked

    def _judge(self, db: Db, email: str, browser: str, network: str) -> LinkRequest:
        """Grant or refuse a link, by the same statements whatever the address."""
        now = self._clock()
        verdict = limits.judge(
            db,
            email,
            browser=browser,
            network=network,
            known=links.has_signed_in(db, email, browser=browser, now=now),
            subaddressing=self._access.subaddressing,
            now=now,
        )
        exceeded = verdict.exceeded
        admitted, known = self._access.admits(db, email), self._access.is_known(db, email)
        granted = admitted and exceeded is None and (known or not verdict.busy)
        token = secret.new_secret()
        if verdict.busy:
            return LinkRequest(token, granted, busy=True)
        if exceeded is not None and exceeded.counted in ("network", "site"):
            raise TooManyLinksError(exceeded)
        return LinkRequest(token, granted, exceeded)

    def _store(self, token: str, email: str, browser: str, network: str) -> None:
        with self._database.writing() as db:
            links.create_link(
                db,
                email,
                now=self._clock(),
                browser=browser,
                network=limits.stored_network(network, busy=True),
                token=token,
            )

    def _enter(self, token: str, browser: str, loopback: bool, session: str) -> str:
        now = self._clock()
        with self._database.writing() as db:
            email = links.redeem_link(db, token, browser=browser, loopback=loopback, now=now)
            if not self._may_be(db, email):
                raise LinkError("denied")
            sessions.delete_old_sessions(db, now=now)
            sessions.end_session(db, session, now=now)
            return sessions.create_session(db, email, secs=self.session_secs, now=now)

    def _who(self, session: str) -> str | None:
        now = self._clock()
        with self._database.reading() as db:
            found = sessions.find_session(db, session, now=now)
            if found is None or not self._may_be(db, found.email):
                return None
        if now - found.last_seen_at >= sessions.SEEN_SECS:
            try:
                with self._database.writing() as db:
                    sessions.record_use(db, session, now=now)
            except SQLAlchemyError:
                logger.warning("accounts: cannot record that a session is in use")
        return found.email

    def _leave(self, session: str) -> None:
        with self._database.writing() as db:
            sessions.end_session(db, session, now=self._clock())

    def _welcome(self) -> str:
        email = next(iter(self._access.admins), OPERATOR)
        with self._database.writing() as db:
            return links.create_link(db, email, now=self._clock())

    def _may_be(self, db: Db, email: str) -> bool:
        return self._access.admits(db, email) or email == OPERATOR
