"""Records: the units in which a document is searched and quoted.

A record is an item with the items nested under it, a row of a table with the titles of its columns,
a paragraph, or a list with the line that introduces it. It knows the headings above it, and each of
its statements is a whole sentence that can be spoken.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from knowledge.claims import word_forms, years
from knowledge.loading.document import Document
from knowledge.loading.section import Line, Section
from knowledge.menus import Menu, menu_of
from knowledge.moments import Moments, moments
from knowledge.telling import (
    are_tracks,
    fluent,
    is_clause,
    is_nothing,
    item,
    labelled,
    listed,
    row,
    sentence,
    setting,
    subject,
    track,
    without_contact,
)
from knowledge.words import sentences

RecordKind = Literal["text", "item", "row", "list", "code"]

_LEAD_WORDS = 16  # a longer line before a list is a paragraph of its own
_JOINED_WORDS = 40  # the parts of a longer item become sentences of their own
_LIST_WORDS = 45
_LABEL_WORDS = 3
_FRAGMENT = 2  # sentences of up to so many words are joined to the next
_RUN_IN = re.compile(r"^(?!(?:yes|no|not)\b)([^.:!?\d]{2,40})[.:]\s+(?=\S)", re.IGNORECASE)
_RUN_INS = 3  # paragraphs that open with a title and a full stop, where those are titles
_ASKED = re.compile(r"^([^.!?]{4,120}\?)\s+(?=\S)")


_ABOUT_ENDS = re.compile(r",\s|\scosts?\s(?=[€£$]?\d)")
_COSTS = re.compile(r"\bcosts?\b")
_BRACKETED = re.compile(r"([A-Z][^()]{2,40}?) \(((?=[^()]*[a-z]{3})[^()]{4,60})\)")
_ASKING_LABELS = frozenset(("when", "where", "who", "what", "how", "why"))

_OF_SOMEBODY = tuple(
    (re.compile(rf"\b(?:{pattern})", re.IGNORECASE), said)
    for pattern, said in (
        ("award|prize|honou?r|medal", "She won the award"),
        ("publication|paper|book|article", "She wrote and published"),
        ("certificat|licen[cs]e", "She holds the certificate"),
        ("patent", "She holds the patent"),
        ("volunt", "She volunteers"),
        (
            "interest|hobb|other|(?:out|off)[ -]?(?:of|side|duty)|not working|"
            "(?:free|spare) time|leisure",
            "Her hobbies and interests are",
        ),
        ("talk|speaking", "She gave the talk"),
        ("teach", "She teaches"),
        ("language", "She speaks the languages"),
        ("skill|tools|technolog|competenc", "She knows and can use"),
        ("education|studies|degree", "She studied and graduated"),
        ("project", "She built the project"),
        ("experience|employment|work|career|position", "She works or worked as"),
        ("profile|summary|about|introduction", "She is"),
    )
)


@dataclass(frozen=True, slots=True)
class Statement:
    """One sentence of a record.

    Parameters:
        text: The sentence as it is spoken.
        line: The first line of the document that supports it.
    """

    text: str
    line: Line


@dataclass(frozen=True)
class Record:
    """One unit of the document.

    Parameters:
        at: Its index among the document's records.
        kind: The kind of text it was made from.
        section: Its section.
        path: The titles above it, except the document's, then the line that introduces its list.
        about: Its topic: the first cell, the label, or the head of an item; may be empty.
        statements: Its sentences, in order; never empty.
        lines: The lines it was made from.
        group: Number of its list or table; records of a group have the same form.
        cells: For a row: pairs of column title and content.
    """

    at: int
    kind: RecordKind
    section: Section
    path: tuple[str, ...]
    about: str
    statements: tuple[Statement, ...]
    lines: tuple[Line, ...]
    group: int
    cells: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @cached_property
    def text(self) -> str:
        """All its statements."""
        return " ".join(statement.text for statement in self.statements)

    @cached_property
    def context(self) -> str:
        """The titles above it that distinguish it from other records of its group."""
        return ", ".join(fluent(part).rstrip(".:?") for part in self.path[-2:])

    @cached_property
    def of_somebody(self) -> str:
        """The clause that its heading in a CV stands for: "She won" for awards; may be empty."""
        above = " ".join([self.section.id.replace("/", " ").replace("-", " "), *self.path])
        return next((said for pattern, said in _OF_SOMEBODY if pattern.search(above)), "")

    @cached_property
    def written(self) -> str:
        """Its lines, after the titles above them, as written."""
        return " ".join([*self.path, *(line.text for line in self.lines)])

    @cached_property
    def moments(self) -> Moments:
        """The days, dates and times it is about, or those of the titles above if it has none."""
        own = moments(" ".join(line.text for line in self.lines))
        above = moments(" ".join(self.path))
        return Moments(own.days or above.days, own.dates or above.dates, own.times or above.times)

    @cached_property
    def years(self) -> tuple[int, ...]:
        """The years it mentions, or those of the titles above if it has none."""
        own = years(" ".join(line.text for line in self.lines))
        return own or years(" ".join(self.path))

    @cached_property
    def says(self) -> frozenset[str]:
        """Keys and stems of its words and of the titles above."""
        return word_forms(self.written)


@dataclass(slots=True)
class _Item:
    line: Line
    children: list["_Item"] = field(default_factory=list)
    more: list[Line] = field(default_factory=list)


def records(document: Document) -> tuple[Record, ...]:
    """The records of a document, in order."""
    return tuple(_Reader(document).read())


class _Reader:
    def __init__(self, document: Document) -> None:
        self._document = document
        self._titles = {section.id: section.title for section in document.sections}
        self._listed = {fluent(title).lower() for title in self._titles.values()}
        self._json = document.name.lower().endswith(".json")
        opened = [
            run_in[1]
            for section in document.sections
            for line in section.lines
            if line.kind != "heading" and not line.cells and (run_in := _RUN_IN.match(line.text))
            if line.text[len(run_in[1])] == "."
        ]
        self._runs_in = len(opened) >= _RUN_INS
        self._menu = (
            Menu()
            if document.about_person
            else menu_of(line for section in document.sections for line in section.lines)
        )
        self._at = 0
        self._group = 0

    def read(self) -> Iterator[Record]:
        for section in self._document.sections:
            yield from self._section(section)

    def _path(self, section: Section) -> tuple[str, ...]:
        parts = section.id.split("/")
        above = ["/".join(parts[: end + 1]) for end in range(len(parts))]
        titles = [self._titles[id] for id in above if id in self._titles]
        return tuple(title for title in titles if title != self._document.title)

    def _section(self, section: Section) -> Iterator[Record]:
        path = self._path(section)
        lines = [self._menu.read(line) for line in section.lines if line.kind != "heading"]
        lines = self._without_contents(lines)
        yield from self._heading(section, path)
        spot = 0
        lead: Line | None = None
        while spot < len(lines):
            line = lines[spot]
            if line.cells:
                self._group += 1
                end = spot
                while end < len(lines) and lines[end].cells:
                    end += 1
                tracks = are_tracks([line.cells for line in lines[spot:end]])
                for line in lines[spot:end]:
                    if tracks:
                        yield from self._tracks(section, path, line)
                    else:
                        yield from self._row(section, path, line.cells, line)
                spot, lead = end, None
            elif line.kind == "item" or line.depth:
                end = spot
                while (
                    end < len(lines)
                    and (lines[end].kind == "item" or lines[end].depth)
                    and not lines[end].cells
                ):
                    end += 1
                yield from self._list(section, path, lead, lines[spot:end])
                spot, lead = end, None
            else:
                after = lines[spot + 1] if spot + 1 < len(lines) else None
                before_list = after is not None and (after.kind == "item" or after.depth > 0)
                above = (*path, lead.text.rstrip(": ")) if lead and line.code else path
                yield from self._text(section, above, line, first=spot == 0)
                before_code = after is not None and after.code
                if not (line.code and before_code):  # else what announced the code announces more
                    announces = (before_list or before_code) and _announces(line.text)
                    lead = line if announces and not line.code else None
                spot += 1

    def _heading(self, section: Section, path: tuple[str, ...]) -> Iterator[Record]:
        """What a title says in brackets: "Pizza (evenings only)"."""
        bracketed = _BRACKETED.fullmatch(section.title)
        if bracketed and not self._document.about_person and section.lines:
            self._group += 1
            said = sentence(f"{bracketed[1]}, {bracketed[2]}")
            line = section.lines[0]
            yield from self._make("text", (section, path), bracketed[1], [(said, line)], [line])

    def _without_contents(self, lines: list[Line]) -> list[Line]:
        """Leave out a table of contents: a list of nothing but the document's own titles."""
        items = [line for line in lines if line.kind == "item" and not line.cells]
        if len(items) > 1 and all(fluent(line.text).lower() in self._listed for line in items):
            return [line for line in lines if line not in items]
        return lines

    def _make(
        self,
        kind: RecordKind,
        where: tuple[Section, tuple[str, ...]],
        about: str,
        statements: Sequence[tuple[str, Line]],
        lines: Sequence[Line],
        *,
        cells: tuple[tuple[str, str], ...] = (),
    ) -> Iterator[Record]:
        section, path = where
        said = tuple(Statement(text, line) for text, line in statements if text)
        if said:
            yield Record(
                self._at, kind, section, path, about, said, tuple(lines), self._group, cells
            )
            self._at += 1

    def _tracks(self, section: Section, path: tuple[str, ...], line: Line) -> Iterator[Record]:
        """A record for each session of a row of a programme with a column for each room."""
        time, *others = line.cells
        filled = [(head, cell) for head, cell in others if not is_nothing(cell)]
        for head, cell in filled:
            cells = track(time, head, cell, alone=len(filled) == 1)
            yield from self._row(section, path, cells, line)

    def _row(
        self,
        section: Section,
        path: tuple[str, ...],
        cells: tuple[tuple[str, str], ...],
        line: Line,
    ) -> Iterator[Record]:
        heading = next(
            (part for part in reversed(path) if (found := moments(part)).dates or found.days), ""
        )
        said = row(cells, fluent(heading))
        about = subject(cells)
        if cells != line.cells:  # one session of several in the line
            line = replace(line, text="; ".join(cell for _, cell in cells))
        yield from self._make("row", (section, path), about, [(said, line)], [line], cells=cells)

    def _text(
        self, section: Section, path: tuple[str, ...], line: Line, *, first: bool
    ) -> Iterator[Record]:
        self._group += 1
        text = line.text
        if self._document.about_person:
            text = without_contact(text)
        if line.code:
            typed, _, what = text.partition(": ")
            if given := setting(text):
                told = f"The setting {given[0]} is {given[1]}"
            elif given := setting(typed):
                told = f"The setting {given[0]} is {given[1]}, {what}"
            else:
                told = f"The command is {text}"
            yield from self._make("code", (section, path), "", [(sentence(told), line)], [line])
            return
        about = ""
        asked = _ASKED.match(text)
        if asked:  # a question with its answer: "**Can I pay by card?** Yes."
            about, text = asked[1], text[asked.end() :]
            path = (*path, about)
        run_in = None if asked else _RUN_IN.match(text)
        if run_in and not is_clause(run_in[1]) and len(run_in[1].split()) <= 4 and len(text) > 30:
            about = run_in[1]
            if text[len(about)] == "." and not self._runs_in:
                about = ""  # a sentence: "Sliced on request."
            elif not about.isupper() and (
                text[len(about)] == "." or _stands_alone(text[run_in.end() :])
            ):
                text = text[run_in.end() :]
                path = (*path, about)
        parts = _whole(sentences(text))
        fragment = len(parts) == 1 and not is_clause(parts[0]) and len(parts[0].split()) <= 12
        titled = len(path) > 1 or (path and len(path[-1].split()) > 2)
        if first and titled and fragment and not parts[0].endswith((".", "!", "?")):
            said = [(sentence(f"{path[-1]}, {parts[0]}"), line)]
        else:
            said = [
                (item(part) if len(parts) == 1 or _is_labelled(part) else sentence(part), line)
                for part in parts
            ]
        if parts and parts[-1].endswith(":"):
            said = said[:-1]
        if self._menu.sign is not None and sum(bool(_COSTS.search(text)) for text, _ in said) > 1:
            for text, _ in said:  # dishes in a paragraph
                yield from self._make("text", (section, path), about, [(text, line)], [line])
            return
        yield from self._make("text", (section, path), about, said, [line])

    def _list(
        self, section: Section, path: tuple[str, ...], lead: Line | None, lines: Sequence[Line]
    ) -> Iterator[Record]:
        items = _nested(lines)
        self._group += 1
        announced = ""
        joined = False
        if lead is not None:
            announced = fluent(sentences(lead.text)[-1]).rstrip(":. ")
            path = (*path, announced)
            joined = lead.text.rstrip().endswith(":") or is_clause(announced)
            if joined:
                texts = [fluent(entry.line.text).rstrip(".,;") for entry in items]
                told = f"{announced} {listed([_uncolon(text) for text in texts])}"
                if len(told.split()) <= _LIST_WORDS:
                    yield from self._make(
                        "list",
                        (section, path[:-1]),
                        announced,
                        [(sentence(told), lead)],
                        [lead, *lines],
                    )
        elif len(items) > 1 and path and path[-1].endswith("s") and not self._json:
            written = [entry.line.text for entry in items if not entry.children]
            told = listed([fluent(text).rstrip(".,;") for text in written])
            plain = not any(is_clause(text) or labelled(text) for text in written)
            if len(told.split()) <= 30 and plain and len(written) == len(items):
                said = sentence(f"Under {fluent(path[-1])} there are {told}")
                yield from self._make("list", (section, path), path[-1], [(said, lines[0])], lines)
        for entry in items:
            yield from self._item(section, path, announced if joined else "", entry)

    def _item(
        self, section: Section, path: tuple[str, ...], announced: str, entry: _Item
    ) -> Iterator[Record]:
        lines = [entry.line, *_below(entry)]
        text = entry.line.text
        if self._document.about_person:
            text = without_contact(text)
        if not text.strip():  # it was nothing but a contact
            for child in entry.children:
                yield from self._item(section, path, announced, child)
            return
        label = labelled(text)
        if label and label[0].lower() in _ASKING_LABELS:
            path, text = (*path, label[0]), label[1]
        quoted = re.match(r"[\"\u201c]([^\"\u201d]+)[\"\u201d]", text)
        about = quoted[1] if quoted else label[0] if label else _ABOUT_ENDS.split(text)[0]
        if announced and not is_clause(text):
            said = sentence(f"{announced} {_uncolon(fluent(text))}")
        else:
            said = ""
        statements: list[tuple[str, Line]] = []
        head, own = text, []
        for child in entry.children:
            nested = [child.line.text, *(line.text for line in _below(child))]
            short = len(child.line.text.split()) <= 3 and not labelled(child.line.text)
            if (
                child.line.text[:1].islower()
                or child.line.text[:1].isdigit()
                or child.line.text[:1] in "€£$"
                or short
            ):
                grown = f"{head.rstrip('.:')}, {', '.join(part.rstrip('.') for part in nested)}"
                if len(grown.split()) <= _JOINED_WORDS:
                    head = grown
                    continue
            own.append((item(listed_under(nested)), child.line))
        parts = _whole(sentences(head))
        statements.append((said or item(parts[0]), entry.line))
        statements += [(sentence(part), entry.line) for part in parts[1:]]
        for line in entry.more:
            statements += [(sentence(part), line) for part in _whole(sentences(line.text))]
        statements += own
        yield from self._make("item", (section, path), about, statements, lines)


def _stands_alone(text: str) -> bool:
    """Whether a text needs no label before it: its first sentence has a verb."""
    return is_clause(text) and not text.startswith(tuple("€£$0123456789"))


def _is_labelled(text: str) -> bool:
    """Whether a sentence opens with a short label: "Charging points: six"."""
    found = labelled(text)
    return found is not None and len(found[0].split()) <= _LABEL_WORDS and not is_clause(found[0])


def listed_under(texts: Sequence[str]) -> str:
    """Join an item and the items nested under it into one line."""
    head, *rest = texts
    return f"{head.rstrip('.:')}, {', '.join(part.rstrip('.') for part in rest)}" if rest else head


def _announces(text: str) -> bool:
    text = text.rstrip()
    if text.endswith(":"):
        return True
    return len(text.split()) <= _LEAD_WORDS and not text.endswith((".", "!", "?"))


def _uncolon(text: str) -> str:
    return re.sub(r":\s+", ", ", text)


def _nested(lines: Sequence[Line]) -> list[_Item]:
    """Nest the items by their depth."""
    found: list[_Item] = []
    open_: list[tuple[int, _Item]] = []
    for line in lines:
        if line.kind != "item":
            if open_:
                open_[-1][1].more.append(line)
            else:
                found.append(_Item(line))
            continue
        entry = _Item(line)
        while open_ and open_[-1][0] >= line.depth:
            open_.pop()
        (open_[-1][1].children if open_ else found).append(entry)
        open_.append((line.depth, entry))
    return found


def _below(entry: _Item) -> list[Line]:
    found = list(entry.more)
    for child in entry.children:
        found += [child.line, *_below(child)]
    return found


def _whole(found: Sequence[str]) -> list[str]:
    """Join sentences that are too short to stand alone to the next, or to the one before."""
    out: list[str] = []
    waiting = ""
    for piece in found:
        text = f"{waiting} {piece}".strip()
        waiting = ""
        if len(text.split()) > _FRAGMENT:
            out.append(text)
        elif out:
            out[-1] = f"{out[-1]} {text}"
        else:
            waiting = text
    if waiting:
        out.append(waiting)
    return out
