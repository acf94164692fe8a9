"""Abbreviations that everyone expands alike, acronyms that a text itself makes, and demonyms.

Any other abbreviation is expanded only where the text does so.
"""

from knowledge.words import spaced, tokens

DEMONYM_ENDINGS = ("n", "an", "ian", "ns", "ans", "ians", "ese", "ish")
"""Endings that make a demonym of a name: America, American."""

_COMMON = (
    ("eu", "european union"),
    ("un", "united nations"),
    ("phd", "doctorate", "doctoral", "doctor of philosophy"),
    ("ba", "bachelor", "bachelor of arts"),
    ("bs", "bsc", "bachelor", "bachelor of science"),
    ("ma", "master", "master of arts"),
    ("ms", "msc", "master", "master of science"),
    ("prof", "professor"),
)
SAME_CLAIM = (
    *_COMMON,
    ("us", "usa", "united states", "america", "american"),
    ("uk", "united kingdom", "britain", "british"),
    ("mba", "master of business administration"),
)
"""Forms that claim the same, for entailment.

"Dr" is left out, since the title claims no doctorate, and so are days of the week, which
:mod:`knowledge.check.spelling` normalizes.
"""
SAME_NAME = (
    *_COMMON,
    ("us", "usa", "united states"),
    ("uk", "united kingdom", "britain"),
    ("dr", "doctor", "phd", "doctorate"),
    ("mon", "monday"),
    ("tue", "tues", "tuesday"),
    ("wed", "weds", "wednesday"),
    ("thu", "thur", "thurs", "thursday"),
    ("fri", "friday"),
    ("sat", "saturday"),
    ("sun", "sunday"),
)
"""Forms that stand for each other where only numbers, dates and names are checked.

Adjectives are left out: a name must be there as a name, and demonyms have their endings.
"""
_JOINING = frozenset(spaced("of the and for in on to a an at"))


def acronyms(text: str) -> frozenset[str]:
    """Acronyms of the runs of capitalized words, such as ``uss`` for United States Ship."""
    found: set[str] = set()
    run = ""
    for token in tokens(text):
        if token.text[0].isupper():
            run += token.key[:1]
            found.update(run[start:] for start in range(len(run) - 1))
        elif token.key not in _JOINING:
            run = ""
    return frozenset(found)
