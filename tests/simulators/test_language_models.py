"""The simulators of language models are as strict, and as chatty, as the vendors."""

import asyncio
import json
import random
from typing import Any

import aiohttp
import pytest
from multidict import CIMultiDictProxy

from simulators.anthropic import AnthropicSimulator
from simulators.model import Fault, Latency, Model, Reply
from simulators.openai import OpenAISimulator

TOOL = {
    "name": "respond",
    "input_schema": {"type": "object", "properties": {}},
    "eager_input_streaming": True,
}
ASKED: dict[str, Any] = {
    "model": "claude-haiku-4-5",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "Hello"}],
    "tools": [TOOL],
    "tool_choice": {"type": "any"},
}
HEADERS = {"x-api-key": "k", "anthropic-version": "2026-10-21"}
OLDER = {"x-api-key": "k", "anthropic-version": "2023-06-01"}
PREFILLED = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "{"}]
BOUNDED = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 9}},
    "additionalProperties": False,
}
BOUNDED_TOOL = TOOL | {"strict": True, "input_schema": BOUNDED}
MARK = {"type": "ephemeral"}
SAID = Reply("respond", {"answer": "Good day to you."}, text="Well.")


async def post(
    url: str, body: Any, headers: dict[str, str] | None = None
) -> tuple[int, Any, CIMultiDictProxy[str]]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json=body, headers=headers) as response,
    ):
        text = await response.text()
        parsed = json.loads(text) if "json" in response.content_type else text
        return response.status, parsed, response.headers


@pytest.mark.parametrize(
    ("change", "headers", "status", "message"),
    [
        ({}, {"anthropic-version": "2026-10-21"}, 401, "x-api-key header is required"),
        ({}, {"x-api-key": "k"}, 400, "anthropic-version: header is required"),
        ({"max_tokens": None}, HEADERS, 400, "max_tokens"),
        ({"model": "claude-none"}, HEADERS, 404, "model: claude-none"),
        ({"messages": []}, HEADERS, 400, "at least one message is required"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, HEADERS, 400, "first message"),
        ({"messages": [{"role": "user", "content": ""}]}, HEADERS, 400, "non-empty content"),
        ({"messages": [{"role": "user", "content": " "}]}, HEADERS, 400, "non-whitespace"),
        ({"tool_choice": {"type": "required"}}, HEADERS, 400, "tool_choice: Input tag 'required'"),
        ({"tool_choice": {"type": "tool", "name": "x"}}, HEADERS, 400, "Tool 'x' not found"),
        ({"tools": [TOOL | {"parameters": {}}]}, HEADERS, 400, "Extra inputs are not permitted"),
        ({"tools": []}, HEADERS, 400, "only be specified with tools"),
        ({"temperature": 0.0}, HEADERS, 400, "temperature: Extra inputs are not permitted"),
        ({"model": "claude-haiku-5-5", "temperature": 0.0}, OLDER, 400, "temperature: is not"),
        ({"model": "claude-haiku-5-5", "messages": PREFILLED}, HEADERS, 400, "final message"),
        ({"model": "claude-sonnet-5-5"}, HEADERS, 400, "tool_choice"),
        ({"tools": [TOOL | {"strict": True}]}, HEADERS, 400, "'additionalProperties' must be"),
        ({"tools": [BOUNDED_TOOL]}, HEADERS, 400, "'maxLength' is not supported"),
        ({"max_tokens": 0}, HEADERS, 400, "may not be combined"),
        (
            {"system": [{"type": "text", "text": "x", "cache_control": MARK}] * 5},
            HEADERS, 400, "A maximum of 4 blocks with cache_control may be provided. Found 5.",
        ),
        (
            {"system": [{"type": "text", "text": "x", "cache_control": MARK | {"ttl": "2h"}}]},
            HEADERS, 400, "Input should be '5m' or '1h'",
        ),
    ],
)  # fmt: skip
async def test_anthropic_refuses_what_the_vendor_refuses(
    change: dict[str, Any], headers: dict[str, str], status: int, message: str
) -> None:
    async with AnthropicSimulator(Model(script=(SAID,), api_key="k")) as vendor:
        answered, body, _ = await post(f"{vendor.url}/v1/messages", ASKED | change, headers)
    assert answered == status
    assert body["type"] == "error"
    assert message in body["error"]["message"]
    assert body["request_id"].startswith("req_")


async def test_anthropics_events_come_in_the_documented_order() -> None:
    async with AnthropicSimulator(Model(script=(SAID,))) as vendor:
        _, text, _ = await post(f"{vendor.url}/v1/messages", ASKED | {"stream": True}, HEADERS)
    told = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
    kinds = [event["type"] for event in told]
    assert kinds == [line[7:] for line in text.splitlines() if line.startswith("event: ")]
    once = [kind for at, kind in enumerate(kinds) if at == 0 or kinds[at - 1] != kind]
    block = ["content_block_start", "content_block_delta", "content_block_stop"]
    ending = ["message_delta", "message_stop"]
    assert once == ["message_start", "ping", *block, *block, *ending]
    pieces = [event["delta"].get("partial_json") for event in told if "delta" in event]
    called = [piece for piece in pieces if piece is not None]
    assert called[0] == ""
    assert json.loads("".join(called)) == SAID.arguments
    assert told[-2]["delta"]["stop_reason"] == "tool_use"
    assert told[-2]["usage"]["output_tokens"] > 1 == told[0]["message"]["usage"]["output_tokens"]


@pytest.mark.parametrize(
    ("change", "begins"),
    [
        ({}, "tool_use"),
        ({"tool_choice": {"type": "auto"}}, "thinking"),
        ({"tool_choice": {"type": "auto"}, "thinking": {"type": "disabled"}}, "tool_use"),
        ({"tool_choice": {"type": "auto"}, "model": "claude-haiku-4-5"}, "tool_use"),
    ],
)
async def test_haiku_5_5_thinks_first_unless_a_tool_is_forced(
    change: dict[str, Any], begins: str
) -> None:
    body = ASKED | {"stream": True, "model": "claude-haiku-5-5", **change}
    async with AnthropicSimulator(Model(script=(Reply("respond", {"answer": "Yes."}),))) as vendor:
        _, text, _ = await post(f"{vendor.url}/v1/messages", body, HEADERS)
    told = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
    blocks = [event["content_block"]["type"] for event in told if "content_block" in event]
    assert blocks[0] == begins
    assert blocks[-1] == "tool_use"


async def test_values_are_held_back_without_eager_streaming() -> None:
    lazy = {"name": TOOL["name"], "input_schema": TOOL["input_schema"]}
    async with AnthropicSimulator(Model(script=(SAID,))) as vendor:
        body = ASKED | {"stream": True, "tools": [lazy]}
        _, text, _ = await post(f"{vendor.url}/v1/messages", body, HEADERS)
    assert text.count("input_json_delta") == 2  # The empty one, and all of it.


async def test_a_rate_limit_says_how_long_to_wait() -> None:
    limited = Model(script=(SAID,), faults=(Fault("status", 0, status=429, retry_after="7"),))
    async with AnthropicSimulator(limited) as vendor, OpenAISimulator(limited) as other:
        status, body, headers = await post(f"{vendor.url}/v1/messages", ASKED, HEADERS)
        assert (status, body["error"]["type"]) == (429, "rate_limit_error")
        assert headers["retry-after"] == "7"
        status, body, _ = await post(f"{vendor.url}/v1/messages", ASKED, HEADERS)
        assert (status, body["content"][1]["input"]) == (200, SAID.arguments)
        asked = {"model": "simulated", "messages": ASKED["messages"]}
        status, _, headers = await post(f"{other.url}/chat/completions", asked)
        assert (status, headers["retry-after"]) == (429, "7")


@pytest.mark.parametrize("counts", [True, False])
async def test_openais_chunks_come_in_the_documented_order(counts: bool) -> None:
    async with OpenAISimulator(Model(script=(SAID,))) as vendor:
        asked = {"model": "simulated", "messages": ASKED["messages"], "stream": True}
        asked |= {"stream_options": {"include_usage": True}} if counts else {}
        _, text, _ = await post(f"{vendor.url}/chat/completions", asked)
    lines = [line[6:] for line in text.splitlines() if line]
    assert lines[-1] == "[DONE]"
    chunks = [json.loads(line) for line in lines[:-1]]
    assert ("usage" in chunks[-1]) is counts
    told = chunks[:-1] if counts else chunks
    assert told[0]["choices"][0]["delta"]["role"] == "assistant"
    assert told[-1]["choices"][0]["finish_reason"] == "tool_calls"
    calls = [part for chunk in told for part in chunk["choices"][0]["delta"].get("tool_calls", ())]
    assert calls[0]["id"].startswith("call_")
    assert calls[0]["function"]["name"] == "respond"
    assert not any("id" in part for part in calls[1:])
    assert json.loads("".join(part["function"]["arguments"] for part in calls)) == SAID.arguments


async def test_openai_refuses_what_the_vendor_refuses() -> None:
    async with OpenAISimulator(Model(script=(SAID,), api_key="k")) as vendor:
        url = f"{vendor.url}/chat/completions"
        asked = {"model": "simulated", "messages": ASKED["messages"]}
        assert (await post(url, asked))[0] == 401
        key = {"authorization": "Bearer k"}
        assert (await post(url, asked, key))[0] == 200
        assert (await post(url, asked | {"model": "none"}, key))[0] == 404
        assert (await post(url, asked | {"tool_choice": "required"}, key))[0] == 400
        counted = {"stream_options": {"include_usage": True}}
        assert (await post(url, asked | counted, key))[0] == 400
        assert "***" in vendor.requests[1].headers["authorization"]


async def test_waits_are_drawn_from_the_seed() -> None:
    async def waited(seed: int) -> float:
        model = Model(script=(SAID,), first_token=Latency(0.03, 0.5), seed=seed)
        async with AnthropicSimulator(model) as vendor:
            begun = asyncio.get_running_loop().time()
            await post(f"{vendor.url}/v1/messages", ASKED, HEADERS)
            return asyncio.get_running_loop().time() - begun

    assert await waited(1) > 0.01
    one, two = random.Random(1), random.Random(1)
    latency = Latency(0.64, 0.3)
    assert [latency.draw(one) for _ in range(9)] == [latency.draw(two) for _ in range(9)]
    drawn = sorted(latency.draw(one) for _ in range(999))
    assert 0.6 < drawn[499] < 0.68
