"""Turn taking: what keeps its contract passes, and each that breaks a rule is caught."""

from typing import Any

import pytest
from pipecat.frames.frames import (
    ControlFrame,
    DataFrame,
    EndFrame,
    Frame,
    InputTextRawFrame,
    InterruptionFrame,
    TranscriptionFrame,
    TTSSpeakFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection

from conversation.frames import EndCallFrame, TurnFrame
from conversation.turns import Conversation
from evals.conformance.subjects import VIVAS_OWN
from evals.conformance.suite import check_turn_taking
from evals.conformance.turns import TURN_CHECKS, TurnTaker
from evals.replay import virtual_time
from examples import push_to_talk
from processors.turns.processor import TurnTaking


def failures(taker: TurnTaker) -> dict[str, str]:
    results = virtual_time.run(check_turn_taking(taker))
    assert [result.name for result in results] == [check.name for check in TURN_CHECKS]
    return {result.name: result.detail for result in results if result.loses}


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda _: "turns", "str was made; a stage is a FrameProcessor"),
        (lambda: None, "it cannot be made: TypeError: "),
    ],
)
def test_what_makes_no_turn_taking_fails_once_and_says_why(make: Any, why: str) -> None:
    (failed,) = virtual_time.run(check_turn_taking(TurnTaker("none", make)))
    assert failed.verdict == "blocks"
    assert failed.detail.startswith(why)
    assert failed.detail.endswith("; nothing else of it was checked")


@pytest.mark.parametrize(
    "taker",
    [
        VIVAS_OWN,
        TurnTaker("instant", lambda conversation: TurnTaking(conversation, instant=True)),
        TurnTaker("preemptive", lambda conversation: TurnTaking(conversation, preemptive=True)),
        push_to_talk.CHECKED,
    ],
    ids=lambda taker: taker.name,
)
def test_turn_taking_that_keeps_its_contract_passes(taker: TurnTaker) -> None:
    assert failures(taker) == {}


def test_what_turn_taking_does_not_claim_is_not_applicable() -> None:
    def by_transcript(conversation: Conversation) -> TurnTaking:
        return TurnTaking(conversation, ending="transcript")

    results = virtual_time.run(check_turn_taking(TurnTaker("plain", by_transcript, judges=False)))
    verdicts = {result.name: result.verdict for result in results}
    pauses = {"pause in a sentence", "hesitation", "number in groups"}
    assert {verdicts.pop(name) for name in pauses} == {"not applicable"}
    assert set(verdicts.values()) == {"passed"}
    assert pauses == set(failures(TurnTaker("boastful", by_transcript)))


class Repeating(TurnTaking):
    """Pushes each ``TurnFrame`` twice."""

    async def push_frame(self, frame: Frame, direction: Any = FrameDirection.DOWNSTREAM) -> None:
        await super().push_frame(frame, direction)
        if isinstance(frame, TurnFrame):
            await super().push_frame(TurnFrame(frame.turn, frame.question), direction)


class OneWay(TurnTaking):
    """Does not tell voice activity that a turn is over."""

    async def push_frame(self, frame: Frame, direction: Any = FrameDirection.DOWNSTREAM) -> None:
        up = direction is FrameDirection.UPSTREAM
        if not (up and isinstance(frame, UserStoppedSpeakingFrame)):
            await super().push_frame(frame, direction)


class Talkative(TurnTaking):
    """Passes transcripts on."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TranscriptionFrame):
            await self.push_frame(frame, direction)


class Choosy(TurnTaking):
    """Passes on control frames only if they are its own."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        known = not isinstance(frame, ControlFrame) or isinstance(frame, (EndFrame, EndCallFrame))
        if known:
            await super().process_frame(frame, direction)


class Shuffling(TurnTaking):
    """Swaps the first two unknown data frames."""

    _held: Frame | None = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        if not isinstance(frame, DataFrame) or isinstance(frame, TranscriptionFrame):
            await super().process_frame(frame, direction)
        elif self._held is None and hasattr(frame, "number") and frame.number < 2:
            self._held = frame
        else:
            await super().process_frame(frame, direction)
            if self._held is not None:
                held, self._held = self._held, None
                await super().process_frame(held, direction)


class Jealous(TurnTaking):
    """Drops other processors' interruptions."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        if not isinstance(frame, InterruptionFrame):
            await super().process_frame(frame, direction)


class Stubborn(TurnTaking):
    """Never yields."""

    async def _interrupt(self) -> None:
        pass


class Nagging(TurnTaking):
    """Interrupts twice."""

    async def _interrupt(self) -> None:
        await super()._interrupt()
        await super()._interrupt()


class Imagining(TurnTaking):
    """Turns a cough into a question."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, TranscriptionFrame) and not frame.text:
            frame.text = "What was that?"
        await super().process_frame(frame, direction)


class Spending(TurnTaking):
    """Ignores the budget."""

    async def _end_turn(self, end: Any) -> None:
        self._conversation.affordable = lambda: True
        await super()._end_turn(end)


class LastWord(TurnTaking):
    """Asks only what was said last."""

    _last = ""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, TranscriptionFrame):
            self._last = frame.text
        await super().process_frame(frame, direction)

    async def push_frame(self, frame: Frame, direction: Any = FrameDirection.DOWNSTREAM) -> None:
        if isinstance(frame, TurnFrame):
            frame.question = self._last
        await super().push_frame(frame, direction)


class Illiterate(TurnTaking):
    """Does not know typed questions."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, InputTextRawFrame):
            await self.push_frame(frame, direction)
        else:
            await super().process_frame(frame, direction)


class Curt(TurnTaking):
    """Ends a call without its last words."""

    async def push_frame(self, frame: Frame, direction: Any = FrameDirection.DOWNSTREAM) -> None:
        if not isinstance(frame, TTSSpeakFrame):
            await super().push_frame(frame, direction)


class Deathless(TurnTaking):
    """Answers turns after the last words."""

    async def _end_call(self, frame: EndCallFrame) -> None:
        await self.push_frame(TTSSpeakFrame(frame.last_words))
        await self.push_frame(frame)


class Lingering(TurnTaking):
    """Drops the ``EndFrame``."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        if not isinstance(frame, EndFrame):
            await super().process_frame(frame, direction)


class Forgetful(TurnTaking):
    """Begins turns without the conversation."""

    async def _end_turn(self, end: Any) -> None:
        await self.push_frame(TurnFrame(turn=1, question=end.question))


@pytest.mark.parametrize(
    ("kind", "name", "why"),
    [
        (Repeating, "one turn", "one question made 2 TurnFrames"),
        (OneWay, "one turn", "no UserStoppedSpeakingFrame went upstream"),
        (Forgetful, "one turn", "turn 1 has no record within 5 s"),
        (Talkative, "ends here", "it passes on TranscriptionFrame"),
        (Choosy, "passes on", "not every unknown control frame passes downstream"),
        (Shuffling, "passes on", "data frames pass downstream out of order"),
        (Jealous, "interrupted by another", "it was not passed on"),
        (Stubborn, "barge-in", "the voice did not yield within 1.5 s"),
        (Nagging, "barge-in", "one barge-in made 2 interruptions"),
        (LastWord, "pause in a sentence", "the turn has 'where she studied.'"),
        (LastWord, "hesitation", "the turn has 'where she studied.'"),
        (LastWord, "number in groups", "the turn has 'zero nine five eight.'"),
        (LastWord, "continued question", "| And who taught her?"),
        (Illiterate, "typed question", "no TurnFrame with number 2 within 4 s"),
        (Imagining, "no words", "a cough was taken for a question"),
        (Spending, "no money", "it pushed a TurnFrame that the budget does not cover"),
        (Curt, "last words", "the last words do not precede the EndCallFrame"),
        (Deathless, "last words", "a turn after the last words was answered"),
        (Lingering, "end of the call", "no EndFrame within 2 s"),
    ],
)
def test_turn_taking_that_breaks_a_rule_is_caught(
    kind: type[TurnTaking], name: str, why: str
) -> None:
    assert why in failures(TurnTaker("broken", kind))[name]
