"""Parses Markdown into sections of plain text that can be read aloud.

CommonMark with tables and strikethrough. A heading starts a section; each list item, table row
and paragraph under it becomes one line. An HTML comment that starts with ``asked:`` holds
questions, each ending with a question mark, that the line before it (or, directly under a
heading, the section) answers::

    - She earned her PhD in mathematics from Yale in 1934. <!-- asked: Where was her doctorate? -->
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from typing import Literal

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

from knowledge.loading import limits
from knowledge.loading.section import Line, LineKind, Section
from knowledge.telling import setting
from knowledge.words import spaced


def _check_blocks(state: StateCore) -> None:
    """Refuse what would take long to read, before it is read.

    Raises:
        LimitError: There are too many headings or blocks, or one of them is too long.
    """
    blocks = headings = columns = 0
    for token in state.tokens:
        if token.type == "inline":
            blocks += 1
            if len(token.content) > limits.MAX_PARAGRAPH_CHARS:
                raise limits.LimitError(
                    f"a paragraph of it has {len(token.content)} characters; at most "
                    f"{limits.MAX_PARAGRAPH_CHARS} are allowed"
                )
        elif token.type == "heading_open":
            headings += 1
        elif token.type == "tr_open":
            columns = 0
        elif token.type in ("th_open", "td_open"):
            columns += 1
            if columns > limits.MAX_COLUMNS:
                raise limits.LimitError(
                    f"a table of it has more than {limits.MAX_COLUMNS} columns, which is the limit"
                )
    if headings > limits.MAX_SECTIONS:
        raise limits.LimitError(
            f"it has {headings} headings; at most {limits.MAX_SECTIONS} are allowed"
        )
    if blocks > limits.MAX_BLOCKS:
        raise limits.LimitError(
            f"it has {blocks} paragraphs, items and cells; at most {limits.MAX_BLOCKS} are allowed"
        )


_PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
_PARSER.core.ruler.before("inline", "check_blocks", _check_blocks)
_ASKED = re.compile(r"<!--\s*asked:(.*?)-->", re.DOTALL | re.IGNORECASE)
_SPOKEN_CODE_LINES = 2  # of longer blocks only commands and settings make sense aloud
_SPOKEN_COMMANDS, _SPOKEN_COMMAND_WORDS = 12, 12  # of a block; words of a command
_SHELLS = frozenset(("sh", "bash", "zsh", "shell", "console", "terminal"))
_SETTINGS = frozenset(("ini", "toml", "yaml", "yml", "env", "dotenv", "properties", "conf"))


@dataclass(slots=True)
class _Block:
    number: int
    text: str
    kind: LineKind
    level: int = 0
    questions: list[str] = field(default_factory=list)
    depth: int = 0
    cells: tuple[tuple[str, str], ...] = ()
    code: bool = False


@dataclass(frozen=True, slots=True)
class FrontMatterText:
    """The front matter of a file.

    Parameters:
        form: Its format.
        text: The fields, without the marks around them; empty if there are none.
        lines: Number of lines in the file before the document's text.
    """

    form: Literal["yaml", "toml", "json"]
    text: str
    lines: int


_FRONT_MATTER: tuple[tuple[Literal["yaml", "toml", "json"], re.Pattern[str]], ...] = (
    # A line of hyphens with an empty line after it is a rule.
    ("yaml", re.compile(r"---[ \t]*\n(?!\s*\n)(.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.S | re.M)),
    ("toml", re.compile(r"\+\+\+[ \t]*\n(.*?)^\+\+\+[ \t]*(?:\n|\Z)", re.S | re.M)),
    ("json", re.compile(r"(\{[ \t]*\n.*?^\})[ \t]*(?:\n|\Z)", re.S | re.M)),
    ("json", re.compile(r"(\{[ \t]*\"[^\n]*\})[ \t]*(?:\n|\Z)")),  # in one line
)

_UNENDED: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"---[ \t]*\n[\w-]+:(?:\s|\Z)"), "---"),
    (re.compile(r"\+\+\+[ \t]*\n"), "+++"),
    (re.compile(r"\{\s*\"[^\"\n]*\"\s*:"), "}"),
)
"""How front matter begins, and the line that ends it."""


class FrontMatterError(ValueError):
    """Front matter has no end, so that its fields would be read as text; the message says which."""


def split_front_matter(source: str) -> tuple[FrontMatterText, str]:
    """Split a file into front matter (YAML as in Jekyll; TOML or JSON as in Hugo) and the rest.

    Raises:
        FrontMatterError: It has a beginning and no end.
    """
    source = source.removeprefix("\ufeff")
    for form, pattern in _FRONT_MATTER:
        if match := pattern.match(source):
            lines = source[: match.end()].count("\n")
            return FrontMatterText(form, match[1], lines), source[match.end() :]
    for begins, end in _UNENDED:
        if begins.match(source):
            raise FrontMatterError(
                f"its front matter has no end: put a line with {end} behind its last field"
            )
    return FrontMatterText("yaml", "", 0), source


def parse_markdown(source: str, *, offset: int = 0) -> tuple[str, tuple[Section, ...]]:
    """Parse Markdown into the title from its headings (may be empty) and its sections.

    A single first-level heading at the start is the document's title and not part of section ids.
    Text before any heading belongs to a section named ``introduction``.

    Parameters:
        source: Markdown without front matter.
        offset: Number of lines of the file before it.

    Raises:
        LimitError: It exceeds one of :mod:`knowledge.loading.limits`.
    """
    limits.check_lines(source)
    blocks = list(_blocks(_PARSER.parse(source), offset))
    headings = [block for block in blocks if block.kind == "heading"]
    title = ""
    if headings and headings[0].level == 1 and sum(block.level == 1 for block in headings) == 1:
        title = headings[0].text
    return title or (headings[0].text if headings else ""), tuple(_sections(blocks, title))


def plain_text(source: str) -> str:
    """Strip Markdown and HTML from a text and join its lines."""
    if not re.search(r"[*_`<\[&~#\n]", source):
        return source.strip()
    blocks = _blocks(_PARSER.parse(source), 0)
    return " ".join(block.text for block in blocks)


def slug(text: str) -> str:
    """Turn a heading into part of an id: lower case, words joined by hyphens, no accents."""
    text = unicodedata.normalize("NFKD", text.lower().replace("'", "").replace("\u2019", ""))
    text = "".join(c for c in text if not unicodedata.combining(c))
    return re.sub(r"[\W_]+", "-", text).strip("-") or "section"


class DistinctIds:
    """Ids of which no two are the same: ``-2``, ``-3`` … is appended to one that is taken."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._counts: dict[str, int] = {}

    def add(self, wanted: str) -> str:
        """Take an id, or the next one like it."""
        found = wanted
        while found in self._taken:
            count = self._counts[wanted] = self._counts.get(wanted, 1) + 1
            found = f"{wanted}-{count}"
        self._taken.add(found)
        return found


def _sections(blocks: Sequence[_Block], title: str) -> Iterator[Section]:
    groups: list[tuple[str, _Block, list[_Block]]] = []
    ids = DistinctIds()
    path: list[tuple[int, str]] = []
    for block in blocks:
        if block.kind == "heading":
            path = [(level, part) for level, part in path if level < block.level]
            own = slug(block.text or "untitled")
            parent = "/".join(part for _, part in path)
            wanted = f"{parent}/{own}" if parent else own
            id = ids.add(wanted)
            if not (block.level == 1 and title):
                path.append((block.level, id.rsplit("/", 1)[-1]))
            groups.append((id, block, []))
        else:
            if not groups:
                groups.append(
                    (
                        ids.add("introduction"),
                        _Block(block.number, "Introduction", "heading", 1),
                        [],
                    )
                )
            groups[-1][2].append(block)
    for id, heading, body in groups:
        if not body and (not heading.text or (title and heading.level == 1)):
            continue
        yield Section(
            id=id,
            title=heading.text or "Untitled",
            level=heading.level,
            lines=tuple(
                Line(
                    block.number,
                    block.text,
                    block.kind,
                    id,
                    tuple(block.questions),
                    block.depth,
                    block.cells,
                    block.code,
                )
                for block in (
                    replace(heading, text=heading.text or "Untitled", questions=[]),
                    *body,
                )
            ),
            questions=tuple(heading.questions),
        )


def _blocks(tokens: Sequence[Token], offset: int) -> Iterator[_Block]:
    """Split into headings, items and paragraphs; questions in comments go to the block before."""
    last: _Block | None = None
    waiting: list[_Block] = []
    told = 0
    for block, questions in _Reader(offset).read(tokens):
        if block is not None:
            waiting.append(block)
            last = block
            told += len(block.text)
            if len(waiting) > limits.MAX_BLOCKS:
                raise limits.LimitError(
                    f"it has more than {limits.MAX_BLOCKS} paragraphs, items and rows, which is "
                    "the limit"
                )
            if told > limits.MAX_TOLD_CHARS:
                raise limits.LimitError(
                    f"its lines have more than {limits.MAX_TOLD_CHARS} characters as they are "
                    "told, in which a table's rows repeat their header"
                )
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
        self._html = _Html()

    def read(self, tokens: Sequence[Token]) -> Iterator[tuple[_Block | None, list[str]]]:
        """Yield each block with its questions; questions without a block belong to the last one."""
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
                    for block in self._html.blocks(token.content, number):
                        yield block, []
                    yield None, _asked(token.content)
                case _:
                    yield from self._table(token, number)

    def _text(
        self, opener: Token, token: Token, number: int
    ) -> Iterator[tuple[_Block | None, list[str]]]:
        text, questions = _inline(token)
        if opener.type in ("th_open", "td_open"):
            self._row.append(_marked(text))
            self._asked.extend(questions)
        elif opener.type == "heading_open":
            yield _Block(number, _flat(text), "heading", int(opener.tag[1])), questions
        else:
            kind: LineKind = "item" if self._items and self._fresh_item else "text"
            if kind == "item":
                text = _marked(text)
            self._fresh_item = False
            if kind == "text" and len(parts := _labelled_lines(token)) > 1:
                for below, part in parts:
                    text, questions = _inline(part)
                    yield _block(number + below, text, "item", depth=self._items + 1), questions
                return
            yield _block(number, text, kind, depth=self._items), questions

    def _table(self, token: Token, number: int) -> Iterator[tuple[_Block | None, list[str]]]:
        if token.type == "tr_open":
            self._row, self._asked, self._row_number = [], [], number
        elif token.type == "thead_close":
            self._header = self._row
        elif token.type == "tbody_open":
            self._row = []
        elif token.type == "tr_close" and self._row_number:
            if self._header:
                yield _row_block(self._row_number, self._header, self._row), self._asked
        elif token.type == "table_close":
            self._header = []

    def _code(self, token: Token, number: int) -> Iterator[tuple[_Block | None, list[str]]]:
        first = number + (token.type == "fence")
        for below, line in _typed(token.content, token.info.split(" ")[0].lower()):
            yield _block(first + below, line, "text", code=True), []


def _typed(code: str, language: str) -> list[tuple[int, str]]:
    """Pick the lines of a code block that can be read aloud, each with its number in the block.

    Blocks of one or two lines are kept whole. Of longer ones only commands and plain settings are
    kept, each with the comment above or after it; programs and console output are dropped.
    """
    lines = [(at, line.strip()) for at, line in enumerate(code.split("\n")) if line.strip()]
    if len(lines) <= _SPOKEN_CODE_LINES:
        said = [re.sub(r"\s+#\s+", ": ", line.removeprefix("$ ")) for _, line in lines]
        return list(enumerate(said))
    prompted = any(line.startswith("$ ") for _, line in lines)
    if language not in _SHELLS | _SETTINGS and not (prompted and not language):
        return []
    found: list[tuple[int, str]] = []
    comment, whole, begun = "", "", 0
    for at, line in lines:
        if line.startswith("#") and not whole:
            comment = line.lstrip("# ")
            continue
        begun = begun if whole else at
        if prompted and not whole and not line.startswith("$ "):
            continue
        whole = f"{whole} {line.removeprefix('$ ')}".strip()
        if whole.endswith("\\"):
            whole = whole[:-1].rstrip()
            continue
        typed, behind = [*re.split(r"\s+#\s+", whole, maxsplit=1), ""][:2]
        whole, what, comment = "", behind or comment, ""
        if language in _SETTINGS:
            given = setting(typed)
            if given is None:
                continue
            typed = " = ".join(given)
        if len(typed.split()) <= _SPOKEN_COMMAND_WORDS:
            found.append((begun, f"{typed}: {what}" if what else typed))
    return found[:_SPOKEN_COMMANDS]


def _flat(text: str) -> str:
    return " ".join(text.split())


_LABELLED = re.compile(r"[A-Z][\w&/' -]{1,24}:(?:\s+\S|$)")


def _labelled_lines(token: Token) -> list[tuple[int, Token]]:
    """Split a paragraph of which several lines have labels: "**When:** …", "Where: …".

    Lines that all begin in bold are split, too: "**Carrot cake**, £3.60."

    Returns:
        Each labelled line with the lines after it, as a paragraph of its own, and how many lines
        it is below the first; empty if this is no such paragraph.
    """
    lines: list[list[Token]] = [[]]
    for child in token.children or ():
        if child.type in ("softbreak", "hardbreak"):
            lines.append([])
        else:
            lines[-1].append(child)
    labelled = [
        _LABELLED.match("".join(child.content for child in line).lstrip()) is not None
        and len(lines) > 1
        for line in lines
    ]
    opens = [len(lines) > 1 and _opens_bold(line) for line in lines]
    bold = [is_ and opening for is_, opening in zip(labelled, opens, strict=True)]
    if all(opens):
        begins = opens
    elif labelled[0] and all(labelled):
        begins = labelled
    elif labelled[0] and sum(bold) > 1:
        begins = bold
    else:
        return []
    found: list[tuple[int, Token]] = []
    for below, (line, new) in enumerate(zip(lines, begins, strict=True)):
        if new or not found:
            found.append((below, Token("inline", "", 0, children=list(line))))
        else:
            before = found[-1][1]
            before.children = [*(before.children or ()), Token("softbreak", "br", 0), *line]
    return found


def _opens_bold(line: Sequence[Token]) -> bool:
    return next((child.type for child in line if child.type != "text" or child.content), "") in (
        "strong_open",
        "em_open",
    )


def _block(
    number: int, text: str, kind: LineKind, *, depth: int = 0, code: bool = False
) -> _Block | None:
    text = _flat(_ALERT.sub("", text))
    if not code:
        text = _flat(_SHORTCODE.sub("", text))
    if not any(c.isalnum() for c in text):
        return None
    return _Block(number, text, kind, depth=depth, code=code)


def _row_block(number: int, header: Sequence[str], cells: Sequence[str]) -> _Block | None:
    block = _block(number, _row(header, cells), "item")
    if block is not None:
        names = [*header, *[""] * (len(cells) - len(header))]
        block.cells = tuple(
            (_flat(name), _flat(cell)) for name, cell in zip(names, cells, strict=False)
        )
    return block


_ALERT = re.compile(r"^\s*\[!(?:NOTE|TIP|IMPORTANT|WARNING|CAUTION)\]\s*", re.IGNORECASE)
_SHORTCODE = re.compile(r"(?<![\w:]):[a-z][a-z0-9_+-]*:(?![\w:])")
"""A picture by its name, as in ":zap: Fast"."""
_STRUCK = ("s", "del", "strike")
_TASK = re.compile(r"^\s*\[([ xX])\]\s+")
_MARKS = (
    (
        "yes",
        re.compile(
            r"^\s*[\u2705\u2714\u2611\u2713]\ufe0f?\s*|\s*[\u2705\u2714\u2611\u2713]\ufe0f?\s*$"
            r"|^\s*:(?:white_check_mark|heavy_check_mark|ballot_box_with_check):\s*"
        ),
    ),
    (
        "no",
        re.compile(
            r"^\s*[\u274c\u2717\u2718\u2716\U0001f6ab]\ufe0f?\s*"
            r"|\s*[\u274c\u2717\u2718\u2716\U0001f6ab]\ufe0f?\s*$"
            r"|^\s*:(?:x|no_entry|no_entry_sign|negative_squared_cross_mark):\s*"
        ),
    ),
    ("not yet", re.compile(r"^\s*[\U0001f6a7\u23f3\U0001f51c]\ufe0f?\s*")),
)


def _marked(text: str) -> str:
    """Replace ticks, crosses and task boxes by words: yes, no, not yet."""
    if task := _TASK.match(text):
        return f"{text[task.end() :].rstrip('.')}: {'not yet' if task[1] == ' ' else 'yes'}"
    for word, mark in _MARKS:
        if mark.search(text):
            rest = mark.sub("", text, count=1).strip()
            if word == "no" and re.match(r"(?:no|not|never|without)\b", rest, re.IGNORECASE):
                return rest
            return f"{rest.rstrip('.')}: {word}" if rest else word
    return text


def _inline(token: Token) -> tuple[str, list[str]]:
    text = ""
    questions: list[str] = []
    linked_from = -1
    struck = 0
    for child in token.children or ():
        if child.type in ("s_open", "s_close"):
            struck += child.nesting
            continue
        tag = _TAG.match(child.content) if child.type == "html_inline" else None
        if tag and tag[2].lower() in _STRUCK:
            struck = max(0, struck - 1) if tag[1] else struck + 1
            continue
        if struck:
            continue
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
                text += child.content  # the description of a standalone image
            case "html_inline":
                questions.extend(_asked(child.content))
                text += " " if re.match(r"<br\b", child.content, re.IGNORECASE) else ""
            case _:
                pass
    return text, questions


_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*)")


def _row(header: Sequence[str], cells: Sequence[str]) -> str:
    said = []
    for spot, cell in enumerate(cells):
        name = header[spot] if spot < len(header) else ""
        if cell:
            said.append(f"{name}: {cell}" if name and spot else cell)
    return "; ".join(part.rstrip(".") for part in said)


def _asked(html: str) -> list[str]:
    ended = html[: html.rfind("-->") + len("-->")] if "-->" in html else ""
    return [
        " ".join(question.split())
        for asked in _ASKED.findall(ended)
        for question in re.findall(r"[^?]*\?", asked)
    ]


_BLOCK_TAGS = frozenset(
    spaced(
        "p div section article header footer main aside ul ol dl table thead tbody tfoot "
        "blockquote details summary figure figcaption center address nav hr"
    )
)


_SUMMARY_LEVEL = 6
"""The heading level of a <summary>: below any heading that it can stand under."""


class _Html(HTMLParser):
    """Parses HTML within Markdown into headings, items, rows and paragraphs.

    Markdown cuts HTML at empty lines, so the parser keeps its state from piece to piece.
    """

    def __init__(self) -> None:
        super().__init__()
        self._found: list[_Block] = []
        self._text = ""
        self._hidden = 0
        self._lists = 0
        self._fresh_item = False
        self._heading = 0
        self._term = ""
        self._header: list[str] = []
        self._cells: list[str] | None = None
        self._in_cell = False
        self._head_cells = 0
        self._started = self._first_line = self._number = 0

    def blocks(self, html: str, number: int) -> list[_Block]:
        """Feed a piece of HTML; return the blocks that end in it.

        Parameters:
            html: The piece.
            number: Its first line in the file.
        """
        self._found = []
        self._started, self._first_line = self.getpos()[0], number
        self._number = number
        try:
            self.feed(html)
        except AssertionError:
            # The parser's way to refuse a declaration such as <![x]>; what follows is not told.
            self.rawdata = ""
        if self._cells is None and not self._heading and not self._term:
            self._flush()
        return self._found

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "style", *_STRUCK):
            self._hidden += 1
        elif re.fullmatch("h[1-6]", tag):
            self._flush()
            self._heading = int(tag[1])
        elif tag in ("ul", "ol"):
            self._flush()
            self._lists += 1
        elif tag == "li":
            self._flush()
            self._fresh_item = True
        elif tag == "tr":
            self._flush()
            self._cells, self._head_cells = [], 0
        elif tag in ("td", "th"):
            self._end_cell()
            self._in_cell = True
            self._head_cells += tag == "th"
        elif tag in ("dt", "dd"):
            self._end_definition()
        elif tag == "br":
            self._text += " "
        elif tag in _BLOCK_TAGS and self._cells is None:
            self._flush()
            if tag == "summary":
                self._heading = _SUMMARY_LEVEL
        if tag == "table":
            self._header = []

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style", *_STRUCK):
            self._hidden = max(0, self._hidden - 1)
        elif re.fullmatch("h[1-6]", tag) or (tag == "summary" and self._heading):
            self._found.append(
                _Block(self._at(), _flat(self._text), "heading", self._heading or int(tag[1:]))
            )
            self._text, self._heading = "", 0
        elif tag in ("ul", "ol"):
            self._flush()
            self._lists = max(0, self._lists - 1)
        elif tag in ("td", "th"):
            self._end_cell()
        elif tag == "tr":
            self._end_row()
        elif tag in ("dt", "dd", "dl"):
            self._end_definition(told=tag != "dt")
        elif (tag in _BLOCK_TAGS or tag == "li") and self._cells is None:
            self._flush()

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            if not self._text.strip():
                self._number = self._at()
            self._text += data

    def _at(self) -> int:
        return self._first_line + self.getpos()[0] - self._started

    def _flush(self) -> None:
        text, self._text = self._text, ""
        kind: LineKind = "item" if self._fresh_item else "text"
        if (block := _block(self._number, _marked(text), kind, depth=self._lists)) is not None:
            self._found.append(block)
            self._fresh_item = False

    def _end_cell(self) -> None:
        if self._cells is not None and self._in_cell:
            self._cells.append(_marked(_flat(self._text)))
        self._text, self._in_cell = "", False

    def _end_row(self) -> None:
        self._end_cell()
        cells, self._cells = self._cells, None
        self._text = ""
        if not cells:
            return
        if self._head_cells == len(cells) and not self._header:
            self._header = cells
        elif (block := _row_block(self._at(), self._header, cells)) is not None:
            self._found.append(block)

    def _end_definition(self, *, told: bool = True) -> None:
        text, self._text = _flat(self._text), ""
        if not told:
            self._term = text
        elif text:
            said = f"{self._term}: {text}" if self._term else text
            if (block := _block(self._at(), said, "item", depth=1)) is not None:
                self._found.append(block)
