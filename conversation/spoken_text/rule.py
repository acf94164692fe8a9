"""Rules of text normalisation: a pattern, and the words to speak for its matches."""

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from conversation.spoken_text.language import Language

Kind = Literal["number", "money", "date", "time", "year", "other"]
"""The kind of a match; two of one kind with a dash between them are a range."""

LETTER = r"[^\W\d_\u00aa\u00b5\u00ba\u00b2\u00b3\u00b9\u00bc-\u00be\u2070-\u209f\u2150-\u218f]"
"""Pattern of a letter of any script, without ² and ½, which Python's ``\\w`` includes."""

LATIN = r"[A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff]"
"""Pattern of a letter that a voice of these languages can pronounce."""

_NEAR = 80  # characters before a match that say how it is read


@dataclass(frozen=True, slots=True)
class Place:
    """The position in a text at which a rule is tried.

    Parameters:
        text: The whole text, with variants of the same symbol unified.
        start: The position.
        language: The language in which it is spoken.
    """

    text: str
    start: int
    language: Language

    @property
    def before(self) -> str:
        """The text before the position, as far back as rules need."""
        return self.text[max(0, self.start - _NEAR) : self.start]


class Said(NamedTuple):
    """The words to speak for a rule's match.

    Parameters:
        words: The words.
        kind: The kind of the match.
        end: Where the text that the words stand for ends; -1 for the end of the match.
    """

    words: str
    kind: Kind = "other"
    end: int = -1


Say = Callable[[re.Match[str], Place], Said | None]


class Rule(NamedTuple):
    """A rule of text normalisation.

    Parameters:
        pattern: Matched where a word, a number or a symbol begins.
        say: Returns the words to speak for a match, or ``None`` if the rule does not apply.
    """

    pattern: re.Pattern[str]
    say: Say


def name_of(sign: str) -> str:
    """Return the Unicode name of a character, as words; empty if it has none."""
    return " ".join(re.sub(r"[^a-z ]", " ", unicodedata.name(sign, "").lower()).split())


def rule(pattern: str, say: Say, *, ignore_case: bool = False) -> Rule:
    """Create a rule from a pattern's text."""
    return Rule(re.compile(pattern, re.IGNORECASE if ignore_case else 0), say)


def one_of(words: Iterable[str]) -> str:
    """Return a pattern that matches the longest of some words."""
    return "(?:" + "|".join(map(re.escape, sorted(words, key=len, reverse=True))) + ")"
