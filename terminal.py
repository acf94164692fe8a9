"""What commands print: results to stdout, errors and progress to stderr.

Paths and documents stand as they are: rich would take ``:x:`` for the name of a picture.
"""

import os
import sys
from textwrap import fill

import typer
from rich.console import Console

MOST_COLUMNS = 80
"""Width at which errors are wrapped, in a terminal that is at least as wide."""

PIPED_COLUMNS = 10_000
"""Width of what is no terminal: enough for a table of whole answers."""

_errors = Console(stderr=True, emoji=False, highlight=False)


def output(*, highlight: bool = False, folded: bool = False) -> Console:
    """A console on stdout.

    In a file or pipe, a row of a table is one line, however long, unless ``COLUMNS`` is set.

    Args:
        highlight: Whether numbers and paths are coloured.
        folded: Whether a file gets rows folded as a terminal does, for text that is read.
    """
    console = Console(emoji=False, highlight=highlight)
    if not folded and not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = PIPED_COLUMNS
    return console


def errors() -> Console:
    """The console on stderr: one, so that an error is printed above a bar of progress."""
    return _errors


def print_error(text: str, *, style: str = "red") -> None:
    """Print what went wrong, as text without markup.

    A terminal gets it wrapped between words, so that paths can be copied; a file or pipe gets it as
    it is, so that it can be searched.
    """
    lines = f"viva: {text}"
    if _errors.is_terminal:
        lines = wrap(lines, min(_errors.width, MOST_COLUMNS))
    _errors.print(lines, style=style, markup=False, soft_wrap=True)


def wrap(text: str, columns: int) -> str:
    """Wrap each line of a text between words; lines that continue one are indented."""
    return "\n".join(
        fill(
            line,
            columns,
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
            replace_whitespace=False,
        )
        for line in text.splitlines()
    )


def print_warning(text: str) -> None:
    """Print what may be a mistake, as :func:`print_error` does."""
    print_error(text, style="yellow")


def fail(text: str) -> typer.Exit:
    """Print why a command cannot be done; returns what to raise: exit status 2."""
    print_error(text)
    return typer.Exit(2)


def confirm(question: str) -> bool:
    """Ask before something that cannot be undone, or costs.

    Raises:
        typer.Exit: Nobody can answer, as without a terminal; the message names ``--yes``.
    """
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        if sys.stdin.isatty():  # Ctrl-C or Ctrl-D
            raise
        raise fail("Nothing was done: there is no terminal to answer in. Give --yes.") from None
