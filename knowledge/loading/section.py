"""The parts of a document: lines, sections, and what a caller may not be told.

Everything here is an immutable value that all calls of a process share.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

LineKind = Literal["heading", "item", "text"]


class DocumentError(ValueError):
    """A document cannot be used; the message is one clear sentence for the person who wrote it."""


@dataclass(frozen=True, slots=True)
class Line:
    """One statement of the document, as it would be read aloud.

    Parameters:
        number: Line of the source file it starts on, from 1.
        text: Plain text, without Markdown.
        kind: A ``"heading"``, a list or table ``"item"``, or running ``"text"``.
        section: Id of the section it stands in.
        questions: Questions that its author expects it to answer; never spoken, never shown.
    """

    number: int
    text: str
    kind: LineKind
    section: str
    questions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands under it, down to the next heading of any level.

    Parameters:
        id: Stable id: the slugs of the headings above it and its own, joined with ``/``.
        title: The heading as it would be read aloud.
        level: Level of the heading, 1 to 6.
        lines: The heading first, then its lines, in the order of the source.
        questions: Questions that its author expects the section to answer; never spoken.
    """

    id: str
    title: str
    level: int
    lines: tuple[Line, ...]
    questions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The heading and every line, one a line."""
        return "\n".join(line.text for line in self.lines)


@dataclass(frozen=True, slots=True)
class SensitiveTopic:
    """Something that is refused, whatever the document says about it.

    Parameters:
        name: What it is, e.g. ``"salary"``.
        phrases: Words and phrases that ask for it; a trailing ``*`` stands for any ending.
        refusal: What is said instead; empty for the usual sentence.
    """

    name: str
    phrases: tuple[str, ...]
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Persona:
    """Who speaks for the document.

    Parameters:
        name: The name it gives itself.
        greeting: The first thing it says; must say that it is an AI.
        voice: Name of the voice, as the speech vendor knows it.
        pronunciations: Phonemes (as the embedded voice reads them) for words that it misreads.
    """

    name: str
    greeting: str
    voice: str
    pronunciations: Mapping[str, str] = field(default_factory=dict)
