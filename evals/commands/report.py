"""The command ``viva report``, and what the other commands write reports with."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress

if TYPE_CHECKING:
    from evals.scoring.score import Scores

app = typer.Typer(add_completion=False, rich_markup_mode=None)

Html = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="Write the report, too, as viva report does."),
]


@app.command(
    epilog="""\b
Examples:
  viva score out && viva report out
  viva report out --against before --out what-changed.html"""
)
def report(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A run that viva score has scored.")
    ],
    *,
    against: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Another run of the same calls, to hold it against."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The file; by default DIR/report.html.")
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="What should have happened, to score both by, as viva compare does.",
        ),
    ] = None,
    audio_mb: Annotated[
        float,
        typer.Option(
            "--audio-mb",
            metavar="MB",
            help="How much the sounds of turns may weigh in it; the most telling come first.",
        ),
    ] = 20.0,
) -> None:
    """Write a report of a run, or of two side by side: one HTML file that needs no other.

    Every figure with the turns behind it, to be seen and heard; the time line of each call.
    """
    runs = [folder] if against is None else [against, folder]
    written(runs, out or folder / "report.html", audio_mb=audio_mb, truth=truth)


def written(
    runs: Sequence[Path],
    out: Path,
    *,
    audio_mb: float = 20.0,
    scores: "Sequence[Scores]" = (),
    truth: Path | None = None,
) -> None:
    """Write a report and say where it is; a trouble ends the command with 2.

    Args:
        runs: Folders of one run, or of two.
        out: The file.
        audio_mb: How much its sounds may weigh, in megabytes.
        scores: Of two runs, where they are at hand.
        truth: What two runs are scored by, where they are not.
    """
    from evals.report.report_file import write
    from evals.report.run import ReportError

    terminal = Console(stderr=True, highlight=False)
    try:
        with Progress(console=terminal, transient=True, disable=not terminal.is_terminal) as bar:
            task = bar.add_task("reading calls", total=None)
            write(
                runs,
                out,
                audio_mb=audio_mb,
                scores=scores,
                truth=truth,
                progress=lambda done, of: bar.update(
                    task, description="drawing calls", completed=done, total=of
                ),
            )
    except ReportError as error:
        terminal.print(f"viva: {error}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(2) from None
    size = out.stat().st_size / 1000
    weight = f"{size / 1000:.1f} MB" if size >= 1000 else f"{size:.0f} kB"
    typer.echo(f"The report is {out}, {weight}. Open it in a browser.", err=True)
