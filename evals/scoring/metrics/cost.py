"""Cost of turns and calls."""

from collections.abc import Iterable, Sequence

from conversation.records import MICROS
from evals.scoring.matching import MatchedCall
from evals.scoring.metrics.metric import Metric, Sample, gathered, sample

PAGE = "cost"


def measure(calls: Sequence[MatchedCall]) -> list[Metric]:
    """Mean cost per turn and per call, in dollars."""
    return [
        Metric("turn_cost", "usd", "lower", PAGE, gathered(calls, _turns)),
        Metric("call_cost", "usd", "lower", PAGE, gathered(calls, _calls)),
    ]


def _turns(call: MatchedCall) -> Iterable[Sample]:
    for turn in call.facts.turns:
        heard = call.of_turn(turn.number)
        mine = heard is not None and heard.answer is turn
        yield sample(
            call,
            turn.micros / MICROS,
            turn=turn.number,
            utterance=heard.index if heard is not None and mine else None,
            at=turn.at,
            note=turn.question,
        )


def _calls(call: MatchedCall) -> Iterable[Sample]:
    yield sample(call, call.facts.micros / MICROS, note=f"{len(call.facts.turns)} turns")
