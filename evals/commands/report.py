"""The command ``viva report``, and report writing for other commands."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress

from terminal import errors, fail

if TYPE_CHECKING:
    from evals.scoring.score import Scores

app = typer.Typer(add_completion=False, rich_markup_mode=None)

Html = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="Also write the report, as viva report does."),
]


@app.command(
    epilog="""\b
Examples:
  viva score out && viva report out
  viva report out --against before --out what-changed.html
  viva report data/recordings --edit-truth"""
)
def report(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A run that viva score has scored.")
    ],
    *,
    against: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Another run of the same calls, to compare with."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The file; by default DIR/report.html.")
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The ground truth to score both runs by, as viva compare does.",
        ),
    ] = None,
    audio_mb: Annotated[
        float,
        typer.Option(
            "--audio-mb",
            metavar="MB",
            help="Maximum size of the audio clips in it; the most important come first.",
        ),
    ] = 1.5,
    edit_truth: Annotated[
        bool,
        typer.Option(
            "--edit-truth",
            help="Have the truth of recordings corrected in the page, which saves truth.toml.",
        ),
    ] = False,
) -> None:
    """Write the report of a run, or the comparison of two, as one self-contained HTML file.

    It has every figure with the turns behind it, to see and to hear, and each call's time line.
    """
    runs = [folder] if against is None else [against, folder]
    written(
        runs, out or folder / "report.html", audio_mb=audio_mb, truth=truth, edit_truth=edit_truth
    )


def check_installed() -> None:
    """End the command with status 2, and the next step, where what scoring needs is missing."""
    try:
        for module in ("evals.report.report_file", "evals.scoring.compare"):
            import_module(module)
    except ImportError as error:
        raise fail(
            f"{error.name} is not installed; scoring needs it: run `make install-dev`."
        ) from None


def written(
    runs: Sequence[Path],
    out: Path,
    *,
    audio_mb: float = 1.5,
    scores: "Sequence[Scores]" = (),
    truth: Path | None = None,
    edit_truth: bool = False,
) -> None:
    """Write a report and print its path; on an error the command ends with status 2.

    Args:
        runs: The folders of one run or two.
        out: The file.
        audio_mb: Maximum size of its audio clips, in megabytes.
        scores: The scores of two runs, if available.
        truth: The ground truth to score two runs by otherwise.
        edit_truth: Whether the truth of recordings can be corrected in it.
    """
    check_installed()
    from evals.report.report_file import write
    from evals.report.run import ReportError

    terminal = errors()
    try:
        with Progress(console=terminal, transient=True, disable=not terminal.is_terminal) as bar:
            task = bar.add_task("reading calls", total=None)
            write(
                runs,
                out,
                audio_mb=audio_mb,
                scores=scores,
                truth=truth,
                edit_truth=edit_truth,
                progress=lambda done, of: bar.update(
                    task, description="drawing calls", completed=done, total=of
                ),
            )
    except ReportError as error:
        raise fail(str(error)) from None
    size = out.stat().st_size / 1000
    weight = f"{size / 1000:.1f} MB" if size >= 1000 else f"{size:.0f} kB"
    typer.echo(f"The report is {out}, {weight}. Open it in a browser.", err=True)
