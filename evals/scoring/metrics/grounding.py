"""Grounding: whether the cited sections support what was said, checked again."""

from collections.abc import Iterable, Sequence

from evals.scoring.facts import TurnFacts
from evals.scoring.matching import MatchedCall
from evals.scoring.metrics.metric import Metric, Sample, gathered, rate, sample
from knowledge.check.recital import recites
from knowledge.check.support import entails
from knowledge.loading.document import Document
from processors.brain.fixed_sentences import split
from processors.brain.follow_up import claimless_sentences
from processors.brain.tools import section_of

PAGE = "grounding"

GROUNDING_CHECKS = ("sections", "support")
"""The checks of a decision that fail when it says what it cannot cite."""


def measure(calls: Sequence[MatchedCall], documents: Sequence[Document]) -> list[Metric]:
    """Violations that were heard, and attempts that a check stopped.

    Args:
        calls: The calls.
        documents: Those at hand; a call of another document is not checked again.
    """
    by_hash = {document.sha256: document for document in documents}
    rechecked = gathered(calls, lambda call: _spoken(call, by_hash.get(call.facts.document_hash)))
    unknown = sum(call.facts.document_hash not in by_hash for call in calls)
    note = f"the document of {unknown} calls is not at hand (--knowledge)" if unknown else ""
    return [
        rate("grounding_violations", PAGE, rechecked, better="lower", note=note),
        rate("stopped_claims", PAGE, gathered(calls, _stopped), better="lower"),
    ]


def refusals(turn: TurnFacts, document: Document) -> tuple[str, ...]:
    """Why the sections that an answer cites do not support sentences that were heard, one each.

    Calls check the same before a sentence is spoken. A tool's result counts as a section.
    """
    known = set(document.section_ids)
    cited = [
        *(document.section(id) for id in turn.sections if id in known),
        *(section_of(given.section, given.title, given.text) for given in turn.looked_up),
    ]
    waiting = (text for call in turn.calls for text in split(str(call.get("said", ""))))
    claimless = {*claimless_sentences(document), *waiting}
    unrecorded = any("said" not in call for call in turn.calls)  # what was said while tools ran
    refused: list[str] = []
    for sentence in turn.sentences:
        if not sentence.audible or sentence.text in claimless:
            continue
        if unrecorded and not sentence.sections:
            continue
        if not recites(sentence.text, cited, document, turn.question):
            refused.append(entails(sentence.text, cited, document, turn.question).refused)
    return tuple(filter(None, refused))


def _spoken(call: MatchedCall, document: Document | None) -> Iterable[Sample]:
    if document is None:
        return
    for turn in call.facts.turns:
        if turn.decision == "respond" and any(sentence.audible for sentence in turn.sentences):
            found = refusals(turn, document)
            yield _sample(call, turn, bool(found), "; ".join(found))


def _stopped(call: MatchedCall) -> Iterable[Sample]:
    for turn in call.facts.turns:
        if turn.decision is None or turn.withdrawn:
            continue
        failed = [
            check
            for check in turn.record.get("checks", ())
            if check["name"] in GROUNDING_CHECKS and not check["passed"]
        ]
        note = "; ".join(f"{check['name']}: {check['detail']}" for check in failed)
        yield _sample(call, turn, bool(failed), note)


def _sample(call: MatchedCall, turn: TurnFacts, value: float, note: str) -> Sample:
    heard = call.of_turn(turn.number)
    mine = heard is not None and heard.answer is turn
    return sample(
        call,
        value,
        turn=turn.number,
        utterance=heard.index if heard is not None and mine else None,
        at=turn.at,
        note=note,
    )
