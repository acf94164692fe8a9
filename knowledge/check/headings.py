"""Verbs that the headings of a CV stand for, since the entries below them have none.

"MSc in biology, 2008" under "Education" says that somebody studied biology and has a degree.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache

from knowledge.check.meaning import forms
from knowledge.words import spaced, stem

_DEGREES = re.compile(
    r"\b(?:Ph\.? ?D|D\.? ?Phil|[BM]\.? ?(?:A|Sc|Eng|Ed|Phil|Mus|Tech|Arch)|[BM]BA|LL[BM]|BFA|MFA|"
    r"(?i:bachelor|master|doctorate|diploma|degree|certificate|apprenticeship))\b"
)
_NOT_WON = re.compile(
    r"\b(?:runner|runners|shortlist\w*|nominat\w*|finalist|candidate|longlist\w*|place|mention)\b",
    re.IGNORECASE,
)
_LEVEL = re.compile(
    r"\((?:[\w ]* )?(?:native|mother tongue|fluent|good|basic|basics|conversational|beginner|"
    r"intermediate|advanced|proficient|professional|working|[ABC][12]|a little|some)\b",
    re.IGNORECASE,
)
_WINNING = frozenset(map(stem, spaced("win get earn gain obtain receive award")))
_SPEAKING = frozenset(("speak", "know", "languag"))
_HAVING = "hold earn receive complete obtain finish get do graduate degree"


def _any(_entry: str, _line: str) -> bool:
    return True


# A heading, the verbs of its entries, and of which entries alone they are.
_VERBS: tuple[tuple[re.Pattern[str], frozenset[str], Callable[[str, str], bool]], ...] = tuple(
    (re.compile(rf"\b(?:{heading})", re.IGNORECASE), frozenset(map(stem, spaced(verbs))), fits)
    for heading, verbs, fits in (
        ("education|studies|degree|qualification|academic|training",
         "study attend learn student read", _any),
        ("education|studies|degree|qualification|academic|training",
         _HAVING, lambda entry, _: _DEGREES.search(entry) is not None),
        ("award|prize|honou?r|medal|distinction", "win receive get earn honour honor award",
         lambda _, line: _NOT_WON.search(line) is None),
        ("publication|paper|book|article", "write publish author", _any),
        ("certificat|licen[cs]e", "hold certify license licence", _any),
        ("volunt", "volunteer help", _any),
        ("language", "speak", _any),
        ("skill|tools|technolog|competenc|software", "know use program", _any),
        ("experience|employment|work|career|position|job", "work serve job", _any),
        ("interest|hobb|leisure|free time|pastime", "enjoy like hobby interest", _any),
    )
)  # fmt: skip


def heading_verbs(section_id: str) -> Callable[[str, str], frozenset[str]]:
    """What gives the verbs, as stems, that an entry of a section has from its headings.

    It takes a clause and the line that this is part of.

    Args:
        section_id: The slugs of the section's headings.
    """
    mine = (*_of(section_id), (_SPEAKING, lambda entry, _: _LEVEL.search(entry) is not None))

    def verbs_of(entry: str, line: str) -> frozenset[str]:
        return frozenset(verb for verbs, fits in mine if fits(entry, line) for verb in verbs)

    return verbs_of


def not_meant(line: str) -> frozenset[str]:
    """Verbs, as stems, that a heading does not stand for in a line: second places win nothing."""
    return _WINNING if _NOT_WON.search(line) else frozenset()


@lru_cache(maxsize=1024)
def _of(section_id: str) -> tuple[tuple[frozenset[str], Callable[[str, str], bool]], ...]:
    return tuple(_matching(section_id.replace("-", " ").replace("/", " ")))


def _matching(headings: str) -> Iterator[tuple[frozenset[str], Callable[[str, str], bool]]]:
    for heading, verbs, fits in _VERBS:
        if heading.search(headings):
            yield frozenset(form for verb in verbs for form in (verb, *forms(verb))), fits
