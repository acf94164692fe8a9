"""Passages: the sentences of a document that can be answers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from knowledge.claims import extract_claims, months, word_forms, years
from knowledge.loading.document import Document
from knowledge.loading.section import Line, Section
from knowledge.search.query import mentioned
from knowledge.words import sentences

_FRAGMENT = 5  # words: sentences up to this length are joined to the one before
_RUN_ON_WORDS = 35  # words: a list announced by a colon is appended up to this length


@dataclass(frozen=True, slots=True, eq=False)
class Passage:
    """A sentence that can be an answer.

    Parameters:
        at: Its index in :attr:`Index.passages`.
        text: The sentence.
        line: The line that contains it.
        section: The section of that line.
        years: Years that it mentions.
        months: Numbers of the months that it mentions.
        names: Keys of its proper names.
        numbers: Its numbers, except years.
        path: The titles of its section and of the parents of that.
        says: Keys and stems of its words and of those titles.
    """

    at: int
    text: str
    line: Line
    section: Section
    years: tuple[int, ...]
    months: frozenset[str]
    names: frozenset[str]
    numbers: frozenset[str]
    path: str
    says: frozenset[str]


def passages(document: Document) -> Iterator[Passage]:
    """All sentences of the document, in order."""
    at = 0
    for section in document.sections:
        path = " ".join(
            ancestor.title
            for ancestor in document.sections
            if section.id == ancestor.id or section.id.startswith(f"{ancestor.id}/")
        )
        for spot, line in enumerate(section.lines):
            if line.kind == "heading":
                continue
            texts = _whole(sentences(line.text))
            for part, text in enumerate(texts):
                full = text
                if text.endswith(":") and part == len(texts) - 1:
                    full = _run_on(text, section.lines[spot + 1 :])
                yield Passage(
                    at=at,
                    text=full,
                    line=line if not part else replace(line, questions=()),
                    section=section,
                    years=years(full),
                    months=months(full),
                    names=frozenset(
                        claim.value for claim in extract_claims(full) if claim.kind == "name"
                    ),
                    numbers=mentioned(full),
                    path=path,
                    says=word_forms(f"{full} {path}"),
                )
                at += 1


def _whole(found: Sequence[str]) -> list[str]:
    """Join sentences that are too short to stand alone to the one before."""
    out: list[str] = []
    for text in found:
        if out and len(text.split()) <= _FRAGMENT:
            out[-1] = f"{out[-1]} {text}"
        else:
            out.append(text)
    return out


def _run_on(text: str, lines: Sequence[Line]) -> str:
    """A sentence that ends in a colon, with the lines that it introduces."""
    for spot, line in enumerate(lines):
        if line.kind == "heading" or len(f"{text} {line.text}".split()) > _RUN_ON_WORDS:
            break
        text = f"{text}{', ' if spot else ' '}{line.text.rstrip('.;,')}"
        if line.kind == "text":
            break
    return text
