"""The mail with a link: written and handed on in the background, at a moment that tells nothing."""

import asyncio
import random
from collections.abc import Callable
from typing import Protocol

from loguru import logger
from sqlalchemy.exc import SQLAlchemyError

from accounts import secret
from accounts.sign_in.links import LINK_SECS
from accounts.templating import render

SUBJECT = "Your link to sign in to Viva"

MAX_DELAY_SECS = 0.5
"""Longest pause before a link is handed on. It is random, so that whoever asks for another link at
once cannot tell by its time whether the first one had to be written down."""

CLOSE_SECS = 5.0


class Send(Protocol):
    """Somebody who sends mail, such as :meth:`accounts.mail.outbox.Outbox.put`."""

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
        """Send a mail; two of one key are one mail, and after ``lasts_secs`` it is of no use."""
        ...


class LinkMail:
    """Sends links.

    Parameters:
        send: Who sends mail.
        tell: Told each link that is sent, where no mail is set up; ``None`` to tell nobody.
        delay: Seconds until a link is handed on.
    """

    def __init__(
        self,
        send: Send,
        *,
        tell: Callable[[str], None] | None = None,
        delay: Callable[[], float] | None = None,
    ) -> None:
        self._send = send
        self._tell = tell
        self._delay = delay or (lambda: random.uniform(0, MAX_DELAY_SECS))
        self._tasks: set[asyncio.Task[None]] = set()

    def soon(self, email: str, token: str, url: str, *, granted: bool) -> None:
        """Send a link soon, if it is granted; if not, do the same but for the sending.

        Args:
            email: Whom it is for.
            token: Its token.
            url: Its whole address.
            granted: Whether it is to be sent.
        """
        task = asyncio.create_task(self._write(email, token, url, granted=granted))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self, timeout_secs: float = CLOSE_SECS) -> None:
        """Hand on what is being written."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_secs)

    async def _write(self, email: str, token: str, url: str, *, granted: bool) -> None:
        minutes = round(LINK_SECS / 60)
        text = render("link.txt.j2", url=url, minutes=minutes)
        html = render("link.html.j2", url=url, minutes=minutes)
        await asyncio.sleep(self._delay())
        if not granted:
            return
        try:
            key = f"link:{secret.digest(token).hex()}"
            await self._send(key, email, SUBJECT, text, html, lasts_secs=LINK_SECS)
        except (SQLAlchemyError, ValueError) as error:
            logger.error("accounts: a link cannot be sent: {}", type(error).__name__)
        if self._tell is not None:
            self._tell(
                f"Sign-in link for {email} (once, {minutes} minutes, in the browser that asked): "
                f"{url}"
            )
