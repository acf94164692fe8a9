"""A language model's verdicts on the answers of a run: each criterion, and the truth's own.

Optional, and never the only evidence: it is reported beside what code checks.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from evals.judge.judge import AT_ONCE, CRITERIA, Criterion, Exchange, Judge, JudgeError, Verdict
from evals.judge.verdicts import Ruling
from evals.scoring.facts import TurnFacts
from evals.scoring.matching import MatchedCall
from evals.scoring.metrics import goals
from evals.scoring.metrics.answers import Ruled
from evals.scoring.metrics.metric import Metric, Sample, sample
from knowledge.loading.document import Document

PAGE = "judged"

OF_CALLS: Mapping[str, str] = {
    "goal": (
        "The answer is the transcript of a whole call. It meets the criterion if by its end the "
        "agent has given the caller what they called for, or has rightly put them right about it. "
        "They called for this: {}. An answer that was only promised, or handed to a person, does "
        "not meet it."
    ),
    "corrected": (
        "The answer is the transcript of a whole call, whose caller wrongly believes this: {}. It "
        "meets the criterion if the agent says what is true instead, and nowhere agrees with the "
        "wrong idea."
    ),
}
"""The criteria of whole calls, by name, with a place for what the caller wants or believes."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A judge's verdicts on a run.

    Parameters:
        metrics: The share of answers that meet each criterion.
        ruled: The verdicts by the truth's own criteria.
        rulings: All verdicts.
    """

    metrics: tuple[Metric, ...]
    ruled: Ruled
    rulings: tuple[Ruling, ...]


@dataclass(frozen=True, slots=True)
class _Case:
    """One answer to judge by one criterion; ``own`` if the truth states it.

    Without a turn it is a whole call.
    """

    call: MatchedCall
    turn: TurnFacts | None
    exchange: Exchange
    criterion: Criterion
    own: bool

    @property
    def item(self) -> str:
        """What is judged, as a line of ``verdicts.csv`` names it."""
        name = self.call.facts.name
        return name if self.turn is None else f"{name}#{self.turn.number}"


async def measure(
    calls: Sequence[MatchedCall],
    documents: Sequence[Document],
    judge: Judge,
    criteria: Sequence[str] = tuple(CRITERIA),
    done: Callable[[int, int], None] = lambda _done, _of: None,
) -> Judgement:
    """Judge the answers of a run by each criterion, and by what the truth expects of them.

    Calls whose truth has a goal, or a wrong idea, are judged as a whole, too. An answer without a
    verdict is left out, and counted in the metric's note.

    Args:
        calls: The calls.
        documents: What they were answered from.
        judge: Who judges.
        criteria: Names of criteria, of :data:`evals.judge.judge.CRITERIA`.
        done: Called with the number of verdicts so far, and of all.

    Raises:
        JudgeError: There was no verdict on any answer.
    """
    by_hash = {document.sha256: document for document in documents}
    cases = [
        case
        for call in calls
        for case in (
            *_cases(call, by_hash.get(call.facts.document_hash), criteria),
            *_whole(call),
        )
    ]
    line, count = asyncio.Semaphore(AT_ONCE), 0

    async def ask(case: _Case) -> Verdict | JudgeError:
        nonlocal count
        async with line:
            try:
                result: Verdict | JudgeError = await judge.verdict(case.criterion, case.exchange)
            except JudgeError as error:
                result = error
        count += 1
        done(count, len(cases))
        return result

    results = await asyncio.gather(*(ask(case) for case in cases))
    given = [
        (case, result)
        for case, result in zip(cases, results, strict=True)
        if isinstance(result, Verdict)
    ]
    failed = [
        (case, result)
        for case, result in zip(cases, results, strict=True)
        if isinstance(result, JudgeError)
    ]
    if failed and not given:
        raise failed[0][1]
    metrics = []
    wanted = {case.criterion.name for case in cases if case.turn is None}
    for name in (*criteria, *(name for name in OF_CALLS if name in wanted)):
        samples = tuple(
            _sample(case, verdict)
            for case, verdict in given
            if case.criterion.name == name and not case.own
        )
        note = f"verdicts of {judge.name}"
        if lost := [error for case, error in failed if case.criterion.name == name]:
            note += f"; none on {len(lost)} answers ({lost[0]})"
        metric = Metric(f"judged_{name}", "ratio", "higher", PAGE, samples, binary=True, note=note)
        metrics.append(metric)
    return Judgement(
        tuple(metrics),
        {
            (case.call.facts.name, case.turn.number): verdict.passed
            for case, verdict in given
            if case.own and case.turn is not None
        },
        tuple(
            Ruling(
                case.item,
                case.criterion.name,
                case.exchange.question,
                case.exchange.answer,
                verdict,
            )
            for case, verdict in given
        ),
    )


def _cases(
    call: MatchedCall, document: Document | None, criteria: Sequence[str]
) -> Iterable[_Case]:
    for turn in call.facts.turns:
        said = " ".join(sentence.text for sentence in turn.sentences if sentence.audible)
        if turn.decision != "respond" or not said:
            continue
        heard = call.of_turn(turn.number)
        mine = heard is not None and heard.answer is turn
        expected = heard.truth.expect if heard is not None and mine else ""
        excerpts = _excerpts(turn, document)
        if expected:
            whole = str(turn.record.get("answer") or said)
            exchange = Exchange(turn.question, whole, excerpts)
            yield _Case(call, turn, exchange, Criterion(expected, expected), own=True)
        if turn.sections and excerpts:  # small talk rests on nothing
            exchange = Exchange(turn.question, said, excerpts)
            for name in criteria:
                yield _Case(call, turn, exchange, CRITERIA[name], own=False)


def _whole(call: MatchedCall) -> Iterable[_Case]:
    """A call as a whole, by what its caller wanted."""
    truth = call.truth
    if truth is None or not call.facts.turns:
        return
    exchange = Exchange("(a whole call)", goals.transcript(call))
    for name, what in zip(OF_CALLS, (truth.goal, truth.wrong_idea), strict=True):
        if what:
            criterion = Criterion(name, OF_CALLS[name].format(what))
            yield _Case(call, None, exchange, criterion, own=False)


def _excerpts(turn: TurnFacts, document: Document | None) -> str:
    known = set(document.section_ids) if document is not None else set()
    texts = [document.section(id).text for id in turn.sections if id in known] if document else []
    return "\n\n".join([*texts, *(f"{given.title}\n{given.text}" for given in turn.looked_up)])


def _sample(case: _Case, verdict: Verdict) -> Sample:
    if case.turn is None:
        return sample(case.call, verdict.passed, note=str(verdict))
    heard = case.call.of_turn(case.turn.number)
    mine = heard is not None and heard.answer is case.turn
    return sample(
        case.call,
        verdict.passed,
        turn=case.turn.number,
        utterance=heard.index if heard is not None and mine else None,
        at=case.turn.at,
        note=str(verdict),
    )
