"""Filters and positions of the call log, parsed from a URL's query."""

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
"""Days shown by default."""

MAX_DAYS = 366
"""Longest period of one request, in days."""

MAX_TEXT = 200
"""Longest search text, in characters."""

MAX_WORDS = 10
"""Most search words."""

DECISIONS = ("respond", "escalate", "none")
"""Calls with a turn that was answered, that was handed to a person, or that has no decision."""

WHYS = (*REASONS, "open")
"""Why calls ended; ``open`` selects calls in progress."""

_CALL_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_LIKE_ANY_CASE = str.lower, str.upper, str.capitalize


class FilterError(ValueError):
    """A query field is invalid; the message names the field, its value and what is allowed."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Selects calls; all fields that are set must match.

    Parameters:
        since: First UTC day, ``YYYY-MM-DD``.
        until: Last UTC day.
        caller: Part of the caller's address, or of the key their calls are counted by.
        decision: One of :data:`DECISIONS`; empty for any.
        why: One of :data:`WHYS`; empty for any.
        q: Words that must all occur in one turn's question and answer, in any order; or a call id.
    """

    since: str
    until: str
    caller: str = ""
    decision: str = ""
    why: str = ""
    q: str = ""

    @classmethod
    def from_query(cls, query: Mapping[str, str], *, today: date) -> "Filter":
        """Parse the filter of a query; empty fields are not set.

        Args:
            query: Values by field; other fields are ignored.
            today: The current UTC day.

        Raises:
            FilterError: A field is invalid.
        """
        since, until = _day(query, "since"), _day(query, "until")
        until = until or max(today, since or today)
        since = since or until - timedelta(days=DEFAULT_DAYS - 1)
        if since > until:
            raise FilterError(f"since is {since}, later than until, {until}; it must not be.")
        if (until - since).days >= MAX_DAYS:
            days = (until - since).days + 1
            raise FilterError(
                f"since {since} until {until} spans {days} days; at most {MAX_DAYS} are allowed."
            )
        q = _text(query, "q")
        if len(q.split()) > MAX_WORDS:
            raise FilterError(f"q has {len(q.split())} words; at most {MAX_WORDS} are allowed.")
        return cls(
            since=since.isoformat(),
            until=until.isoformat(),
            caller=_text(query, "caller"),
            decision=_choice(query, "decision", DECISIONS),
            why=_choice(query, "why", WHYS),
            q=q,
        )

    def as_dict(self) -> dict[str, str]:
        """The fields, ready for JSON."""
        return asdict(self)

    def conditions(self) -> list[ColumnElement[bool]]:
        """SQL conditions on :class:`ledger.store.tables.Call`."""
        found = [col(Call.day) >= self.since, col(Call.day) <= self.until]
        if self.caller:
            found.append(
                or_(_contains(Call.caller, self.caller), _contains(Call.caller_key, self.caller))
            )
        if self.why == "open":
            found.append(col(Call.ended_at).is_(None))
        elif self.why:
            found.append(col(Call.why) == self.why)
        # Correlated, so that SQLite looks at a call's few turns rather than at every turn in
        # its index of decisions.
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
        """Whether all search words occur in these texts."""
        whole = "\n".join(texts).casefold()
        return all(word.casefold() in whole for word in self.q.split())


@dataclass(frozen=True, slots=True)
class Position:
    """A call's place in the log, which runs from newest to oldest.

    Parameters:
        started_at: When it began, Unix seconds.
        id: Its id, which breaks ties.
    """

    started_at: float
    id: str

    @classmethod
    def parse(cls, text: str) -> "Position":
        """Parse a position.

        Raises:
            FilterError: The text is not a position.
        """
        moment, _, id = text.partition("_")
        try:
            started_at = float(moment)
        except ValueError:
            started_at = math.nan
        if not (math.isfinite(started_at) and _CALL_ID.fullmatch(id)):
            raise FilterError(f"before is {_shown(text)}; allowed: the `next` of a page.")
        return cls(started_at, id)

    def __str__(self) -> str:
        return f"{self.started_at!r}_{self.id}"


def call_id(text: str) -> str:
    """Check a call id from a URL.

    Raises:
        FilterError: The text cannot be a call id.
    """
    if not _CALL_ID.fullmatch(text):
        raise FilterError(
            f"The call id is {_shown(text)}; allowed: up to 32 lower-case letters, digits "
            "and hyphens."
        )
    return text


def whole_number(query: Mapping[str, str], field: str, *, default: int, most: int) -> int:
    """Parse a number from 1 to `most`.

    Raises:
        FilterError: The field is not such a number.
    """
    text = query.get(field, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
        raise FilterError(f"{field} is {_shown(text)}; allowed: a whole number from 1 to {most}.")
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
            f"{field} is {_shown(text)}; allowed: a UTC day such as 2026-11-24, from 1970 on."
        )
    return day


def _text(query: Mapping[str, str], field: str) -> str:
    text = query.get(field, "").strip()
    if len(text) > MAX_TEXT:
        raise FilterError(f"{field} has {len(text)} characters; at most {MAX_TEXT} are allowed.")
    if not text.isprintable():
        raise FilterError(f"{field} is {_shown(text)}; allowed: printable characters.")
    return text


def _choice(query: Mapping[str, str], field: str, allowed: tuple[str, ...]) -> str:
    text = query.get(field, "").strip()
    if text and text not in allowed:
        raise FilterError(f"{field} is {_shown(text)}; allowed: {', '.join(allowed)}.")
    return text


def _contains(column: Any, text: str) -> ColumnElement[bool]:
    """Case-insensitive; SQLite, and PostgreSQL in some locales, fold the case of ASCII only."""
    spelled = {text} if text.isascii() else {change(text) for change in _LIKE_ANY_CASE}
    return or_(*(col(column).icontains(spelling, autoescape=True) for spelling in sorted(spelled)))


def _has_turn(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(and_(col(Turn.call) == col(Call.id), *conditions)).correlate(Call)


def _shown(value: str) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
