"""Scores a run: computes every metric, with its samples as evidence."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from evals.scoring.calls import Run
from evals.scoring.facts import TurnFacts
from evals.scoring.intervals import Interval
from evals.scoring.matching import Heard, MatchedCall, match
from evals.scoring.metrics import (
    answers,
    barge_in,
    calibration,
    citations,
    cost,
    decisions,
    eva,
    floor,
    goals,
    grounding,
    latency,
    takeover,
    words,
)
from evals.scoring.metrics.metric import NEEDS_TRUTH, NONE_CAME, Metric, Sample
from evals.scoring.truth import Truth
from knowledge.loading.document import Document

SCORES_FILE = "scores.json"

WITHOUT_TRUTH = frozenset({latency.PAGE, grounding.PAGE, cost.PAGE})
"""Pages of metrics that need no ground truth."""


@dataclass(frozen=True)
class Scores:
    """A scored run.

    Parameters:
        run: The run.
        calls: Its calls, matched with their truth.
        metrics: The metrics, by name.
        tables: Results with several values, by name.
    """

    run: Run
    calls: tuple[MatchedCall, ...]
    metrics: Mapping[str, Metric]
    tables: Mapping[str, Any]

    @property
    def turns(self) -> int:
        """The number of turns in its calls."""
        return sum(len(call.facts.turns) for call in self.calls)

    def beside(self, metric: Metric) -> "Scores":
        """A copy with one more metric."""
        return replace(self, metrics={**self.metrics, metric.name: metric})

    def ruled(self, ruled: answers.Ruled) -> "Scores":
        """A copy in which answers are right or wrong by a judge's verdicts, too."""
        renewed = [
            *answers.measure(self.calls, ruled), *calibration.measure(self.calls, ruled),
        ]  # fmt: skip
        known = any(call.truth for call in self.calls)
        metrics = {metric.name: _explained(metric, known=known) for metric in renewed}
        reliability = calibration.reliability(self.calls, ruled)
        return replace(
            self,
            metrics={**self.metrics, **metrics},
            tables={**self.tables, "reliability": reliability},
        )

    def as_dict(self) -> dict[str, Any]:
        """The content of ``scores.json``."""
        return {
            "run": self.run.name,
            "n_calls": len(self.calls),
            "n_turns": self.turns,
            "metrics": {name: _metric(metric) for name, metric in self.metrics.items()},
            "tables": dict(self.tables),
            "calls": [_call(call) for call in self.calls],
            "unreadable": [asdict(unread) for unread in self.run.unreadable],
        }

    def write(self, path: Path) -> None:
        """Write ``scores.json``."""
        write_scores(self.as_dict(), path)


def write_scores(scores: Mapping[str, Any], path: Path) -> None:
    """Write ``scores.json``.

    Args:
        scores: As :meth:`Scores.as_dict`.
        path: The file.
    """
    text = json.dumps(scores, indent=1, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", "utf-8")


def score(run: Run, truth: Truth | None, documents: Sequence[Document] = ()) -> Scores:
    """Score a run.

    Args:
        run: The run.
        truth: The ground truth; ``None`` leaves the metrics that need it without a value.
        documents: Documents to check answers against again.
    """
    calls = tuple(
        match(facts, truth.find_call(facts.source, facts.name) if truth else None)
        for facts in run.calls
    )
    metrics = [
        *words.measure(calls),
        *latency.measure(calls),
        *eva.measure(calls),
        *takeover.measure(calls),
        *floor.measure(calls),
        *barge_in.measure(calls),
        *answers.measure(calls, {}),
        *goals.measure(calls),
        *decisions.measure(calls),
        *citations.measure(calls),
        *grounding.measure(calls, documents),
        *calibration.measure(calls, {}),
        *cost.measure(calls),
    ]
    known = any(call.truth for call in calls)
    return Scores(
        run=run,
        calls=calls,
        metrics={metric.name: _explained(metric, known=known) for metric in metrics},
        tables={
            "reliability": calibration.reliability(calls, {}),
            "wer_by_tag": words.by_tag(calls),
        },
    )


def _explained(metric: Metric, *, known: bool) -> Metric:
    """Add to a metric without a value the reason."""
    if metric.samples or metric.note:
        return metric
    needs = metric.page not in WITHOUT_TRUTH and not known
    return replace(metric, note=NEEDS_TRUTH if needs else NONE_CAME)


def _metric(metric: Metric) -> dict[str, Any]:
    return {
        "value": _finite(metric.value),
        "unit": metric.unit,
        "better": metric.better,
        "ci95": list(metric.ci95) if metric.ci95 else None,
        "n": len(metric.samples),
        "target": metric.target,
        "definition": metric.definition,
        "note": metric.note,
        "evidence": [_evidence(evidence) for evidence in metric.evidence],
    }


def _evidence(sample: Sample) -> dict[str, Any]:
    return {
        "call": sample.call,
        "turn": sample.turn,
        "utterance": sample.utterance,
        "at": round(sample.at, 3),
        "value": sample.value,
        "note": sample.note,
    }


def _call(call: MatchedCall) -> dict[str, Any]:
    facts, truth = call.facts, call.truth
    return {
        "file": facts.name,
        "source": facts.source,
        "digest": facts.digest,
        "title": truth.title if truth else "",
        "tags": list(truth.tags) if truth else [],
        "voice": truth.voice if truth else "",
        "seconds": facts.seconds,
        "reason": facts.reason,
        "cost_micros": facts.micros,
        "errors": list(facts.errors),
        "missing": [{"stage": stage, "what": what} for stage, what in facts.missing],
        "caller_speech": _pairs(facts.speech),
        "agent_voice": [
            {
                "turn": voice.turn,
                "start": voice.start,
                "end": voice.end,
                "audible": _pairs(voice.audible),
                "text": voice.text,
                "cut": voice.cut,
            }
            for voice in facts.voice
        ],
        "ducks": _pairs(facts.ducks),
        "interruptions": list(facts.interruptions),
        "utterances": [_heard(heard) for heard in call.heard],
        "turns": [_turn(call, turn) for turn in facts.turns],
    }


def _heard(heard: Heard) -> dict[str, Any]:
    return {
        "index": heard.index,
        **asdict(heard.truth),
        "pauses": _pairs(heard.truth.pauses),
        "sections": list(heard.truth.sections),
        "turns": [turn.number for turn in heard.turns],
        "answer": heard.answer.number if heard.answer else None,
        "agent_was_speaking": heard.over is not None,
        "joined": heard.joined,
    }


def _turn(call: MatchedCall, turn: TurnFacts) -> dict[str, Any]:
    heard = call.of_turn(turn.number)
    return {
        **turn.record,
        "utterance": heard.index if heard else None,
        "truth": _heard(heard) if heard else None,
        "times": {
            "speech_end": turn.at,
            "speech_end_in_source": call.facts.recorded(turn.at),
            "answer_start": turn.begins,
            "answer_end": max((voice.end for voice in turn.voice), default=None),
            "utterance_start": heard.truth.start if heard else None,
            "utterance_end": heard.truth.end if heard else None,
        },
    }


def _pairs(intervals: Sequence[Interval]) -> list[list[float]]:
    return [[interval.start, interval.end] for interval in intervals]


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
