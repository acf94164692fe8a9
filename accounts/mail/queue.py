"""The queue of letters in the database, and their delivery results."""

import random
import time
from collections.abc import Callable, Iterable

from sqlalchemy import ColumnElement, delete, func, or_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col, select

from accounts.mail.letter import Letter, MailError, mailbox
from accounts.mail.mailer import SEND_TIMEOUT_SECS
from ledger.store.database import Database
from ledger.store.tables import OutboxMail

CLAIM_SECS = 2 * SEND_TIMEOUT_SECS
"""How long a claim on a letter lasts."""

FIRST_RETRY_SECS = 10.0
"""Pause after the first failure. It doubles with each failure, less up to half at random, so that
letters that failed together do not all retry together."""

MAX_RETRY_SECS = 3 * 3600.0
"""Longest pause between two attempts."""

MAX_ATTEMPTS = 16
"""Attempts, over 9 to 18 hours: shorter than the 24 hours Resend remembers an idempotency key."""

RECORD_SECS = 30 * 86400.0
"""How long the record of a letter, sent or given up, is kept."""


class MailQueue:
    """Queued letters and their results. The methods block; call them in a thread.

    Each raises SQLAlchemyError if the database cannot be used.

    Parameters:
        database: Stores the letters.
        clock: Returns Unix seconds.
        jitter: Returns a random number from 0 to 1.
        max_attempts: Attempts before a letter is given up.
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

    def enqueue(
        self, letters: Iterable[Letter], *, call: str, keep_secs: float, lasts_secs: float | None
    ) -> int:
        """Queue letters, all or none, skipping keys that were queued before.

        Args:
            letters: The letters; they are dated now.
            call: Id of the call that they report.
            keep_secs: How long the bodies are kept after the letters were sent or given up.
            lasts_secs: Drop the letters if not sent within this time; ``None``: no limit.

        Returns:
            How many are new.

        Raises:
            ValueError: A recipient is not an address.
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
        """Claim due letters, so that no other sender takes them for :data:`CLAIM_SECS`.

        Args:
            most: Limit.
            but: Keys to leave out.
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
                    _fail(row, now, row.error or "it could not be sent in time")
                elif row.attempts >= self._max_attempts:
                    _fail(row, now, row.error or "the sender crashed at each attempt")
                else:
                    row.attempts += 1
                    row.next_attempt_at = now + CLAIM_SECS
                    claimed.append(row)
        return claimed

    def record_result(self, claimed: OutboxMail, trouble: MailError | None) -> None:
        """Record the result of a delivery.

        Args:
            claimed: The claimed letter.
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
                return  # the claim has expired, and another sender has the letter
            row.error = str(trouble)
            if trouble.permanent or row.attempts >= self._max_attempts:
                _fail(row, now, row.error)
            else:
                row.next_attempt_at = now + self._retry_secs(row.attempts, trouble)

    def waiting(self) -> int:
        """Number of letters not yet sent."""
        with self._database.reading() as session:
            return session.exec(select(func.count()).where(_waiting())).one()

    def next_secs(self) -> float | None:
        """Seconds until the next letter is due, below 0 if overdue; ``None`` without letters."""
        with self._database.reading() as session:
            next_at = session.exec(
                select(func.min(OutboxMail.next_attempt_at)).where(_waiting())
            ).one()
        return None if next_at is None else next_at - self._clock()

    def sweep(self) -> None:
        """Clear bodies whose time is up, and delete old records."""
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
    """The text without what PostgreSQL cannot store: NUL and lone surrogates."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()
