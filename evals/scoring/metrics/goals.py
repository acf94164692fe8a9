"""Goals: whether callers got what they called for, and were put right where they were wrong."""

from collections.abc import Iterable, Sequence

from evals.scoring.expectation import says
from evals.scoring.matching import MatchedCall
from evals.scoring.metrics.metric import Metric, Sample, gathered, rate, sample

PAGE = "goals"

NEEDS_FACTS = "the truth of no call says which facts"


def measure(calls: Sequence[MatchedCall]) -> list[Metric]:
    """The share of calls in which all facts were heard that make the goal, or the correction.

    Args:
        calls: The calls.
    """

    def reached(call: MatchedCall) -> Iterable[Sample]:
        if call.truth is not None and call.truth.reached:
            yield _sample(call, call.truth.goal, call.truth.reached)

    def corrected(call: MatchedCall) -> Iterable[Sample]:
        if call.truth is not None and call.truth.corrected:
            yield _sample(call, call.truth.wrong_idea, call.truth.corrected)

    note = NEEDS_FACTS if any(call.truth for call in calls) else ""
    return [
        rate(name, PAGE, samples, better="higher", note="" if samples else note)
        for name, samples in (
            ("goals_reached", gathered(calls, reached)),
            ("wrong_ideas_corrected", gathered(calls, corrected)),
        )
    ]


def heard(call: MatchedCall) -> str:
    """All sentences of answers that the caller heard."""
    return " ".join(
        sentence.text
        for turn in call.facts.turns
        for sentence in turn.sentences
        if sentence.audible
    )


def transcript(call: MatchedCall) -> str:
    """What both sides said: the caller's real words where they are known, and what was heard."""
    lines = []
    for turn in call.facts.turns:
        if turn.withdrawn:
            continue
        said = call.of_turn(turn.number)
        lines.append(f"Caller: {said.truth.text if said is not None else turn.question}")
        spoken = " ".join(sentence.text for sentence in turn.sentences if sentence.audible)
        lines.append(f"Agent: {spoken or '(nothing)'}")
    return "\n".join(lines)


def _sample(call: MatchedCall, what: str, facts: Sequence[str]) -> Sample:
    told = heard(call)
    missing = [fact for fact in facts if not says(told, fact)]
    note = f"{what}: " if what else ""
    note += f"not heard: {', '.join(map(repr, missing))}" if missing else "all was heard"
    return sample(call, not missing, note=note)
