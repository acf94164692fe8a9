"""Listings: rows as a table for people, or as JSON or CSV for programs."""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ledger.log.cells import inert
from terminal import output

Row = Mapping[str, Any]

PROSE_COLUMNS = 20
"""Width below which what a caller said is not readable within its row."""

TIMES = ("at", "started_at", "ended_at")
"""Columns in Unix seconds, which JSON and CSV give as ISO 8601 UTC."""


@dataclass(frozen=True, slots=True)
class Column:
    """A table column.

    Parameters:
        heading: Its heading.
        show: Renders a row's cell.
        number: Whether to align right.
        prose: Whether it may be shortened, where the terminal is too narrow for all of it.
    """

    heading: str
    show: Callable[[Row], str]
    number: bool = False
    prose: bool = False


def print_json(rows: Iterable[Row], columns: Sequence[str]) -> None:
    """Print a list of objects with the columns as keys, each as it comes."""
    before = "["
    for row in _plain(rows, columns):
        text = json.dumps(row, indent=2, ensure_ascii=False)
        typer.echo(f"{before}\n  " + text.replace("\n", "\n  "), nl=False)
        before = ","
    typer.echo("[]" if before == "[" else "\n]")


def print_csv(rows: Iterable[Row], columns: Sequence[str]) -> None:
    """Print a header and one line per row; lists become JSON in their cell, formulas text."""
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(columns)
    table.writerows(map(inert, row.values()) for row in _plain(rows, columns))


def print_table(rows: Sequence[Row], columns: Sequence[Column]) -> None:
    """Print a table as wide as the terminal.

    Only prose is shortened; where too little would be left of it, it stands below its row.
    """
    console = output(highlight=True)
    cells = [[_shown(column.show(row)) for column in columns] for row in rows]
    widths = [
        max(cell_len(column.heading), *(row[number].cell_len for row in cells))
        for number, column in enumerate(columns)
    ]
    kept = [number for number, column in enumerate(columns) if not column.prose]
    prose = [number for number, column in enumerate(columns) if column.prose]
    left = console.width - sum(widths[number] + 1 for number in kept)
    if prose and left < PROSE_COLUMNS * len(prose):
        _print_prose_below(console, columns, cells, widths)
        return
    gap = 2 if sum(widths) + 2 * len(widths) <= console.width else 1
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0))
    for column in columns:
        table.add_column(
            column.heading,
            justify="right" if column.number else "left",
            overflow="ellipsis" if column.prose else "fold",
            no_wrap=column.prose or left >= 0,
        )
    for row in cells:
        table.add_row(*row)
    console.print(table)


def _print_prose_below(
    console: Console,
    columns: Sequence[Column],
    cells: Sequence[Sequence[Text]],
    widths: Sequence[int],
) -> None:
    """Print rows of two lines: what must not be shortened, and the prose."""
    headings = [Text(column.heading, style="bold") for column in columns]
    for row in [headings, *cells]:
        line, prose = Text(), Text("  ")
        for column, cell, width in zip(columns, row, widths, strict=True):
            if column.prose:
                prose += cell + Text("  ")
                continue
            padded = cell.copy()
            padded.align("right" if column.number else "left", width)
            line += padded + Text(" ")
        for part in (line, prose):
            part.rstrip()
            console.print(part, no_wrap=True, overflow="ellipsis")


def format_dollars(micros: int) -> str:
    """Micro-dollars as dollars, exactly."""
    return f"${micros // 1_000_000:,}.{micros % 1_000_000:06}"


def format_minute(seconds: float) -> str:
    """Format a Unix time to the minute, UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"


def _plain(rows: Iterable[Row], columns: Sequence[str]) -> Iterator[Row]:
    for row in rows:
        yield {name: _iso(row[name]) if name in TIMES else row[name] for name in columns}


def _iso(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _shown(text: str) -> Text:
    """Text from callers, without markup and terminal control characters."""
    return Text("".join(char if char.isprintable() else " " for char in text))
