"""What a rule is: a pattern, and what is said for what it finds."""

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from conversation.spoken_text.language import Language

Kind = Literal["number", "money", "date", "time", "year", "other"]
"""Two of one kind with a dash between them are a range."""

LETTER = r"[^\W\d_\u00aa\u00b5\u00ba\u00b2\u00b3\u00b9\u00bc-\u00be\u2070-\u209f\u2150-\u218f]"
"""A letter of any script; Python counts ² and ½ among what is neither a digit nor punctuation."""

LATIN = r"[A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff]"
"""A letter that a voice of these languages can say."""

_NEAR = 80


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a text a rule is tried.

    Parameters:
        text: All of it, each sign that has several forms in one of them.
        start: Where the rule is tried.
        language: The language that it is spoken in.
    """

    text: str
    start: int
    language: Language

    @property
    def before(self) -> str:
        """What stands before it, as far as a rule has to look."""
        return self.text[max(0, self.start - _NEAR) : self.start]


class Said(NamedTuple):
    """What is said for what a rule found.

    Parameters:
        words: The words.
        kind: What it is.
        end: Where in the text what it stands for ends; -1 for all that the pattern found.
    """

    words: str
    kind: Kind = "other"
    end: int = -1


Say = Callable[[re.Match[str], Place], Said | None]


class Rule(NamedTuple):
    """A rule.

    Parameters:
        pattern: Is matched where a word, a number or a sign begins.
        say: What is said for it; None if it is not what the pattern is for.
    """

    pattern: re.Pattern[str]
    say: Say


def name_of(sign: str) -> str:
    """The Unicode name of a character, in words; empty if it has none."""
    return " ".join(re.sub(r"[^a-z ]", " ", unicodedata.name(sign, "").lower()).split())


def rule(pattern: str, say: Say, *, ignore_case: bool = False) -> Rule:
    """Make a rule."""
    return Rule(re.compile(pattern, re.IGNORECASE if ignore_case else 0), say)


def one_of(words: Iterable[str]) -> str:
    """A pattern of the longest of several words."""
    return "(?:" + "|".join(map(re.escape, sorted(words, key=len, reverse=True))) + ")"
