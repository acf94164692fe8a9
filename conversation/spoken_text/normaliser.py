# ruff: noqa: RUF001, RUF002 - signs that look like others are meant; tables.
"""Turns a shown text into the text to speak, and aligns the two."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from conversation.spoken_text import addresses, amounts, letters, times
from conversation.spoken_text.amounts import DASH
from conversation.spoken_text.english import AmericanEnglish, English
from conversation.spoken_text.german import German
from conversation.spoken_text.language import Language
from conversation.spoken_text.numbers import to_roman
from conversation.spoken_text.rule import LATIN, LETTER, Kind, Place, Rule, name_of, one_of
from conversation.spoken_text.spoken import Span, SpokenText

_LANGUAGES: dict[str, type[Language]] = {"en": English, "en-us": AmericanEnglish, "de": German}

_CANDIDATE = re.compile(
    rf"(?P<word>{LATIN}(?:{LATIN}|[\u0300-\u036f])*|{LETTER})|(?P<digit>\d)"
    r"|(?P<sign>[^\s\w.,;:!?\"'()\[\]{}\u2010-\u2015\u2018-\u201f\u2026\u00ab\u00bb\u2039\u203a\u00b7\u2022-]"
    r"|[_\u00aa\u00b5\u00ba½²³¹¼¾\u2070-\u209f\u2150-\u218f]|[-\u2013](?=\s?[\d€£$.])|(?<!\S)-(?=[a-zA-Z](?:[\s,.;]|$)|-[a-z])|['’](?=\d\d)|\((?=\+?\d)|\.(?=\d)"
    r"|(?<![\w.)\]])\.(?=[A-Za-z])"
    r"|->|[!]=)"
)
_LATIN = re.compile(LATIN)
_JOINS = re.compile(rf"^{DASH}$")
_BY = re.compile(r"^\s?[x×*]\s?$")
_EQUALS = re.compile(r"\s?=")
_ENDS = frozenset(" \n,;!?'’\")”")
_SKIPPED = frozenset(["Mn", "Me", "Cf", "Cc", "Co", "Cs", "Cn", "Sk"])


class _Piece(NamedTuple):
    start: int
    end: int
    words: str
    kind: Kind = "other"


class Normaliser:
    """Turns numbers, money, dates, addresses, symbols and abbreviations into words.

    Plain words stay as they are, so that a second pass changes nothing.

    Args:
        language: As a document names it, e.g. ``"en"`` (British), ``"en-US"``, ``"de-AT"``. In a
            language without rules of its own, nothing is changed: a wrong word is worse than what
            the voice makes of it.
        keep: Words that are left as they are, whatever they look like, because somebody else says
            how they sound.
    """

    def __init__(self, language: str = "en", *, keep: Iterable[str] = ()) -> None:
        self._rules = _rules_of(language)
        kept = [word for word in keep if word]
        self._keep = re.compile(rf"(?<!\w){one_of(kept)}(?!\w)", re.IGNORECASE) if kept else None

    def __call__(self, shown: str) -> SpokenText:
        """Normalise a text.

        Args:
            shown: One sentence or several; plain text without markup.
        """
        if self._rules is None:
            return SpokenText(shown, shown)
        pieces = self._find(_one_form(shown), self._rules)
        return _assemble(shown, _ranges(shown, pieces, self._rules.language))

    def _find(self, text: str, rules: "_Rules") -> list[_Piece]:
        pieces, position = [], 0
        kept = [match.span() for match in self._keep.finditer(text)] if self._keep else []
        while candidate := _CANDIDATE.search(text, position):
            start = candidate.start()
            if kept and kept[0][0] <= start:
                position = max(position, kept.pop(0)[1])
                continue
            if piece := _piece(text, candidate, rules):
                pieces.append(piece)
                position = piece.end
            else:
                position = candidate.end()
        return pieces


_OTHERS_KNOWN = frozenset(
    ["localhost", "www", "http", "https", "mailto", *(to_roman(n).lower() for n in range(2, 40))]
)
"""Words in no table of a language's that may need a rule."""


class _Rules(NamedTuple):
    language: Language
    word: Sequence[Rule]
    digit: Sequence[Rule]
    sign: Sequence[Rule]
    foreign: Sequence[Rule]
    known: frozenset[str]
    """Return the lower-case words that may need a rule; all others stay as they are."""


@lru_cache
def _rules_of(code: str) -> _Rules | None:
    parts = code.lower().split("-")
    kind = _LANGUAGES.get("-".join(parts[:2])) or _LANGUAGES.get(parts[0])
    if kind is None:
        return None
    language = kind()
    return _Rules(
        language,
        word=[
            *addresses.word_rules(),
            *times.word_rules(language),
            *amounts.word_rules(language),
            *letters.word_rules(language),
        ],
        digit=[
            *addresses.digit_rules(),
            *times.digit_rules(language),
            *amounts.digit_rules(language),
            *times.year_rules(),
            *letters.code_rules(),
            *amounts.plain_rules(),
        ],
        sign=[
            *addresses.sign_rules(),
            *times.sign_rules(),
            *amounts.sign_rules(),
            *letters.sign_rules(language),
            *amounts.digit_rules(language),
            *amounts.plain_rules(),
        ],
        foreign=letters.foreign_rules(),
        known=frozenset(
            re.split(r"\W", word)[0]
            for word in (
                *language.abbreviations, *language.spelt, *language.currencies, *language.months,
                *language.units,
            )
            if word[0].islower()
        ) | _OTHERS_KNOWN,
    )  # fmt: skip


def _is_plain(text: str, start: int, word: str, known: frozenset[str]) -> bool:
    """Whether no rule applies to a word, which what follows shows to be no part of an address."""
    if not word.islower() or word in known or not word[0].isascii():
        return False
    end = start + len(word)
    after = text[end : end + 2]
    return not after or after[0] in _ENDS or (after[0] in ".:-" and after[1:] in {"", " ", "\n"})


def _piece(text: str, candidate: re.Match[str], rules: _Rules) -> _Piece | None:
    start = candidate.start()
    if word := candidate["word"]:
        if _is_plain(text, start, word, rules.known):
            return None
        tried = rules.word if _LATIN.match(word) else rules.foreign
    else:
        tried = rules.digit if candidate["digit"] else rules.sign
    place = Place(text, start, rules.language)
    for pattern, say in tried:
        match = pattern.match(text, start)
        if match and match.end() > start and (said := say(match, place)):
            return _Piece(start, match.end() if said.end < 0 else said.end, said.words, said.kind)
    if candidate["sign"]:
        return _sign(text, start, rules)
    if candidate["digit"]:
        digit = rules.language.cardinal(int(text[start]))
        return _Piece(start, start + 1, digit, "number")
    return None


def _sign(text: str, start: int, rules: _Rules) -> _Piece | None:
    """Return the words for a symbol on its own."""
    signs = rules.language.signs
    for length in (2, 1):
        sign = text[start : start + length]
        if len(sign) == length and sign in signs:
            if sign == "/" and (words := _between(text, start)) is not None:
                return _Piece(start, start + 1, words)
            return _Piece(start, start + length, signs[sign])
    sign = text[start]
    if ord(sign) >= 0x370 and sign.isalpha():
        for pattern, say in rules.foreign:
            if match := pattern.match(text, start):
                said = say(match, Place(text, start, rules.language))
                return _Piece(start, match.end(), said.words) if said else None
    if sign in "-\u2013.('’":
        return None
    if unicodedata.category(sign) in _SKIPPED:
        return _Piece(start, start + 1, "")
    return _Piece(start, start + 1, name_of(sign))


def _between(text: str, slash: int) -> str | None:
    """Return the words for a slash: none between two words, a comma between two phrases."""
    before, after = text[slash - 1 : slash], text[slash + 1 : slash + 2]
    if (before.isalnum() or before == "_") and after.isalpha():
        return ""
    return "," if before == after == " " else None


def _one_form(text: str) -> str:
    """Unify variants of the same symbol, without changing the length of the text."""
    return text if text.isascii() else "".join(map(_form, text))


@lru_cache(4096)
def _form(letter: str) -> str:
    if letter in "\u2212\u2011\u2032\u2033" or letter < "\x7f":
        return {"\u2212": "−", "\u2011": "-"}.get(letter, letter)
    if letter.isspace():
        return " "
    if "\uff01" <= letter <= "\uff5e":
        return chr(ord(letter) - 0xFEE0)
    if letter in "\u03bc":
        return "µ"
    if letter == "\u2126":
        return "Ω"
    if letter.isdigit() and letter not in "⁰¹²³⁴⁵⁶⁷⁸⁹":
        return str(unicodedata.digit(letter))
    return letter


def _ranges(shown: str, pieces: list[_Piece], language: Language) -> list[_Piece]:
    """Return the words for a dash between two matches of one kind."""
    found: list[_Piece] = []
    for number, piece in enumerate(pieces):
        found.append(piece)
        after = pieces[number + 1] if number + 1 < len(pieces) else None
        if piece.kind == "other":
            if _is_by(shown, pieces, number):
                found[-1] = piece._replace(words=language.by)
            continue
        if after is None or after.kind == "other":
            until = re.compile(rf"{DASH}(?={language.until_now.pattern})", re.IGNORECASE)
            if piece.kind == "time":
                until = re.compile(rf"{DASH}(?=(?:{language.noon})\b)", re.IGNORECASE)
            if piece.kind in {"date", "year", "time"} and (match := until.match(shown, piece.end)):
                found.append(_Piece(piece.end, match.end(), language.to))
            continue
        between = shown[piece.end : after.start]
        if _JOINS.match(between) and _is_range(piece, after):
            word = language.minus if _EQUALS.match(shown, after.end) else language.to
            found.append(_Piece(piece.end, after.start, word))
        elif _BY.match(between) and piece.kind == after.kind == "number":
            found.append(_Piece(piece.end, after.start, language.by))
    return found


def _is_by(shown: str, pieces: Sequence[_Piece], number: int) -> bool:
    """Whether a symbol is between two measures, as in 4 × 6 m."""
    if (
        not 0 < number < len(pieces) - 1
        or shown[pieces[number].start : pieces[number].end] not in "×*"
    ):
        return False
    first, _, last = pieces[number - 1 : number + 2]
    return first.kind == last.kind == "number" and not _EQUALS.match(shown, last.end)


def _is_range(first: _Piece, second: _Piece) -> bool:
    kinds = {first.kind, second.kind}
    return len(kinds) == 1 or kinds in (
        {"number", "time"},
        {"number", "year"},
        {"date", "year"},
        {"number", "money"},
    )


def _assemble(shown: str, pieces: Sequence[_Piece]) -> SpokenText:
    if not pieces:
        return SpokenText(shown, shown)
    parts: list[str] = []
    spans: list[Span] = []
    length = position = 0
    for piece in pieces:
        gap = shown[position : piece.start]
        parts.append(gap)
        length += len(gap)
        words = piece.words
        last = parts[-1][-1:] or (parts[-2][-1:] if len(parts) > 1 else "")
        if last and (last.isalnum() or last in ".'’,;:") and words:
            words = f" {words}"
        after = shown[piece.end : piece.end + 1]
        if after and (after.isalnum() or after == "(") and (words or not last.isspace()):
            words = f"{words} "
        parts.append(words)
        spans.append(Span((length, length + len(words)), (piece.start, piece.end)))
        length += len(words)
        position = piece.end
    parts.append(shown[position:])
    return SpokenText("".join(parts), shown, tuple(spans))
