"""Writes years, telephone numbers and spelled letters as people write them.

A recogniser may write what is dictated as words ("nineteen forty three", "five, five, five, o,
one") or letter by letter ("C. O. B. O. L.."). The document, and who searches it, have "1943",
"5550…" and "COBOL".
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

_LEAST_DIGITS = 3  # said one by one, that are a dictated number
_LEAST_LETTERS = 3  # said one by one, that are a word spelt

_UNITS = {
    word: str(digit)
    for digit, word in enumerate(
        ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    )
}
_TEENS = {
    word: str(number)
    for number, word in enumerate(
        (
            *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen"),
            *("sixteen", "seventeen", "eighteen", "nineteen"),
        ),
        start=10,
    )
}
_TENS = {
    word: str(10 * number)
    for number, word in enumerate(
        ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"), start=2
    )
}
_CENTURIES = {word: _TEENS[word] for word in ("sixteen", "seventeen", "eighteen", "nineteen")}
_SINGLE = _UNITS | {"o": "0", "oh": "0"}
_REPEATED = {"double": 2, "triple": 3}


def _any(words: Sequence[str]) -> str:
    return f"(?:{'|'.join(sorted(words, key=len, reverse=True))})"


_GAP = "[ -]"
_UNIT = _any([*_UNITS][1:])
_DECADE = rf"{_any([*_TENS])}(?:{_GAP}{_UNIT})?"
_YEAR = re.compile(
    rf"\b(?P<century>{_any([*_CENTURIES, 'twenty'])}){_GAP}"
    rf"(?:(?:hundred(?: and)? )?(?P<rest>{_DECADE}|{_any([*_TEENS])}|(?:o|oh|zero){_GAP}{_UNIT})"
    rf"|hundred(?: and)? (?P<unit>{_UNIT}))\b"
    rf"|\btwo thousand(?: and)? (?P<since>{_DECADE}|{_any([*_TEENS])}|{_UNIT})\b"
    "(?! (?:hundred|thousand))",
    re.IGNORECASE,
)
_PART = rf"{_UNIT} hundred|(?:{_any([*_REPEATED])},? )?(?:{_any([*_SINGLE])}|\d)"
_DIGITS = re.compile(
    rf"(?<![\w.])(?:{_PART})(?:(?:,? |-)(?:{_PART})){{{_LEAST_DIGITS - 1},}}(?!\w)", re.IGNORECASE
)
_LETTERS = re.compile(
    rf"(?<![\w'])[a-z](?:(?:[.,-] ?| )[a-z]){{{_LEAST_LETTERS - 1},}}(?![\w'])(?:\.(?=\.))?",
    re.IGNORECASE,
)
_LETTER = re.compile(r"[a-z]", re.IGNORECASE)


def as_written(text: str, names: Sequence[str] = ()) -> str:
    """Write what was dictated in a transcript as people write it.

    Args:
        text: The transcript.
        names: Names of the document, whose spelling a spelled word gets.
    """
    return _LETTERS.sub(
        lambda found: _word(found.group(), _spellings(tuple(names))),
        _DIGITS.sub(lambda found: _number(found.group()), _YEAR.sub(_year, text)),
    )


def _year(found: re.Match[str]) -> str:
    if found["century"] is None:
        return str(2000 + int(_below_hundred(found["since"])))
    century = (_CENTURIES | {"twenty": "20"})[found["century"].casefold()]
    return f"{century}{_below_hundred(found['rest'] or found['unit']):0>2}"


def _below_hundred(words: str) -> str:
    numbers = _TENS | _TEENS | _SINGLE
    return str(sum(int(numbers[word]) for word in re.split(_GAP, words.casefold())))


def _number(spoken: str) -> str:
    digits = "".join(_digits(re.findall(r"[a-z]+|\d", spoken.casefold())))
    # "One, two, three" counts, and so does "one or two"; "o" alone is no digit.
    return digits if len(digits) > _LEAST_DIGITS or "0" in digits else spoken


def _digits(words: Sequence[str]) -> Iterator[str]:
    times = 1
    for word in words:
        if word in _REPEATED:
            times = _REPEATED[word]
        elif word == "hundred":
            yield "00"
        else:
            yield times * _SINGLE.get(word, word)
            times = 1


def _word(spelled: str, spellings: dict[str, str]) -> str:
    word = "".join(_LETTER.findall(spelled))
    return spellings.get(word.casefold(), word.upper())


@lru_cache(maxsize=16)
def _spellings(names: tuple[str, ...]) -> dict[str, str]:
    words = [
        word for name in names for whole in name.split() for word in (whole, *whole.split("-"))
    ]
    return {word.casefold(): word for word in reversed(words)}
