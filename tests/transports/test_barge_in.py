"""Speak over the voice and it stops: on the real chain, in virtual time."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.replay import virtual_time
from tests.chain import ScriptedCall, samples_of

Story = Callable[[ScriptedCall], Coroutine[Any, Any, None]]


def tell(story: Story, **options: Any) -> ScriptedCall:
    """Play a story on a call of its own, to its end."""

    async def play() -> ScriptedCall:
        async with ScriptedCall(**options) as call:
            await story(call)
        return call

    return virtual_time.run(play())


def test_a_turn_goes_over_the_wire_in_the_order_of_the_protocol() -> None:
    async def story(call: ScriptedCall) -> None:
        await call.ask("Where did she study?")
        await asyncio.sleep(6.0)

    call = tell(story)
    assert call.socket.kinds() == [
        "user-started-speaking",
        "stage",
        "user-transcription",
        "user-transcription",
        "stage",
        "user-stopped-speaking",
        "sentence",
        "bot-output",
        "decision",
        "bot-started-speaking",
        "stage",
        "audio",
        "sentence",
        "bot-output",
        "audio",
        "bot-stopped-speaking",
        "stage",
        "turn",
        "cost",
    ]
    (turn,) = call.socket.own("turn")
    assert turn["heard_text"] == "She studied at Vassar. Then she went to Yale."
    assert turn["interrupted"] is False
    stages = ("transcription_delay", "end_of_turn_delay", "llm_ttft", "llm_ttfs", "tts_ttfb")
    assert all(turn[name] is not None for name in stages)
    # 0.2 s of silence, 0.1 s transcript, 0.05 s first token, one sentence of tokens, 0.04 s voice.
    assert 0.5 < turn["e2e_latency"] < 0.75
    far_end = call.conversation.far_end
    assert far_end
    ended = next(at for at, kind in call.socket.sent if "bot-stopped-speaking" in str(kind))
    assert not far_end.heard_since(ended)
    assert far_end.between(ended - 1.0, ended - 0.5).any(axis=1).all()


def test_the_voice_is_never_more_than_400_ms_ahead() -> None:
    async def story(call: ScriptedCall) -> None:
        await call.ask("Where did she study?")
        for _ in range(200):
            await asyncio.sleep(0.02)
            assert call.socket.queued <= 0.4 * 24_000

    call = tell(story)
    lengths = {
        len(message) / 48_000 for _, message in call.socket.sent if isinstance(message, bytes)
    }
    assert lengths
    assert all(0.02 <= length <= 0.1 for length in lengths)


def test_an_answer_to_what_was_hardly_heard_is_less_sure() -> None:
    async def story(call: ScriptedCall) -> None:
        await call.ask("Where did she study?", doubt=0.8)
        await asyncio.sleep(6.0)
        await call.ask("Where did she study?")
        await asyncio.sleep(6.0)

    decisions = tell(story).socket.own("decision")
    assert [decision["confidence"] for decision in decisions] == ["medium", "high"]


def test_words_over_the_voice_stop_it_within_20_ms_of_being_understood() -> None:
    confirmed = 0.0

    async def story(call: ScriptedCall) -> None:
        nonlocal confirmed
        await call.ask("Where did she study?")
        await asyncio.sleep(1.5)
        await call.speak_over("wait, when")
        confirmed = asyncio.get_running_loop().time()
        await asyncio.sleep(0.5)
        await call.fall_silent("Wait, when was that?")
        await asyncio.sleep(6.0)

    call = tell(story)
    old = [
        at
        for at, message in call.socket.sent
        if isinstance(message, bytes) and 1 in samples_of(message)
    ]
    assert max(old) - confirmed <= 0.020
    first, second = call.socket.own("turn")
    assert first["interrupted"] is True
    assert "She studied at Vassar.".startswith(first["heard_text"].split(" Then")[0])
    assert first["heard_text"] != first["answer"]
    assert second["question"] == "Wait, when was that?"
    assert second["heard_text"] == second["answer"]


def test_the_next_answer_looks_back_on_what_was_heard() -> None:
    async def story(call: ScriptedCall) -> None:
        await call.ask("Where did she study?")
        await asyncio.sleep(1.5)
        await call.speak_over("wait, when")
        await asyncio.sleep(0.3)
        await call.fall_silent("Wait, when was that?")
        await asyncio.sleep(1.0)
        first = call.conversation.history()[0]
        assert first.interrupted
        heard = call.socket.own("turn")[0]["heard_text"]
        assert first.answer == heard
        assert 0 < len(heard) < len("She studied at Vassar. Then she went to Yale.")

    tell(story)


def test_a_cough_only_ducks_the_voice() -> None:
    async def story(call: ScriptedCall) -> None:
        await call.ask("Where did she study?")
        await asyncio.sleep(1.0)
        await call.speak_over("", interim_secs=0.3)
        await call.fall_silent("")
        await asyncio.sleep(6.0)

    call = tell(story)
    assert call.socket.own("duck") == [{"type": "duck", "on": True}, {"type": "duck", "on": False}]
    assert "bot-interrupted" not in call.socket.kinds()
    (turn,) = call.socket.own("turn")
    assert turn["heard_text"] == turn["answer"]


def test_the_first_answer_can_be_stopped_at_its_first_sample() -> None:
    async def story(call: ScriptedCall) -> None:
        await call.ask("Where did she study?")
        while not any(isinstance(message, bytes) for _, message in call.socket.sent):
            await asyncio.sleep(0.01)
        await call.speak_over("no, wait", interim_secs=0.2)
        await asyncio.sleep(2.0)

    call = tell(story)
    assert "bot-interrupted" in call.socket.kinds()
    spoken = (
        sum(len(message) for _, message in call.socket.sent if isinstance(message, bytes)) / 48_000
    )
    assert spoken <= 0.7


def speaks_over(waits: list[float], interims: list[float]) -> Story:
    """Somebody who asks, and speaks over each answer after so long."""

    async def story(call: ScriptedCall) -> None:
        await call.ask("Where did she study?")
        for wait, interim in zip(waits, interims, strict=False):
            await asyncio.sleep(wait)
            await call.speak_over("no, wait", interim_secs=interim)
            await asyncio.sleep(0.3)
            await call.fall_silent("No wait, where did she study?")
        await asyncio.sleep(7.0)

    return story


def assert_nothing_old_follows_an_interruption(call: ScriptedCall) -> None:
    alive: set[int] = set()
    dead: set[int] = set()
    for _, message in call.socket.sent:
        if isinstance(message, bytes):
            turns = samples_of(message)
            assert not turns & dead, "old audio after bot-interrupted"
            alive |= turns
        elif message["type"] == "bot-interrupted":
            dead |= alive
            alive = set()
    last = call.socket.own("turn")[-1]
    assert last["heard_text"] == last["answer"], "the last answer is heard to its end"


overs = st.lists(st.floats(0.0, 3.0), min_size=1, max_size=4)
hesitations = st.lists(st.floats(0.0, 0.45), min_size=4, max_size=4)


@pytest.mark.parametrize("reports", [True, False], ids=["reporting page", "mute page"])
@given(waits=overs, interims=hesitations, instant=st.booleans())
def test_nothing_of_an_old_answer_follows_bot_interrupted(
    reports: bool, waits: list[float], interims: list[float], instant: bool
) -> None:
    call = tell(speaks_over(waits, interims), reports=reports, instant=instant)
    assert_nothing_old_follows_an_interruption(call)


@pytest.mark.thorough
@pytest.mark.parametrize("many", [10, 40])
@settings(max_examples=3)
@given(data=st.data())
def test_nor_in_any_of_many_calls_of_one_process(many: int, data: st.DataObject) -> None:
    callers = data.draw(st.lists(st.tuples(overs, hesitations), min_size=many, max_size=many))

    async def play(waits: list[float], interims: list[float]) -> ScriptedCall:
        async with ScriptedCall() as call:
            await speaks_over(waits, interims)(call)
        return call

    async def all_at_once() -> list[ScriptedCall]:
        return await asyncio.gather(*(play(*caller) for caller in callers))

    for call in virtual_time.run(all_at_once()):
        assert_nothing_old_follows_an_interruption(call)


def test_audio_that_comes_faster_than_it_can_be_spoken_ends_the_call() -> None:
    async def story(call: ScriptedCall) -> None:
        call.socket.hear(bytes(32_000))
        await asyncio.sleep(1.0)
        assert call.ended == [], "a second that was kept while the network was away"
        for _ in range(12):
            call.socket.hear(bytes(32_000))
        await asyncio.sleep(0.1)

    call = tell(story)
    assert call.ended == ["protocol"]
