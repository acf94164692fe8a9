"""Extracts the days, dates and times of day of a text, as sets that can be compared.

``Mon-Fri``, ``daily except Tuesdays`` and ``weekends`` are the days they mean; ``the fifth of
June`` and ``5 June`` are one date; ``half past eight`` and ``20:30`` can be one time.
"""

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass

from knowledge.claims import MONTHS
from knowledge.words import spaced

Date = tuple[int, int]
"""Month and day; 0 where the text leaves one open."""

DAYS = spaced("monday tuesday wednesday thursday friday saturday sunday")
_DAY_NAMES = {
    name: number
    for number, names in enumerate(
        (
            "monday mon mondays",
            "tuesday tue tues tuesdays",
            "wednesday wed weds wednesdays",
            "thursday thu thur thurs thursdays",
            "friday fri fridays",
            "saturday sat saturdays",
            "sunday sun sundays",
        )
    )
    for name in names.split()
}
_ORDINALS = {
    word: number
    for number, word in enumerate(
        spaced(
            "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth "
            "thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
        ),
        start=1,
    )
} | {"thirtieth": 30}
_HOURS = {
    word: number
    for number, word in enumerate(
        spaced("one two three four five six seven eight nine ten eleven twelve"), start=1
    )
} | {"noon": 12, "midnight": 24}
_DAY = rf"(?:{'|'.join(sorted(_DAY_NAMES, key=len, reverse=True))})\.?"
_MONTH = rf"(?:{'|'.join(sorted(MONTHS, key=len, reverse=True))})"
_DAY_RANGE = re.compile(rf"\b({_DAY})\s*(?:-|to|till|until|through)\s*({_DAY})(?!\w)")
_ONE_DAY = re.compile(rf"\b({_DAY})(?!\w)")
_NOT_DAYS = re.compile(rf"\b(?:except|but not|not)(?: on)? ((?:{_DAY}(?:,? and |, |/)?)+)")
_DATE = re.compile(
    rf"\b(\d{{1,2}})(?:st|nd|rd|th)?\.?(?: of)? ({_MONTH})\b"
    rf"|\b({_MONTH})\.? (?:the )?(\d{{1,2}})(?:st|nd|rd|th)?\b(?!:)"
    r"|\b\d{4}-(\d{2})-(\d{2})\b"
)
_BARE_DATE = re.compile(r"\b(?:on|for|about|until|by) the (\d{1,2})(?:st|nd|rd|th)\b")
_TIME = re.compile(
    r"\b([01]?\d|2[0-4])[:.h]([0-5]\d)\b\s*([ap]\.?m\b)?|\b(1[0-2]|[1-9])\s*([ap]\.?m)\b"
)
_HOUR = rf"(?:{'|'.join(_HOURS)}|1[0-2]|[1-9])"
_SPOKEN_TIME = re.compile(
    rf"\b(half past|quarter past|quarter to|ten past|twenty past|ten to|twenty to) ({_HOUR})\b"
    rf"|\b(?:at|by|from|until|till|before|after) ({_HOUR})(?: o'?clock)?\b"
    rf"(?! (?:days?|weeks?|months?|years?|hours?|minutes?|people|euros?|pounds?))"
    rf"|\b({_HOUR}) o'?clock\b|\b(noon|midnight)\b"
)
_SHIFT = {
    "half past": 30, "quarter past": 15, "quarter to": -15, "ten past": 10, "twenty past": 20,
    "ten to": -10, "twenty to": -20,
}  # fmt: skip

_HOLIDAYS = {
    "christmas eve": "24 December", "christmas day": "25 December", "boxing day": "26 December",
    "new year's eve": "31 December", "new year's day": "1 January",
    "valentine's day": "14 February", "halloween": "31 October",
}  # fmt: skip
_HOLIDAY = re.compile(rf"\b(?:{'|'.join(_HOLIDAYS)})\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Moments:
    """Days, dates and times that a text mentions.

    Parameters:
        days: Days of the week, Monday being 0.
        dates: Dates, each as month and day.
        times: Times of day in minutes; an hour without "morning" or "evening" counts as both.
    """

    days: frozenset[int]
    dates: frozenset[Date]
    times: frozenset[int]

    @property
    def any(self) -> bool:
        """Whether it mentions one at all."""
        return bool(self.days or self.dates or self.times)


def moments(text: str) -> Moments:
    """Extract the days, dates and times of a text."""
    flat = re.sub(r"\s*[\u2010-\u2015]\s*", "-", _dated(text).lower())
    flat = re.sub(
        r"\b(twenty|thirty)[ -](\w+)\b",
        lambda m: (
            f"{20 if m[1] == 'twenty' else 30} {m[2]}"
            if m[2] not in _ORDINALS or _ORDINALS[m[2]] > 9
            else f"{(20 if m[1] == 'twenty' else 30) + _ORDINALS[m[2]]}th"
        ),
        flat,
    )
    flat = re.sub(
        rf"\b({'|'.join(_ORDINALS)})\b(?= of {_MONTH}\b)"
        rf"|(?<=the )\b({'|'.join(_ORDINALS)})\b(?=\W*$)"
        rf"|(?<=\w )\b({'|'.join(_ORDINALS)})\b(?= {_MONTH}\b)",
        lambda m: f"{_ORDINALS[m[0]]}th",
        flat,
    )
    flat = re.sub(
        rf"\b({_MONTH}) (?:the )?({'|'.join(_ORDINALS)})\b",
        lambda m: f"{m[1]} {_ORDINALS[m[2]]}",
        flat,
    )
    return Moments(_days(flat), _dates(flat), _times(flat))


def as_written(text: str, times: Set[int]) -> str:
    """Rewrite the dates and times of a question in the form that documents use.

    Parameters:
        text: "Who talks at half past eight?", "Are you open on Christmas Day?"
        times: The document's times, in minutes, which tell morning from evening; other times are
            left unchanged.
    """

    def clock(match: re.Match[str]) -> str:
        meant = _times(match[0].lower()) & times
        if len(meant) != 1:
            return match[0]
        before = re.match(r"(?:at|by|from|until|till|before|after)\b", match[0], re.IGNORECASE)
        said = f"{min(meant) // 60}:{min(meant) % 60:02}"
        return f"{before[0]} {said}" if before else said

    return re.sub(_SPOKEN_TIME.pattern, clock, _dated(text), flags=re.IGNORECASE)


_SPAN = re.compile(
    rf"\b(?:from )?({_MONTH})\b\.?\s*(?:to|until|till|through|-|\u2013|\u2014)\s*"
    rf"(?:\d{{1,2}} )?({_MONTH})\b"
    rf"|\bbetween ({_MONTH})\b\.? and ({_MONTH})\b",
    re.IGNORECASE,
)
_BARE_MONTH = re.compile(
    rf"\b(?:in|during|for)\s+({_MONTH})\b(?!\.?\s*(?:\d|to\b|until\b|-))", re.IGNORECASE
)


def seasons(text: str) -> dict[str, frozenset[int]]:
    """The spans of months that a text names, as written: "from May to September"."""
    found: dict[str, frozenset[int]] = {}
    for match in _SPAN.finditer(text):
        first, last = (MONTHS[name.lower()] for name in match.groups() if name)
        after = range((last - first) % 12 + 1)
        found[match[0]] = frozenset((first - 1 + months) % 12 + 1 for months in after)
    return found


def in_season(text: str, spans: Mapping[str, Set[int]]) -> str:
    """Rewrite a month of a question as the span that a document names, if only one includes it.

    "Are you open in June?" and "April to October: 9 to 18" share no word.
    """

    def season(match: re.Match[str]) -> str:
        month = MONTHS[match[1].lower()]
        including = [written for written, months in spans.items() if month in months]
        return including[0] if len(including) == 1 else match[0]

    return _BARE_MONTH.sub(season, text)


def _dated(text: str) -> str:
    """Replace each holiday that has a fixed date by that date."""
    plain = text.replace("\u2019", "'")
    return _HOLIDAY.sub(lambda match: _HOLIDAYS[match[0].lower()], plain)


def _days(flat: str) -> frozenset[int]:
    found: set[int] = set()
    if re.search(r"\b(?:daily|every day|each day|seven days a week)\b", flat):
        found |= set(range(7))
    if re.search(r"\bweekdays?\b|\bworking days\b", flat):
        found |= set(range(5))
    if re.search(r"\bweekends?\b", flat):
        found |= {5, 6}
    not_ = {day for run in _NOT_DAYS.findall(flat) for day in _named(run)}
    if not_ and not found:
        found = set(range(7))
    rest = _NOT_DAYS.sub(" ", flat)
    for first, last in _DAY_RANGE.findall(rest):
        low, high = _DAY_NAMES[first.rstrip(".")], _DAY_NAMES[last.rstrip(".")]
        found |= {day % 7 for day in range(low, high + 1 if high >= low else high + 8)}
    found |= set(_named(rest))
    return frozenset(found - not_)


def _named(text: str) -> list[int]:
    return [_DAY_NAMES[name.rstrip(".")] for name in _ONE_DAY.findall(text)]


def _dates(flat: str) -> frozenset[Date]:
    found: set[Date] = set()
    for match in _DATE.finditer(flat):
        day, month, month_first, day_after, iso_month, iso_day = match.groups()
        if iso_month:
            found.add((int(iso_month), int(iso_day)))
        else:
            found.add((MONTHS[month or month_first], int(day or day_after)))
    for match in re.finditer(
        rf"\b(\d{{1,2}}) ?(?:to|-|and|until) ?(\d{{1,2}})(?:st|nd|rd|th)? ({_MONTH})\b", flat
    ):
        low, high, month = int(match[1]), int(match[2]), MONTHS[match[3]]
        found |= {(month, day) for day in range(low, min(high, 31) + 1)}
    found |= {(0, int(day)) for day in _BARE_DATE.findall(flat)}
    return frozenset(found)


def _times(flat: str) -> frozenset[int]:
    found: set[int] = set()
    for match in _TIME.finditer(flat):
        hour, minute, half, hour_alone, half_alone = match.groups()
        value = int(hour or hour_alone) * 60 + int(minute or 0)
        half = (half or half_alone or "").replace(".", "")
        if half == "pm" and value < 720:
            value += 720
        found.add(value)
    for match in _SPOKEN_TIME.finditer(flat):
        shift, shifted, plain, clock, named = match.groups()
        word = shifted or plain or clock or named
        base = (_HOURS.get(word) or int(word)) * 60 + _SHIFT.get(shift or "", 0)
        found.add(base % 1440)
        if word not in ("noon", "midnight"):
            found.add((base + 720) % 1440)
    return frozenset(found)


def fits(asked: Moments, said: Moments) -> int:
    """How well the moments of a text fit those of a question: -1 to 1; 0 if either has none."""
    found = 0
    if asked.dates:
        if said.dates:
            found = (
                1 if any(_same(date, other) for date in asked.dates for other in said.dates) else -1
            )
        elif said.days and asked.days:
            found = 1 if asked.days & said.days else -1
    elif asked.days and said.days:
        found = 1 if asked.days & said.days else -1
    if found >= 0 and asked.times and said.times:
        found = 1 if asked.times & said.times else found
    return found


def _same(one: Date, other: Date) -> bool:
    return one[1] == other[1] and (one[0] == other[0] or not one[0] or not other[0])
