"""Asks a brain written questions about a document and judges the answers.

A question is *right* if the decision is the expected one and, for an answer, all expected facts
are said and a right section is cited. A failure is named after the step that lost the facts:

* *parsing*: no line of the parsed document has them;
* *retrieval*: none of the three best records has them;
* *threshold*: the best records have them, but the question was passed on;
* *refused*: the question was taken for a sensitive one;
* *composition*: the best records have them, but the answer does not;
* *told*: there is no answer in the document, but one was given.
"""

import asyncio
import re
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from conversation.frames import DecisionFrame, Exchange, SentenceFrame, TurnFrame
from knowledge.loading.document import Document
from knowledge.words import sentences
from processors.brain.decision_run import DecisionRun, DecisionTimeouts
from processors.brain.extractive import ExtractiveBrain
from processors.brain.guardrails import Phrases

_MOST_WORDS, _MOST_SENTENCES = 40, 3
_HEDGE_WORDS = 12  # a hedge before an answer of low confidence
_DEBRIS = re.compile(r"[|*_`#<>{}\[\]]|\w;\s|--|\s-\s|\w:\s*\w+:|^[^.!?]{1,24}:\s|\s\u2013\s")


@dataclass(frozen=True, slots=True)
class Case:
    """One question with its expected outcome.

    Parameters:
        ask: The question.
        after: The question asked before it in the same call.
        decision: ``answer``, ``unanswerable``, ``sensitive``, ``clarify`` if the caller must be
            asked which is meant, or ``any`` if either decision is right.
        says: Facts that the answer must contain; ``|`` separates forms of one fact.
        never: Texts that the answer must not contain.
        section: An id that must be cited, itself or an id below it; empty for any.
    """

    ask: str
    after: tuple[str, ...] = ()
    decision: str = "answer"
    says: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    section: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one question.

    Parameters:
        case: The question.
        decision: The decision, with what was said.
        failed: The step that failed; empty if the decision is right.
        fit: Whether the answer can be listened to (:func:`fit_to_be_heard`).
        secs: How long the decision took.
    """

    case: Case
    decision: DecisionFrame
    failed: str
    fit: bool
    secs: float


def cases(path: Path) -> tuple[str, tuple[Case, ...]]:
    """Read a question file: the document's kind, and its questions."""
    found = tomllib.loads(path.read_text(encoding="utf-8"))
    return found["kind"], tuple(
        Case(
            ask=question["ask"],
            after=tuple(question.get("after", ())),
            decision=question.get("decision", "answer"),
            says=tuple(question.get("says", ())),
            never=tuple(question.get("not", ())),
            section=question.get("section", ""),
        )
        for question in found["questions"]
    )


def decide(
    brain: ExtractiveBrain, document: Document, ask: str, history: Sequence[Exchange]
) -> DecisionFrame:
    """Decide one turn as in a call, with all checks."""

    async def say(sentence: SentenceFrame) -> None:
        pass

    turn = TurnFrame(turn=1, question=ask, history=tuple(history))
    run = DecisionRun(
        turn,
        brain=brain,
        document=document,
        phrases=Phrases(),
        timeouts=DecisionTimeouts(first_token_timeout_secs=60, decision_timeout_secs=120),
        say=say,
    )
    return asyncio.run(run.decide())


def ask(brain: ExtractiveBrain, document: Document, asked: Sequence[Case]) -> list[Outcome]:
    """Ask the questions, each in a call of its own."""
    return [_outcome(brain, document, case) for case in asked]


def _outcome(brain: ExtractiveBrain, document: Document, case: Case) -> Outcome:
    history: list[Exchange] = []
    for before in case.after:
        found = decide(brain, document, before, history)
        history.append(Exchange(before, found.text, found.sections, found.decision))
    started = time.perf_counter()
    decision = decide(brain, document, case.ask, history)
    secs = time.perf_counter() - started
    return Outcome(
        case=case,
        decision=decision,
        failed=_failed(case, decision, brain, document, history),
        fit=decision.decision == "escalate" or fit_to_be_heard(decision.text),
        secs=secs,
    )


def _failed(
    case: Case,
    decision: DecisionFrame,
    brain: ExtractiveBrain,
    document: Document,
    history: Sequence[Exchange],
) -> str:
    answered = decision.decision == "respond"
    match case.decision:
        case "any":
            return ""
        case "unanswerable":
            return "told" if answered else ""
        case "clarify":
            asks_back = answered and not decision.sections and decision.text.endswith("?")
            return "" if asks_back else "told" if answered else "threshold"
        case "sensitive":
            return "" if not answered and decision.reason == "sensitive" else "told"
        case _:
            pass
    if answered and holds(decision.text, case) and _cites(decision, case):
        return ""
    if decision.reason == "sensitive":
        return "refused"
    text = " ".join(line.text for section in document.sections for line in section.lines)
    if not holds(text, case):
        return "parsing"
    best = brain.found(case.ask, history)
    if not holds(" ".join(best), Case(case.ask, says=case.says)):
        return "retrieval"
    return "composition" if answered else "threshold"


def holds(text: str, case: Case) -> bool:
    """Whether a text contains all expected facts and nothing forbidden."""
    lowered = text.lower()
    return all(
        any(_stands(form.lower(), lowered) for form in fact.split("|")) for fact in case.says
    ) and not any(_stands(fact.lower(), lowered) for fact in case.never)


def _stands(form: str, text: str) -> bool:
    before = r"(?<![\w.,])" if form[0].isdigit() else r"(?<!\w)" if len(form) < 4 else ""
    after = r"(?!\d|[.,:]\d)" if form[-1].isdigit() else r"(?!\w)" if len(form) < 4 else ""
    return bool(re.search(before + re.escape(form) + after, text))


def _cites(decision: DecisionFrame, case: Case) -> bool:
    return not case.section or any(
        id == case.section or id.startswith(f"{case.section}/") for id in decision.sections
    )


def fit_to_be_heard(text: str) -> bool:
    """Whether a text sounds right: complete, short sentences without labels or markup."""
    said = sentences(text)
    return (
        0 < len(said) <= _MOST_SENTENCES + 1
        and len(text.split()) <= _MOST_WORDS + _HEDGE_WORDS
        and all(len(sentence.split()) >= 3 for sentence in said[:1])
        and text[:1] == text[:1].upper()
        and text.endswith((".", "!", "?"))
        and not _DEBRIS.search(text)
    )
