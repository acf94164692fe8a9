"""What a recorder writes of a call: on the real chain, in virtual time."""

import asyncio
import json
import re
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from conversation.frames import SentenceFrame, TurnFrame
from evals.replay import virtual_time
from recording.frames import from_message
from recording.recorder import RecordingTarget
from recording.recording import Recording
from recording.schemas import TOPICS
from recording.transcript import transcript
from recording.writer import InlineFile, InlineWriter
from tests.chain import ScriptedCall

Story = Callable[[ScriptedCall], Coroutine[Any, Any, None]]
ANSWER = "She studied at Vassar. Then she went to Yale."


async def two_turns(call: ScriptedCall) -> None:
    """A question whose answer is interrupted by another."""
    await call.ask("Where did she study?")
    await asyncio.sleep(1.2)
    call.socket.hear(bytes(640))
    await call.speak_over("No wait, what did she study?")
    await asyncio.sleep(0.4)
    await call.fall_silent("No wait, what did she study?")
    await asyncio.sleep(6.0)


def record(folder: Path, story: Story = two_turns, **options: Any) -> Recording:
    """Play a story on a call that is recorded, and read its recording."""

    async def play() -> None:
        async with ScriptedCall(target=RecordingTarget(InlineWriter(), folder), **options) as call:
            await story(call)

    virtual_time.run(play())
    return Recording.load(folder / "c-scripted.mcap")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return record(tmp_path_factory.mktemp("recordings"))


def test_every_message_is_what_its_schema_says(recorded: Recording) -> None:
    for message in recorded.messages:
        jsonschema.validate(message.data, dict(TOPICS[message.topic]))


def test_the_same_call_has_the_same_digest(tmp_path: Path, recorded: Recording) -> None:
    again = record(tmp_path)
    assert again.digest == recorded.digest
    assert again.path.read_bytes() == recorded.path.read_bytes()


def test_what_each_stage_gave_can_be_given_again(recorded: Recording) -> None:
    first, second = (from_message(message) for message in recorded.topic("/turn/TurnFrame"))
    assert isinstance(first, TurnFrame)
    assert isinstance(second, TurnFrame)
    assert first.question == "Where did she study?"
    (before,) = second.history
    assert (before.question, before.interrupted) == (first.question, True)
    assert before.answer
    assert ANSWER.startswith(before.answer)
    spoken = [from_message(message) for message in recorded.topic("/brain/SentenceFrame")]
    assert all(isinstance(frame, SentenceFrame) and frame.sections for frame in spoken)
    answers = " ".join(frame.text for frame in spoken if isinstance(frame, SentenceFrame))
    assert answers == f"{ANSWER} {ANSWER}"


def test_the_brains_answers_are_kept_with_their_timing(recorded: Recording) -> None:
    asked = list(recorded.topic("/brain/Asked"))
    assert [message.data["ask"] for message in asked] == [1, 2]
    events = [message for message in recorded.topic("/brain/Event") if message.data["ask"] == 1]
    assert [event.data["event"] for event in events][:3] == ["usage", "tool_start", "arguments"]
    assert events[-1].data["event"] == "end"
    assert events[1].at - asked[0].at == pytest.approx(0.05, abs=1e-6)
    arguments = "".join(event.data.get("json", "") for event in events)
    assert json.loads(arguments)["answer"] == ANSWER
    assert {event.data["brain"] for event in events} == {"scripted"}


def test_a_decision_that_was_aborted_is_told_from_one_that_failed(tmp_path: Path) -> None:
    async def story(call: ScriptedCall) -> None:
        call.brain.first_token_secs = 2.0
        await call.ask("Where did she study?")
        await asyncio.sleep(0.5)
        await call.ask("I mean, what did she study?")
        await asyncio.sleep(8.0)

    events = [message.data for message in record(tmp_path, story).topic("/brain/Event")]
    ends = {event["ask"]: event["event"] for event in events}
    assert ends == {1: "aborted", 2: "end"}


def test_an_interruption_is_in_its_place(recorded: Recording) -> None:
    kinds = [
        message.data.get("type") or message.kind
        for message in recorded.messages
        if message.topic.startswith("/turn/") or message.topic == "/agent/page"
    ]
    duck, cut = kinds.index("DuckFrame"), kinds.index("InterruptionFrame")
    assert duck < kinds.index("duck") < cut < kinds.index("bot-interrupted")
    (interruption,) = recorded.topic("/turn/InterruptionFrame")
    assert interruption.data == {"turn": 1}
    heard = [
        message.data for message in recorded.topic("/call/Turn") if message.data["number"] == 1
    ][-1]
    assert heard["interrupted"]


def test_the_agents_voice_is_as_it_was_heard(recorded: Recording) -> None:
    """Every sample names the turn that it answers."""
    played = np.frombuffer(recorded.agent_audio(), np.int16)
    (cut,) = (
        message.at
        for message in recorded.topic("/agent/page")
        if message.data["type"] == "bot-interrupted"
    )
    first, second = (np.flatnonzero(played == turn) / 24_000 for turn in (1, 2))
    assert first[-1] <= cut < second[0]
    assert len(second) == pytest.approx(len(ANSWER) * 0.06 * 24_000, rel=0.05)
    spoken = sum(message.samples for message in recorded.topic("/tts/TTSAudioRawFrame"))
    assert spoken > len(first) + len(second), "what was not played was spoken all the same"


def test_contexts_are_counted_and_nothing_is_named_by_chance(recorded: Recording) -> None:
    contexts = [
        message.data["context"]
        for message in recorded.messages
        if message.data.get("context") is not None
    ]
    assert set(contexts) == {"1", "2"}
    for message in recorded.messages:
        assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-", json.dumps(message.data)), message.topic


def test_the_caller_is_named_nowhere(recorded: Recording) -> None:
    told = json.dumps(
        [dict(recorded.metadata), *(dict(message.data) for message in recorded.messages)]
    )
    assert "ada@example.com" not in told
    assert "@" not in told


def test_times_are_of_the_calls_own_clock(recorded: Recording) -> None:
    (begin,) = recorded.topic("/call/Begin")
    (end,) = recorded.topic("/call/End")
    assert begin.at == 0.0
    assert end.data["duration_secs"] == pytest.approx(end.at)
    for turn in recorded.topic("/call/Turn"):
        assert 0 < turn.data["at"] < end.at
    assert [message.at for message in recorded.messages] == sorted(
        message.at for message in recorded.messages
    )
    assert (end.data["reason"], end.data["turns"]) == ("hangup", 2)


def test_a_transcript_says_who_said_what_and_what_was_heard(recorded: Recording) -> None:
    said = transcript(recorded)
    assert [utterance.who for utterance in said] == ["caller", "agent", "caller", "agent"]
    first, second = said[1], said[3]
    assert first.interrupted
    assert first.text == second.text == ANSWER
    assert first.heard in ANSWER
    assert first.heard != ANSWER
    assert (second.interrupted, second.heard) == (False, ANSWER)
    assert said[0].text == "Where did she study?"
    assert first.sections == ("education",)


def test_whatever_goes_wrong_with_a_recording_the_call_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, writes = InlineFile.write, 0

    def failing(self: InlineFile, at_ns: int, topic: str, data: Any) -> None:
        nonlocal writes
        writes += 1
        if writes > 20:
            raise OSError(28, "No space left on device")
        write(self, at_ns, topic, data)

    monkeypatch.setattr(InlineFile, "write", failing)
    heard = []

    async def play() -> None:
        async with ScriptedCall(target=RecordingTarget(InlineWriter(), tmp_path)) as call:
            await two_turns(call)
            assert call.recorder is not None
            assert not call.recorder.live
            heard.extend(call.socket.own("turn"))

    virtual_time.run(play())
    assert [turn["heard_text"] for turn in heard][-1] == ANSWER
    assert writes == 21, "nothing is tried again"


def test_a_folder_that_cannot_be_made_costs_the_recording_only(tmp_path: Path) -> None:
    (tmp_path / "recordings").write_text("")
    lost = []

    async def play() -> None:
        target = RecordingTarget(InlineWriter(), tmp_path / "recordings")
        async with ScriptedCall(target=target) as call:
            assert call.recorder is not None
            lost.append(call.recorder.live)
            await two_turns(call)
            assert call.socket.own("turn")

    virtual_time.run(play())
    assert lost == [False]
