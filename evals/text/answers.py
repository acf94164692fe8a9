"""Asks a brain written questions about a document and judges the answers.

A question is *right* if the reply is as expected (:mod:`evals.scoring.expectation`). A failure is
named after the step that lost the facts:

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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from conversation.frames import DecisionFrame, Exchange, SentenceFrame, TurnFrame
from evals.scoring.expectation import Expectation, Replied, check, right_words, says
from evals.text.questions import load
from knowledge.loading.document import Document
from knowledge.telling import is_clause
from knowledge.words import sentences
from processors.brain.decision_run import DecisionRun, DecisionTimeouts
from processors.brain.extractive import ExtractiveBrain
from processors.brain.guardrails import Phrases

STEPS: Mapping[str, str] = {
    "parsing": "no line of the document, as it was read, says that",
    "retrieval": "the three best records do not say that",
    "threshold": "the best records say that, but the question was passed on",
    "refused": "the question was taken for a sensitive one",
    "composition": "the best records say that, but the answer does not",
    "told": "an answer was given to what should not be answered",
}
"""The steps that can lose an answer, in words."""

_MOST_WORDS, _MOST_SENTENCES = 40, 3
_LEAST_WORDS = 2  # of a sentence, but for a plain yes or no
_DEBRIS = re.compile(
    r"[|*_`#<>{}\[\]]|\w;\s|--|\s[-/\u2013\u2014]\s|\w:\s*\w+:|https?:|\u00a7|\((?:v|vg|ve|gf)\)"
)
_LABEL = re.compile(r"^([^.!?]{1,24}):\s")
_ID = re.compile(
    r"^(?:Rule|Article|Section|Clause|Paragraph|Regulation) \d+[a-z]? [A-Z]|^\d+(?:\.\d+)+ [A-Z]"
)
_SHORT_ANSWER = re.compile(r"^(?:yes|no|none|never|free)[.!]$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Case:
    """One question with its expected outcome.

    Parameters:
        ask: The question.
        after: The questions asked before it in the same call.
        expected: What a right reply is.
    """

    ask: str
    after: tuple[str, ...] = ()
    expected: Expectation = field(default_factory=Expectation)

    @property
    def decision(self) -> str:
        """The expected decision."""
        return self.expected.decision


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
    """Read a question file in TOML: the document's kind, and its questions.

    Raises:
        QuestionsError: It cannot be used.
    """
    kind = tomllib.loads(path.read_text(encoding="utf-8")).get("kind", "")
    return kind, tuple(
        Case(turn.ask or "", tuple(before.ask or "" for before in earlier), turn.expectations[0])
        for *earlier, turn in (scenario.turns for scenario in load(path))
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
        failed=lost_at(case, decision, brain, document, history),
        fit=decision.decision == "escalate" or fit_to_be_heard(decision.text),
        secs=secs,
    )


def lost_at(
    case: Case,
    reply: Replied,
    brain: ExtractiveBrain,
    document: Document,
    history: Sequence[Exchange],
) -> str:
    """The step that lost what was expected, as the module names them; empty if the reply is right.

    Args:
        case: The question.
        reply: What was replied.
        brain: The brain that replied.
        document: The document.
        history: The turns before.
    """
    expected = case.expected
    answered = reply.decision == "respond"
    match expected.decision:
        case "any":
            return ""
        case "escalate" | "sensitive":
            return "" if all(found.passed for found in check(expected, reply)) else "told"
        case "clarify":
            asks_back = answered and not reply.sections and reply.text.endswith("?")
            return "" if asks_back else "told" if answered else "threshold"
        case _:
            pass
    if answered and all(found.passed for found in check(expected, reply)):
        return ""
    if reply.reason == "sensitive":
        return "refused"
    text = " ".join(line.text for section in document.sections for line in section.lines)
    if not right_words(text, expected):
        return "parsing"
    best = " ".join(brain.found(case.ask, history))
    if not all(says(best, fact) for fact in expected.says):
        return "retrieval"
    return "composition" if answered else "threshold"


def fit_to_be_heard(text: str) -> bool:
    """Whether an answer sounds right: one to three whole sentences of at most 40 words in all.

    None of them is a label with its value or begins with an id, and there are no markup and no
    debris of tables. A hedge that opens it does not count, nor what fills a wait.
    """
    phrases = Phrases()
    for opening in (phrases.looking, *phrases.hedges):
        text = text.removeprefix(opening).strip()
    said = sentences(text)
    return (
        0 < len(said) <= _MOST_SENTENCES
        and len(text.split()) <= _MOST_WORDS
        and text.endswith((".", "!", "?"))
        and not _DEBRIS.search(text)
        and all(map(_is_whole, said))
    )


def _is_whole(sentence: str) -> bool:
    label = _LABEL.match(sentence)
    return (
        (len(sentence.split()) >= _LEAST_WORDS or _SHORT_ANSWER.match(sentence) is not None)
        and sentence[:1] == sentence[:1].upper()
        and not _ID.match(sentence)
        and (label is None or is_clause(label[1]))
    )
