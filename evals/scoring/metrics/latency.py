"""Latency: how long callers wait, and for which stage."""

from collections.abc import Iterable, Sequence

from evals.scoring.matching import MatchedCall
from evals.scoring.metrics.metric import Metric, Sample, gathered, sample
from evals.scoring.statistics import percentile

PAGE = "latency"

DELAYS = (
    "e2e_latency",
    "transcription_delay",
    "end_of_turn_delay",
    "llm_ttft",
    "llm_ttfs",
    "tts_ttfb",
)
"""The delays of a turn's record, end to end first."""

RANKS = (50, 95, 99)


def measure(calls: Sequence[MatchedCall]) -> list[Metric]:
    """The median, p95 and p99 of each delay."""
    metrics = []
    for delay in DELAYS:
        samples = gathered(calls, lambda call, delay=delay: _samples(call, delay))  # type: ignore[misc]
        for rank in RANKS:
            metric = Metric(
                f"{delay}_p{rank}", "s", "lower", PAGE, samples, statistic=percentile(rank)
            )
            metrics.append(metric if rank == 50 else _with_tail(metric))
    return metrics


def _with_tail(metric: Metric) -> Metric:
    """The metric, with only the samples at or above its value as evidence."""
    value = metric.value
    tail = (
        () if value is None else tuple(sample for sample in metric.samples if sample.value >= value)
    )
    return Metric(
        metric.name,
        metric.unit,
        metric.better,
        metric.page,
        metric.samples,
        statistic=metric.statistic,
        shown=tail,
    )


def _samples(call: MatchedCall, delay: str) -> Iterable[Sample]:
    for turn in call.facts.turns:
        value = turn.seconds(delay)
        if turn.withdrawn or value is None:
            continue
        heard = call.of_turn(turn.number)
        # A spurious turn is not a sample of its utterance.
        mine = heard is not None and heard.answer is turn
        yield sample(
            call,
            value,
            turn=turn.number,
            utterance=heard.index if heard is not None and mine else None,
            at=turn.at,
            note=turn.question,
        )
