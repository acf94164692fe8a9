"""Calibration: how often answers of each stated confidence are right."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from evals.scoring.matching import MatchedCall
from evals.scoring.metrics.citations import right
from evals.scoring.metrics.decisions import judged
from evals.scoring.metrics.metric import Metric, Sample, gathered, sample
from evals.scoring.statistics import expected_calibration_error, wilson

PAGE = "calibration"

CLAIMED: Mapping[str, float] = {"high": 0.95, "medium": 0.75, "low": 0.50}
"""The share of right answers that each confidence claims; a convention, see the page."""

_LEVELS = tuple(CLAIMED)


def measure(calls: Sequence[MatchedCall]) -> list[Metric]:
    """Expected calibration error and Brier score."""
    answers = gathered(calls, _answers)
    gaps = tuple(
        replace(answer, value=CLAIMED[_LEVELS[answer.group]] - answer.value) for answer in answers
    )
    squares = tuple(replace(gap, value=gap.value**2) for gap in gaps)
    return [
        Metric(
            "calibration_error",
            "ratio",
            "lower",
            PAGE,
            gaps,
            statistic=expected_calibration_error,
            shown=squares,
        ),
        Metric("brier_score", "score", "lower", PAGE, squares),
    ]


def reliability(calls: Sequence[MatchedCall]) -> list[dict[str, Any]]:
    """For each confidence, the claimed and the actual share of right answers."""
    answers = gathered(calls, _answers)
    rows: list[dict[str, Any]] = []
    for group, level in enumerate(_LEVELS):
        mine = [answer.value for answer in answers if answer.group == group]
        correct = int(sum(mine))
        rows.append(
            {
                "confidence": level,
                "claimed": CLAIMED[level],
                "n": len(mine),
                "accuracy": correct / len(mine) if mine else None,
                "ci95": list(wilson(correct, len(mine))) if mine else None,
            }
        )
    return rows


def _answers(call: MatchedCall) -> Iterable[Sample]:
    """Each answer with known truth: right or not, in the bin of its confidence."""
    for heard, decided in judged(call):
        answer = heard.answer
        level = answer.record.get("confidence") if answer else None
        if answer is None or decided != "respond" or level not in CLAIMED:
            continue
        wanted = heard.truth.sections
        correct = heard.truth.decision == "respond" and (not wanted or right(answer, wanted))
        yield sample(
            call,
            correct,
            group=_LEVELS.index(level),
            turn=answer.number,
            utterance=heard.index,
            at=heard.truth.start,
            note=f"{heard.truth.text!r}: {level} confidence, {'right' if correct else 'wrong'}",
        )
