"""The parts of a document: lines, sections, persona and sensitive topics.

All are immutable and shared by the calls of a process.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

LineKind = Literal["heading", "item", "text"]


class DocumentError(ValueError):
    """A document is unusable; the message is one sentence for its author."""


@dataclass(frozen=True, slots=True)
class Line:
    """A statement of the document, as it would be read aloud.

    Parameters:
        number: Line of the source file where it starts, counting from 1.
        text: Plain text, without Markdown.
        kind: A ``"heading"``, a list or table ``"item"``, or running ``"text"``.
        section: Id of its section.
        questions: Questions that it answers, by its author; never spoken or shown.
        depth: How many lists it stands in; 0 outside of them and in tables.
        cells: For a table's row: pairs of column title and content.
        code: Whether it is text to be typed, such as a command.
    """

    number: int
    text: str
    kind: LineKind
    section: str
    questions: tuple[str, ...] = ()
    depth: int = 0
    cells: tuple[tuple[str, str], ...] = ()
    code: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and the lines under it, up to the next heading of any level.

    Parameters:
        id: Stable id: the slugs of its parent headings and its own, joined with ``/``.
        title: The heading as it would be read aloud.
        level: Level of the heading, 1 to 6.
        lines: The heading first, then the lines under it, in the order of the source.
        questions: Questions that the section answers, by its author; never spoken.
    """

    id: str
    title: str
    level: int
    lines: tuple[Line, ...]
    questions: tuple[str, ...] = ()

    def __hash__(self) -> int:
        """What tells sections of a document apart; all lines would take longer than a check."""
        return hash((self.id, self.title, len(self.lines)))

    @property
    def text(self) -> str:
        """The heading and all lines, separated by newlines."""
        return "\n".join(line.text for line in self.lines)


@dataclass(frozen=True, slots=True)
class SensitiveTopic:
    """A topic that is refused, whatever the document says about it.

    Parameters:
        name: The topic, such as ``"salary"``.
        phrases: Words and phrases that ask for it; a trailing ``*`` matches any ending.
        refusal: The sentence to speak; empty for the default.
    """

    name: str
    phrases: tuple[str, ...]
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Persona:
    """Who speaks for the document.

    Parameters:
        name: Its name.
        greeting: Its first sentence; must say that it is an AI.
        voice: Name of the voice at the speech vendor.
        pronunciations: Phonemes for words that the embedded voice mispronounces.
        contact: Where callers can turn whom nobody can answer later; empty for nowhere.
        suggestions: Questions to show to callers; empty for those of the document itself.
    """

    name: str
    greeting: str
    voice: str
    pronunciations: Mapping[str, str] = field(default_factory=dict)
    contact: str = ""
    suggestions: tuple[str, ...] = ()
