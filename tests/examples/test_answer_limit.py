"""An answer that is cut to one sentence by a filter between brain and voice."""

import asyncio

from conversation.records import TurnRecord
from examples.answer_limit import AnswerLimit
from tests.chain import ScriptedCall
from tests.conftest import with_instant_engines


@with_instant_engines
async def test_only_what_passes_the_filter_is_spoken_shown_and_heard() -> None:
    kept: list[TurnRecord] = []
    async with ScriptedCall(filters=[AnswerLimit(sentences=1)]) as call:
        call.conversation.kept = kept.append
        for _ in range(2):
            await call.ask("Where did she study?")
            await asyncio.sleep(6.0)
    spoken = [sentence["text"] for sentence in call.socket.own("sentence")]
    assert spoken == ["She studied at Vassar.", "She studied at Vassar."]
    assert [turn.heard_text for turn in kept] == spoken
    assert [turn.answer for turn in kept] == spoken
    assert [decision["answer"] for decision in call.socket.own("decision")] == spoken


@with_instant_engines
async def test_an_answer_that_is_limited_can_be_interrupted() -> None:
    kept: list[TurnRecord] = []
    async with ScriptedCall(filters=[AnswerLimit(sentences=1)]) as call:
        call.conversation.kept = kept.append
        await call.ask("Where did she study?")
        await asyncio.sleep(1.0)
        await call.speak_over("No, where did she work?")
        await asyncio.sleep(1.0)
        await call.fall_silent("No, where did she work?")
        await asyncio.sleep(6.0)
    assert [turn.interrupted for turn in kept] == [True, False]
    assert "She studied at Vassar.".startswith(kept[0].heard_text)
