"""A decision says what passed the filters, whatever stands between brain and voice."""

from dataclasses import replace

import pytest
from pipecat.frames.frames import (
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
)
from pipecat.processors.frame_processor import FrameDirection

from conversation.frames import DecisionFrame, SentenceFrame
from processors.brain.decision_keeper import DecisionKeeper

START, END = LLMFullResponseStartFrame(), LLMFullResponseEndFrame()
ONE = SentenceFrame("She studied at Vassar.", turn=1, lines=(7,))
TWO = SentenceFrame("Then she went to Yale.", turn=1, lines=(3, 9))
DECISION = DecisionFrame(turn=1, text=f"{ONE.text} {TWO.text}", lines=(3, 7, 9), sections=("x",))


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> list[Frame]:
    passed: list[Frame] = []

    async def push(_keeper: DecisionKeeper, frame: Frame, _direction: object = None) -> None:
        passed.append(frame)

    monkeypatch.setattr(DecisionKeeper, "push_frame", push)
    return passed


async def give(*frames: Frame) -> None:
    keeper = DecisionKeeper()
    for frame in frames:
        await keeper.process_frame(frame, FrameDirection.DOWNSTREAM)


async def test_an_answer_that_nobody_changed_keeps_its_decision(passed: list[Frame]) -> None:
    await give(START, ONE, TWO, END, DECISION)
    assert passed == [START, ONE, TWO, END, DECISION]


async def test_a_sentence_that_was_dropped_is_in_no_decision(passed: list[Frame]) -> None:
    await give(START, TWO, END, DECISION)
    decision = passed[-1]
    assert isinstance(decision, DecisionFrame)
    assert (decision.text, decision.lines, decision.sections) == (TWO.text, (3, 9), ("x",))


async def test_a_decision_that_overtook_its_sentences_waits_for_them(passed: list[Frame]) -> None:
    """A system frame jumps the queue of a filter that has one."""
    shown = replace(ONE, text="She studied at Vass-er.")
    await give(START, ONE, END, replace(DECISION, text=ONE.text))  # the turn before
    passed.clear()
    await give(DECISION, START, shown, TWO, END)
    assert passed == [START, shown, TWO, END, DECISION]


async def test_an_interruption_lets_a_decision_go_with_what_was_said(passed: list[Frame]) -> None:
    await give(START, ONE, DECISION, InterruptionFrame(), TWO)
    decision = next(frame for frame in passed if isinstance(frame, DecisionFrame))
    assert decision.text == ONE.text
