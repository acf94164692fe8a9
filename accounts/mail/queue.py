"""The queue of letters in the database: who is to be sent what, and what became of it."""

import random
import time
from collections.abc import Callable, Iterable

from sqlalchemy import ColumnElement, delete, func, or_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col, select

from accounts.mail.letter import Letter, MailError, mailbox
from accounts.mail.mail import SEND_TIMEOUT_SECS
from ledger.store.database import Database
from ledger.store.tables import OutboxMail

CLAIM_SECS = 2 * SEND_TIMEOUT_SECS
"""How long a letter is left to the process that is sending it."""

FIRST_RETRY_SECS = 10.0
"""Wait after the first failure; it doubles with each, and is shortened by up to a half at random
so that letters that failed together do not come back together."""

MAX_RETRY_SECS = 3 * 3600.0
"""Longest wait between two attempts."""

MAX_ATTEMPTS = 16
"""Attempts over 9 to 18 hours: no longer than Resend remembers a key (24 hours)."""

RECORD_SECS = 30 * 86400.0
"""How long it is kept on record that a letter was sent, or was not."""


class MailQueue:
    """Letters and their fate; its methods block, so call them in a thread.

    Each of them raises SQLAlchemyError when the database cannot be used.

    Parameters:
        database: Where letters wait.
        clock: Unix seconds.
        jitter: A random number from 0 to 1.
        max_attempts: Attempts until a letter has failed for good.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], float] | None = None,
        jitter: Callable[[], float] = random.random,
        max_attempts: int = MAX_ATTEMPTS,
    ) -> None:
        self._database = database
        self._clock = clock or time.time
        self._jitter = jitter
        self._max_attempts = max_attempts

    def put(
        self, letters: Iterable[Letter], *, call: str, keep_secs: float, lasts_secs: float | None
    ) -> int:
        """Put letters in the queue, all or none, but for those whose keys it has known.

        Args:
            letters: The letters; each is dated now.
            call: Id of the call that they report.
            keep_secs: How long their text is kept once they are sent, or have failed for good.
            lasts_secs: How long they are of use; ``None`` for good.

        Returns:
            How many are new.

        Raises:
            ValueError: A recipient is no address.
        """
        now = self._clock()
        rows = [
            {
                "key": letter.key,
                "recipient": mailbox(letter.recipient).addr_spec,
                "call": call,
                "subject": _storable(letter.heading),
                "text": _storable(letter.text),
                "html": _storable(letter.html),
                "created_at": now,
                "attempts": 0,
                "next_attempt_at": now,
                "give_up_at": None if lasts_secs is None else now + lasts_secs,
                "error": "",
                "keep_secs": keep_secs,
            }
            for letter in letters
        ]
        name = self._database.engine.dialect.name
        insert = postgresql.insert if name == "postgresql" else sqlite.insert
        new = 0
        with self._database.writing() as session:
            for row in rows:
                put = insert(OutboxMail).values(row).on_conflict_do_nothing()
                done = session.connection().execute(put.returning(col(OutboxMail.key)))
                new += len(done.all())
        return new

    def claim(self, most: int, but: tuple[str, ...] = ()) -> list[OutboxMail]:
        """Take letters that are due, so that nobody else does for :data:`CLAIM_SECS`.

        Args:
            most: How many at most.
            but: Keys of those not to take.
        """
        now = self._clock()
        due = (_waiting(), col(OutboxMail.next_attempt_at) <= now)
        with self._database.reading() as session:
            if session.exec(select(OutboxMail.key).where(*due).limit(1)).first() is None:
                return []
        claimed = []
        with self._database.writing() as session:
            query = (
                select(OutboxMail)
                .where(*due, col(OutboxMail.key).not_in(but))
                .order_by(col(OutboxMail.next_attempt_at))
                .limit(most)
                .with_for_update(skip_locked=True)
            )
            for row in session.exec(query):
                if row.give_up_at is not None and now >= row.give_up_at:
                    _fail(row, now, row.error or "it could not be sent while it was of use")
                elif row.attempts >= self._max_attempts:
                    _fail(row, now, row.error or "its sender died at each attempt")
                else:
                    row.attempts += 1
                    row.next_attempt_at = now + CLAIM_SECS
                    claimed.append(row)
        return claimed

    def mark(self, claimed: OutboxMail, trouble: MailError | None) -> None:
        """Note what became of a letter.

        Args:
            claimed: The letter, as it was claimed.
            trouble: Why it was not sent; ``None`` if it was.
        """
        now = self._clock()
        with self._database.writing() as session:
            row = session.get(OutboxMail, claimed.key, with_for_update=True)
            if row is None or row.sent_at is not None:
                return
            if trouble is None:
                row.sent_at, row.failed_at, row.error = now, None, ""
                _empty(row)
                return
            if row.attempts != claimed.attempts:
                return  # its claim had run out, and it is somebody else's
            row.error = str(trouble)
            if trouble.permanent or row.attempts >= self._max_attempts:
                _fail(row, now, row.error)
            else:
                row.next_attempt_at = now + self._retry_secs(row.attempts, trouble)

    def waiting(self) -> int:
        """How many letters are to be sent."""
        with self._database.reading() as session:
            return session.exec(select(func.count()).where(_waiting())).one()

    def next_secs(self) -> float | None:
        """Seconds until a letter is due, below 0 if one is; ``None`` if there is none."""
        with self._database.reading() as session:
            next_at = session.exec(
                select(func.min(OutboxMail.next_attempt_at)).where(_waiting())
            ).one()
        return None if next_at is None else next_at - self._clock()

    def sweep(self) -> None:
        """Empty the letters whose text was kept long enough, and forget those of long ago."""
        now = self._clock()
        ended_at = func.coalesce(OutboxMail.sent_at, OutboxMail.failed_at)
        full = or_(col(OutboxMail.text) != "", col(OutboxMail.html) != "")
        kept = ended_at + col(OutboxMail.keep_secs) <= now
        with self._database.writing() as session:
            session.exec(delete(OutboxMail).where(ended_at <= now - RECORD_SECS))
            session.exec(update(OutboxMail).where(full, kept).values(text="", html=""))

    def _retry_secs(self, attempts: int, trouble: MailError) -> float:
        doubled: float = FIRST_RETRY_SECS * 2 ** (attempts - 1)
        wait = min(MAX_RETRY_SECS, doubled) * (1 - self._jitter() / 2)
        return max(wait, min(MAX_RETRY_SECS, trouble.retry_after_secs or 0.0))


def _waiting() -> ColumnElement[bool]:
    return col(OutboxMail.sent_at).is_(None) & col(OutboxMail.failed_at).is_(None)


def _fail(row: OutboxMail, now: float, error: str) -> None:
    row.failed_at, row.error = now, error
    _empty(row)


def _empty(row: OutboxMail) -> None:
    if row.keep_secs <= 0:
        row.text = row.html = ""


def _storable(text: str) -> str:
    """The text without what PostgreSQL cannot store: NUL, and halves of characters."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()
