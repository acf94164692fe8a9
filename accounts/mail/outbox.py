"""The outbox: letters are stored in the database until they are sent."""

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial

from loguru import logger
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from accounts.mail.digest import DigestEntry
from accounts.mail.letter import Letter, MailError
from accounts.mail.mailer import Mailer
from accounts.mail.queue import MAX_ATTEMPTS, MailQueue
from ledger.store.database import Database
from ledger.store.tables import OutboxMail

POLL_SECS = 5.0
"""How often to look for letters that another process has queued."""

MIN_POLL_SECS = 0.1
"""Pause before looking again at due letters that another process has just claimed."""

SENDERS = 4
"""Letters that one process sends concurrently."""

SWEEP_SECS = 3600.0
"""How often old letters are cleared."""

MARK_RETRY_SECS = 1.0
"""Pause before retrying to store the result of a delivery."""


class Outbox:
    """Sends each letter once, as far as mail allows, and survives crashes.

    A letter is stored before it is sent. A sender claims it for a limited time, so that only one of
    several processes sends it. If that process dies between sending and recording the result, the
    letter is sent again once the claim expires, identical to the byte: Resend recognizes it by its
    idempotency key, mail programs by its ``Message-ID``.

    Parameters:
        database: Stores the letters.
        mail: Sends them.
        clock: Returns Unix seconds.
        jitter: Returns a random number from 0 to 1.
        poll_secs: How often to look for letters of other processes.
        senders: Letters sent concurrently.
        max_attempts: Attempts before a letter is given up.
    """

    def __init__(
        self,
        database: Database,
        mail: Mailer,
        *,
        clock: Callable[[], float] | None = None,
        jitter: Callable[[], float] = random.random,
        poll_secs: float = POLL_SECS,
        senders: int = SENDERS,
        max_attempts: int = MAX_ATTEMPTS,
    ) -> None:
        self._queue = MailQueue(database, clock=clock, jitter=jitter, max_attempts=max_attempts)
        self._mail = mail
        self._poll_secs = poll_secs
        self._senders = senders
        self._sending: dict[str, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._closing = False
        self._running: asyncio.Task[None] | None = None

    async def enqueue(
        self,
        key: str,
        recipient: str,
        subject: str,
        text: str,
        html: str = "",
        *,
        keep_secs: float = 0.0,
        lasts_secs: float | None = None,
    ) -> bool:
        """Queue a letter, unless one with this key was queued before.

        Args:
            key: Identifies the letter; up to 320 characters.
            recipient: Address.
            subject: One line.
            text: Plain-text body.
            html: HTML body; empty for text alone.
            keep_secs: How long the body is kept after the letter was sent or given up. 0 clears it
                at once, as is right for a sign-in link.
            lasts_secs: Drop the letter if it is not sent within this time. ``None``: no limit.

        Returns:
            Whether the letter is new.

        Raises:
            ValueError: The recipient is not an address.
            SQLAlchemyError: The database cannot be written.
        """
        letter = Letter(key, recipient, subject, text, html)
        return bool(await self.enqueue_all([letter], keep_secs=keep_secs, lasts_secs=lasts_secs))

    async def enqueue_all(
        self,
        letters: Iterable[Letter],
        *,
        call: str = "",
        keep_secs: float = 0.0,
        lasts_secs: float | None = None,
        entries: Iterable[DigestEntry] = (),
    ) -> int:
        """Queue several letters and lines of digests, all or none.

        Args:
            letters: The letters; they are dated now.
            call: Id of the call that they report.
            keep_secs: As for :meth:`enqueue`.
            lasts_secs: As for :meth:`enqueue`.
            entries: Lines of digests about that call.

        Returns:
            How many are new.

        Raises:
            ValueError: A recipient is not an address.
            SQLAlchemyError: The database cannot be written.
        """
        put = partial(self._queue.enqueue, call=call, keep_secs=keep_secs, lasts_secs=lasts_secs)
        new = await asyncio.to_thread(put, list(letters), entries=list(entries))
        self._wake.set()
        return new

    def start(self) -> None:
        """Start sending."""
        self._running = asyncio.create_task(self._run(), name="outbox")

    async def flush(self) -> None:
        """Send everything that is due now, once.

        Raises:
            SQLAlchemyError: The database cannot be read or written.
        """
        while await self._dispatch() or self._sending:
            await asyncio.wait(self._sending.values(), return_when=asyncio.FIRST_COMPLETED)

    def count_since(self, recipient: str, kind: str, since: float) -> int:
        """How many letters of a kind, the first word of their keys, were queued for somebody.

        Blocks.

        Raises:
            SQLAlchemyError: The database cannot be read.
        """
        return self._queue.count_since(recipient, kind, since)

    def waiting(self) -> int:
        """Number of letters not yet sent, without digests whose time is not over. Blocks.

        Raises:
            SQLAlchemyError: The database cannot be read.
        """
        return self._queue.waiting()

    async def sweep(self) -> None:
        """Clear bodies whose time is up, and delete old records.

        Raises:
            SQLAlchemyError: The database cannot be written.
        """
        await asyncio.to_thread(self._queue.sweep)

    async def close(self, timeout_secs: float = 5.0) -> None:
        """Try once more to send what is due, stop, and close the mailer.

        Unsent letters stay in the database.

        Args:
            timeout_secs: Time limit.
        """
        self._closing = True
        self._wake.set()
        try:
            async with asyncio.timeout(timeout_secs):
                if self._running is not None:
                    await self._running
                await self.flush()
        except TimeoutError:
            logger.info("outbox: {} letters were being sent at shutdown", len(self._sending))
        except SQLAlchemyError as error:
            logger.warning("outbox: the database cannot be used: {}", _short(error))
        sending = list(self._sending.values())
        for task in sending:
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)
        await self._mail.close()

    async def _run(self) -> None:
        swept_at = -SWEEP_SECS
        usable = True
        while not self._closing:
            self._wake.clear()
            pause = self._poll_secs
            try:
                if time.monotonic() - swept_at >= SWEEP_SECS:
                    await self.sweep()
                    swept_at = time.monotonic()
                if await self._dispatch() == 0 and len(self._sending) < self._senders:
                    next_secs = await asyncio.to_thread(self._queue.next_secs)
                    if next_secs is not None:
                        pause = min(pause, max(MIN_POLL_SECS, next_secs))
                usable = True
            except Exception as error:  # keep sending, whatever the fault
                if usable:
                    logger.warning("outbox: the database cannot be used: {}", _short(error))
                usable = False
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    async def _dispatch(self) -> int:
        """Claim as many letters as may be sent now, and start sending them."""
        free = self._senders - len(self._sending)
        if free <= 0:
            return 0
        claimed = await asyncio.to_thread(self._queue.claim, free, tuple(self._sending))
        for row in claimed:
            task = asyncio.create_task(self._send(row))
            self._sending[row.key] = task
            task.add_done_callback(partial(self._free, row.key))
        return len(claimed)

    def _free(self, key: str, _task: asyncio.Task[None]) -> None:
        del self._sending[key]
        self._wake.set()

    async def _send(self, row: OutboxMail) -> None:
        letter = Letter(row.key, row.recipient, row.subject, row.text, row.html, row.created_at)
        trouble: MailError | None = None
        try:
            await self._mail.send(letter)
        except MailError as error:
            trouble = error
        except Exception as error:
            logger.exception("outbox: unexpected error while sending letter {}", letter.digest[:12])
            trouble = MailError(f"{type(error).__name__}: {error}")
        while True:
            try:
                await asyncio.to_thread(self._queue.record_result, row, trouble)
            except SQLAlchemyError as error:
                logger.warning("outbox: the database cannot be written: {}", _short(error))
                await asyncio.sleep(MARK_RETRY_SECS)
            else:
                break
        if trouble is None:
            logger.info("outbox: letter {} was sent", letter.digest[:12])
        else:
            said = str(trouble).replace(row.recipient, "the recipient")
            logger.warning(
                "outbox: letter {}, attempt {}: {}", letter.digest[:12], row.attempts, said
            )


def _short(error: Exception) -> str:
    """The database error, without the values of the statement."""
    if isinstance(error, DBAPIError):
        return str(error.orig).partition("\n")[0]
    return type(error).__name__
