"""The commands ``viva ask`` and ``viva document check``: a document's answers, without a call."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from knowledge.loading.document import Document

app = typer.Typer(add_completion=False, rich_markup_mode=None)
checks = typer.Typer(
    help="What Viva understands of a document.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(checks, name="document")

_console = Console(highlight=False)

OfDocument = Annotated[
    Path | None,
    typer.Option("--document", metavar="FILE", help="The document; by default the bundled CV."),
]


@checks.callback()
def _document() -> None:
    pass


@app.command(
    epilog="""\b
Examples:
  viva ask "Which languages did she design?"
  viva ask "When do you open on Saturday?" --document menu.md
  viva ask --document menu.md --questions menu.toml"""
)
def ask(
    question: Annotated[str, typer.Argument(help="What a caller would say.")] = "",
    *,
    document: OfDocument = None,
    questions: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Ask the questions of a file, such as those in evals/documents."
        ),
    ] = None,
) -> None:
    """Ask the embedded brain a question, in text, with every check of a call."""
    from evals.scoring.answers import ask as ask_all
    from evals.scoring.answers import cases, decide
    from processors.brain.extractive import ExtractiveBrain

    if bool(question) == (questions is not None):
        raise typer.BadParameter("give a question or --questions FILE")
    read = _load(document)
    brain = ExtractiveBrain.load(read)
    try:
        if questions is None:
            decision = decide(brain, read, question, ())
            about = decision.confidence or decision.reason
            _console.print(decision.text, markup=False, soft_wrap=True)
            where = ", ".join(decision.sections)
            _console.print(f"[{decision.decision}, {about}] {where}", style="dim", markup=False)
            return
        if not questions.is_file():
            raise typer.BadParameter(f"{questions}: there is no such file")
        outcomes = ask_all(brain, read, cases(questions)[1])
    finally:
        brain.close()
    table = Table("", "question", "decision", "said", box=None, pad_edge=False)
    for outcome in outcomes:
        about = outcome.decision.confidence or outcome.decision.reason
        table.add_row(outcome.failed or "right", outcome.case.ask, about, outcome.decision.text)
    _console.print(table)
    right = sum(not outcome.failed for outcome in outcomes)
    _console.print(f"{right} of {len(outcomes)} right")
    raise typer.Exit(0 if right == len(outcomes) else 1)


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
        Console(stderr=True, highlight=False).print(
            f"viva: {error}", style="red", markup=False, soft_wrap=True
        )
        raise typer.Exit(2) from None
