"""A caller types instead of speaking: on the real chain, in virtual time."""

import asyncio
import json
from typing import Any

import pytest
from aiohttp import WSMessage, WSMsgType
from pipecat.frames.frames import VADUserStartedSpeakingFrame

from tests.chain import ScriptedCall
from tests.transports.test_barge_in import tell

QUESTION, OTHER = "Where did she study?", "And when was that?"


def send(call: ScriptedCall, kind: str, data: dict[str, Any]) -> None:
    message = json.dumps({"label": "rtvi-ai", "type": kind, "id": "1", "data": data})
    call.socket.received.put_nowait(WSMessage(WSMsgType.TEXT, message, None))


def type_(call: ScriptedCall, text: str) -> None:
    send(call, "send-text", {"content": text})


def questions(call: ScriptedCall) -> list[str]:
    return [turn["question"] for turn in call.socket.own("turn") if not turn["withdrawn"]]


def test_a_typed_question_is_a_turn_like_any_other() -> None:
    async def story(call: ScriptedCall) -> None:
        type_(call, f"  {QUESTION}\n")
        await asyncio.sleep(6.0)

    call = tell(story)
    kinds = call.socket.kinds()
    assert kinds[:5] == [
        "user-started-speaking",
        "stage",
        "user-transcription",
        "stage",
        "user-stopped-speaking",
    ]
    (turn,) = call.socket.own("turn")
    assert (turn["question"], turn["decision"]) == (QUESTION, "respond")
    assert turn["heard_text"] == "She studied at Vassar. Then she went to Yale."
    assert turn["transcription_delay"] == turn["end_of_turn_delay"] == 0.0
    assert 0.05 < turn["e2e_latency"] < 0.5
    assert call.brain.asked == [QUESTION]


def test_a_question_typed_over_the_voice_stops_it() -> None:
    async def story(call: ScriptedCall) -> None:
        await call.ask(QUESTION)
        await asyncio.sleep(1.5)
        type_(call, OTHER)
        await asyncio.sleep(6.0)

    call = tell(story)
    assert call.socket.kinds().count("bot-interrupted") == 1
    first, second = call.socket.own("turn")
    assert (first["question"], first["interrupted"]) == (QUESTION, True)
    assert 0 < len(first["heard_text"]) < len(second["heard_text"])
    assert second["question"] == OTHER


def test_a_question_typed_before_the_answer_sounds_is_asked_with_the_first() -> None:
    async def story(call: ScriptedCall) -> None:
        call.brain.first_token_secs = 1.0
        type_(call, QUESTION)
        await asyncio.sleep(0.5)
        type_(call, OTHER)
        await asyncio.sleep(8.0)

    assert questions(tell(story)) == [f"{QUESTION} {OTHER}"]


def test_noise_that_was_taken_for_speech_does_not_come_along() -> None:
    """Its transcript is late, and would otherwise interrupt the answer."""

    async def story(call: ScriptedCall) -> None:
        await call.push(VADUserStartedSpeakingFrame(start_secs=0.096))
        await asyncio.sleep(0.5)
        type_(call, QUESTION)
        await asyncio.sleep(1.0)
        await call.fall_silent("the next train to Bath departs from platform four")
        await asyncio.sleep(6.0)
        await call.ask(OTHER)
        await asyncio.sleep(6.0)

    call = tell(story)
    assert questions(call) == [QUESTION, OTHER]
    assert "bot-interrupted" not in call.socket.kinds()


@pytest.mark.parametrize(("types", "prompts"), [(True, 0), (False, 1)])
def test_who_types_is_not_asked_whether_they_are_there(types: bool, prompts: int) -> None:
    async def story(call: ScriptedCall) -> None:
        for _ in range(5):
            await asyncio.sleep(3.0)
            if types:
                send(call, "client-message", {"t": "typing", "d": {}})

    said = [sentence["text"] for sentence in tell(story).socket.own("sentence")]
    assert [text.startswith("Are you still there?") for text in said] == [True] * prompts


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "content is ''; String should have at least 1 character"),
        (" \u200b\n ", "it has no words"),
        ("x" * 501, "String should have at most 500 characters"),
        (7, "content is 7; Input should be a valid string"),
    ],
)
def test_what_is_no_question_is_refused_and_the_call_goes_on(content: Any, told: str) -> None:
    async def story(call: ScriptedCall) -> None:
        send(call, "send-text", {"content": content})
        await asyncio.sleep(0.1)
        type_(call, QUESTION)
        await asyncio.sleep(6.0)

    call = tell(story)
    (error,) = [m for _, m in call.socket.sent if isinstance(m, dict) and m["type"] == "error"]
    assert told in error["data"]["error"]
    assert questions(call) == [QUESTION]
