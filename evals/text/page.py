"""The outcomes of scenarios as one self-contained HTML file."""

from collections.abc import Sequence
from pathlib import Path

from conversation.wording import counted
from evals.report.template import render
from evals.text.run import Outcome


def write(outcomes: Sequence[Outcome], path: Path, notes: Sequence[str] = ()) -> None:
    """Write the page.

    Args:
        outcomes: The outcomes.
        path: The file.
        notes: Lines about the whole run, such as what the judge cost.

    Raises:
        OSError: It cannot be written.
    """
    files = dict.fromkeys(Path(outcome.scenario.file).name for outcome in outcomes)
    brains = dict.fromkeys(outcome.brain for outcome in outcomes)
    dollars = sum(outcome.cost_micros for outcome in outcomes) / 1_000_000
    facts = [("brain", ", ".join(brains))]
    if dollars:
        facts.append(("cost of the brain", f"${dollars:.4f}"))
    html = render(
        "questions.html.j2",
        heading=", ".join(files),
        lead=" ".join((summary(outcomes), *notes)),
        facts=facts,
        outcomes=outcomes,
    )
    path.write_text(html, "utf-8")


def summary(outcomes: Sequence[Outcome]) -> str:
    """How many are as expected, in a sentence."""
    statuses = [outcome.status for outcome in outcomes]
    right = f"{statuses.count('passed')} of {counted(len(statuses), 'question')} as expected"
    errors = statuses.count("error")
    return f"{right}, {errors} without a result." if errors else f"{right}."
