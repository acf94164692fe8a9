"""Counts that no line states but that follow from the lines: how many items there are."""

import re
from collections.abc import Sequence

from knowledge.claims import extract_claims, word_forms
from knowledge.loading.section import Section
from knowledge.words import stem, tokens

_HOW_MANY = re.compile(r"\bhow many\s+((?:[\w'-]+\s+){0,3}[\w'-]+)", re.IGNORECASE)


def counts(question: str, cited: Sequence[Section]) -> frozenset[str]:
    """The numbers that correctly answer a "how many" question; empty for other questions.

    They are the number of items in a cited section, of cited sections, and of cited items that
    contain the names of the question, or one of its names and one of its words.
    """
    asked = _HOW_MANY.search(question)
    if asked is None:
        return frozenset()
    items = [
        [line for line in section.lines if line.kind == "item" and line.depth <= 1]
        for section in cited
    ]
    found = {len(of) for of in items} | {len(cited)}
    every = [word_forms(line.text) for of in items for line in of]
    names = {claim.value for claim in extract_claims(question) if claim.kind == "name"}
    words = {stem(token.key) for token in tokens(asked[1])}
    found.add(len(every))
    if names:
        holding = [forms for forms in every if names <= forms]
        found |= {len(holding), sum(bool(words & forms) for forms in holding)}
    return frozenset(str(number) for number in found if number > 1)
