"""Scoring: measures recorded calls against ground truth, and compares runs.

:class:`~evals.scoring.calls.Run` reads a folder of recordings, :func:`evals.scoring.score.score`
computes every metric, :func:`evals.scoring.compare.compare_runs` compares two runs turn by turn,
and :func:`evals.scoring.gate.check` holds scores to rules.
"""

__all__ = [
    "calls",
    "compare",
    "draft",
    "expectation",
    "facts",
    "gate",
    "metrics",
    "score",
    "statistics",
    "truth",
    "voices",
]
