"""Measures how well the embedded brain answers from documents that it was not developed on.

Run: ``python -m benchmarks.documents`` (``--half develop`` or ``measure``, ``--show`` for each
failure). The documents and their questions are in ``evals/documents``: those of ``develop`` may be
used to choose rules and fit weights, those of ``measure`` only to measure. Right and failed answers
are defined in :mod:`evals.text.answers`.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

from evals.text.answers import Outcome, ask, cases
from knowledge.loading.document import load
from processors.brain.extractive import ExtractiveBrain

DOCUMENTS = Path(__file__).parent.parent / "evals" / "documents"
HALVES = ("develop", "measure")


@dataclass(slots=True)
class Table:
    """The outcomes for one document, or for a half.

    Parameters:
        name: Name of the document or the half.
        kind: Kind of document.
        outcomes: One for each question.
    """

    name: str
    kind: str
    outcomes: list[Outcome] = field(default_factory=list)


def documents(half: str) -> tuple[Path, ...]:
    """The documents of one half; each has a file of questions next to it."""
    return tuple(
        sorted(
            path
            for path in (DOCUMENTS / half).iterdir()
            if path.suffix in (".md", ".json") and path.with_suffix(".toml").exists()
        )
    )


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:4.0f} %" if whole else "     -"


def row(table: Table) -> list[str]:
    """The figures of a table as texts."""
    of = table.outcomes
    answerable = [outcome for outcome in of if outcome.case.decision == "respond"]
    told = [
        outcome
        for outcome in of
        if outcome.decision.decision == "respond" and outcome.case.decision != "any"
    ]
    high = [outcome for outcome in told if outcome.decision.confidence == "high"]
    passed = [outcome for outcome in of if outcome.case.decision == "escalate"]
    sensitive = [outcome for outcome in of if outcome.case.decision == "sensitive"]
    failures = Counter(outcome.failed for outcome in of if outcome.failed)
    return [
        f"{table.name[:26]:26}",
        f"{len(of):4}",
        _share(sum(not outcome.failed for outcome in answerable), len(answerable)),
        _share(sum(not outcome.failed for outcome in told), len(told)),
        _share(sum(not outcome.failed for outcome in passed), len(passed)),
        _share(sum(not outcome.failed for outcome in sensitive), len(sensitive)),
        _share(sum(not outcome.failed for outcome in high), len(high)),
        f"{len(high):4}",
        _share(sum(outcome.fit for outcome in told), len(told)),
        " ".join(f"{what} {count}" for what, count in failures.most_common()),
    ]


def calibration(outcomes: Sequence[Outcome]) -> float:
    """Expected calibration error of the three levels, each at its promised probability."""
    promised = {"high": 0.975, "medium": 0.85, "low": 0.65}
    told = [
        outcome
        for outcome in outcomes
        if outcome.decision.decision == "respond" and outcome.case.decision != "any"
    ]
    error = 0.0
    for level, promise in promised.items():
        of = [outcome for outcome in told if outcome.decision.confidence == level]
        if of:
            right = sum(not outcome.failed for outcome in of) / len(of)
            error += abs(right - promise) * len(of) / len(told)
    return error


HEADING = f"{'document':26} asked  right of said  passed   sens   high    n    fit  what failed\n"


def main() -> None:
    """Ask all questions and print the table."""
    arguments = argparse.ArgumentParser(description="The embedded brain on unseen documents.")
    arguments.add_argument("--half", choices=HALVES, default=None)
    arguments.add_argument("--document", default="", help="only documents with this in their name")
    arguments.add_argument("--show", action="store_true", help="print every failure")
    chosen = arguments.parse_args()
    write = sys.stdout.write
    for half in (chosen.half,) if chosen.half else HALVES:
        write(f"{half}\n{HEADING}")
        whole = Table(f"all of {half}", "")
        for path in documents(half):
            if chosen.document not in path.name:
                continue
            kind, asked = cases(path.with_suffix(".toml"))
            document = load(path)
            brain = ExtractiveBrain.load(document)
            table = Table(kind, kind, ask(brain, document, asked))
            brain.close()
            whole.outcomes += table.outcomes
            write(" ".join(row(table)) + "\n")
            if chosen.show:
                for outcome in table.outcomes:
                    if outcome.failed or not outcome.fit:
                        asked_ = " / ".join((*outcome.case.after, outcome.case.ask))
                        decision = outcome.decision
                        said = decision.text if decision.decision == "respond" else ""
                        level = decision.confidence or decision.reason
                        write(f"    {outcome.failed or 'unfit'}: {asked_} -> [{level}] {said}\n")
            sys.stdout.flush()
        write(" ".join(row(whole)) + "\n")
        times = [outcome.secs * 1000 for outcome in whole.outcomes]
        if len(times) > 1:
            cut = quantiles(times, n=100)
            write(f"time a decision: p50 {cut[49]:.0f} ms, p95 {cut[94]:.0f} ms; ")
        write(f"calibration error {calibration(whole.outcomes):.3f}\n\n")


if __name__ == "__main__":
    main()
