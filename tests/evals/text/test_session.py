"""A document is asked in writing by the turns, the brain and the checks of a call."""

from pathlib import Path

import pytest

from evals.text.session import MAX_QUESTION_CHARS, viva_session
from tests.evals.text.scripted import (
    HAND_OVER,
    STUDIED,
    WORKED,
    Scripted,
    answer,
    cv,
    engines_of,
)

WHERE, NOW, EARNS = "Where did she study?", "Where does she work now?", "What is her salary?"


@pytest.fixture
def brain() -> Scripted:
    return Scripted(
        {
            WHERE: answer(STUDIED, "education"),
            NOW: answer(f"{WORKED} She leads forty people.", "work"),
            "Does she ski?": HAND_OVER,
        }
    )


async def test_a_reply_is_checked_and_says_its_grounds(brain: Scripted, tmp_path: Path) -> None:
    async with viva_session(engines=engines_of(brain, cv(tmp_path))) as session:
        reply = await session.ask(f"  {WHERE}\n")
    assert (reply.text, reply.decision, reply.sections) == (STUDIED, "respond", ("education",))
    assert (reply.lines, reply.confidence, reply.fault) == ((8,), "high", "")
    reply.says("Porto", "2009|two thousand nine").cites("education").answers().never_says("Lisbon")
    assert reply.record.heard_text == STUDIED


async def test_what_the_document_does_not_say_is_not_replied(
    brain: Scripted, tmp_path: Path
) -> None:
    async with viva_session(engines=engines_of(brain, cv(tmp_path))) as session:
        reply = await session.ask(NOW)
        refused = await session.ask(EARNS)
        unknown = await session.ask("Does she ski?")
    reply.says("Farfetch").never_says("forty")
    refused.escalates("sensitive")
    assert EARNS not in [question.text for question in brain.asked], "no brain need see it"
    unknown.escalates("unsupported")


async def test_a_turn_sees_what_was_heard_before(brain: Scripted, tmp_path: Path) -> None:
    async with viva_session(engines=engines_of(brain, cv(tmp_path))) as session:
        await session.ask(WHERE)
        await session.ask(NOW)
    (before,) = brain.asked[-1].history
    assert (before.question, before.answer, before.sections) == (WHERE, STUDIED, ("education",))


async def test_an_assertion_says_what_was_replied_instead(brain: Scripted, tmp_path: Path) -> None:
    async with viva_session(engines=engines_of(brain, cv(tmp_path))) as session:
        reply = await session.ask(WHERE)
    with pytest.raises(AssertionError, match=r"expected the words 'Lisbon', it said 'She studied"):
        reply.says("Lisbon")
    with pytest.raises(AssertionError, match="a citation of work, it cited education"):
        reply.cites("work")
    with pytest.raises(AssertionError, match="handed to a person, it did respond"):
        reply.escalates()


async def test_a_brain_that_fails_is_a_fault_and_no_answer(brain: Scripted, tmp_path: Path) -> None:
    async with viva_session(engines=engines_of(brain, cv(tmp_path))) as session:
        reply = await session.ask("Who are you?")
    assert reply.fault == "scripted has no reply"
    with pytest.raises(AssertionError, match="The brain failed: scripted has no reply"):
        reply.answers()


@pytest.mark.parametrize("question", ["", "  \n", "why " * MAX_QUESTION_CHARS])
async def test_a_question_of_no_length_or_too_great_is_refused(
    question: str, brain: Scripted, tmp_path: Path
) -> None:
    async with viva_session(engines=engines_of(brain, cv(tmp_path))) as session:
        with pytest.raises(ValueError, match="allowed: 1 to"):
            await session.ask(question)
