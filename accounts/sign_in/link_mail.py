"""Mails sign-in links in the background, without revealing by timing who may sign in."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Protocol

from loguru import logger
from sqlalchemy.exc import SQLAlchemyError

from accounts import secret
from accounts.sign_in.links import LINK_SECS
from accounts.templating import render

SUBJECT = "Your link to sign in to Viva"

MAX_DELAY_SECS = 0.5
"""Longest random pause before a link is sent. It hides, from a client that asks again at once,
whether the first link had to be stored."""

CLOSE_SECS = 5.0


class SendMail(Protocol):
    """Sends mail; implemented by :meth:`accounts.mail.outbox.Outbox.enqueue`."""

    async def __call__(
        self,
        key: str,
        recipient: str,
        subject: str,
        text: str,
        html: str,
        /,
        *,
        lasts_secs: float,
    ) -> object:
        """Send a mail once per key, unless ``lasts_secs`` have passed."""
        ...


class LinkMail:
    """Sends sign-in links.

    Parameters:
        send: Sends mail.
        tell: Receives each link when no mail is configured; ``None`` to print nothing.
        delay: Returns the seconds to wait before a link is sent.
    """

    def __init__(
        self,
        send: SendMail,
        *,
        tell: Callable[[str], None] | None = None,
        delay: Callable[[], float] | None = None,
    ) -> None:
        self._send = send
        self._tell = tell
        self._delay = delay or (lambda: random.uniform(0, MAX_DELAY_SECS))
        self._tasks: set[asyncio.Task[None]] = set()

    def send_later(
        self,
        email: str,
        token: str,
        url: str,
        *,
        granted: bool,
        store: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Send a link in the background if granted; if not, do the same work without sending.

        Args:
            email: Recipient.
            token: The link's token.
            url: The link.
            granted: Whether to send it.
            store: Stores it first, if it is sent; ``None`` if it is stored.
        """
        task = asyncio.create_task(self._write(email, token, url, granted=granted, store=store))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self, timeout_secs: float = CLOSE_SECS) -> None:
        """Wait for the links that are being sent."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_secs)

    async def _write(
        self,
        email: str,
        token: str,
        url: str,
        *,
        granted: bool,
        store: Callable[[], Awaitable[None]] | None,
    ) -> None:
        minutes = round(LINK_SECS / 60)
        text = render("link.txt.j2", url=url, minutes=minutes)
        html = render("link.html.j2", url=url, minutes=minutes)
        await asyncio.sleep(self._delay())
        if not granted:
            return
        try:
            if store is not None:
                await store()
            key = f"link:{secret.digest(token).hex()}"
            await self._send(key, email, SUBJECT, text, html, lasts_secs=LINK_SECS)
        except (SQLAlchemyError, ValueError) as error:
            logger.error("accounts: cannot store or queue a sign-in link: {}", type(error).__name__)
        if self._tell is not None:
            self._tell(
                f"Sign-in link for {email} (once, {minutes} minutes, in the browser that asked for "
                f"it): {url}"
            )
