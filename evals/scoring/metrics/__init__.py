"""The metrics, one family per module; docs/metrics/ defines each.

Each module has a ``measure`` that takes matched calls and returns
:class:`~evals.scoring.metrics.metric.Metric` objects, with the samples they are computed from.
"""

__all__ = [
    "answers",
    "barge_in",
    "calibration",
    "citations",
    "cost",
    "decisions",
    "eva",
    "floor",
    "goals",
    "grounding",
    "judge",
    "latency",
    "metric",
    "takeover",
    "words",
]
