"""The queue of letters in the database, and their delivery results."""

import random
import time
from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import ColumnElement, delete, func, or_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from accounts.mail import digest
from accounts.mail.digest import DigestEntry
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
        self,
        letters: Iterable[Letter],
        *,
        call: str,
        keep_secs: float,
        lasts_secs: float | None,
        entries: Iterable[DigestEntry] = (),
    ) -> int:
        """Queue letters and lines of digests, all or none, skipping keys that were queued before.

        Args:
            letters: The letters; they are dated now.
            call: Id of the call that they report.
            keep_secs: How long the bodies are kept after the letters were sent or given up.
            lasts_secs: Drop the letters if not sent within this time; ``None``: no limit.
            entries: Lines of digests about that call.

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
        new = 0
        with self._database.writing() as session:
            for row in rows:
                new += self._put(session, row)
            for entry in entries:
                new += self._add(session, entry, call, keep_secs, now)
        return new

    def _put(self, session: Session, row: dict[str, Any]) -> bool:
        """Insert a row unless there is one with its key; returns whether it is new."""
        name = self._database.engine.dialect.name
        insert = postgresql.insert if name == "postgresql" else sqlite.insert
        put = insert(OutboxMail).values(row).on_conflict_do_nothing()
        done = session.connection().execute(put.returning(col(OutboxMail.key)))
        return bool(done.all())

    def _add(
        self, session: Session, entry: DigestEntry, call: str, keep_secs: float, now: float
    ) -> bool:
        """Add a line to a digest; returns whether it is new.

        The line is a row that counts as sent. The digest is a letter without text until it is
        claimed, when all its lines are there.
        """
        ends = entry.ends(now)
        recipient = mailbox(entry.recipient).addr_spec
        key = digest.digest_key(recipient, ends)
        common: dict[str, Any] = {
            "recipient": recipient,
            "subject": "",
            "html": "",
            "attempts": 0,
            "error": "",
            "keep_secs": keep_secs,
        }
        line: dict[str, Any] = {
            "key": entry.key,
            "call": call,
            "text": _storable(entry.text),
            "created_at": now,
            "next_attempt_at": now,
            "sent_at": now,
            "digest": key,
        }
        letter: dict[str, Any] = {
            "key": key,
            "call": "",
            "text": "",
            "created_at": ends,
            "next_attempt_at": ends + digest.LATE_SECS,
        }
        new = self._put(session, common | line)
        if new:
            self._put(session, common | letter)
        return new

    def count_since(self, recipient: str, kind: str, since: float) -> int:
        """How many letters of a kind, the first word of their keys, were queued for somebody."""
        letters = select(func.count()).where(
            col(OutboxMail.recipient) == mailbox(recipient).addr_spec,
            col(OutboxMail.key).startswith(f"{kind}:", autoescape=True),
            col(OutboxMail.created_at) > since,
            col(OutboxMail.digest).is_(None),
        )
        with self._database.reading() as session:
            return session.exec(letters).one()

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
                elif row.text or _write_digest(session, row):
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
        """Number of letters not yet sent, without digests whose time is not over."""
        late = or_(col(OutboxMail.attempts) > 0, col(OutboxMail.next_attempt_at) <= self._clock())
        with self._database.reading() as session:
            return session.exec(select(func.count()).where(_waiting(), late)).one()

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


def _write_digest(session: Session, row: OutboxMail) -> bool:
    """Write a digest from its lines; it is deleted, and ``False``, if they have been erased."""
    lines = col(OutboxMail.digest) == row.key
    count = session.exec(select(func.count()).where(lines)).one()
    if not count:
        session.delete(row)
        return False
    first = (
        select(OutboxMail.text)
        .where(lines)
        .order_by(col(OutboxMail.created_at), col(OutboxMail.key))
        .limit(digest.MOST_LINES)
    )
    row.subject = digest.subject(count)
    row.text = digest.text(session.exec(first).all(), count)
    return True


def _fail(row: OutboxMail, now: float, error: str) -> None:
    row.failed_at, row.error = now, error
    _empty(row)


def _empty(row: OutboxMail) -> None:
    if row.keep_secs <= 0:
        row.text = row.html = ""


def _storable(text: str) -> str:
    """The text without what PostgreSQL cannot store: NUL and lone surrogates."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()
