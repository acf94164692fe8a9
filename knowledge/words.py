"""Tokens, stems, sentences, and which words carry meaning."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import snowballstemmer

from knowledge.variants import one_spelling

_STEMMER = snowballstemmer.stemmer("english")

_TOKEN = re.compile(
    r"\d{4}-(?:0[1-9]|1[0-2])(?:-\d{2})?(?!\d)"  # 1906-12-09, 1906-12
    r"|\d+(?:,\d{3})+(?:\.\d+)?"  # 1,000
    r"|\d+\.\d+"
    r"|\d+(?:st|nd|rd|th|s)?(?![^\W_])"  # 9, 9th, 1940s
    r"|[Pp]h\.?[Dd]\b\.?"
    r"|(?:[^\W\d_]\.){2,}"  # U.S., B.A.
    r"|[^\W_]+(?:['-][^\W_]+)*"
)
_SENTENCE_END = re.compile(r"[.!?:;…]['\")\]]*\s*['\"(\[]*$|^\W*$|\n\W*$")
_LOOK_BACK = 12  # characters searched backwards for an abbreviation
_SPLIT = re.compile(r"(?<=[.!?…])['\")\]]*\s+(?=['\"(\[]*[A-Z0-9À-Þ])")
_ABBREVIATED = re.compile(
    r"(?:\b(?:Dr|Mr|Mrs|Ms|Prof|St|Jr|Sr|Lt|Cdr|Capt|Col|Gen|Adm|Rev|No|vs|etc|Inc|Ltd|Co|Corp"
    r"|Fig|e\.g|i\.e|approx|(?<!to )(?<!or )[A-HJ-Z])|\.[A-Za-z])\.$"
)


def spaced(words: str) -> tuple[str, ...]:
    """Split a list of words written with spaces between them."""
    return tuple(words.split())


_NUMBER_OF = re.compile(r"\b(?:[Nn]o|[Nn]r|[Tt]el|[Ff]ax)\.$")  # "licence no. 4471"


# Function words: they neither find nor support a line.
STOPWORDS = frozenset(
    spaced("""
    a about above actually after again all also am an and any anybody anyone anything are as at
    be because been before being below between both but by can could did do does doing done
    down during each either else ever every for from further get gets getting got had has have
    having he her here hers herself him himself his how i if in into is it its itself just let
    may me might mine more most much must my myself no nor not of off oh ok okay on once only or
    other our ours out over own please quite rather really same shall she should so some such
    than that the their theirs them themselves then there these they this those through to too
    under until up us very was we well were what when where whether which while who whom whose
    why will with would yes yet you your yours tell know say said like kind sort thing things
    something someone many lot bit explain describe hello hi hey thanks thank
    'd 'll 're 's 've didn't doesn't don't wasn't isn't aren't won't can't couldn't wouldn't
    hasn't haven't hadn't weren't she's he's it's that's what's who's where's when's how's
    she'd he'd they'd i'd i'm i've i'll you're you've they're we're let's there's
    """)
)

PRONOUNS = frozenset(
    spaced("she he her him hers his they them their theirs it its this that these those there")
)


@dataclass(frozen=True, slots=True)
class Token:
    """A word of a text.

    Parameters:
        text: As written, without quotes and punctuation.
        key: Normalized for comparison: lower case, without accents, dots, possessive or hyphens.
        initial: Whether it opens a sentence, where a capital means nothing.
        start: Offset of its first character.
    """

    text: str
    key: str
    initial: bool
    start: int

    @property
    def capital(self) -> bool:
        """Whether it contains a capital letter."""
        return self.text != self.text.lower()


def plain_punctuation(text: str) -> str:
    """Replace typographic quotes and hyphens by plain ones."""
    text = text.replace("\u2019", "'").replace("\u2018", "'")
    return re.sub(r"[\u2010\u2011]", "-", re.sub(r"[\u2012-\u2015]", " - ", text))


@lru_cache(maxsize=65536)
def normalize(word: str) -> str:
    """Normalize a word for comparison: ``"Hopper's"`` equals ``"hopper"``, and A-0 equals A0."""
    word = unicodedata.normalize("NFKD", word.lower())
    word = "".join(c for c in word if not unicodedata.combining(c))
    word = re.sub(r"'s?$", "", word) if not word.startswith("'") else word
    return re.sub(r"[.'-]", "", word)


@lru_cache(maxsize=2048)  # names, numbers and dates are extracted from a text one after another
def tokens(text: str) -> tuple[Token, ...]:
    """Split a text into words."""
    text = plain_punctuation(text)
    found: list[Token] = []
    for match in _TOKEN.finditer(text):
        before = text[max(0, match.start() - _LOOK_BACK) : match.start()]
        gap = text[max(0, match.start() - 4) : match.start()]
        initial = not found or (
            bool(_SENTENCE_END.search(gap)) and not _ABBREVIATED.search(before.rstrip())
        )
        found.append(Token(match.group(), normalize(match.group()), initial, match.start()))
    return tuple(found)


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """The English (Porter 2) stem of a lower-case word, the same for British and American ones."""
    stemmed: str = _STEMMER.stemWord(one_spelling(word))
    return stemmed


def token_keys(token: Token) -> tuple[str, ...]:
    """The keys of a token: its own, and those of its halves if it is hyphenated."""
    if "-" in token.text:
        return (token.key, *(normalize(part) for part in token.text.split("-") if part))
    return (token.key,)


def content_stems(text: str) -> tuple[str, ...]:
    """Stems of the content words, in order, with repeats."""
    return tuple(
        stem(part)
        for token in tokens(text)
        if token.text.lower() not in STOPWORDS and token.key not in STOPWORDS
        for part in token_keys(token)
    )


def sentences(text: str) -> tuple[str, ...]:
    """Split a text into sentences; abbreviations and initials do not end one."""
    out: list[str] = []
    for piece in _SPLIT.split(text.strip()):
        numbered = out and piece[:1].isdigit() and _NUMBER_OF.search(out[-1])
        if numbered or (out and _ABBREVIATED.search(out[-1])):
            out[-1] = f"{out[-1]} {piece}"
        elif piece.strip():
            out.append(piece.strip())
    return tuple(out)


def unique(items: Iterable[str]) -> tuple[str, ...]:
    """Items without repeats, in order of first appearance."""
    return tuple(dict.fromkeys(items))
