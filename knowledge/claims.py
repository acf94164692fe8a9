"""Extracts the checkable claims of a text: numbers, dates and proper names."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from knowledge.words import Token, spaced, stem, token_keys, tokens

ClaimKind = Literal["number", "decade", "century", "month", "name"]

_UNITS = {
    word: value
    for value, word in enumerate(
        spaced(
            "zero one two three four five six seven eight nine ten eleven twelve thirteen "
            "fourteen fifteen sixteen seventeen eighteen nineteen"
        )
    )
}
_TENS = {
    word: value
    for value, word in zip(
        range(20, 100, 10),
        spaced("twenty thirty forty fifty sixty seventy eighty ninety"),
        strict=True,
    )
}
_ORDINALS = {
    word: value
    for value, word in enumerate(
        spaced(
            "zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh "
            "twelfth thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth"
        )
    )
} | {
    word: value
    for value, word in zip(
        range(20, 100, 10),
        spaced("twentieth thirtieth fortieth fiftieth sixtieth seventieth eightieth ninetieth"),
        strict=True,
    )
}
_DECADES = {re.sub("y$", "ies", word): value for word, value in _TENS.items()}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_SCALES |= {f"{word}th": value for word, value in _SCALES.items()}
_SPOKEN = {**_UNITS, **_TENS, **_ORDINALS}

MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan",
            "february feb",
            "march mar",
            "april apr",
            "may",
            "june jun",
            "july jul",
            "august aug",
            "september sept sep",
            "october oct",
            "november nov",
            "december dec",
        ),
        start=1,
    )
    for name in names.split()
}
YEAR = re.compile(r"\b(1[5-9]\d\d|20\d\d)\b")
"""A year in digits, from 1500 to 2099."""
_SHORT_MONTH = 4  # letters of SEPT
_ROMAN = re.compile(r"(?=[IVX])(X{0,3})(IX|IV|V?I{0,3})$")

# Capitalized words that are not names: the speaker, and forms of address.
_NOT_NAMES = frozenset(spaced("i im ive id ill ai ok okay mr mrs ms"))

# Words that may open a sentence without being names.
_OPENERS = frozenset(
    spaced("""
        ask hello hi hey goodbye bye welcome let feel good great a about above across according
        additionally after afterward afterwards again against ago all along already also although
        always am among an and another any anyone anything apart are around as at away back be
        because been before began begin being below beneath beside besides between beyond born
        both but by can certainly could despite did do does due during each earlier early either
        even eventually ever every everyone everything except exactly few finally first following
        for former formerly fortunately from further furthermore generally given had half has
        have he her here hers him his hence how however i if in indeed initially inside instead
        into is it its itself just last lastly late later least less like long many may maybe me
        meanwhile might mine more moreover most mostly much must my near nearly neither never
        nevertheless new next no nobody none nor not nothing notably now of off officially often
        oh old on once one only onto opposite or originally other others otherwise our out
        outside over overall own part partly per perhaps please plus possibly prior probably
        quite rather regarding right same second several shall she should shortly similarly since
        so some someone something sometimes somewhere soon sorry still subsequently such sure
        than thank thanks that the their theirs them then there thereafter therefore these they
        thing third this those though through throughout thus till to today together too toward
        towards two under unfortunately unlike until up upon us usually very was we well were
        what whatever when whenever where whereas wherever whether which while who whoever whom
        whose why will with within without won would yes yet you your yours three four five six
        seven eight nine ten twenty
    """)
)


@dataclass(frozen=True, slots=True)
class Claim:
    """A checkable claim of a text.

    Parameters:
        kind: Kind of claim.
        value: Normalized value: ``"1934"``, ``"12"`` for December, ``"yale"``.
        text: As written.
    """

    kind: ClaimKind
    value: str
    text: str


def extract_claims(text: str) -> tuple[Claim, ...]:
    """Extract the numbers, dates and proper names of a text, in order.

    ``one`` and ``first`` are left out, since they are mostly pronoun and adverb. A capitalized word
    that opens a sentence is a name unless it is a common opener.
    """
    return _claims_of(text, strict=True)


def numbers(text: str) -> frozenset[str]:
    """All numbers that a text mentions in any form, including ``one`` and ``first``."""
    found: set[str] = set()
    for claim in _claims_of(text, strict=False):
        if claim.kind in ("number", "decade", "century"):
            found.add(claim.value)
    # The short end of a range: 1944-49 mentions 1949.
    for start, end in re.findall(r"\b(\d{4})\s*[-\u2012-\u2015/]\s*(\d{2})\b(?!-)", text):
        found.add(start[:2] + end)
    return frozenset(found)


def months(text: str) -> frozenset[str]:
    """Numbers of the months that a text mentions."""
    return frozenset(c.value for c in _claims_of(text, strict=False) if c.kind == "month")


def years(text: str) -> tuple[int, ...]:
    """Years that a text mentions, in order; a decade counts as its first year."""
    return tuple(
        int(value)
        for value in (
            claim.value.rstrip("s")
            for claim in _claims_of(text, strict=False)
            if claim.kind in ("number", "decade")
        )
        if re.fullmatch(r"(?:1[0-9]|20)\d\d", value)
    )


def measures(words: Sequence[Token]) -> Iterator[tuple[int, int, tuple[Claim, ...]]]:
    """Find numbers and dates: for each its position, its length in words, and its claims.

    ``one``, ``first``, ``second`` and ``zero`` count only beside another number.
    """
    at = 0
    while at < len(words):
        taken, found = _number(words, at, strict=True)
        if taken:
            following = words[at + taken].key if at + taken < len(words) else ""
            if following in ("century", "centuries"):
                found = [Claim("century", claim.value, claim.text) for claim in found]
            yield at, taken, tuple(found)
        elif _is_month(words, at):
            yield at, 1, (Claim("month", str(MONTHS[words[at].key]), words[at].text),)
        at += taken or 1


@lru_cache(maxsize=2048)
def _claims_of(text: str, *, strict: bool) -> tuple[Claim, ...]:
    return tuple(_claims(tokens(text), strict=strict))


def _claims(words: Sequence[Token], *, strict: bool) -> Iterator[Claim]:
    at = 0
    while at < len(words):
        token = words[at]
        taken, found = _number(words, at, strict=strict)
        if taken:
            following = words[at + taken].key if at + taken < len(words) else ""
            for claim in found:
                if claim.kind == "number" and following in ("century", "centuries"):
                    yield Claim("century", claim.value, claim.text)
                else:
                    yield claim
            at += taken
            continue
        if _is_month(words, at):
            yield Claim("month", str(MONTHS[token.key]), token.text)
        elif token.capital and _is_name(words, at):
            yield Claim("name", token.key, token.text)
        at += 1


def _number(words: Sequence[Token], at: int, *, strict: bool) -> tuple[int, list[Claim]]:
    """The length in tokens of the number at ``at``, and its claims."""
    token = words[at]
    text = token.text
    if match := re.fullmatch(r"(\d{4})-(\d{2})(?:-(\d{2}))?", text):
        year, month, day = match.groups()
        found = [Claim("number", year, text), Claim("month", str(int(month)), text)]
        if day:
            found.append(Claim("number", str(int(day)), text))
        return 1, found
    if match := re.fullmatch(r"(\d+)s", text):
        return 1, [Claim("decade", f"{match[1]}s", text)]
    if match := re.fullmatch(r"(\d[\d,]*(?:\.\d+)?)(?:st|nd|rd|th)?", text):
        value = float(match[1].replace(",", ""))
        taken = 1
        while at + taken < len(words) and words[at + taken].key in _SCALES:
            value *= _SCALES[words[at + taken].key]
            taken += 1
        return taken, [Claim("number", _canonical(value), text)]
    if _is_roman(words, at):
        return 1, [Claim("number", str(_roman(text)), text)]
    return _spoken(words, at, strict=strict)


def _spoken(words: Sequence[Token], at: int, *, strict: bool) -> tuple[int, list[Claim]]:
    flat = [
        (half, index)
        for index in range(at, min(at + 16, len(words)))
        for half in words[index].text.lower().split("-")
    ]
    total = current = 0
    used = 0
    seen = False
    for spot, (word, index) in enumerate(flat):
        after = flat[spot + 1][0] if spot + 1 < len(flat) else ""
        if word in _DECADES:
            value = current * 100 + _DECADES[word] if seen else _DECADES[word]
            return index + 1 - at, [Claim("decade", f"{value}s", words[index].text)]
        if word in _SPOKEN:
            value = _SPOKEN[word]
            if not seen or (total and not current):
                current = value
            elif (
                10 <= current <= 99
                and value >= 10
                and (current <= 20 or current % 10 or value < 20)
            ):
                current = current * 100 + value  # nineteen thirty, twenty sixteen
            elif (value < 10 and current % 10 == 0 and current % 100 > 10) or (
                current and current % 100 == 0
            ):
                current += value
            else:
                break
        elif word in _SCALES and seen:
            if _SCALES[word] == 100:
                current *= 100
            else:
                total += current * _SCALES[word]
                current = 0
        elif word in ("oh", "o") and 10 <= current <= 20 and after in _UNITS:
            current *= 100
        elif word == "and" and seen and (current + total) % 100 == 0 and after in _SPOKEN:
            continue
        else:
            break
        seen = True
        used = index + 1 - at
    if not seen:
        return 0, []
    written = " ".join(word.text for word in words[at : at + used])
    if strict and written.lower() in ("one", "first", "zero", "second"):
        return 0, []
    return used, [Claim("number", str(total + current), written)]


def _is_month(words: Sequence[Token], at: int) -> bool:
    token = words[at]
    if token.key not in MONTHS or not token.capital:
        return False
    beside = [words[i].text for i in (at - 1, at + 1) if 0 <= i < len(words)]
    dated = any(re.match(r"\d", word) for word in beside)
    if token.text.isupper() and len(token.text) <= _SHORT_MONTH:
        return dated  # DEC, SEP and MAR are also companies
    return token.key not in ("may", "march", "mar") or not token.initial or dated


def _is_name(words: Sequence[Token], at: int) -> bool:
    token = words[at]
    if token.key in _NOT_NAMES:
        return False
    if not token.initial:
        return True
    if any(letter.isupper() for letter in token.text[1:]):
        return True
    if token.key in _OPENERS or token.text.lower().split("'")[0] in _OPENERS:
        return False
    return not token.key.endswith("ly")


def _is_roman(words: Sequence[Token], at: int) -> bool:
    text = words[at].text
    if not _ROMAN.match(text):
        return False
    before = words[at - 1] if at else None
    named = (
        before is not None
        and before.capital
        and before.key not in _OPENERS
        and not words[at].initial
    )
    return named if len(text) == 1 else True


def _roman(text: str) -> int:
    values = {"I": 1, "V": 5, "X": 10}
    amounts = [values[letter] for letter in text]
    return sum(
        -amount if any(amount < later for later in amounts[spot + 1 : spot + 2]) else amount
        for spot, amount in enumerate(amounts)
    )


def _canonical(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def word_forms(text: str) -> frozenset[str]:
    """All keys and stems of the words of a text."""
    found: set[str] = set()
    for token in tokens(text):
        for part in token_keys(token):
            found.add(part)
            found.add(stem(part))
    return frozenset(found)
