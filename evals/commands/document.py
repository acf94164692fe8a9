"""The command ``viva document check``: shows what Viva reads in a document."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from terminal import fail, output

if TYPE_CHECKING:
    from knowledge.loading.document import Document

app = typer.Typer(add_completion=False, rich_markup_mode=None)
checks = typer.Typer(
    help="What Viva understands of a document.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(checks, name="document")

_console = output()


@checks.callback()
def _document() -> None:
    pass


@checks.command(
    epilog="""\b
Example:
  viva document check menu.md"""
)
def check(
    document: Annotated[Path, typer.Argument(metavar="FILE", help="Markdown or JSON Resume.")],
) -> None:
    """Show what Viva read, record by record: what it would say, and what it skips or refuses."""
    from knowledge.records import records

    read = _load(document)
    kind = "a CV" if read.about_person else "not a CV"
    _console.print(f"{read.title} ({read.language}, {kind})", markup=False)
    topics = ", ".join(topic.name for topic in read.sensitive) or "nothing"
    _console.print(f"refused as sensitive: {topics}", markup=False)
    for sentence in read.skipped:
        _console.print(f"skipped: {sentence}", style="yellow", markup=False)
    if read.ignored:
        _console.print(f"ignored front matter: {', '.join(read.ignored)}", markup=False)
    section = ""
    for record in records(read):
        if record.section.id != section:
            section = record.section.id
            _console.print(f"\n{section}", style="bold", markup=False)
        for statement in record.statements:
            line = f"{statement.line.number:6}  {statement.text}"
            _console.print(line, markup=False, soft_wrap=True)


def _load(path: Path | None) -> "Document":
    from knowledge.loading.document import DocumentError, load

    try:
        return load(path)
    except DocumentError as error:
        raise fail(str(error)) from None
