"""Calibration: how often answers of each stated confidence are right."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from evals.scoring.matching import MatchedCall
from evals.scoring.metrics.answers import Ruled, judged
from evals.scoring.metrics.metric import Metric, Sample, gathered, sample
from evals.scoring.statistics import expected_calibration_error, wilson

PAGE = "calibration"

CLAIMED: Mapping[str, float] = {"high": 0.95, "medium": 0.75, "low": 0.50}
"""The share of right answers that each confidence claims; a convention, see the page."""

_LEVELS = tuple(CLAIMED)


def measure(calls: Sequence[MatchedCall], ruled: Ruled) -> list[Metric]:
    """Expected calibration error and Brier score; ``ruled`` has a judge's verdicts."""
    answers = _answers(calls, ruled)
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


def reliability(calls: Sequence[MatchedCall], ruled: Ruled) -> list[dict[str, Any]]:
    """For each confidence, the claimed and the actual share of right answers."""
    answers = _answers(calls, ruled)
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


def _answers(calls: Sequence[MatchedCall], ruled: Ruled) -> tuple[Sample, ...]:
    """Each answer of which it is known whether it is right, in the bin of its confidence."""

    def of(call: MatchedCall) -> Iterable[Sample]:
        for heard, right in judged(call, ruled):
            answer = heard.answer
            level = answer.record.get("confidence") if answer else None
            if answer is None or answer.decision != "respond" or level not in CLAIMED:
                continue
            yield sample(
                call,
                right,
                group=_LEVELS.index(level),
                turn=answer.number,
                utterance=heard.index,
                at=heard.truth.start,
                note=f"{heard.truth.text!r}: {level} confidence, {'right' if right else 'wrong'}",
            )

    return gathered(calls, of)
