"""Citations: precision and recall of the cited sections."""

from collections.abc import Iterable, Sequence

from evals.scoring.facts import TurnFacts
from evals.scoring.matching import Heard, MatchedCall
from evals.scoring.metrics.metric import Metric, Sample, gathered, rate, sample

PAGE = "citations"


def measure(calls: Sequence[MatchedCall]) -> list[Metric]:
    """Precision per citation, recall per question."""
    return [
        rate("citation_precision", PAGE, gathered(calls, _cited), better="higher"),
        rate("citation_recall", PAGE, gathered(calls, _found), better="higher"),
    ]


def matches(cited: str, wanted: Sequence[str]) -> bool:
    """Whether a section is a wanted one, or above or below one."""
    return any(
        cited == section or cited.startswith(f"{section}/") or section.startswith(f"{cited}/")
        for section in wanted
    )


def right(turn: TurnFacts, wanted: Sequence[str]) -> bool:
    """Whether an answer cites any of the wanted sections."""
    return any(matches(cited, wanted) for cited in turn.sections)


def _asked(call: MatchedCall) -> Iterable[Heard]:
    for heard in call.wanted():
        if heard.truth.sections and heard.truth.decision != "escalate" and not heard.joined:
            yield heard


def _cited(call: MatchedCall) -> Iterable[Sample]:
    for heard in _asked(call):
        for part, cited in enumerate(heard.answer.sections if heard.answer else ()):
            note = f"{heard.truth.text!r}: {cited}, should be of {_listed(heard)}"
            value = matches(cited, heard.truth.sections)
            yield _sample(call, heard, value, part=part, note=note)


def _found(call: MatchedCall) -> Iterable[Sample]:
    for heard in _asked(call):
        value = heard.answer is not None and right(heard.answer, heard.truth.sections)
        cited = ", ".join(heard.answer.sections) if heard.answer else ""
        note = f"{heard.truth.text!r}: {cited or 'nothing'}, should be of {_listed(heard)}"
        yield _sample(call, heard, value, note=note)


def _listed(heard: Heard) -> str:
    return ", ".join(heard.truth.sections)


def _sample(call: MatchedCall, heard: Heard, value: float, *, part: int = 0, note: str) -> Sample:
    return sample(
        call,
        value,
        turn=heard.answer.number if heard.answer else None,
        utterance=heard.index,
        part=part,
        at=heard.truth.start,
        note=note,
    )
