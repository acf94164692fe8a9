"""Any OpenAI-style endpoint decides over the real SDK, whatever it leaves out of the standard."""

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from conversation.frames import Exchange, Usage
from processors.brain.contract import MAX_DECISION_TOKENS, BrainError, Question, ToolStart
from processors.brain.openai_compatible import Dialect, Dialects, OpenAICompatibleBrain
from simulators.model import Fault, Latency, Model, Reply
from simulators.openai import OpenAISimulator
from tests.conftest import with_instant_engines
from tests.processors.brain import answering
from tests.processors.brain.answering import ARGUMENTS, RawEndpoint, Way
from tests.processors.brain.deciding import (
    DOCUMENT,
    FIRST,
    INTO_THE_SECOND,
    KEY,
    PASSED_ON,
    PHRASES,
    QUESTION,
    RIGHT,
    SECOND,
    called,
    decide,
    events,
    until_ended,
)


@asynccontextmanager
async def endpoint(
    *faults: Fault,
    script: tuple[Reply, ...] = (RIGHT,),
    settings: dict[str, Any] | None = None,
    key: str | None = KEY,
    tokens_per_sec: float = 0.0,
    **kind: Any,
) -> AsyncIterator[tuple[OpenAICompatibleBrain, OpenAISimulator]]:
    """The brain and the endpoint it talks to."""
    model = Model(script=script, faults=faults, api_key=key, tokens_per_sec=tokens_per_sec)
    async with OpenAISimulator(model, **kind) as vendor:
        given: dict[str, Any] = {"api_key": key, "base_url": vendor.url, "model": "simulated"}
        brain = OpenAICompatibleBrain(DOCUMENT, **{**given, **(settings or {})})
        try:
            yield brain, vendor
        finally:
            await brain.close()


@with_instant_engines
async def test_a_request_forces_one_tool_call_and_asks_for_its_usage() -> None:
    async with endpoint() as (brain, vendor):
        await events(brain, "And then?", (Exchange(QUESTION, FIRST),))
    body = vendor.requests[0].body
    assert body["max_tokens"] == MAX_DECISION_TOKENS
    assert body["model"] == "simulated"
    assert body["tool_choice"] == "required"
    assert body["parallel_tool_calls"] is False
    assert body["stream"] is True
    assert body["stream_options"] == {"include_usage": True}
    respond, escalate = (tool["function"] for tool in body["tools"])
    assert (respond["name"], escalate["name"]) == ("respond", "escalate")
    ids = respond["parameters"]["properties"]["sections"]["items"]["enum"]
    assert ids == list(DOCUMENT.section_ids)
    roles = [message["role"] for message in body["messages"]]
    assert roles == ["system", "user", "assistant", "user"]
    assert body["messages"][-1]["content"] == "<caller>And then?</caller>"
    assert vendor.requests[0].headers["authorization"] == "***"


@with_instant_engines
async def test_an_endpoint_without_a_key_is_sent_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)  # Another vendor's, and none of this one's business.
    async with endpoint(key=None) as (brain, vendor):
        assert (await decide(brain)).words == [FIRST, SECOND]
    assert "authorization" not in vendor.requests[0].headers


@with_instant_engines
async def test_sentences_leave_while_the_arguments_are_still_arriving() -> None:
    async with endpoint(tokens_per_sec=150) as (brain, vendor):
        turn = await decide(brain)
        assert turn.words == [FIRST, SECOND]
        assert turn.said[0][0] < vendor.requests[0].when("finish") - 0.05
        assert turn.decision.usage.output_tokens > 20


@with_instant_engines
async def test_a_prompt_read_from_the_endpoints_cache_is_counted_as_such() -> None:
    async with endpoint(caches=True) as (brain, _):
        _, _, first = called(await events(brain))
        _, _, second = called(await events(brain))
    assert first.usage.cache_read_tokens == 0
    assert second.usage.cache_read_tokens > 1024
    assert second.usage.cache_read_tokens + second.usage.input_tokens == first.usage.input_tokens


# How endpoints differ.


@pytest.mark.parametrize(
    ("rejects", "expected"),
    [
        (("parallel_tool_calls",), Dialect(parallel=False)),
        (("stream_options",), Dialect(counts=False)),
        (("tool_choice",), Dialect(forces=False)),
        (("max_tokens",), Dialect(limit="max_completion_tokens")),
        (
            ("parallel_tool_calls", "stream_options", "tool_choice", "max_tokens"),
            Dialect(forces=False, parallel=False, counts=False, limit="max_completion_tokens"),
        ),
    ],
)
@pytest.mark.parametrize("status", [400, 422])
@with_instant_engines
async def test_what_an_endpoint_rejects_is_left_out_from_then_on(
    rejects: tuple[str, ...], expected: Dialect, status: int
) -> None:
    async with endpoint(rejects=rejects, reject_status=status) as (brain, vendor):
        assert (await decide(brain)).words == [FIRST, SECOND]
        assert len(vendor.requests) == 1 + len(rejects)
        assert brain.dialect == expected
        await decide(brain)
        assert len(vendor.requests) == 2 + len(rejects)


@with_instant_engines
async def test_an_endpoint_that_does_not_say_what_it_rejects_is_asked_more_plainly() -> None:
    kind: dict[str, Any] = {"rejects": ("parallel_tool_calls",), "names_rejected": False}
    async with endpoint(**kind) as (brain, vendor):
        assert (await decide(brain)).words == [FIRST, SECOND]
        assert brain.dialect == Dialect(parallel=False, counts=False)
        assert len(vendor.requests) == 2


@with_instant_engines
async def test_tokens_are_estimated_where_they_are_not_counted() -> None:
    async with endpoint(rejects=("stream_options",)) as (brain, _):
        _, source, report = called(await events(brain))
    assert report.usage == Usage(output_tokens=-(-len(source) // 3))


@with_instant_engines
async def test_a_call_sent_in_one_piece_is_the_same_call() -> None:
    async with endpoint(whole=True) as (brain, _):
        names, source, _ = called(await events(brain))
        assert (names, source) == (["respond"], RIGHT.json)
        assert (await decide(brain)).words == [FIRST, SECOND]


# What may go wrong.

BEFORE = [
    Fault("status", 0, status=429, retry_after="0.2"),
    Fault("status", 0, status=500),
    Fault("drop", 0),
    Fault("stall", 0),
    Fault("error", 0),
    Fault("garbage", 0),
    Fault("eof", 0),
    Fault("drop", 0, after_chars=30),
    Fault("error", 0, after_chars=30),
    Fault("eof", 0, after_chars=30),
]


@pytest.mark.parametrize("fault", BEFORE, ids=lambda fault: f"{fault.kind} {fault.after_chars}")
@with_instant_engines
async def test_a_fault_before_a_word_was_said_is_made_up_for(fault: Fault) -> None:
    async with endpoint(fault) as (brain, vendor):
        turn = await decide(brain)
    assert turn.words == [FIRST, SECOND]
    assert not turn.fault
    assert len(vendor.requests) == 2
    if fault.retry_after:
        assert vendor.requests[1].at - vendor.requests[0].at >= float(fault.retry_after)


@pytest.mark.parametrize("kind", ["drop", "error", "garbage", "eof", "stall"])
@with_instant_engines
async def test_a_fault_in_the_middle_of_the_answer_ends_it_with_words(kind: Any) -> None:
    async with endpoint(Fault(kind, 0, after_chars=INTO_THE_SECOND)) as (brain, vendor):
        turn = await decide(brain, decision_timeout_secs=1.5)
    assert turn.words == [FIRST, PHRASES.rest_uncertain]
    assert len(vendor.requests) == 1


@pytest.mark.parametrize("status", [401, 402, 403])
@with_instant_engines
async def test_what_cannot_succeed_is_not_tried_again_but_spoken(status: int) -> None:
    async with endpoint(Fault("status", status=status)) as (brain, vendor):
        turn = await decide(brain)
    assert len(vendor.requests) == 1
    assert turn.words == [PHRASES.fault]
    assert f"HTTP {status}" in turn.fault


@with_instant_engines
async def test_an_unknown_model_is_named() -> None:
    async with endpoint(settings={"model": "gpt-none"}) as (brain, vendor):
        with pytest.raises(BrainError, match="gpt-none") as unknown:
            await events(brain)
    assert unknown.value.permanent
    assert len(vendor.requests) == 1


@pytest.mark.parametrize("stop", ["length", "content_filter"])
@with_instant_engines
async def test_a_decision_that_is_cut_short_is_no_decision(stop: str) -> None:
    cut = dataclasses.replace(RIGHT, arguments=RIGHT.json[:60], stop=stop)
    async with endpoint(script=(cut,)) as (brain, _):
        turn = await decide(brain)
    assert turn.words == [PHRASES.fault]
    assert stop in turn.fault


@with_instant_engines
async def test_a_warm_up_that_fails_is_no_reason_to_fail() -> None:
    async with endpoint(settings={"api_key": "sk-wrong"}) as (brain, vendor):
        assert await brain.warm() == Usage()
        await vendor.stop()
        assert await brain.warm() == Usage()


@with_instant_engines
async def test_free_text_is_never_spoken_and_a_second_call_is_seen() -> None:
    async with endpoint(script=(Reply(tool="", text="In Paris."),)) as (brain, _):
        assert (await decide(brain)).words == [PHRASES.fault]
    twice = dataclasses.replace(RIGHT, also=PASSED_ON)
    async with endpoint(script=(twice,)) as (brain, _):
        names, _, _ = called(await events(brain))
        assert names == ["respond", "escalate"]


# How models answer, over the wire; tests/processors/brain/test_repair.py has all their ways.


@asynccontextmanager
async def answering_brain(
    *ways: Way, **settings: Any
) -> AsyncIterator[tuple[OpenAICompatibleBrain, RawEndpoint]]:
    async with RawEndpoint(*ways) as local:
        brain = OpenAICompatibleBrain(DOCUMENT, base_url=local.url, model="local", **settings)
        try:
            yield brain, local
        finally:
            await brain.close()


def way_of(name: str) -> Way:
    return next(way for way in (*answering.WAYS, *answering.UNCERTAIN) if way.name == name)


FREE_TEXT = way_of("free text")
AS_ASKED = way_of("as asked for")
BY_SCHEMA = Way("by the schema", json.dumps({"call": {"name": "respond", "arguments": ARGUMENTS}}))


def form_of(body: dict[str, Any]) -> str:
    """In which form a request asks for a call."""
    if "tools" in body:
        return "tools"
    return str(body.get("response_format", {}).get("type", "text"))


@with_instant_engines
async def test_what_the_sdk_does_not_check_is_read_too() -> None:
    ways = [
        way_of(name)
        for name in (
            "a reply that is not streamed",
            "no finish reason",
            "a function_call",
            "arguments as an object",
            "a call without number and id",
        )
    ]
    async with answering_brain(*ways) as (brain, local):
        for number, way in enumerate(ways, start=1):
            turn = await decide(brain)
            assert turn.words == [FIRST, SECOND], way.name
            checks = {check.name: check for check in turn.decision.checks}
            form = checks.get("form")
            assert (form.detail if form else "") == ", ".join(way.repaired), way.name
            assert all(check.passed for check in turn.decision.checks)
            assert len(local.bodies) == number


@pytest.mark.parametrize(
    ("name", "said", "requests"),
    [
        ("a page of a proxy", "HTTP 502", 2),
        ("a page of another server", "web page (does its address end in /v1?)", 1),
        ("an error as an answer", "CUDA out of memory", 2),
    ],
)
@with_instant_engines
async def test_what_is_no_answer_is_told_in_words(name: str, said: str, requests: int) -> None:
    heard: list[str] = []
    sink = logger.add(heard.append, level="INFO", format="{message}")
    try:
        async with answering_brain(way_of(name)) as (brain, local):
            turn = await decide(brain)
    finally:
        logger.remove(sink)
    assert said in turn.fault
    assert "<html>" not in turn.fault
    assert len(local.bodies) == requests
    assert len(heard) == 1, "a turn that fails is one line"
    assert heard[0].startswith("turn 1: openai: ")


@with_instant_engines
async def test_the_second_attempt_is_told_what_was_wrong_and_asked_for_json_by_a_schema() -> None:
    async with answering_brain(FREE_TEXT, BY_SCHEMA) as (brain, local):
        turn = await decide(brain)
    assert turn.words == [FIRST, SECOND]
    assert [form_of(body) for body in local.bodies] == ["tools", "json_schema"]
    first, second = (body["messages"][-1]["content"] for body in local.bodies)
    assert second.startswith(first)
    assert "no tool call" in second.removeprefix(first)
    schema = local.bodies[1]["response_format"]["json_schema"]["schema"]
    respond, escalate = schema["properties"]["call"]["anyOf"]
    assert respond["properties"]["name"]["enum"] == ["respond"]
    assert escalate["properties"]["arguments"]["required"] == ["reason", "message"]
    assert not any(check.name == "form" for check in turn.decision.checks), "it was asked for"


@with_instant_engines
async def test_a_model_whose_tools_fail_again_is_asked_for_json_from_then_on() -> None:
    async with answering_brain(FREE_TEXT, BY_SCHEMA, FREE_TEXT, BY_SCHEMA) as (brain, local):
        for _ in range(3):
            assert (await decide(brain)).words == [FIRST, SECOND]
    forms = [form_of(body) for body in local.bodies]
    assert forms == ["tools", "json_schema", "tools", "json_schema", "json_schema"]


@with_instant_engines
async def test_a_probe_at_start_finds_the_form_in_which_a_model_makes_its_calls() -> None:
    async with answering_brain(FREE_TEXT, BY_SCHEMA, probes=True) as (brain, local):
        assert (await brain.warm()).output_tokens > 0
        assert [form_of(body) for body in local.bodies] == ["tools", "json_schema"]
        assert await brain.warm() == Usage(), "once is enough"
        assert (await decide(brain)).words == [FIRST, SECOND]
        assert form_of(local.bodies[-1]) == "json_schema"
    rambles = Way("a text without an end", "She studied at " * 20, finish="length")
    async with answering_brain(rambles, BY_SCHEMA, probes=True) as (brain, _):
        await brain.warm()
        assert brain.dialect.form == "schema"
    async with answering_brain(AS_ASKED, probes=True) as (brain, local):
        await brain.warm()
        assert brain.dialect == Dialect()
        assert len(local.bodies) == 1
    async with answering_brain(FREE_TEXT, probes=True) as (brain, local):
        await brain.warm()
        assert brain.dialect == Dialect()
        assert [form_of(body) for body in local.bodies] == [
            "tools", "json_schema", "json_object", "text",
        ]  # fmt: skip


@with_instant_engines
async def test_a_model_that_writes_blanks_without_an_end_is_not_waited_for() -> None:
    """It would write them up to its limit: minutes on a processor."""
    blanks = "\n" * 300
    words = Way("words and blanks", "She studied at Yale." + blanks, finish="length")
    async with answering_brain(words, BY_SCHEMA, probes=True) as (brain, _):
        await brain.warm()
        assert brain.dialect.form == "schema"
    async with answering_brain(words) as (brain, _):
        with pytest.raises(BrainError, match="openai wrote nothing but blanks"):
            await events(brain)
    whole = json.dumps({"name": "respond", "arguments": ARGUMENTS})
    async with answering_brain(Way("a call", whole + blanks, finish="length")) as (brain, _):
        turn = await decide(brain)
    assert turn.words == [FIRST, SECOND], turn.fault


@with_instant_engines
async def test_a_probe_that_a_call_was_too_short_for_is_made_by_the_next() -> None:
    slow = Model(script=(RIGHT,), first_token=Latency(20.0))
    async with OpenAISimulator(slow) as vendor:
        brain = OpenAICompatibleBrain(DOCUMENT, base_url=vendor.url, model="simulated", probes=True)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(brain.warm(), 10.0)  # the call is over
        assert (await brain.warm()).output_tokens > 0
        assert await brain.warm() == Usage()
        await brain.close()


@with_instant_engines
async def test_a_probe_waits_for_a_model_that_has_to_read_the_document_first() -> None:
    slow = Model(script=(RIGHT,), first_token=Latency(60.0))
    async with OpenAISimulator(slow) as vendor:
        brain = OpenAICompatibleBrain(DOCUMENT, base_url=vendor.url, model="simulated", probes=True)
        assert (await brain.warm()).output_tokens > 0
        with pytest.raises(BrainError, match="openai did not answer in time"):
            await events(brain)
        await brain.close()


@with_instant_engines
async def test_what_a_probe_found_is_known_at_the_next_start(tmp_path: Path) -> None:
    found = Dialects(tmp_path / "data" / "dialects.json")
    async with answering_brain(FREE_TEXT, BY_SCHEMA, probes=True, found=found) as (brain, _):
        await brain.warm()
        address = brain._base_url
    assert found.read(address, brain.model) == replace(Dialect(), form="schema")
    assert found.read(f"{address}/", brain.model), "the same address"
    assert found.read(address, "another") is None
    assert (tmp_path / "data" / "dialects.json").stat().st_mode & 0o077 == 0
    async with answering_brain(FREE_TEXT, BY_SCHEMA, found=found) as (other, _):
        found.write(other._base_url, other.model, replace(Dialect(), form="object"))
        await other.probe_anew()
        assert other.dialect.form == "schema", "what was found before does not count"
        assert found.read(other._base_url, other.model) == other.dialect


@pytest.mark.parametrize(
    "kept",
    ["", "[]", "{", '{"a m": 3}', '{"a m": {"form": "tools"}}',
     '{"a m": {"form": "song", "forces": true, "parallel": true, "counts": true, "limit": "x"}}',
     '{"a m": {"form": [], "forces": 1, "parallel": true, "counts": true, "limit": "x"}}'],
)  # fmt: skip
def test_what_is_no_finding_counts_as_none(kept: str, tmp_path: Path) -> None:
    (tmp_path / "dialects.json").write_text(kept)
    found = Dialects(tmp_path / "dialects.json")
    assert found.read("a", "m") is None
    found.write("a", "m", Dialect(counts=False))
    assert found.read("a", "m") == Dialect(counts=False)
    (tmp_path / "file").write_text("")
    Dialects(tmp_path / "file" / "dialects.json").write("a", "m", Dialect())


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "registry.ollama.ai/library/gemma:2b does not support tools"),
        (400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser'),
        (500, "tools param requires --jinja flag"),
    ],
)
@with_instant_engines
async def test_an_endpoint_without_tools_is_asked_for_json(status: int, message: str) -> None:
    refused = Way("no tools", body={"error": {"message": message}}, status=status)
    async with answering_brain(refused, BY_SCHEMA) as (brain, local):
        assert (await decide(brain)).words == [FIRST, SECOND]
        assert (await decide(brain)).words == [FIRST, SECOND]
    forms = [form_of(body) for body in local.bodies]
    assert forms == ["tools", "json_schema", "json_schema"]


@with_instant_engines
async def test_a_caller_is_told_once_that_an_answer_is_still_looked_for() -> None:
    async with endpoint() as (brain, vendor):
        vendor.model.first_token = Latency(5.0)
        turn = await decide(brain, first_token_timeout_secs=8.0, decision_timeout_secs=12.0)
    assert turn.words == [PHRASES.looking, FIRST, SECOND]
    assert turn.decision.text == f"{PHRASES.looking} {FIRST} {SECOND}"
    assert turn.decision.ttfs_secs == pytest.approx(5.0, abs=0.2)
    assert len(vendor.requests) == 1


@with_instant_engines
async def test_closing_the_iterator_ends_it_at_the_endpoint() -> None:
    async with endpoint(tokens_per_sec=60) as (brain, vendor):
        streaming = brain.decide(Question(QUESTION))
        begun = await anext(streaming)
        assert isinstance(begun, ToolStart)
        await streaming.aclose()  # type: ignore[attr-defined]
        assert await until_ended(vendor.requests[0]) == "aborted"


@with_instant_engines
async def test_turns_share_the_connection_that_was_opened_beforehand() -> None:
    async with endpoint() as (brain, vendor):
        assert await brain.warm() == Usage()
        assert vendor.requests[0].path == "/v1/models"
        await events(brain)
        pool = brain._client._client._transport._pool  # type: ignore[attr-defined]
        await events(brain)
        assert len(pool.connections) == 1


@with_instant_engines
async def test_the_key_is_in_no_log_at_any_level(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[str] = []
    sink = logger.add(heard.append, level="TRACE", format="{message} {exception} {extra}")
    caplog.set_level(1)
    for name in ("openai", "httpx2", "httpcore2"):
        caplog.set_level(1, logger=name)
    try:
        async with endpoint(Fault("drop", 0), Fault("garbage", 1)) as (brain, _):
            await decide(brain)
        async with endpoint(settings={"api_key": f"{KEY}-wrong"}) as (brain, _):
            turn = await decide(brain)
            assert "401" in turn.fault
    finally:
        logger.remove(sink)
    logged = "".join(heard) + caplog.text + "".join(map(repr, caplog.records))
    assert "HTTP 401" in logged
    assert KEY not in logged
    assert f"{KEY[:4]}***" not in logged
