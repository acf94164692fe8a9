"""Measures how well and how fast the embedded brain decides the project's own questions.

Run: ``python -m benchmarks.questions``. It asks every question of ``tests/questions.toml`` of the
bundled CV and prints the share of right decisions by kind, then the time per decision.

A decision is right if it has the right tool, for a refusal the right reason, and for an answer at
least one of the right sections among those cited. An answer is ungrounded if a sentence has a
number, date or name that neither its sections nor the question contain.
"""

import sys
import time
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

from conversation.frames import Exchange
from knowledge.check.support import unsupported_claims
from knowledge.loading.document import Document, load
from knowledge.words import sentences
from processors.brain.contract import Question
from processors.brain.extractive import ExtractiveBrain, Reply

QUESTIONS = Path(__file__).parent.parent / "tests" / "questions.toml"

_REASONS = {"unanswerable": "unsupported", "sensitive": "sensitive", "unclear": "unclear"}


@dataclass(frozen=True, slots=True)
class Case:
    """One question of the set with its right answer.

    Parameters:
        kind: Its kind in the file.
        question: The question, with the turns before it.
        sections: Ids of sections, one of which must be cited.
        says: Text that the answer should contain; empty if only the section matters.
    """

    kind: str
    question: Question
    sections: tuple[str, ...]
    says: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one question.

    Parameters:
        case: The question.
        reply: The decision.
        right: Whether it was right.
        told: Whether it was right and contains the text that the case asks for, if any.
        ungrounded: Claims of the answer without support.
        secs: Duration of the decision.
    """

    case: Case
    reply: Reply
    right: bool
    told: bool
    ungrounded: tuple[str, ...]
    secs: float


def cases(path: Path = QUESTIONS) -> tuple[Case, ...]:
    """Read the questions of a file, in order."""
    found = tomllib.loads(path.read_text(encoding="utf-8"))["question"]
    return tuple(
        Case(
            kind=entry["kind"],
            question=Question(
                entry["ask"],
                tuple(
                    Exchange(turn["ask"], turn["answer"], tuple(turn["sections"]))
                    for turn in entry.get("after", ())
                ),
            ),
            sections=tuple(entry.get("sections", ())),
            says=entry.get("says", ""),
        )
        for entry in found
    )


def ask(brain: ExtractiveBrain, document: Document, asked: Iterable[Case]) -> tuple[Outcome, ...]:
    """Ask the brain the questions one after another."""
    return tuple(_outcome(brain, document, case) for case in asked)


def _outcome(brain: ExtractiveBrain, document: Document, case: Case) -> Outcome:
    started = time.perf_counter()
    reply = brain.reply(case.question)
    secs = time.perf_counter() - started
    cited = reply.arguments.get("sections", [])
    answer = str(reply.arguments.get("answer", ""))
    if case.kind in ("answer", "follow_up"):
        right = reply.tool == "respond" and bool(set(cited) & set(case.sections))
    elif case.kind == "small_talk":
        right = reply.tool == "respond" and not cited
    else:
        right = reply.arguments.get("reason") == _REASONS[case.kind]
    return Outcome(
        case=case,
        reply=reply,
        right=right,
        told=right and case.says.lower() in answer.lower(),
        ungrounded=_ungrounded(answer, cited, case, document),
        secs=secs,
    )


def _ungrounded(
    answer: str, cited: Sequence[str], case: Case, document: Document
) -> tuple[str, ...]:
    sections = [document.section(id) for id in cited]
    free = f"{case.question.text} {document.title} {document.persona.name}"
    return tuple(
        claim
        for sentence in sentences(answer)
        for claim in unsupported_claims(sentence, sections, free)
    )


def main() -> None:
    """Ask all questions and print the table."""
    document = load()
    brain = ExtractiveBrain.load(document)
    outcomes = ask(brain, document, cases())
    write = sys.stdout.write
    write(f"{document.name}: {len(outcomes)} questions, brain {brain.name}\n")
    write(f"{'kind':14}{'right':>9}{'of':>5}{'share':>9}\n")
    kinds = list(dict.fromkeys(outcome.case.kind for outcome in outcomes))
    for kind in [*kinds, "all"]:
        of = [outcome for outcome in outcomes if kind in (outcome.case.kind, "all")]
        right = sum(outcome.right for outcome in of)
        write(f"{kind:14}{right:9}{len(of):5}{right / len(of):9.1%}\n")
    answers = [outcome for outcome in outcomes if outcome.case.says]
    told = sum(outcome.told for outcome in answers)
    write(f"answers that hold the expected words: {told} of {len(answers)}\n")
    write(f"ungrounded statements: {sum(len(outcome.ungrounded) for outcome in outcomes)}\n")
    times = sorted(outcome.secs * 1000 for outcome in outcomes)
    p50, p95 = quantiles(times, n=100)[49], quantiles(times, n=100)[94]
    write(f"time a decision: p50 {p50:.1f} ms, p95 {p95:.1f} ms, one thread\n")
    for outcome in outcomes:
        if not outcome.right:
            said = outcome.reply.arguments.get("answer") or outcome.reply.arguments.get("reason")
            write(f"wrong: {outcome.case.kind}: {outcome.case.question.text} -> {said}\n")


if __name__ == "__main__":
    main()
