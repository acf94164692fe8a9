"""The test that docs/developing.md shows."""

import asyncio

from conversation.records import TurnRecord
from tests.chain import ScriptedCall
from tests.conftest import with_instant_engines


@with_instant_engines
async def test_an_answer_is_heard_to_its_end() -> None:
    kept: list[TurnRecord] = []
    async with ScriptedCall() as call:
        call.conversation.kept = kept.append
        await call.ask("Where did she study?")
        await asyncio.sleep(6.0)
    (turn,) = kept
    assert turn.heard_text == "She studied at Vassar. Then she went to Yale."
    assert not turn.interrupted
