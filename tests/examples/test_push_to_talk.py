"""Calls in which the caller holds a button while they speak."""

import asyncio

from pipecat.frames.frames import VADUserStartedSpeakingFrame, VADUserStoppedSpeakingFrame

from conversation.records import TurnRecord
from examples.push_to_talk import TRANSCRIPT_SECS, ButtonFrame, PushToTalk
from tests.chain import ScriptedCall, transcript
from tests.conftest import with_instant_engines

ANSWER = "She studied at Vassar. Then she went to Yale."


class TalkingCall(ScriptedCall):
    """A call of push-to-talk, which keeps its turns."""

    def __init__(self) -> None:
        super().__init__(turns=PushToTalk)
        self.kept: list[TurnRecord] = []
        self.conversation.kept = self.kept.append

    async def speak(self, *, secs: float = 0.8) -> None:
        await self.push(VADUserStartedSpeakingFrame(start_secs=0.096))
        await asyncio.sleep(secs)
        await self.push(VADUserStoppedSpeakingFrame(stop_secs=0.2))

    async def press(self) -> None:
        await self.push(ButtonFrame(held=True))

    async def let_go(self) -> None:
        await self.push(ButtonFrame(held=False))


@with_instant_engines
async def test_pauses_do_not_end_a_turn_and_letting_go_does() -> None:
    async with TalkingCall() as call:
        await call.press()
        await call.speak()
        await call.push(transcript("Tell me"))
        await asyncio.sleep(4.0)
        assert not call.brain.asked
        await call.speak()
        await call.push(transcript("where she studied."))
        await call.let_go()
        await asyncio.sleep(6.0)
    assert call.brain.asked == ["Tell me where she studied."]
    (turn,) = call.kept
    assert (turn.question, turn.heard_text) == ("Tell me where she studied.", ANSWER)
    assert turn.e2e_latency is not None


@with_instant_engines
async def test_a_transcript_that_comes_after_the_button_is_let_go_is_of_the_turn() -> None:
    async with TalkingCall() as call:
        await call.press()
        await call.speak()
        await call.let_go()
        await asyncio.sleep(0.4)
        await call.push(transcript("Where did she study?"))
        await asyncio.sleep(6.0)
    assert call.brain.asked == ["Where did she study?"]


@with_instant_engines
async def test_pressing_stops_the_voice_and_the_interrupted_turn_is_kept() -> None:
    async with TalkingCall() as call:
        await call.press()
        await call.speak()
        await call.push(transcript("Where did she study?"))
        await call.let_go()
        await asyncio.sleep(1.5)
        await call.press()
        await call.speak()
        await call.push(transcript("And then?"))
        await call.let_go()
        await asyncio.sleep(6.0)
    first, second = call.kept
    assert first.interrupted
    assert first.heard_text != ANSWER
    assert ANSWER.startswith(first.heard_text)
    assert not second.interrupted
    assert second.heard_text == ANSWER


@with_instant_engines
async def test_what_is_said_while_nothing_is_held_is_not_answered() -> None:
    async with TalkingCall() as call:
        await call.speak()
        await call.push(transcript("Where did she study?"))
        await asyncio.sleep(2.0)
        await call.press()
        await call.let_go()
        await asyncio.sleep(TRANSCRIPT_SECS + 1)
    assert not call.brain.asked
    assert not call.kept


@with_instant_engines
async def test_speech_without_words_leaves_no_turn() -> None:
    async with TalkingCall() as call:
        await call.press()
        await call.speak()
        await call.let_go()
        await asyncio.sleep(TRANSCRIPT_SECS + 1)
        await call.push(transcript("Too late."))
        await asyncio.sleep(2.0)
    assert not call.brain.asked
    assert not call.kept
