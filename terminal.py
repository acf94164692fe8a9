"""What commands print: results to stdout, errors and progress to stderr.

Paths and documents stand as they are: rich would take ``:x:`` for the name of a picture.
"""

import typer
from rich.console import Console

_errors = Console(stderr=True, emoji=False, highlight=False)


def output(*, highlight: bool = False) -> Console:
    """A console on stdout; with ``highlight``, numbers and paths are coloured."""
    return Console(emoji=False, highlight=highlight)


def errors() -> Console:
    """The console on stderr: one, so that an error is printed above a bar of progress."""
    return _errors


def print_error(text: str) -> None:
    """Print what went wrong, as text: no markup, and not wrapped."""
    _errors.print(f"viva: {text}", style="red", markup=False, soft_wrap=True)


def fail(text: str) -> typer.Exit:
    """Print why a command cannot be done; returns what to raise: exit status 2."""
    print_error(text)
    return typer.Exit(2)
