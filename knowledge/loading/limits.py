"""Limits on the structure of a document, so that loading one always ends.

A file within :data:`knowledge.loading.document.MAX_BYTES` can still be made so that its structure
grows without bound: aliases that multiply, headings by the thousand, a header that every row of a
table repeats.
"""

import re
from collections.abc import Mapping
from typing import Any

MAX_LINES = 10_000
"""Lines of a Markdown file; one of 250 kB that is wrapped at 72 characters has some 3,500."""

MAX_SECTIONS = 2_000
"""Headings of a document; a brain is shown all of their ids."""

MAX_BLOCKS = 15_000
"""Paragraphs, items and cells of tables."""

MAX_COLUMNS = 100
"""Columns of a table."""

MAX_PARAGRAPH_CHARS = 20_000
"""Characters of a paragraph, an item or a cell, some 3,000 words."""

MAX_TITLE_CHARS = 500
"""Characters of the title, which the greeting says."""

MAX_TOLD_CHARS = 1_000_000
"""Characters of all lines together: a table repeats its header in each row."""

MAX_FRONT_MATTER_CHARS = 32_768
MAX_DEPTH = 32
"""How deep JSON, and front matter of any form, may be nested."""

MAX_VALUES = 50_000
"""Values in JSON or front matter, those that an alias repeats counted each time."""

MAX_DIGITS = 300
"""Digits of a number in JSON or front matter."""

_BLANKS = 500
_BARS = 4 * MAX_COLUMNS  # columns are counted once a table is parsed, which takes long
_MANY_BLANKS = re.compile(rf"[^\S\n]{{{_BLANKS + 1}}}")


class LimitError(ValueError):
    """A limit is exceeded; the message is a sentence without its subject."""


def check_lines(source: str) -> None:
    """Check the lines of a Markdown file.

    Raises:
        LimitError: There are too many, one has too many blanks in a row, which take a regular
            expression their number squared, or more bars than a table can have columns.
    """
    lines = source.count("\n")
    if lines > MAX_LINES:
        raise LimitError(f"it has {lines} lines; at most {MAX_LINES} are allowed")
    if blanks := _MANY_BLANKS.search(source):
        line = source.count("\n", 0, blanks.start()) + 1
        raise LimitError(f"line {line} has more than {_BLANKS} blanks in a row")
    for number, text in enumerate(source.split("\n"), 1):
        if text.count("|") > _BARS:
            raise LimitError(f"line {number} has more than {_BARS} bars, as of a table's columns")


def check_values(value: Any) -> None:
    """Check parsed JSON, YAML or TOML, which may hold the same value in several places.

    Raises:
        LimitError: It is nested too deep, has too many values, or a number is too long.
    """
    seen = 0
    waiting: list[tuple[Any, int]] = [(value, 0)]
    while waiting:
        item, depth = waiting.pop()
        seen += 1
        if seen > MAX_VALUES:
            raise LimitError(f"it has more than {MAX_VALUES} values")
        if depth > MAX_DEPTH:
            raise LimitError(f"it is nested more than {MAX_DEPTH} deep")
        match item:
            case Mapping():
                waiting.extend((part, depth + 1) for part in item)
                waiting.extend((part, depth + 1) for part in item.values())
            case list() | tuple() | set() | frozenset():
                waiting.extend((part, depth + 1) for part in item)
            case int() if item.bit_length() > 4 * MAX_DIGITS:
                raise LimitError(f"a number has more than {MAX_DIGITS} digits")
