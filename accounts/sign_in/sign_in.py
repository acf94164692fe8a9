"""Signing in and out: links are taken for sessions, in a database that no event loop waits for."""

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
from accounts.sign_in.links import LinkError
from ledger.store.database import Database

REMEMBER_SECS = 3.0
"""How long it is remembered who is signed in: what ends a session elsewhere, a command or another
process, is felt this late at most."""

MOST_REMEMBERED = 1024
"""Sessions that are remembered at once."""

AT_ONCE = 2
"""Most threads that look who is signed in, and most that sign in; the others of the pool are for
the calls, however many strangers ask."""


class TooManyLinksError(Exception):
    """So many links were asked for that there is none for now, whomever it is for."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What became of the wish for a link.

    Parameters:
        token: The link's token. There is one for each wish, so that all are the same work; where
            it is not granted it signs nobody in.
        granted: Whether the link is to be sent.
    """

    token: str
    granted: bool


class SignIn:
    """Who is signed in, and how one comes to be.

    Parameters:
        database: Where links, sessions and rules are.
        access: Who may sign in.
        session_secs: How long a browser stays signed in.
        clock: Unix seconds; the present when not given.
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

    async def ask(self, email: str, *, browser: str, network: str) -> Asked:
        """Ask for a link. What is done does not depend on whether the address may sign in.

        Args:
            email: As :func:`accounts.access.address` makes it.
            browser: The secret of the browser that asks.
            network: Where it is.

        Raises:
            TooManyLinksError: Too many were asked for from that network, or in all.
            SQLAlchemyError: The database cannot be used.
        """
        async with self._signing:
            return await asyncio.to_thread(self._ask, email, browser, network)

    async def enter(self, token: str, *, browser: str, loopback: bool, session: str = "") -> str:
        """Take a link for a session.

        Args:
            token: The link's token.
            browser: The secret of the browser that opened it.
            loopback: Whether that browser is on this machine.
            session: The session that it had so far, which ends.

        Returns:
            The secret of a new session.

        Raises:
            LinkError: The link does not sign in.
            SQLAlchemyError: The database cannot be used.
        """
        async with self._signing:
            entered = await asyncio.to_thread(self._enter, token, browser, loopback, session)
        self._remembered.pop(session, None)
        return entered

    async def who(self, session: str) -> str | None:
        """Whose session a secret is: their address, if they are signed in and still may be.

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

    async def leave(self, session: str) -> None:
        """End a session.

        Raises:
            SQLAlchemyError: The database cannot be used.
        """
        async with self._signing:
            await asyncio.to_thread(self._leave, session)
        self._remembered.pop(session, None)

    async def welcome(self) -> str:
        """The token of a link for whoever runs this server, in any browser of this machine.

        It signs in as the first of ``ADMINS``, or as the operator where there is none.

        Raises:
            SQLAlchemyError: The database cannot be used.
        """
        return await asyncio.to_thread(self._welcome)

    # In a thread.

    def _ask(self, email: str, browser: str, network: str) -> Asked:
        with self._database.reading() as db:  # a flood does not hold up those who write
            self._refuse_too_many(db, email, network)
        with self._database.writing() as db:
            if self._database.engine.dialect.name == "postgresql":
                # One at a time, so that what was counted stays true.
                db.connection().exec_driver_sql(
                    "LOCK TABLE sign_in_token IN SHARE ROW EXCLUSIVE MODE"
                )
            links.sweep(db, now=self._clock())
            full = self._refuse_too_many(db, email, network)
            admitted = self._access.admits(db, email)
            # A wish too many counts for its network, but does not keep the address waiting longer.
            counted = "" if full else email
            token = links.make(db, counted, now=self._clock(), browser=browser, network=network)
            return Asked(token, admitted and not full)

    def _refuse_too_many(self, db: Db, email: str, network: str) -> bool:
        """Whether the address has had its links; refuses where the network has, or all have."""
        exceeded = limits.exceeded(db, email=email, network=network, now=self._clock())
        if exceeded in ("network", "all"):
            raise TooManyLinksError
        return exceeded == "address"

    def _enter(self, token: str, browser: str, loopback: bool, session: str) -> str:
        now = self._clock()
        with self._database.writing() as db:
            email = links.take(db, token, browser=browser, loopback=loopback, now=now)
            if not self._may_be(db, email):
                raise LinkError("denied")
            sessions.sweep(db, now=now)
            sessions.end(db, session, now=now)
            return sessions.begin(db, email, secs=self.session_secs, now=now)

    def _who(self, session: str) -> str | None:
        now = self._clock()
        with self._database.reading() as db:
            found = sessions.find(db, session, now=now)
            if found is None or not self._may_be(db, found.email):
                return None
        if now - found.last_seen_at >= sessions.SEEN_SECS:
            try:
                with self._database.writing() as db:
                    sessions.seen(db, session, now=now)
            except SQLAlchemyError:
                logger.warning("accounts: it cannot be noted that a session is in use")
        return found.email

    def _leave(self, session: str) -> None:
        with self._database.writing() as db:
            sessions.end(db, session, now=self._clock())

    def _welcome(self) -> str:
        email = next(iter(self._access.admins), OPERATOR)
        with self._database.writing() as db:
            return links.make(db, email, now=self._clock())

    def _may_be(self, db: Db, email: str) -> bool:
        return self._access.admits(db, email) or email == OPERATOR
