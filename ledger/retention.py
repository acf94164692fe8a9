"""Retention: deletes transcripts and recordings after a number of days."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, cast

from loguru import logger
from sqlalchemy import CursorResult, delete, or_, update
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select

from ledger.redaction import redact, remove_older
from ledger.store import spool
from ledger.store.database import Database
from ledger.store.tables import Call, CallerDay, Turn
from settings import Settings

DAY_SECS = 86_400.0

BATCH = 500
"""Turns cleared in one transaction."""

SAID = ("question", "answer", "heard_text", "reason")
"""The text columns of a turn."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What a retention sweep removed.

    Parameters:
        turns: Turns reduced to their figures, and calls whose callers left an address.
        questions: Questions that waited for a person.
        mails: Mails in ``DATA_DIR/outbox``.
        recordings: Recording files.
    """

    turns: int = 0
    questions: int = 0
    mails: int = 0
    recordings: int = 0


class Retention:
    """Removes what is older than ``TRANSCRIPT_DAYS`` and ``RECORDING_DAYS``.

    How often each caller was admitted goes with the day that the limit is for.

    Parameters:
        database: The ledger.
        settings: The retention periods and the data directory; 0 days keeps everything.
        clock: Returns Unix seconds; the system clock by default.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        *,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock or time.time

    def sweep(self) -> Swept:
        """Remove what is too old. Blocks. Failures are logged and retried by the next sweep.

        A turn keeps its figures: decision, sections, delays, tokens, costs, and the titles of
        tools' results.
        """
        folder, now = self._settings.data_dir, self._clock()
        _tried("admissions", self._forget_admissions, now - DAY_SECS)
        swept = Swept()
        if days := self._settings.transcript_days:
            before = now - days * DAY_SECS
            swept = Swept(
                turns=_tried("transcripts", self._blank_turns, before),
                questions=_tried("questions", self._blank_questions, before),
                mails=_tried("mails", remove_older, folder.glob("outbox/*.eml"), before),
            )
            _tried("refused records", self._blank_refused, before)
        if days := self._settings.recording_days:
            files = folder.glob("recordings/*")
            removed = _tried("recordings", remove_older, files, now - days * DAY_SECS)
            swept = replace(swept, recordings=removed)
        if swept != Swept():
            logger.info("retention removed: {}", swept)
        return swept

    def _forget_admissions(self, before: float) -> int:
        day = f"{datetime.fromtimestamp(before, UTC):%Y-%m-%d}"
        with self._database.writing() as session:
            return session.exec(delete(CallerDay).where(col(CallerDay.day) < day)).rowcount

    def _blank_turns(self, before: float) -> int:
        blanked = 0
        while True:
            query = (
                select(Turn)
                .where(
                    col(Turn.at) < before,
                    or_(*(col(getattr(Turn, column)) != "" for column in SAID)),
                )
                .limit(BATCH)
            )
            with self._database.writing() as session:
                turns = session.exec(query).all()
                for turn in turns:
                    for said in SAID:
                        setattr(turn, said, "")
                    turn.checks = [check | {"detail": ""} for check in turn.checks]
                    turn.looked_up = [given | {"text": ""} for given in turn.looked_up or ()]
            blanked += len(turns)
            if len(turns) < BATCH:
                break
        blanked += self._forget_addresses(before)
        if blanked:
            self._database.truncate_log()
        return blanked

    def _forget_addresses(self, before: float) -> int:
        """Remove the addresses that callers left to be answered at."""
        left = update(Call).where(col(Call.started_at) < before, col(Call.reply_to).is_not(None))
        with self._database.writing() as session:
            result = session.connection().execute(left.values(reply_to=None))
        return cast(CursorResult[Any], result).rowcount

    def _blank_questions(self, before: float) -> int:
        def redacted(question: Any) -> Any:
            match question:
                case {"at": str(at), "question": str()} if _seconds(at) < before:
                    return question | {"reason": "", "question": ""}
            return None

        return redact(self._settings.data_dir / "escalations.jsonl", redacted)

    def _blank_refused(self, before: float) -> int:
        def redacted(refusal: Any) -> Any:
            match refusal:
                case {"at": float(at)} if at < before:
                    return refusal | {"why": "", "record": {}}
            return None

        return redact(self._settings.data_dir / spool.FOLDER / spool.REFUSED, redacted)


def _seconds(at: str) -> float:
    """Unix seconds of an ISO time; infinity for anything else, which never expires."""
    try:
        return datetime.fromisoformat(at).timestamp()
    except ValueError:
        return math.inf


def _tried(what: str, remove: Callable[..., int], *given: Any) -> int:
    try:
        return remove(*given)
    except (OSError, ValueError, SQLAlchemyError) as error:
        logger.error("retention could not remove old {}: {}", what, type(error).__name__)
        return 0
