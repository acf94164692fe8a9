"""A brain looks something up before it answers, over the simulators of both vendors."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from conversation.frames import DecisionFrame, LookedUp, SentenceFrame, TurnFrame
from evals.replay import virtual_time
from evals.replay.brain import replayed_tools
from evals.scoring.facts import facts_of
from evals.scoring.matching import match
from evals.scoring.metrics import grounding
from examples.opening_hours import TOOL
from knowledge.loading.document import load
from processors.brain.claude import ClaudeBrain
from processors.brain.contract import Brain
from processors.brain.decision_run import DecisionRun, DecisionTimeouts
from processors.brain.guardrails import Phrases
from processors.brain.openai_compatible import OpenAICompatibleBrain
from processors.brain.tools import (
    MAX_RESULT_CHARS,
    MAX_TOOL_CALLS,
    Arguments,
    FunctionTool,
    check_section_ids,
    registered,
)
from processors.brain.tools.tool import find_tools
from processors.declarations import DeclarationError
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
            timeouts=DecisionTimeouts(decision_timeout_secs=6.0), say=self._say,
            tools=tools or (TOOL,),
        )  # fmt: skip

    async def _say(self, sentence: SentenceFrame) -> None:
        self.said.append(sentence)

    async def decide(self) -> DecisionFrame:
        decision = await self.run.decide()
        # What the page and the ledger have is what was spoken, the waiting included.
        assert decision.text == " ".join(sentence.text for sentence in self.said)
        return decision


def running(run: Any) -> FunctionTool:
    """The tool, with a function that its type forbids."""
    return replace(TOOL, run=run)


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
    gave = "Wednesday, 2026-11-25: the office is open 9 to 19."
    assert decision.looked_up == (LookedUp("tool/opening_hours", "Opening hours", gave),)
    assert not failed_checks(decision)
    assert len(vendor.requests) == 2
    first, second = (request.body["messages"] for request in vendor.requests)
    assert second[: len(first)] == first
    assert gave in json.dumps(second[len(first) :])
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
        (ASKED, running(lambda _: "9 to 5"), "it failed: run is no async function"),
        (ASKED, running(lambda _: sys.exit("no calendar")), "it failed: no calendar"),
        (ASKED, running(lambda _: asyncio.sleep(0, 9)), "run gave int, and no text"),
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


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"name": "respond"}, "name is 'respond'; a tool's name has 1 to 64 letters"),
        ({"description": " "}, "description is empty"),
        ({"run": "opening_hours"}, "run is 'opening_hours'; it must be an async function"),
        (
            {"arguments": {"day": "string"}},
            r"arguments\['day'\] is 'string'; it must be a dictionary",
        ),
        ({"timeout_secs": 0}, "timeout_secs is 0; it must be over 0"),
    ],
)
def test_a_tool_that_cannot_be_offered_says_what_is_wrong(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(DeclarationError, match=told):
        replace(TOOL, **wrong)


def test_a_tools_file_that_cannot_be_used_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "tools_of_mine"
    package.mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    text = Path("examples/opening_hours.py").read_text()
    (package / "hours.py").write_text(text)
    (package / "times.py").write_text(text)
    with pytest.raises(
        DeclarationError, match=r"times\.py: name is 'opening_hours', which .*/hour"
    ):
        find_tools(package.name, [str(package)])


def test_a_section_of_the_document_with_a_tools_id_is_named_with_it(tmp_path: Path) -> None:
    file = tmp_path / "acme.md"
    file.write_text("# Acme\n\n## Tool\n\n### Opening hours\n\nNine to five.\n")
    document = load(file)
    check_section_ids([TOOL], document)  # its id has an underscore, which no heading's has
    with pytest.raises(DeclarationError) as refused:
        check_section_ids([replace(TOOL, name="opening-hours")], document)
    assert "the tool 'opening-hours' is cited as 'tool/opening-hours'" in str(refused.value)
    assert "the section 'Opening hours' of 'Acme'" in str(refused.value)
    assert "Give the tool another name, or the section another heading." in str(refused.value)


def test_an_answer_that_a_tool_supports_is_grounded(tmp_path: Path) -> None:
    invented = CHRISTMAS.replace("closed", "open")

    async def play(folder: Path) -> None:
        target = RecordingTarget(InlineWriter(), folder)
        async with ScriptedCall(target=target, tools=[TOOL]) as call:
            call.brain.looks_up = ("opening_hours", {"day": "2026-12-25"})
            await call.ask("Are you open at Christmas?")
            await asyncio.sleep(12.0)

    virtual_time.run(play(tmp_path))
    recording = Recording.load(tmp_path / "c-scripted.mcap")
    facts = facts_of(recording)
    document = replace(DOCUMENT, sha256=facts.document_hash)
    (measured, _) = grounding.measure([match(facts, None)], [document])
    assert (measured.value, len(measured.samples)) == (0.0, 1)
    # An older recording has only what was given to the brain, and not what was said meanwhile.
    for older in (without(recording, "looked_up", "said"), recording):
        (turn,) = facts_of(older).turns
        assert [given.text for given in turn.looked_up] == [CHRISTMAS]
        assert grounding.refusals(turn, document) == ()
        said = tuple(
            replace(sentence, text=sentence.text.replace(CHRISTMAS, invented))
            for sentence in turn.sentences
        )
        (refused,) = grounding.refusals(replace(turn, sentences=said), document)
        assert invented in refused


def without(recording: Recording, *fields: str) -> Recording:
    """The same recording, as it was made before it had these fields."""

    def plain(value: Any) -> Any:
        match value:
            case dict():
                return {name: plain(item) for name, item in value.items() if name not in fields}
            case list():
                return [plain(item) for item in value]
            case _:
                return value

    messages = tuple(
        replace(message, data=plain(dict(message.data))) for message in recording.messages
    )
    return replace(recording, messages=messages)


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
            captions = [sentence["text"] for sentence in call.socket.own("sentence")]
            assert captions == [WAITING, CHRISTMAS]

    virtual_time.run(play())
    recording = Recording.load(tmp_path / "c-scripted.mcap")
    for message in recording.messages:
        jsonschema.validate(message.data, dict(TOPICS[message.topic]))
    turn = list(recording.topic("/call/Turn"))[-1].data
    given = {"section": "tool/opening_hours", "title": "Opening hours", "text": CHRISTMAS}
    assert turn["looked_up"] == [given]
    (told,) = (
        message.data for message in recording.messages if message.data.get("type") == "decision"
    )
    assert told["looked_up"] == [given]
    assert turn["heard_text"] == turn["answer"] == f"{WAITING} {CHRISTMAS}"
    assert turn["sections"] == ["tool/opening_hours"]

    async def moved(_: Arguments) -> str:
        return "Friday: the office has moved."

    async def again(tool: FunctionTool) -> list[str]:
        return [(await tool.call('{"day": "2026-12-25"}', until=99.0)).result for _ in range(2)]

    (replayed,) = replayed_tools(recording, [replace(TOOL, run=moved, said="One moment.")])
    assert replayed.said == WAITING
    assert virtual_time.run(again(replayed)) == [CHRISTMAS, "Friday: the office has moved."]
    (unknown,) = replayed_tools(recording, [])
    assert unknown.said == WAITING
    assert virtual_time.run(again(unknown))[0] == CHRISTMAS
