"""Recognises sentences that code has made from a document's lines, which need no further check.

:mod:`knowledge.records` makes statements from lines, word for word except for what joins them. A
brain that says one of these and cites its section quotes the document.
"""

import re
from collections.abc import Sequence

from knowledge.check.counting import counts
from knowledge.claims import numbers, word_forms
from knowledge.loading.document import Document
from knowledge.loading.section import Section
from knowledge.per_document import per_document
from knowledge.records import records

_NAMED = re.compile(r"^(?:There are ([\w-]+), namely|Under [^.]+? there are) (.+)\.$")
_LIMITING = frozenset(
    ("except", "unless", "but", "if", "only", "without", "apart", "until", "provided", "not")
)
_JOINING = frozenset(("and", "other"))


def recites(sentence: str, cited: Sequence[Section], document: Document, question: str) -> bool:
    """Whether a sentence is one that code makes from the cited sections.

    Such a sentence is a statement of one of their records, or lists names of their items, with the
    correct count if the question asks for one.

    Parameters:
        sentence: One sentence.
        cited: The sections that it cites.
        document: Their document.
        question: What was asked.
    """
    said = _flat(sentence)
    stated = _statements(document)
    if said.strip() and any(
        said in flat and _stands_alone(said, text)
        for section in cited
        for flat, text in stated.get(section.id, ())
    ):
        return True
    named = _NAMED.match(sentence)
    if named is None:
        return False
    if named[1] is not None and not numbers(named[1]) <= counts(question, cited):
        return False
    words = set(_flat(named[2]).split()) - _JOINING - {"others"}
    written = word_forms(" ".join(section.text for section in cited))
    return words <= {form for word in written for form in _flat(word).split()}


def _stands_alone(said: str, text: str) -> bool:
    """Whether words are a clause of a text that nothing beside it limits."""
    pattern = r"(?: \|)* ".join(map(re.escape, said.split()))
    found = re.search(rf"(?:^|\| |\band ){pattern}(?: \||$)", _marked(text))
    if found is None:
        return False
    after = _marked(text)[found.end() :].split()
    return not _LIMITING & set(after[:1])


def _marked(text: str) -> str:
    """A text's words in lower case, with a bar for each punctuation mark."""
    return " ".join(re.findall(r"[^\W_]+|\|", re.sub(r"[.,;:!?\u2014](?!\d)", " | ", text.lower())))


@per_document
def _statements(document: Document) -> dict[str, tuple[tuple[str, str], ...]]:
    """The texts of a document's records by section id, each after its words alone."""
    found: dict[str, list[tuple[str, str]]] = {}
    for record in records(document):
        found.setdefault(record.section.id, []).append((_flat(record.text), record.text))
    return {id: tuple(texts) for id, texts in found.items()}


def _flat(text: str) -> str:
    """Reduce a text to its words in lower case, with spaces around each."""
    words = " ".join(re.findall(r"[^\W_]+", text.lower()))
    return f" {words} "
