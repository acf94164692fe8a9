"""What a brain says to written questions of a document, held against what is right.

A question is *right* when the decision is the expected one and, for an answer, all facts that
belong to it are said and a right section is cited. What failed is found by where the facts
still stood:

* *parsing*: in no line of the document as it was read;
* *retrieval*: in none of the three best records;
* *threshold*: in the best records, but the question was passed on;
* *refused*: the question was taken for a sensitive one;
* *composition*: in the best records, but not in what was said;
* *told*: an answer was given where there is none.
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
from processors.brain.decision_run import DecisionRun, Patience
from processors.brain.extractive import ExtractiveBrain
from processors.brain.guardrails import Phrases

_MOST_WORDS, _MOST_SENTENCES = 40, 3
_HEDGE_WORDS = 12  # a hedge before an answer of low confidence
_DEBRIS = re.compile(r"[|*_`#<>{}\[\]]|\w;\s|--|\s-\s|\w:\s*\w+:|^[^.!?]{1,24}:\s|\s\u2013\s")


@dataclass(frozen=True, slots=True)
class Case:
    """One question, and what is right.

    Parameters:
        ask: What the caller says.
        after: What was asked before it in the same call.
        decision: ``answer``, ``unanswerable``, ``sensitive``, or ``any`` where both will do.
        says: Facts that the answer must hold; ``|`` stands between forms of one.
        never: What the answer may not hold.
        section: Id that must be among those cited, or an id below it; empty when any will do.
    """

    ask: str
    after: tuple[str, ...] = ()
    decision: str = "answer"
    says: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    section: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one question.

    Parameters:
        case: The question.
        decision: What was decided, and said.
        failed: What failed; empty when the decision is right.
        fit: Whether what was said is fit to be heard.
        secs: Time that the decision took.
    """

    case: Case
    decision: DecisionFrame
    failed: str
    fit: bool
    secs: float


def cases(path: Path) -> tuple[str, tuple[Case, ...]]:
    """The kind of a document, and its questions, from the file beside it."""
    found = tomllib.loads(path.read_text(encoding="utf-8"))
    return found["kind"], tuple(
        Case(
            ask=each["ask"],
            after=tuple(each.get("after", ())),
            decision=each.get("decision", "answer"),
            says=tuple(each.get("says", ())),
            never=tuple(each.get("not", ())),
            section=each.get("section", ""),
        )
        for each in found["questions"]
    )


def decide(
    brain: ExtractiveBrain, document: Document, ask: str, history: Sequence[Exchange]
) -> DecisionFrame:
    """Decide one turn as in a call, with every check."""

    async def say(sentence: SentenceFrame) -> None:
        pass

    turn = TurnFrame(turn=1, question=ask, history=tuple(history))
    run = DecisionRun(
        turn,
        brain=brain,
        document=document,
        phrases=Phrases(),
        patience=Patience(first_token_timeout_secs=60, decision_timeout_secs=120),
        say=say,
    )
    return asyncio.run(run.decide())


def ask(brain: ExtractiveBrain, document: Document, asked: Sequence[Case]) -> list[Outcome]:
    """Put the questions, each in a call of its own."""
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
        case "sensitive":
            return "" if not answered and decision.reason == "sensitive" else "told"
        case _:
            pass
    if answered and holds(decision.text, case) and _cites(decision, case):
        return ""
    if decision.reason == "sensitive":
        return "refused"
    if not holds(" ".join(line.text for each in document.sections for line in each.lines), case):
        return "parsing"
    best = brain.found(case.ask, history)
    if not holds(" ".join(best), Case(case.ask, says=case.says)):
        return "retrieval"
    return "composition" if answered else "threshold"


def holds(text: str, case: Case) -> bool:
    """Whether a text holds all facts of an answer, and nothing that it may not."""
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
    """Whether a text can be listened to: whole, short sentences without labels or debris."""
    said = sentences(text)
    return (
        0 < len(said) <= _MOST_SENTENCES + 1
        and len(text.split()) <= _MOST_WORDS + _HEDGE_WORDS
        and all(len(sentence.split()) >= 3 for sentence in said[:1])
        and text[:1] == text[:1].upper()
        and text.endswith((".", "!", "?"))
        and not _DEBRIS.search(text)
    )
