"""Parses Markdown into text as it would be read aloud.

CommonMark with tables and strikethrough. A heading starts a section; each list item, table row
and paragraph under it becomes one line. An HTML comment that starts with ``asked:`` holds
questions, each ending with a question mark, that the line before it (or, directly under a
heading, the section) answers::

    - She earned her PhD in mathematics from Yale in 1934. <!-- asked: Where was her doctorate? -->
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser

from markdown_it import MarkdownIt
from markdown_it.token import Token

from knowledge.loading.section import Line, LineKind, Section

_PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
_ASKED = re.compile(r"<!--\s*asked:(.*?)-->", re.DOTALL | re.IGNORECASE)
_SPOKEN_CODE_LINES = 2  # longer code blocks are left out: they make no sense aloud


@dataclass(slots=True)
class _Block:
    number: int
    text: str
    kind: LineKind
    level: int = 0
    questions: list[str] = field(default_factory=list)


def split_front_matter(source: str) -> tuple[str, str, int]:
    """Split front matter from the body; also returns the number of source lines before the body."""
    match = re.match(r"\ufeff?---[ \t]*\r?\n(.*?)(?:^|\n)---[ \t]*(?:\r?\n|$)", source, re.DOTALL)
    if not match:
        return "", source.removeprefix("\ufeff"), 0
    return match[1], source[match.end() :], source[: match.end()].count("\n")


def parse_markdown(source: str, *, offset: int = 0) -> tuple[str, tuple[Section, ...]]:
    """The title given by the headings (may be empty), and the sections.

    A single first-level heading at the start is the document's title, and not part of section ids.
    Text before any heading belongs to a section named ``introduction``.

    Parameters:
        source: Markdown without front matter.
        offset: Number of lines of the file before it.
    """
    blocks = list(_blocks(_PARSER.parse(source), offset))
    headings = [block for block in blocks if block.kind == "heading"]
    title = ""
    if headings and headings[0].level == 1 and sum(block.level == 1 for block in headings) == 1:
        title = headings[0].text
    return title or (headings[0].text if headings else ""), tuple(_sections(blocks, title))


def slug(text: str) -> str:
    """A heading as part of an id: lower case, words joined by hyphens, no accents."""
    text = unicodedata.normalize("NFKD", text.lower().replace("'", "").replace("\u2019", ""))
    text = "".join(c for c in text if not unicodedata.combining(c))
    return re.sub(r"[\W_]+", "-", text).strip("-") or "section"


def distinct(wanted: str, taken: Iterable[str]) -> str:
    """The id, with ``-2``, ``-3`` … appended if it is taken."""
    others = set(taken)
    count = 2
    found = wanted
    while found in others:
        found = f"{wanted}-{count}"
        count += 1
    return found


def _sections(blocks: Sequence[_Block], title: str) -> Iterator[Section]:
    groups: list[tuple[str, _Block, list[_Block]]] = []
    path: list[tuple[int, str]] = []
    for block in blocks:
        if block.kind == "heading":
            path = [(level, part) for level, part in path if level < block.level]
            own = slug(block.text)
            parent = "/".join(part for _, part in path)
            wanted = f"{parent}/{own}" if parent else own
            id = distinct(wanted, (id for id, _, _ in groups))
            if not (block.level == 1 and title):
                path.append((block.level, id.rsplit("/", 1)[-1]))
            groups.append((id, block, []))
        else:
            if not groups:
                groups.append(
                    ("introduction", _Block(block.number, "Introduction", "heading", 1), [])
                )
            groups[-1][2].append(block)
    for id, heading, body in groups:
        if not body and title and heading.level == 1:
            continue
        yield Section(
            id=id,
            title=heading.text,
            level=heading.level,
            lines=tuple(
                Line(block.number, block.text, block.kind, id, tuple(block.questions))
                for block in (replace(heading, questions=[]), *body)
            ),
            questions=tuple(heading.questions),
        )


def _blocks(tokens: Sequence[Token], offset: int) -> Iterator[_Block]:
    """Headings, items and paragraphs; a comment's questions are added to the block before it."""
    last: _Block | None = None
    waiting: list[_Block] = []
    for block, questions in _Reader(offset).read(tokens):
        if block is not None:
            waiting.append(block)
            last = block
        if questions and last is not None:
            last.questions.extend(questions)
    yield from waiting


class _Reader:
    """Walks markdown-it's tokens once, tracking lists and tables."""

    def __init__(self, offset: int) -> None:
        self._offset = offset
        self._items = 0
        self._fresh_item = False
        self._header: list[str] = []
        self._row: list[str] = []
        self._asked: list[str] = []
        self._row_number = 0

    def read(self, tokens: Sequence[Token]) -> Iterator[tuple[_Block | None, list[str]]]:
        """Each block with its questions; questions without a block belong to the block before."""
        for opener, token in zip([Token("", "", 0), *tokens], tokens, strict=False):
            number = (token.map[0] if token.map else 0) + 1 + self._offset
            match token.type:
                case "list_item_open" | "list_item_close":
                    self._items += token.nesting
                    self._fresh_item = token.nesting == 1
                case "inline":
                    yield from self._text(opener, token, number)
                case "fence" | "code_block":
                    yield from self._code(token, number)
                case "html_block":
                    asked = _asked(token.content)
                    yield _block(number, _visible(token.content), "text"), asked
                case _:
                    yield from self._table(token, number)

    def _text(
        self, opener: Token, token: Token, number: int
    ) -> Iterator[tuple[_Block | None, list[str]]]:
        text, questions = _inline(token)
        if opener.type in ("th_open", "td_open"):
            self._row.append(text)
            self._asked.extend(questions)
        elif opener.type == "heading_open":
            yield _block(number, text or "Untitled", "heading", int(opener.tag[1])), questions
        else:
            kind: LineKind = "item" if self._items and self._fresh_item else "text"
            self._fresh_item = False
            yield _block(number, text, kind), questions

    def _table(self, token: Token, number: int) -> Iterator[tuple[_Block | None, list[str]]]:
        if token.type == "tr_open":
            self._row, self._asked, self._row_number = [], [], number
        elif token.type == "thead_close":
            self._header = self._row
        elif token.type == "tbody_open":
            self._row = []
        elif token.type == "tr_close" and self._row_number:
            if self._header:
                text = _row(self._header, self._row)
                yield _block(self._row_number, text, "item"), self._asked
        elif token.type == "table_close":
            self._header = []

    def _code(self, token: Token, number: int) -> Iterator[tuple[_Block | None, list[str]]]:
        lines = [line.strip() for line in token.content.split("\n") if line.strip()]
        spoken = [re.sub(r"\s+#\s+", ": ", line) for line in lines]
        if len(spoken) <= _SPOKEN_CODE_LINES:
            first = number + (token.type == "fence")
            for below, line in enumerate(spoken):
                yield _block(first + below, line, "text"), []


def _block(number: int, text: str, kind: LineKind, level: int = 0) -> _Block | None:
    text = " ".join(text.split())
    if not any(c.isalnum() for c in text):
        return None
    return _Block(number, text, kind, level)


def _inline(token: Token) -> tuple[str, list[str]]:
    text = ""
    questions: list[str] = []
    linked_from = -1
    for child in token.children or ():
        match child.type:
            case "text" | "code_inline":
                text += child.content
            case "softbreak" | "hardbreak":
                text += " "
            case "link_open":
                linked_from = len(text)
            case "link_close":
                linked_from = -1
            case "image" if linked_from < 0 and len(token.children or ()) == 1:
                text += child.content  # a standalone image is read by its description
            case "html_inline":
                questions.extend(_asked(child.content))
                text += " " if re.match(r"<br\b", child.content, re.IGNORECASE) else ""
            case _:
                pass
    return re.sub(r"^\s*\[[ xX]\]\s+", "", text), questions


def _row(header: Sequence[str], cells: Sequence[str]) -> str:
    said = []
    for spot, cell in enumerate(cells):
        name = header[spot] if spot < len(header) else ""
        if cell:
            said.append(f"{name}: {cell}" if name and spot else cell)
    return "; ".join(part.rstrip(".") for part in said)


def _asked(html: str) -> list[str]:
    return [
        " ".join(question.split())
        for asked in _ASKED.findall(html)
        for question in re.findall(r"[^?]*\?", asked)
    ]


class _Visible(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.text.append(data)


def _visible(html: str) -> str:
    parser = _Visible()
    parser.feed(html)
    parser.close()
    return " ".join(parser.text)
