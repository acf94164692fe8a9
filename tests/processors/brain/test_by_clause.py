"""Answers that begin with a clause: what is said would pass the guardrails by itself."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.brain.sentences import SentenceStream
from tests.processors.brain.deciding import PHRASES, Turn, decide
from tests.processors.brain.test_responder import ScriptedBrain, respond

DEGREE = "She earned her PhD in mathematics from Yale University"


async def said(answer: str, *, confidence: str = "high", by_clause: bool = True) -> Turn:
    """Let an answer of the education be checked as it is written."""
    brain = ScriptedBrain(respond(answer, sections=["education"], confidence=confidence))
    return await decide(brain, by_clause=by_clause)


async def test_a_clause_that_stands_alone_is_said_ahead_of_the_rest() -> None:
    turn = await said(f"{DEGREE}, which was in 1934. {DEGREE} in 1934.")
    assert turn.words == [f"{DEGREE},", "which was in 1934.", f"{DEGREE} in 1934."]
    assert turn.decision.text == " ".join(turn.words)
    assert turn.decision.sections == ("education",)
    assert turn.decision.lines, "the lines that support it"
    assert [check for check in turn.decision.checks if not check.passed] == []


async def test_a_rest_that_may_not_be_spoken_is_left_out_and_the_caller_is_told() -> None:
    turn = await said(f"{DEGREE}, which was worth a salary of a million dollars.")
    assert turn.words == [f"{DEGREE},", PHRASES.rest_uncertain]
    assert "sensitive" in {check.name for check in turn.decision.checks if not check.passed}


async def test_a_rest_that_the_document_does_not_support_is_said_in_its_own_words() -> None:
    turn = await said(f"{DEGREE}, which was a gift of Globex.")
    whole = await said(f"{DEGREE}, which was a gift of Globex.", by_clause=False)
    assert turn.words == [f"{DEGREE},", *whole.words]
    assert turn.decision.checks == whole.decision.checks
    assert "Globex" not in turn.decision.text


@pytest.mark.parametrize(
    "answer",
    [
        "She earned her PhD at Globex, which was in 1934.",  # the clause is false
        f"{DEGREE}, but not in 1934.",  # what follows may limit it
        f"{DEGREE} (in 1934, which was long ago).",  # in brackets
    ],
)
async def test_no_clause_is_said_alone_that_is_false_or_that_the_rest_may_limit(
    answer: str,
) -> None:
    ahead, whole = await said(answer), await said(answer, by_clause=False)
    assert ahead.words == whole.words
    assert ahead.decision.checks == whole.decision.checks


async def test_an_answer_of_low_confidence_begins_with_its_hedge() -> None:
    turn = await said(f"{DEGREE}, which was in 1934.", confidence="low")
    assert turn.words == [PHRASES.hedge(1), f"{DEGREE}, which was in 1934."]


@pytest.mark.parametrize(
    ("written", "clause"),
    [
        ("She taught at Vassar College, which ", "She taught at Vassar College,"),
        ("She taught at Vassar College, whi", ""),  # the next word may become "which" or "whilst"
        ("She was born on December 9, 1906, in ", ""),  # a date, and a limit
        ("She was born on December 9, 1906, and ", "She was born on December 9, 1906,"),
        ("Refunds are given within a month, unless ", ""),
        ("She *taught* at Vassar College, which ", ""),
        ("Yes, she taught at Vassar College ", ""),  # too short to be worth it
    ],
)
def test_where_the_first_clause_ends(written: str, clause: str) -> None:
    stream = SentenceStream()
    stream.feed(written)
    assert stream.begun() == clause


@settings(max_examples=40)
@given(st.text(alphabet='ab A.,;:"()-1', max_size=120))
def test_a_clause_is_what_its_sentence_begins_with(text: str) -> None:
    stream = SentenceStream()
    whole = stream.feed(text)
    clause = stream.begun()
    whole += stream.close()
    assert not clause or any(sentence.startswith(clause) for sentence in whole)
