"""The outbox: letters that are to be sent, in the database until they are."""

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial

from loguru import logger
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from accounts.mail.letter import Letter, MailError
from accounts.mail.mail import Mail
from accounts.mail.queue import MAX_ATTEMPTS, MailQueue
from ledger.store.database import Database
from ledger.store.tables import OutboxMail

POLL_SECS = 5.0
"""Longest until letters are seen that another process has left behind."""

MIN_POLL_SECS = 0.1
"""Wait before looking again at letters that are due and that another process has just claimed."""

SENDERS = 4
"""Letters sent at once by one process."""

SWEEP_SECS = 3600.0
"""How often what is not needed any more is looked for."""

MARK_RETRY_SECS = 1.0
"""Wait before it is tried again to note in the database what became of a letter."""


class Outbox:
    """Sends each letter once, as far as mail allows, whatever crashes.

    A letter is in the database before anybody tries to send it. Whoever sends it claims it first,
    for a time, so that of several processes only one does. If that process dies between sending
    and noting it, the letter goes out again after its claim, and is the same to the byte: Resend
    knows it by its key, mail programs by its ``Message-ID``.

    Parameters:
        database: Where letters wait.
        mail: Who takes them.
        clock: Unix seconds.
        jitter: A random number from 0 to 1.
        poll_secs: Longest until letters of other processes are seen.
        senders: Letters sent at once.
        max_attempts: Attempts until a letter has failed for good.
    """

    def __init__(
        self,
        database: Database,
        mail: Mail,
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

    async def put(
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
        """Have a letter sent, unless one of this key was put here before.

        Args:
            key: What it is known by; up to 320 characters.
            recipient: Address.
            subject: One line.
            text: As plain text.
            html: The same as HTML; empty for text alone.
            keep_secs: How long its text is kept after it was sent, or has failed for good. 0
                empties it at once, as befits a link that signs in.
            lasts_secs: How long it is of use; it is not sent later. ``None``: for good.

        Returns:
            Whether it is new.

        Raises:
            ValueError: The recipient is no address.
            SQLAlchemyError: The database cannot be written.
        """
        letter = Letter(key, recipient, subject, text, html)
        return bool(await self.put_all([letter], keep_secs=keep_secs, lasts_secs=lasts_secs))

    async def put_all(
        self,
        letters: Iterable[Letter],
        *,
        call: str = "",
        keep_secs: float = 0.0,
        lasts_secs: float | None = None,
    ) -> int:
        """Have several letters sent: all of them are put here, or none is.

        Args:
            letters: The letters; each is dated now.
            call: Id of the call that they report.
            keep_secs: As of :meth:`put`.
            lasts_secs: As of :meth:`put`.

        Returns:
            How many are new.

        Raises:
            ValueError: A recipient is no address.
            SQLAlchemyError: The database cannot be written.
        """
        put = partial(self._queue.put, call=call, keep_secs=keep_secs, lasts_secs=lasts_secs)
        new = await asyncio.to_thread(put, list(letters))
        self._wake.set()
        return new

    def start(self) -> None:
        """Begin to send."""
        self._running = asyncio.create_task(self._run(), name="outbox")

    async def flush(self) -> None:
        """Send everything that is due now, once.

        Raises:
            SQLAlchemyError: The database cannot be read or written.
        """
        while await self._dispatch() or self._sending:
            await asyncio.wait(self._sending.values(), return_when=asyncio.FIRST_COMPLETED)

    def waiting(self) -> int:
        """How many letters are to be sent; it blocks.

        Raises:
            SQLAlchemyError: The database cannot be read.
        """
        return self._queue.waiting()

    async def sweep(self) -> None:
        """Empty the letters whose text was kept long enough, and forget those of long ago.

        Raises:
            SQLAlchemyError: The database cannot be written.
        """
        await asyncio.to_thread(self._queue.sweep)

    async def close(self, timeout_secs: float = 5.0) -> None:
        """Try once more to send what is due, then stop, and give back the mail's connections.

        What was not sent waits in the database.

        Args:
            timeout_secs: Longest that this may take.
        """
        self._closing = True
        self._wake.set()
        try:
            async with asyncio.timeout(timeout_secs):
                if self._running is not None:
                    await self._running
                await self.flush()
        except TimeoutError:
            logger.info("outbox: {} letters are left in the middle", len(self._sending))
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
            except Exception as error:  # whatever it is, letters are not to wait for a restart
                if usable:
                    logger.warning("outbox: the database cannot be used: {}", _short(error))
                usable = False
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    async def _dispatch(self) -> int:
        """Claim as many letters as may be sent now, and begin to send them."""
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
            logger.exception("outbox: letter {} broke its carrier", letter.digest[:12])
            trouble = MailError(f"{type(error).__name__}: {error}")
        while True:
            try:
                await asyncio.to_thread(self._queue.mark, row, trouble)
            except SQLAlchemyError as error:
                logger.warning("outbox: the database cannot be written: {}", _short(error))
                await asyncio.sleep(MARK_RETRY_SECS)
            else:
                break
        if trouble is None:
            logger.info("outbox: letter {} is sent", letter.digest[:12])
        else:
            said = str(trouble).replace(row.recipient, "the recipient")
            logger.warning(
                "outbox: letter {}, attempt {}: {}", letter.digest[:12], row.attempts, said
            )


def _short(error: Exception) -> str:
    """What is wrong with the database, without what was to be written."""
    if isinstance(error, DBAPIError):
        return str(error.orig).partition("\n")[0]
    return type(error).__name__
