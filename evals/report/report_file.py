"""Writes the report of a run, or of two beside each other, as one file that needs no other."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from evals.report.page import Progress, RunPage
from evals.report.pair import PairPage
from evals.report.run import ReportError, Scored, replay_of
from evals.scoring.calls import Run, RunError
from evals.scoring.compare import compare_runs
from evals.scoring.score import Scores, score
from evals.scoring.truth import Truth, TruthError

AUDIO_MB = 20.0
"""How much a report's sounds may weigh when nobody says otherwise, in megabytes."""


def write(
    runs: Sequence[Path],
    out: Path,
    *,
    audio_mb: float = AUDIO_MB,
    scores: Sequence[Scores] = (),
    truth: Path | None = None,
    progress: Progress = lambda _done, _of: None,
) -> None:
    """Write a report.

    Args:
        runs: The folder of one run that ``viva score`` has scored, or of two of the same calls:
            the second is held against the first.
        out: The file; one that is there is replaced once the report is whole.
        audio_mb: How much its sounds may weigh, in megabytes.
        scores: Of two runs, where they are at hand; they are made anew otherwise.
        truth: What they are scored by then; as ``viva compare`` has it by default.
        progress: Called with how many calls of how many are done.

    Raises:
        ReportError: A run cannot be used, or the file cannot be written.
    """
    if audio_mb < 0:
        raise ReportError(f"--audio-mb is {audio_mb:g}; it must be 0 or more.")
    most = audio_mb * 1_000_000
    match list(runs):
        case [run]:
            html = RunPage(Scored.read(run), audio_bytes=most, progress=progress).html()
        case [before, now]:
            found = scores or [_scored(folder, truth) for folder in (before, now)]
            html = _pair((before, now), found, most, progress)
        case _:
            raise ReportError(f"{len(runs)} runs; a report is of one, or of two beside each other.")
    _replace(out, html)


def _pair(
    folders: tuple[Path, Path], scores: Sequence[Scores], most: float, progress: Progress
) -> str:
    before, now = scores
    runs = [
        Scored(folder, run_scores.as_dict(), replay_of(folder))
        for folder, run_scores in zip(folders, scores, strict=True)
    ]
    if runs[0].name == runs[1].name:
        # Folders of the same name in two places.
        runs = [
            Scored(run.path, {**run.scores, "run": f"{run.name} ({side})"}, run.replay)
            for run, side in zip(runs, "AB", strict=True)
        ]
    facts = [{call.facts.source: call.facts for call in run_scores.calls} for run_scores in scores]
    return PairPage(
        (runs[0], runs[1]),
        (facts[0], facts[1]),
        compare_runs(before, now),
        audio_bytes=most,
        progress=progress,
    ).html()


def _scored(folder: Path, truth: Path | None) -> Scores:
    from knowledge.loading.document import load

    try:
        return score(Run.read(folder), Truth.for_folder(folder, truth), [load()])
    except (RunError, TruthError) as error:
        raise ReportError(str(error)) from None


def _replace(out: Path, html: str) -> None:
    part = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(html, "utf-8")
        part.replace(out)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise ReportError(f"{out} cannot be written: {error.strerror or error}.") from None
