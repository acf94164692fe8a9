"""Takes numbers out of a sentence that follow from the rest of it.

"From 1944 to 1949, five years" says no more than "from 1944 to 1949", "in 1931 and ten years later"
means 1931 and 1941, and "two nicknames: Amazing Grace and Grandma COBOL" gives the two.
"""

import re
from collections.abc import Sequence

from knowledge.claims import YEAR, numbers

_COUNT = (
    r"(?P<count>\d{1,2}|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|"
    r"fifteen|sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty)"
)
_YEARS_LONG = re.compile(
    rf"(?:\bfor |\bspent |\bduring )?(?:\b(?:about|around|roughly|nearly|almost|some|the|those) )*"
    rf"\b{_COUNT}[- ]years?\b(?! (?:later|earlier|before|after|ago|old|of age|prior))"
    r"(?: (?:in total|altogether|there|long))?,?",
    re.IGNORECASE,
)
_YEARS_LATER = re.compile(
    rf"\b{_COUNT} years (?P<way>later|after that|earlier|before that)\b", re.I
)
_LISTED = re.compile(
    rf"\b(?:{_COUNT}|several|various|a number of|a few) (?=(?:[\w-]+ ){{0,2}}[\w-]+s\b"
    r"(?P<mark>:|,? including| such as|, namely) (?P<items>[^;:.]+))",
    re.IGNORECASE,
)
_MARKS = (":", "including", "such as", "namely")
_ITEMS = re.compile(r",? and |, | as well as ")
_LONG_AGO = 60  # years; no span of a life's work is longer


def reckoned(sentence: str) -> str:
    """The sentence without the numbers that it reckons from its own years and lists.

    A number that does not fit stays, and needs support like any other.
    """
    years = sorted({int(year) for year in YEAR.findall(sentence)})
    if len(years) == 1:
        sentence = _YEARS_LATER.sub(lambda match: _then(match, years[0]), sentence)
    elif len(years) == 2:  # the two ends of a span
        sentence = _YEARS_LONG.sub(lambda match: _span(match, years), sentence)
    if any(mark in sentence for mark in _MARKS):
        sentence = _LISTED.sub(_list, sentence)
    return sentence


def _number(match: re.Match[str]) -> int:
    return int(next(iter(numbers(match["count"])), "0"))


def _then(match: re.Match[str], year: int) -> str:
    count = _number(match)
    if not 0 < count <= _LONG_AGO:
        return match[0]
    later = match["way"].lower() in ("later", "after that")
    return f"in {year + count if later else year - count}"


def _span(match: re.Match[str], years: Sequence[int]) -> str:
    return "" if _number(match) == years[1] - years[0] else match[0]


def _list(match: re.Match[str]) -> str:
    items = [item for item in _ITEMS.split(match["items"]) if any(map(str.isalnum, item))]
    if match["count"] is None:
        return "" if len(items) > 1 else match[0]
    exact = match["mark"] in (":", ", namely")
    return "" if exact and len(items) == _number(match) else match[0]
