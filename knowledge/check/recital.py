"""Sentences that code made of a document's own lines, which need no reading to be trusted.

A record's statements are made from its lines by :mod:`knowledge.records`, word for word but for
what joins them. A brain that says one of them, and cites the section, quotes the document.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from knowledge.check.counting import counts
from knowledge.claims import numbers, word_forms
from knowledge.loading.document import Document
from knowledge.loading.section import Section
from knowledge.records import records

_NAMED = re.compile(r"^(?:There are ([\w-]+), namely|Under [^.]+? there are) (.+)\.$")
_JOINING = frozenset(("and", "other"))


def recites(sentence: str, cited: Sequence[Section], document: Document, question: str) -> bool:
    """Whether a sentence is one that code makes of the cited sections.

    That is a statement of one of their records; or names of their items, and how many there are if
    that was asked and is so.

    Parameters:
        sentence: One sentence.
        cited: The sections that it cites.
        document: Their document.
        question: What was asked.
    """
    said = _flat(sentence)
    told = _told(document)
    if said.strip() and any(said in text for each in cited for text in told.get(each.id, ())):
        return True
    named = _NAMED.match(sentence)
    if named is None:
        return False
    if named[1] is not None and not numbers(named[1]) <= counts(question, cited):
        return False
    words = set(_flat(named[2]).split()) - _JOINING - {"others"}
    written = word_forms(" ".join(each.text for each in cited))
    return words <= {form for word in written for form in _flat(word).split()}


@lru_cache(maxsize=4)
def _told(document: Document) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for record in records(document):
        found.setdefault(record.section.id, []).append(_flat(record.text))
    return {id: tuple(texts) for id, texts in found.items()}


def _flat(text: str) -> str:
    """Its words and nothing else, each between spaces."""
    return f" {' '.join(re.findall(r'[^\W_]+', text.lower()))} "
