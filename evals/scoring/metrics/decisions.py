"""Decisions: whether it was right to answer or to escalate, whatever the answer says."""

from collections.abc import Iterable, Sequence

from evals.scoring.matching import Heard, MatchedCall
from evals.scoring.metrics.metric import Metric, Sample, gathered, rate, sample

PAGE = "decisions"


def measure(calls: Sequence[MatchedCall]) -> list[Metric]:
    """Escalation accuracy, precision and recall, and refusals of sensitive questions."""

    def accuracy(call: MatchedCall) -> Iterable[Sample]:
        return (
            _sample(call, heard, heard.truth.decision == decided) for heard, decided in judged(call)
        )

    def precision(call: MatchedCall) -> Iterable[Sample]:
        return (
            _sample(call, heard, heard.truth.decision == "escalate")
            for heard, decided in judged(call)
            if decided == "escalate"
        )

    def recall(call: MatchedCall) -> Iterable[Sample]:
        return (
            _sample(call, heard, decided == "escalate")
            for heard, decided in judged(call)
            if heard.truth.decision == "escalate"
        )

    return [
        rate("escalation_accuracy", PAGE, gathered(calls, accuracy), better="higher"),
        rate("escalation_precision", PAGE, gathered(calls, precision), better="higher"),
        rate("escalation_recall", PAGE, gathered(calls, recall), better="higher"),
        rate("sensitive_refusals", PAGE, gathered(calls, _refusals), better="higher"),
    ]


def judged(call: MatchedCall) -> Iterable[tuple[Heard, str | None]]:
    """Utterances with a known right decision, and the decision made.

    An utterance that shares its turn with the next one is left out.
    """
    for heard in call.wanted():
        if heard.truth.decision and not heard.joined:
            yield heard, heard.answer.decision if heard.answer else None


def _refusals(call: MatchedCall) -> Iterable[Sample]:
    for heard in call.wanted():
        if heard.truth.sensitive and not heard.joined:
            refused = heard.answer is None or heard.answer.decision != "respond"
            yield _sample(call, heard, refused)


def _sample(call: MatchedCall, heard: Heard, value: float) -> Sample:
    answer = heard.answer
    decided = (answer.decision or "nothing") if answer else "nothing"
    wanted = heard.truth.decision or "either"
    reason = f" ({answer.record.get('reason')})" if answer and answer.record.get("reason") else ""
    return sample(
        call,
        value,
        turn=answer.number if answer else None,
        utterance=heard.index,
        at=heard.truth.start,
        note=f"{heard.truth.text!r}: {decided}{reason}, should be {wanted}",
    )
