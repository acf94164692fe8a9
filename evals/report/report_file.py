"""Writes the report of one run, or the comparison of two, as one self-contained file."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from evals.report.page import Progress, RunPage
from evals.report.pair import PairPage
from evals.report.run import ReportError, ScoredRun, replay_of
from evals.scoring.calls import Run, RunError
from evals.scoring.compare import compare_runs
from evals.scoring.score import Scores, score
from evals.scoring.truth import Truth, TruthError
from models.replacement import replace

AUDIO_MB = 1.5
"""Default for the maximum total size of a report's audio clips, in megabytes."""


def write(
    runs: Sequence[Path],
    out: Path,
    *,
    audio_mb: float = AUDIO_MB,
    scores: Sequence[Scores] = (),
    truth: Path | None = None,
    edit_truth: bool = False,
    progress: Progress = lambda _done, _of: None,
) -> None:
    """Write a report.

    Args:
        runs: The folder of one scored run, or of two runs of the same calls, baseline first.
        out: The file; an existing one is replaced once the report is complete.
        audio_mb: Maximum total size of audio clips, in megabytes.
        scores: The scores of two runs, if available; otherwise they are computed.
        truth: The truth file to compute them by; by default as for ``viva compare``.
        edit_truth: Whether the truth of a folder of recordings can be corrected in the page, which
            then has each call's whole sound.
        progress: Called with the number of calls done and the total.

    Raises:
        ReportError: A run cannot be used, or the file cannot be written.
    """
    if audio_mb < 0:
        raise ReportError(f"--audio-mb is {audio_mb:g}; it must be 0 or more.")
    most = audio_mb * 1_000_000
    match list(runs):
        case [run]:
            scored = ScoredRun.read(run)
            if edit_truth and scored.replay:
                raise ReportError(
                    f"{run} holds replays, whose times are not those of the truth. Score and "
                    "report the folder of the recordings to edit it."
                )
            html = RunPage(
                scored, audio_bytes=most, progress=progress, edit_truth=edit_truth
            ).html()
        case [before, now]:
            if edit_truth:
                raise ReportError("--edit-truth is for one folder of recordings, not for two runs.")
            found = scores or [_scored(folder, truth) for folder in (before, now)]
            html = _pair((before, now), found, most, progress)
        case _:
            raise ReportError(f"{len(runs)} runs; a report takes one run or two.")
    _replace(out, html)


def _pair(
    folders: tuple[Path, Path], scores: Sequence[Scores], most: float, progress: Progress
) -> str:
    before, now = scores
    runs = [
        ScoredRun(folder, run_scores.as_dict(), replay_of(folder))
        for folder, run_scores in zip(folders, scores, strict=True)
    ]
    if runs[0].name == runs[1].name:
        # Two folders with the same name.
        runs = [
            ScoredRun(run.path, {**run.scores, "run": f"{run.name} ({side})"}, run.replay)
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
        replace(part, out)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise ReportError(f"{out} cannot be written: {error.strerror or error}.") from None
