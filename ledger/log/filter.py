"""Which calls of the log are asked for, and from which one on: read from an address's query."""

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, or_
from sqlmodel import col

from ledger.store.tables import Call, Turn
from pipeline.call import REASONS

DEFAULT_DAYS = 30
"""Days of the log that are shown when nobody says which."""

MAX_DAYS = 366
"""Most days that are looked through at once."""

MAX_TEXT = 200
"""Longest text to look for, in characters."""

MAX_WORDS = 10
"""Most words to look for at once."""

DECISIONS = ("respond", "escalate", "none")
"""Calls with a turn that was answered, with one that was handed to a human, without a decision."""

WHYS = (*REASONS, "open")
"""Why a call can have ended, and the calls that go on."""

_CALL_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_LIKE_ANY_CASE = str.lower, str.upper, str.capitalize


class FilterError(ValueError):
    """It cannot be looked up; the text names the field, its value and what is allowed."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which calls: all that is set must hold.

    Parameters:
        since: The first UTC day, ``YYYY-MM-DD``.
        until: The last one.
        caller: A part of the caller's address, or of what their calls are counted by.
        decision: One of :data:`DECISIONS`; empty for any.
        why: One of :data:`WHYS`; empty for any.
        q: Words that all occur in one turn's question and answer, in any order; or a call's id.
    """

    since: str
    until: str
    caller: str = ""
    decision: str = ""
    why: str = ""
    q: str = ""

    @classmethod
    def read(cls, query: Mapping[str, str], *, today: date) -> "Filter":
        """The filter of a query; a field that is empty is not set.

        Args:
            query: By field name; what is no field of a filter is not looked at.
            today: The UTC day.

        Raises:
            FilterError: A field has a value that it may not have.
        """
        since, until = _day(query, "since"), _day(query, "until")
        until = until or max(today, since or today)
        since = since or until - timedelta(days=DEFAULT_DAYS - 1)
        if since > until:
            raise FilterError(f"since is {since}, after until, {until}; it may not be later.")
        if (until - since).days >= MAX_DAYS:
            days = (until - since).days + 1
            raise FilterError(
                f"since {since} until {until} are {days} days; {MAX_DAYS} at most at once."
            )
        q = _text(query, "q")
        if len(q.split()) > MAX_WORDS:
            raise FilterError(f"q has {len(q.split())} words; {MAX_WORDS} at most.")
        return cls(
            since=since.isoformat(),
            until=until.isoformat(),
            caller=_text(query, "caller"),
            decision=_choice(query, "decision", DECISIONS),
            why=_choice(query, "why", WHYS),
            q=q,
        )

    def as_dict(self) -> dict[str, str]:
        """Its fields, ready for JSON."""
        return asdict(self)

    def conditions(self) -> list[ColumnElement[bool]]:
        """What holds for the rows of :class:`ledger.store.tables.Call` that are meant."""
        found = [col(Call.day) >= self.since, col(Call.day) <= self.until]
        if self.caller:
            found.append(
                or_(_contains(Call.caller, self.caller), _contains(Call.caller_key, self.caller))
            )
        if self.why == "open":
            found.append(col(Call.ended_at).is_(None))
        elif self.why:
            found.append(col(Call.why) == self.why)
        # A call's few turns are looked at, not all of the ledger's turns with that decision, to
        # which SQLite would go by the index on it.
        decision = func.coalesce(col(Turn.decision), "")
        if self.decision == "none":
            found.append(~_has_turn(decision != ""))
        elif self.decision:
            found.append(_has_turn(decision == self.decision))
        if self.q:
            said = [
                or_(_contains(Turn.question, word), _contains(Turn.answer, word))
                for word in self.q.split()
            ]
            found.append(or_(col(Call.id) == self.q.lower(), _has_turn(*said)))
        return found

    def matches(self, *texts: str) -> bool:
        """Whether all words looked for occur in these texts."""
        whole = "\n".join(texts).casefold()
        return all(word.casefold() in whole for word in self.q.split())


@dataclass(frozen=True, slots=True)
class Position:
    """A call's place in the log, which runs from the newest to the oldest.

    Parameters:
        started_at: When it began, Unix seconds.
        id: Its id, which orders calls that began at the same moment.
    """

    started_at: float
    id: str

    @classmethod
    def read(cls, text: str) -> "Position":
        """The place that a text names.

        Raises:
            FilterError: It names none.
        """
        moment, _, id = text.partition("_")
        try:
            started_at = float(moment)
        except ValueError:
            started_at = math.nan
        if not (math.isfinite(started_at) and _CALL_ID.fullmatch(id)):
            raise FilterError(f"before is {_shown(text)}; only what `next` of a page says may be.")
        return cls(started_at, id)

    def __str__(self) -> str:
        return f"{self.started_at!r}_{self.id}"


def call_id(text: str) -> str:
    """A call's id, as it may stand in an address.

    Raises:
        FilterError: No call has such an id.
    """
    if not _CALL_ID.fullmatch(text):
        raise FilterError(
            f"The call's id is {_shown(text)}; up to 32 small letters, digits and hyphens may be."
        )
    return text


def whole_number(query: Mapping[str, str], field: str, *, default: int, most: int) -> int:
    """A number from 1 to `most`.

    Raises:
        FilterError: It is none.
    """
    text = query.get(field, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
        raise FilterError(f"{field} is {_shown(text)}; a whole number from 1 to {most} may be.")
    return int(text)


def _day(query: Mapping[str, str], field: str) -> date | None:
    text = query.get(field, "").strip()
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text or day.year < 1970:
        raise FilterError(
            f"{field} is {_shown(text)}; a UTC day as 2026-11-24, from 1970 on, may be."
        )
    return day


def _text(query: Mapping[str, str], field: str) -> str:
    text = query.get(field, "").strip()
    if len(text) > MAX_TEXT:
        raise FilterError(f"{field} has {len(text)} characters; {MAX_TEXT} at most.")
    if not text.isprintable():
        raise FilterError(f"{field} is {_shown(text)}; only characters that can be seen may be.")
    return text


def _choice(query: Mapping[str, str], field: str, allowed: tuple[str, ...]) -> str:
    text = query.get(field, "").strip()
    if text and text not in allowed:
        raise FilterError(f"{field} is {_shown(text)}; allowed: {', '.join(allowed)}.")
    return text


def _contains(column: Any, text: str) -> ColumnElement[bool]:
    """Whatever the case; SQLite, and PostgreSQL in some locales, folds that of ASCII only."""
    spelled = {text} if text.isascii() else {change(text) for change in _LIKE_ANY_CASE}
    return or_(*(col(column).icontains(one, autoescape=True) for one in sorted(spelled)))


def _has_turn(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(and_(col(Turn.call) == col(Call.id), *conditions)).correlate(Call)


def _shown(value: str) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
