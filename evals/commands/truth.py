"""The command ``viva truth draft``: the ground truth of one's own calls, to be corrected."""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from terminal import errors, fail, print_error

app = typer.Typer(add_completion=False, rich_markup_mode=None)
truth = typer.Typer(
    help="The ground truth of recorded calls.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(truth, name="truth")

_terminal = errors()


@truth.callback()
def _truth() -> None:
    pass


@truth.command(
    epilog="""\b
Example:
  viva truth draft data/recordings && $EDITOR data/recordings/truth.toml
  viva score data/recordings"""
)
def draft(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder of recordings.")],
    *,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The truth file; by default DIR/truth.toml."),
    ] = None,
    ledger: Annotated[
        bool, typer.Option("--ledger", help="Take callers' verdicts from the ledger.")
    ] = False,
) -> None:
    """Draft a truth file from voice activity and transcripts, to be corrected by hand.

    What the agent decided is in comments only: what is right is for you to say, or for the callers,
    who can say it on the page (--ledger). A file that is there is never replaced.
    """
    from evals.scoring.calls import Run, RunError
    from evals.scoring.draft import draft as draft_of

    path = out or folder / "truth.toml"
    verdicts = _verdicts() if ledger else {}
    try:
        with Progress(console=_terminal, transient=True) as bar:
            task = bar.add_task(f"reading {folder}", total=None)
            run = Run.read(
                folder, progress=lambda done, of: bar.update(task, completed=done, total=of)
            )
        with path.open("x", encoding="utf-8") as file:
            file.write(draft_of(run.calls, verdicts))
    except RunError as error:
        raise fail(str(error)) from None
    except FileExistsError:
        raise fail(f"{path} is there already; --out FILE writes another.") from None
    except OSError as error:
        raise fail(f"{path} cannot be written: {error.strerror or error}.") from None
    for call in run.unreadable:
        print_error(f"{call.file}: {call.error}")
    typer.echo(f"A draft of {len(run.calls)} calls is in {path}.")


def _verdicts() -> dict[tuple[str, int], bool]:
    """What callers said of answers, by call and turn."""
    from sqlalchemy.exc import SQLAlchemyError

    from ledger.log.query import list_turns
    from ledger.store.database import Database, DatabaseError
    from settings import Settings, SettingsError

    try:
        database = Database.open(Settings.load())
        try:
            turns = list_turns(database)
        finally:
            database.close()
    except (SettingsError, DatabaseError, SQLAlchemyError) as error:
        raise fail(f"the ledger cannot be read: {error}") from None
    return {
        (turn["call"], turn["number"]): turn["was_right"]
        for turn in turns
        if turn["was_right"] is not None
    }
