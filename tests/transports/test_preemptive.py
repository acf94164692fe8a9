"""Answers begun before it is certain that the caller has finished: sooner, and never wrong."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pipecat.frames.frames import (
    InterimTranscriptionFrame,
    ProposedUserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)

from conversation.frames import SpeechPauseFrame
from evals.replay import virtual_time
from tests.chain import ScriptedCall, transcript

Story = Callable[[ScriptedCall], Coroutine[Any, Any, None]]

QUESTION = "Where did she study?"


def tell(story: Story, *, preemptive: bool, earned_tokens: int = 500) -> ScriptedCall:
    async def play() -> ScriptedCall:
        async with ScriptedCall(
            ending="recogniser", preemptive=preemptive, earned_tokens=earned_tokens
        ) as call:
            call.brain.first_token_secs = 0.64
            await story(call)
        return call

    return virtual_time.run(play())


async def speak(call: ScriptedCall, text: str = QUESTION, *, delay: float = 0.25) -> None:
    """Speech whose last words are guessed 0.1 s after they end, and final after ``delay``."""
    await call.push(VADUserStartedSpeakingFrame(start_secs=0.096))
    await asyncio.sleep(1.0)
    await call.push(SpeechPauseFrame(pause_secs=0.096))
    await call.push(InterimTranscriptionFrame(text.rstrip("?"), "caller", ""))
    await asyncio.sleep(0.1)
    await call.push(VADUserStoppedSpeakingFrame(stop_secs=0.2))
    await asyncio.sleep(delay - 0.2)
    await call.push(transcript(text), ProposedUserStoppedSpeakingFrame())


async def one_question(call: ScriptedCall) -> None:
    await speak(call)
    await asyncio.sleep(6.0)


def test_without_money_for_it_no_answer_is_begun_early_nor_at_the_end_of_the_turn() -> None:
    async def story(call: ScriptedCall) -> None:
        call.conversation.affordable = lambda: False
        await one_question(call)

    call = tell(story, preemptive=True)
    assert call.brain.asked == []
    (turn,) = call.conversation.turns
    assert turn.closed, "whoever keeps the records is told, and ends the call"


def test_an_early_answer_is_the_same_answer_sooner() -> None:
    early, late = (tell(one_question, preemptive=choice) for choice in (True, False))
    (sooner,), (later,) = early.socket.own("turn"), late.socket.own("turn")
    assert sooner["heard_text"] == later["heard_text"]
    assert later["e2e_latency"] - sooner["e2e_latency"] > 0.12
    assert early.brain.asked == [QUESTION.rstrip("?")], "asked once"
    assert early.socket.kinds() == late.socket.kinds()
    assert early.speculation.wasted_tokens == 0


def test_an_early_answer_to_other_words_is_thrown_away_unheard() -> None:
    async def story(call: ScriptedCall) -> None:
        await call.push(VADUserStartedSpeakingFrame(start_secs=0.096))
        await asyncio.sleep(0.5)
        await call.push(InterimTranscriptionFrame("Where did", "caller", ""))
        await call.push(SpeechPauseFrame(pause_secs=0.096))
        await asyncio.sleep(1.2)
        assert not call.socket.own("sentence"), "nothing leaves before the turn is over"
        await call.push(VADUserStoppedSpeakingFrame(stop_secs=0.2))
        await call.push(transcript("Where did she study?"), ProposedUserStoppedSpeakingFrame())
        await asyncio.sleep(6.0)

    call = tell(story, preemptive=True)
    assert call.brain.asked == ["Where did", QUESTION]
    (turn,) = call.socket.own("turn")
    assert turn["heard_text"] == turn["answer"]
    assert len(call.socket.own("decision")) == 1
    assert call.speculation.wasted_tokens == 100


def test_waste_past_its_share_pauses_early_answers_until_turns_have_made_up_for_it() -> None:
    async def story(call: ScriptedCall) -> None:
        for _ in range(2):
            await call.push(VADUserStartedSpeakingFrame(start_secs=0.096))
            await call.push(InterimTranscriptionFrame("Where", "caller", ""))
            await call.push(SpeechPauseFrame(pause_secs=0.096))
            await asyncio.sleep(0.5)
            await call.push(VADUserStoppedSpeakingFrame(stop_secs=0.2))
            await call.push(transcript("Where did she study?"), ProposedUserStoppedSpeakingFrame())
            await asyncio.sleep(6.0)

    call = tell(story, preemptive=True)
    assert call.brain.asked == ["Where", QUESTION, QUESTION], "the second turn began none early"
    assert (call.speculation.wasted_tokens, call.speculation.used_tokens) == (100, 700)
    assert not call.speculation.allowed


def test_a_process_begins_no_answer_early_before_its_turns_have_earned_one() -> None:
    call = tell(one_question, preemptive=True, earned_tokens=499)
    assert call.brain.asked == [QUESTION]
    assert call.speculation.allowed, "this turn has earned the next one's"


@given(
    guesses=st.lists(
        st.sampled_from(["Where", "Where did", "Where did she study"]), min_size=1, max_size=4
    ),
    gaps=st.lists(st.floats(0.0, 1.5), min_size=5, max_size=5),
)
def test_whatever_was_guessed_one_answer_is_heard_whole(
    guesses: list[str], gaps: list[float]
) -> None:
    async def story(call: ScriptedCall) -> None:
        await call.push(VADUserStartedSpeakingFrame(start_secs=0.096))
        for guess, gap in zip(guesses, gaps, strict=False):
            await call.push(InterimTranscriptionFrame(guess, "caller", ""))
            await call.push(SpeechPauseFrame(pause_secs=0.096))
            await asyncio.sleep(gap)
        await call.push(VADUserStoppedSpeakingFrame(stop_secs=0.2))
        await call.push(transcript(QUESTION), ProposedUserStoppedSpeakingFrame())
        await asyncio.sleep(7.0)

    call = tell(story, preemptive=True, earned_tokens=100_000)
    (turn,) = call.socket.own("turn")
    assert turn["heard_text"] == turn["answer"]
    assert [sentence["turn"] for sentence in call.socket.own("sentence")] == [1, 1]
    assert len(call.socket.own("decision")) == 1
