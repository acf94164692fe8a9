"""A brain looks something up before it answers, over the simulators of both vendors."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from conversation.frames import DecisionFrame, SentenceFrame, TurnFrame
from evals.replay import virtual_time
from evals.replay.brain import replayed_tools
from examples.opening_hours import TOOL
from knowledge.loading.document import load
from processors.brain.claude import ClaudeBrain
from processors.brain.contract import Brain
from processors.brain.decision_run import DecisionRun, Patience
from processors.brain.guardrails import Phrases
from processors.brain.openai_compatible import OpenAICompatibleBrain
from processors.brain.tools import (
    MAX_RESULT_CHARS,
    MAX_TOOL_CALLS,
    Arguments,
    FunctionTool,
    find_tools,
    registered,
)
from recording.recorder import RecordingTarget
from recording.recording import Recording
from recording.schemas import TOPICS
from recording.writer import InlineWriter
from simulators.anthropic import AnthropicSimulator
from simulators.model import LanguageModelSimulator, Model, Reply
from simulators.openai import OpenAISimulator
from tests.chain import ScriptedCall
from tests.conftest import with_instant_engines

DOCUMENT = load()
ASKED = Reply("opening_hours", {"day": "2026-11-25"})
ANSWER = "On Wednesday the office is open 9 to 19."
ANSWERED = Reply(
    "respond", {"sections": ["tool/opening_hours"], "confidence": "high", "answer": ANSWER}
)
WAITING = TOOL.said
CHRISTMAS = "Friday, 2026-12-25: the office is closed for Christmas Day."

Endpoint = Callable[..., AbstractAsyncContextManager[tuple[Brain, LanguageModelSimulator]]]


@asynccontextmanager
async def claude(
    *script: Reply, tools: tuple[FunctionTool, ...] = (TOOL,)
) -> AsyncIterator[tuple[Brain, LanguageModelSimulator]]:
    async with AnthropicSimulator(Model(script=script)) as vendor:
        settings: dict[str, Any] = {"api_key": "k", "base_url": vendor.url, "registered": tools}
        brain = await asyncio.to_thread(ClaudeBrain.load, DOCUMENT, **settings)
        vendor.requests.clear()
        yield brain, vendor
        await brain.close()


@asynccontextmanager
async def openai(
    *script: Reply, tools: tuple[FunctionTool, ...] = (TOOL,)
) -> AsyncIterator[tuple[Brain, LanguageModelSimulator]]:
    async with OpenAISimulator(Model(script=script)) as vendor:
        brain = OpenAICompatibleBrain(
            DOCUMENT, base_url=vendor.url, model="simulated", registered=tools
        )
        yield brain, vendor
        await brain.close()


both = pytest.mark.parametrize("endpoint", [claude, openai])


class Decided:
    """A turn that a brain has decided with a tool."""

    def __init__(self, brain: Brain, *tools: FunctionTool, speculation: bool = False) -> None:
        self.said: list[SentenceFrame] = []
        self.run = DecisionRun(
            TurnFrame(turn=1, question="When are you open?", speculation=speculation),
            brain=brain, document=DOCUMENT, phrases=Phrases(),
            patience=Patience(decision_timeout_secs=6.0), say=self._say, tools=tools or (TOOL,),
        )  # fmt: skip

    async def _say(self, sentence: SentenceFrame) -> None:
        self.said.append(sentence)

    async def decide(self) -> DecisionFrame:
        decision = await self.run.decide()
        # What the page and the ledger have is what was spoken, the waiting included.
        assert decision.text == " ".join(sentence.text for sentence in self.said)
        return decision


def failed_checks(decision: DecisionFrame) -> list[str]:
    return [check.name for check in decision.checks if not check.passed]


@both
@with_instant_engines
async def test_what_a_tool_gave_is_cited_checked_and_spoken(endpoint: Endpoint) -> None:
    async with endpoint(ASKED, ANSWERED) as (brain, vendor):
        turn = Decided(brain)
        decision = await turn.decide()
    assert decision.decision == "respond"
    assert decision.text == f"{WAITING} {ANSWER}"
    assert decision.sections == turn.said[-1].sections == ("tool/opening_hours",)
    assert decision.lines == ()  # it is in no line of the document
    assert not failed_checks(decision)
    assert len(vendor.requests) == 2
    first, second = (request.body["messages"] for request in vendor.requests)
    assert second[: len(first)] == first
    assert "Wednesday, 2026-11-25: the office is open 9 to 19." in json.dumps(second[len(first) :])
    assert decision.usage.output_tokens > 20  # of both requests


@both
@with_instant_engines
async def test_an_answer_that_says_more_than_the_tool_gave_is_refused(endpoint: Endpoint) -> None:
    cited = {"sections": ["tool/opening_hours"], "confidence": "high"}
    invented = Reply("respond", {**cited, "answer": ANSWER.replace("19", "22")})
    async with endpoint(ASKED, invented) as (brain, _):
        decision = await Decided(brain).decide()
    assert (decision.decision, decision.reason) == ("escalate", "unsupported")
    assert failed_checks(decision) == ["support"]


@with_instant_engines
async def test_a_tool_that_was_not_called_cannot_be_cited() -> None:
    async with openai(ANSWERED) as (brain, _):
        decision = await Decided(brain).decide()
    assert (decision.decision, failed_checks(decision)) == ("escalate", ["sections"])


@pytest.mark.parametrize(
    ("asked", "tool", "told"),
    [
        (ASKED, replace(TOOL, run=lambda _: asyncio.sleep(60, "9 to 5")), "did not answer in time"),
        (Reply("opening_hours", {"day": "tomorrow"}), TOOL, "it failed: Invalid isoformat"),
        (Reply("opening_hours", {"date": "2026-11-25"}), TOOL, "must be exactly: day"),
        (Reply("opening_hours", "[1, 2]"), TOOL, "must be exactly: day"),
    ],
)
@with_instant_engines
async def test_a_tool_that_gives_nothing_leaves_the_brain_to_say_so(
    asked: Reply, tool: FunctionTool, told: str
) -> None:
    passed_on = Reply("escalate", {"reason": "unsupported", "message": "A person will call you."})
    async with openai(asked, passed_on) as (brain, vendor):
        decision = await Decided(brain, tool).decide()
    assert told in vendor.requests[-1].body["messages"][-1]["content"]
    assert decision.decision == "escalate"
    assert decision.text == f"{WAITING} {Phrases().unsupported}"


@both
@with_instant_engines
async def test_a_brain_that_only_calls_tools_is_stopped_and_the_turn_passed_on(
    endpoint: Endpoint,
) -> None:
    async with endpoint(ASKED) as (brain, vendor):
        decision = await Decided(brain).decide()
    assert len(vendor.requests) == MAX_TOOL_CALLS + 1
    assert (decision.decision, decision.reason) == ("escalate", "unsupported")
    assert decision.text == f"{WAITING} {Phrases().unsupported}"
    assert failed_checks(decision) == ["tools"]


@with_instant_engines
async def test_nothing_is_looked_up_for_a_turn_that_may_go_on() -> None:
    called: list[Arguments] = []

    async def run(arguments: Arguments) -> str:
        called.append(arguments)
        return await TOOL.run(arguments)

    async with openai(ASKED, ANSWERED) as (brain, _):
        turn = Decided(brain, replace(TOOL, run=run), speculation=True)
        deciding = asyncio.create_task(turn.decide())
        await asyncio.sleep(1.0)
        assert (called, turn.said) == ([], [])
        turn.run.confirm()
        decision = await deciding
    assert decision.decision == "respond"
    assert called == [{"day": "2026-11-25"}]


def test_a_file_of_the_folder_is_a_registered_tool(tmp_path: Path) -> None:
    copy = tmp_path / "opening_hours.py"
    copy.write_text(Path("examples/opening_hours.py").read_text())
    assert find_tools("examples", (str(tmp_path),)) == (TOOL,)
    assert len(copy.read_text().splitlines()) <= 40
    assert registered() == ()  # Viva itself has none


def test_a_tool_cannot_stand_in_for_a_decision() -> None:
    with pytest.raises(ValueError, match="allowed: 1 to 64 letters"):
        replace(TOOL, name="respond")


async def test_a_result_is_no_longer_than_the_worst_case_reckons() -> None:
    async def run(_: Arguments) -> str:
        return "x" * 10_000

    called = await replace(TOOL, run=run, arguments={}).call("", until=float("inf"))
    assert called.result == "x" * MAX_RESULT_CHARS


def test_a_call_with_a_tool_is_recorded_and_the_tool_replayed(tmp_path: Path) -> None:
    async def play() -> None:
        target = RecordingTarget(InlineWriter(), tmp_path)
        async with ScriptedCall(target=target, tools=[TOOL]) as call:
            call.brain.looks_up = ("opening_hours", {"day": "2026-12-25"})
            await call.ask("Are you open at Christmas?")
            await asyncio.sleep(12.0)
            captions = [one["text"] for one in call.socket.own("sentence")]
            assert captions == [WAITING, CHRISTMAS]

    virtual_time.run(play())
    recording = Recording.read(tmp_path / "c-scripted.mcap")
    for message in recording.messages:
        jsonschema.validate(message.data, dict(TOPICS[message.topic]))
    turn = list(recording.topic("/call/Turn"))[-1].data
    assert turn["heard_text"] == turn["answer"] == f"{WAITING} {CHRISTMAS}"
    assert turn["sections"] == ["tool/opening_hours"]

    async def moved(_: Arguments) -> str:
        return "Friday: the office has moved."

    async def again(tool: FunctionTool) -> list[str]:
        return [(await tool.call('{"day": "2026-12-25"}', until=99.0)).result for _ in range(2)]

    (replayed,) = replayed_tools(recording, [replace(TOOL, run=moved)])
    assert virtual_time.run(again(replayed)) == [CHRISTMAS, "Friday: the office has moved."]
    (unknown,) = replayed_tools(recording, [])
    assert virtual_time.run(again(unknown))[0] == CHRISTMAS
