"""Answers: whether what was said is right, by words or by a judge."""

from collections.abc import Iterable, Mapping, Sequence

from evals.scoring.expectation import Expectation, right_words
from evals.scoring.matching import Heard, MatchedCall
from evals.scoring.metrics.metric import Metric, Sample, gathered, rate, sample
from evals.scoring.truth import Utterance

PAGE = "answers"

Ruled = Mapping[tuple[str, int], bool]
"""A judge's verdicts by the truth's criteria, by call and turn."""

NEEDS_SAYS = "the truth says of no answer what is right (says, never or expect)"
NEEDS_JUDGE = "answers with a criterion in words are left out: --judge rules on them"


def measure(calls: Sequence[MatchedCall], ruled: Ruled) -> list[Metric]:
    """The share of questions with a known right answer that were answered rightly.

    Args:
        calls: The calls.
        ruled: A judge's verdicts; without one, answers with a criterion are left out.
    """

    def of(call: MatchedCall) -> Iterable[Sample]:
        return (
            sample(
                call,
                right,
                turn=heard.answer.number if heard.answer else None,
                utterance=heard.index,
                at=heard.truth.start,
                note=f"{heard.truth.text!r}: {_said(heard)}{'' if right else _wanted(heard.truth)}",
            )
            for heard, right in judged(call, ruled)
            if _known(heard.truth)
        )

    known = [heard.truth for call in calls for heard in call.wanted() if _known(heard.truth)]
    left_out = any(truth.expect for truth in known) and not ruled
    told = any(call.truth for call in calls)
    note = NEEDS_JUDGE if left_out else NEEDS_SAYS if told and not known else ""
    return [rate("answer_accuracy", PAGE, gathered(calls, of), better="higher", note=note)]


def judged(call: MatchedCall, ruled: Ruled) -> Iterable[tuple[Heard, bool]]:
    """Utterances of which it is known whether they were answered rightly.

    What must be escalated is not answered rightly by any answer. An utterance that shares its turn
    with the next one is left out.
    """
    for heard in call.wanted():
        truth = heard.truth
        if heard.joined or not (_known(truth) or truth.decision == "escalate"):
            continue
        answered = heard.answer is not None and heard.answer.decision == "respond"
        if truth.decision == "escalate":
            yield heard, heard.answer is not None and not answered
            continue
        if heard.answer is None or not answered:
            yield heard, False
            continue
        said = str(heard.answer.record.get("answer") or "")
        right = right_words(said, Expectation(says=truth.says, never=truth.never))
        if right and truth.expect:
            verdict = ruled.get((call.facts.name, heard.answer.number))
            if verdict is None:
                continue
            right = verdict
        yield heard, right


def _known(truth: Utterance) -> bool:
    return bool(truth.says or truth.never or truth.expect)


def _said(heard: Heard) -> str:
    answer = heard.answer
    if answer is None:
        return "no answer"
    if answer.decision != "respond":
        return "handed to a person"
    return repr(str(answer.record.get("answer") or ""))


def _wanted(truth: Utterance) -> str:
    wanted = [*map(repr, truth.says), *(f"never {text!r}" for text in truth.never)]
    return f", should say {', '.join([*wanted, *filter(None, [truth.expect])])}"
