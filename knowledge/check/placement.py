"""Checks that numbers and names of a sentence stand beside the same words as in its record.

A record may hold several figures: "texts €0.14 a word, subtitles €9 a minute". Each belongs to its
unit, to the word that it numbers ("Room 2"), to its half of a time of day, or to its title.
"""

import re
from collections.abc import Iterator, Sequence

from knowledge.check.meaning import forms, implied
from knowledge.check.reading import Reading, Word
from knowledge.words import STOPWORDS, Token, spaced, stem, tokens

_MONEY = frozenset(
    spaced("pound pounds euro euros dollar dollars cent cents pence kroner kronor krone p percent")
)
_A = frozenset(("a", "an", "per", "each", "every"))
_ONE = frozenset(("a", "an", "one"))
_UNITS = {"minute": 0, "hour": 60, "day": 24, "week": 7, "month": 0, "year": 12}
_BEFORE_DURATION = frozenset(
    spaced("take takes took taking taken for within in is was be lasts last lasted lasting about "
           "almost nearly around roughly only just least most under over after of")
)  # fmt: skip
_PAUSE = re.compile(r"[,;:(]|\.\s")
_CLOCK = re.compile(r"\b(\d{1,2}):(\d\d)\b")
_AT_HOURS = frozenset(spaced("at from until till by to before after between"))
_LAST_HOUR = 12


def misplaced(record: Reading, reading: Reading, words: Sequence[Word], text: str) -> str:
    """What a sentence puts beside another word than its record does; empty if nothing.

    Args:
        record: The record.
        reading: The sentence.
        words: Words of it that the record is to support.
        text: The part of the sentence that has them.
    """
    measures = [word for word in words if word.kind == "measure"]
    return (
        _rates(record, reading, measures)
        or _durations(record, reading, words)
        or _times(record, text, measures, reading)
        or _numbered(record, reading, measures)
        or _titles(record, reading, words)
    )


def _after(reading: Reading, word: Word) -> int:
    """The index of the token after a number, which may be of several words."""
    return word.at + max(1, len(tokens(word.text)))


def _rate(reading: Reading, word: Word) -> str:
    """What a number is a rate of: "word" of "14 cents a word"; empty if of nothing."""
    at = _after(reading, word)
    while at < len(reading.tokens) and reading.tokens[at].key in _MONEY:
        at += 1
    if len(following := reading.tokens[at : at + 2]) < 2:
        return ""
    unit = following[1].text.lower()
    pause = _PAUSE.search(reading.text, reading.tokens[word.at].start, following[1].start)
    return unit if following[0].text.lower() in _A and unit.isalpha() and not pause else ""


def _rates(record: Reading, reading: Reading, measures: Sequence[Word]) -> str:
    theirs = [(word, rate) for word in record.words if word.kind == "measure"
              and (rate := _rate(record, word))]  # fmt: skip
    for word in measures:
        said = _rate(reading, word)
        rates = [rate for other, rate in theirs if other.found & word.found]
        if said and rates and not any(forms(said) & implied(rate) for rate in rates):
            return f"{word.text!r} a {rates[0]}, not a {said}"
    return ""


def _durations(record: Reading, reading: Reading, words: Sequence[Word]) -> str:
    """Whether "a day" stands for another number of days, or for none."""
    places = [word.at for word in words]
    first, last = min(places, default=0), max(places, default=0)
    keys = [token.text.lower() for token in reading.tokens]
    end = min((word.at for word in reading.words if word.at > last), default=len(keys))
    for at in range(max(1, first - 1), min(end, len(keys) - 1)):
        unit, owns, _ = keys[at + 1].partition("'")
        if keys[at] not in _ONE or unit not in _UNITS:
            continue
        if not owns and keys[at - 1] not in _BEFORE_DURATION:
            continue
        if keys[at + 2 : at + 3] and keys[at + 2] in ("and", "or", "after", "later", "before"):
            continue
        theirs = [token.text.lower() for token in record.tokens]
        if unit in theirs or any(f"#{_UNITS[unit]}" in word.found for word in record.words):
            continue
        if others := [word for word in record.words if word.kind == "measure"
                      and _counts_time(record, word)]:  # fmt: skip
            return f"{others[0].text!r}, not a {unit}"
    return ""


def _counts_time(record: Reading, word: Word) -> bool:
    at = _after(record, word)
    return at < len(record.tokens) and record.tokens[at].text.lower().rstrip("s") in _UNITS


def _times(record: Reading, text: str, measures: Sequence[Word], reading: Reading) -> str:
    theirs = [(int(match[1]), match[2]) for match in _CLOCK.finditer(record.text)]
    if not theirs:
        return ""
    for match in _CLOCK.finditer(text):
        hour, minute = int(match[1]), match[2]
        same = [h for h, m in theirs if m == minute and _same_hour(hour, h)]
        if not same:
            return f"no {match[0]!r}"
    plain = _CLOCK.sub(" ", record.text)
    for word in measures:
        after = _after(reading, word)
        following = reading.tokens[after].key if after < len(reading.tokens) else ""
        if (
            word.preposition in _AT_HOURS
            and word.key.isdigit()
            and 0 < int(word.key) <= _LAST_HOUR
            and f"{word.text}:" not in reading.text
            and f":{word.text}" not in reading.text
            and following.rstrip("s") not in _UNITS
            and following not in _MONEY
        ):
            minutes = {m for h, m in theirs if _same_hour(int(word.key), h)}
            if minutes and "00" not in minutes and word.key not in plain:
                return f"another time than {word.text!r}"
    return ""


def _same_hour(said: int, written: int) -> bool:
    return said == written or (said <= _LAST_HOUR and said % 12 == written % 12)


def _numbered(record: Reading, reading: Reading, measures: Sequence[Word]) -> str:
    """Whether a number stands right after a word that has another one: "Room 2" for "Room 5"."""
    theirs = list(_beside(record))
    for word, name, preposition in _beside(reading):
        if word not in measures:
            continue
        there = [other for other, of, p in theirs if of & name and p == preposition]
        if there and not any(other.found & word.found for other in there):
            return f"{there[0].text!r}, not {word.text!r}"
    return ""


def _beside(reading: Reading) -> Iterator[tuple[Word, frozenset[str], str]]:
    """Numbers right after a noun, with its stems, and with the preposition between them if any."""
    by_place = {word.at: word for word in reading.words}
    for word in reading.words:
        if word.kind != "measure" or not word.at:
            continue
        before = word.at - 1
        between = reading.tokens[before].text.lower()
        preposition = between if between in ("from", "under", "over", "aged") else ""
        noun = by_place.get(before - 1 if preposition else before)
        gap = reading.text[reading.tokens[before].start : reading.tokens[word.at].start]
        if noun is None or noun.kind != "word" or noun.verb or noun.key in _MONEY:
            continue
        dated = any(form.startswith("m:") for form in word.found)
        dated = dated or _is_clock(reading, word)
        if dated or _PAUSE.search(gap):
            continue
        yield word, noun.found, preposition


def _is_clock(reading: Reading, word: Word) -> bool:
    start = reading.tokens[word.at].start
    return _CLOCK.match(reading.text, start) is not None


def _titles(record: Reading, reading: Reading, words: Sequence[Word]) -> str:
    """Whether a title stands before another name than in the record: "mayor Lund"."""
    for title, name, *_ in _named(reading.tokens):
        if not any(word.text == name.text for word in words):
            continue
        there = [run for t, *run in _named(record.tokens) if stem(t.key) == stem(title.key)]
        known = any(token.key == name.key for token in record.tokens)
        if there and known and all(n.key != name.key for run in there for n in run):
            return f"{title.text} {there[0][0].text}, not {name.text}"
    return ""


def _named(found: Sequence[Token]) -> Iterator[tuple[Token, ...]]:
    """Each word right before a name, with the words of the name."""
    for at, before in enumerate(found[:-1]):
        if before.text.lower() in STOPWORDS or not before.text.isalpha():
            continue
        end = at + 1
        while end < len(found) and _goes_on(found[end - 1], found[end]):
            end += 1
        if end > at + 1:
            yield tuple(found[at:end])


def _goes_on(before: Token, name: Token) -> bool:
    adjacent = name.start - before.start == len(before.text) + 1
    return adjacent and name.text[:1].isupper() and not name.initial
