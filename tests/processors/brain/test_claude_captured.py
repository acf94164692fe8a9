"""What Anthropic was seen to send, played to the real SDK: facts from documents and issues.

The words are made up; the fields, their order and the events' order are as they were seen.
"""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from evals.replay.virtual_time import run
from processors.brain.cached_prompt import CachedPrompt
from processors.brain.claude import ClaudeBrain
from processors.brain.contract import ArgumentsDelta, BrainError, Question, ToolStart, UsageReport
from simulators.captured import CapturedAnswers
from simulators.grammar import GRAMMARS
from tests.processors.brain.deciding import DOCUMENT, FIRST, KEY, RIGHT, decide

Event = tuple[str, dict[str, Any]]

STARTED: Event = (
    "message_start",
    {
        "type": "message_start",
        "message": {
            "id": "msg_1", "type": "message", "role": "assistant", "content": [],
            "model": "claude-haiku-5-5", "stop_reason": None, "stop_sequence": None,
            "usage": {"input_tokens": 472, "output_tokens": 2, "cache_read_input_tokens": 4_100,
                      "cache_creation_input_tokens": 0, "service_tier": "standard"},
        },
    },
)  # fmt: skip
PING: Event = ("ping", {"type": "ping"})
DONE: Event = ("message_stop", {"type": "message_stop"})


def block(index: int = 0, **more: Any) -> Event:
    """The beginning of a call of ``respond``."""
    call = {"type": "tool_use", "id": "toolu_1", "name": "respond", "input": {}, **more}
    start = {"type": "content_block_start", "index": index, "content_block": call}
    return "content_block_start", start


def piece(source: str, index: int = 0) -> Event:
    """A piece of its arguments."""
    delta = {"type": "input_json_delta", "partial_json": source}
    return "content_block_delta", {"type": "content_block_delta", "index": index, "delta": delta}


def stopped(reason: str, index: int = 0, **usage: int) -> list[Event]:
    """The end of the block and of the message."""
    delta = {"stop_reason": reason, "stop_sequence": None}
    counted = {"output_tokens": 89, **usage}
    return [
        ("content_block_stop", {"type": "content_block_stop", "index": index}),
        ("message_delta", {"type": "message_delta", "delta": delta, "usage": counted}),
        DONE,
    ]


def error(kind: str, message: str) -> Event:
    """An error in the midst of a stream, after which the connection is closed."""
    detail = {"details": None, "type": kind, "message": message}
    return "error", {"type": "error", "error": detail, "request_id": "req_1"}


def stream(*events: Event) -> tuple[int, str, str]:
    """An answer of status 200 with these events."""
    told = "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in events)
    return 200, "text/event-stream", told


def refused(status: int, kind: str, message: str, **more: Any) -> tuple[int, str, str]:
    """A refused request."""
    body = {"type": "error", "error": {"type": kind, "message": message, **more}}
    return status, "application/json", json.dumps(body | {"request_id": "req_1"})


WHOLE = [piece(""), piece(RIGHT.json[:40]), piece(RIGHT.json[40:])]

ANSWERED: dict[str, tuple[str, list[Event]]] = {
    "a forced call begins the message, without a thought": (
        "https://platform.claude.com/docs/en/models/haiku-5-5/migration-guide",
        [STARTED, PING, block(), *WHOLE, *stopped("tool_use")],
    ),
    "the call says who called it": (
        "https://platform.claude.com/docs/en/agents-and-tools/tool-use/programmatic-tool-calling",
        [STARTED, PING, block(caller={"type": "direct"}), *WHOLE, *stopped("tool_use")],
    ),
    "a thought first, empty and signed": (
        "https://platform.claude.com/docs/en/models/haiku-5-5/migration-guide",
        [
            STARTED,
            ("content_block_start", {
                "type": "content_block_start", "index": 0,
                "content_block": {"type": "thinking", "thinking": "", "signature": ""},
            }),
            ("content_block_delta", {
                "type": "content_block_delta", "index": 0,
                "delta": {"type": "signature_delta", "signature": "ErUB"},
            }),
            ("content_block_stop", {"type": "content_block_stop", "index": 0}),
            block(1), piece("", 1), piece(RIGHT.json, 1), *stopped("tool_use", 1),
        ],
    ),
    "pings at any place, and an event of a kind to come": (
        "https://platform.claude.com/docs/en/build-with-claude/streaming",
        [
            STARTED, PING, block(), PING, *WHOLE, PING,
            ("news", {"type": "news", "of": "tomorrow"}), *stopped("tool_use"),
        ],
    ),
    "the cache is counted at the end, as gateways do": (
        "https://github.com/jeremychone/rust-genai/pull/258",
        [
            STARTED, block(), *WHOLE,
            *stopped("tool_use", cache_read_input_tokens=4_090, cache_creation_input_tokens=0),
        ],
    ),
    "sections as one bare id": (
        "the kind of https://github.com/dust-tt/dust/issues/21976, with eager_input_streaming",
        [
            STARTED, block(), piece(""),
            piece(RIGHT.json.replace('["education"]', '"education"')), *stopped("tool_use"),
        ],
    ),
    "a list written as text": (
        "the kind of https://github.com/dust-tt/dust/issues/24414",
        [
            STARTED, block(), piece(""),
            piece(RIGHT.json.replace('["education"]', '"[\\"education\\"]"')),
            *stopped("tool_use"),
        ],
    ),
}  # fmt: skip

FAILED: dict[str, tuple[str, tuple[int, str, str], bool, float | None]] = {
    "overloaded before the stream": (
        "https://platform.claude.com/docs/en/api/errors",
        refused(529, "overloaded_error", "Overloaded"), False, 0.4,
    ),
    "overloaded in mid-stream": (
        "https://github.com/anthropics/anthropic-sdk-typescript/issues/346",
        stream(STARTED, block(), piece(""), error("overloaded_error", "Overloaded")), False, 0.4,
    ),
    "an internal error in mid-stream": (
        "https://platform.claude.com/docs/en/build-with-claude/streaming",
        stream(STARTED, PING, error("api_error", "Internal server error")), False, None,
    ),
    "the key is revoked in mid-stream": (
        "https://platform.claude.com/docs/en/api/errors",
        stream(STARTED, error("authentication_error", "revoked")), True, None,
    ),
    "the month's money is spent": (
        "https://platform.claude.com/docs/en/api/rate-limits",
        refused(
            429, "rate_limit_error", "You have reached your API usage limits.",
            details={"error_code": "enforced_spend_limit_reached"},
        ), True, None,
    ),
    "a spending limit of one's own is reached": (
        "https://platform.claude.com/docs/en/api/errors",
        refused(400, "invalid_request_error", "You have reached your specified API usage limits. "
                "You will regain access on 2026-12-01 at 00:00 UTC."), True, None,
    ),
    "a rate limit that passes": (
        "https://platform.claude.com/docs/en/api/rate-limits",
        refused(429, "rate_limit_error", "Number of request tokens has exceeded your per-minute "
                "rate limit"), False, None,
    ),
    "no credit": (
        "https://platform.claude.com/docs/en/api/errors",
        refused(402, "billing_error", "Your credit balance is too low."), True, None,
    ),
    "a proxy's page instead of an answer": (
        "https://platform.claude.com/docs/en/api/errors: behind a proxy any 5xx may come",
        (502, "text/html", "<html>Bad gateway</html>"), False, None,
    ),
    "the safety classifier stops it": (
        "https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons",
        stream(STARTED, block(), piece(""), *stopped("refusal")), False, None,
    ),
    "it is cut at max_tokens in the midst of a value": (
        "https://platform.claude.com/docs/en/agents-and-tools/tool-use/fine-grained-tool-streaming",
        stream(STARTED, block(), piece(""), piece('{"sections": ["edu'), *stopped("max_tokens")),
        False, None,
    ),
    "the connection ends without an end": (
        "https://github.com/use-agent-os/agent-os/issues/2118",
        stream(STARTED, block(), piece("")), False, None,
    ),
}  # fmt: skip


def brain_at(url: str) -> ClaudeBrain:
    """A brain whose prefix needs no counting."""
    prompt = CachedPrompt(text="Speak from the document.", tokens=5_000, counted=True, minimum=512)
    return ClaudeBrain(DOCUMENT, prompt, api_key=KEY, base_url=url)


async def played(answers: Sequence[tuple[int, str, str]]) -> tuple[Any, list[dict[str, Any]]]:
    """What the brain makes of them, its error included, and what it had sent."""
    async with CapturedAnswers("/v1/messages", answers) as vendor:
        brain = brain_at(vendor.url)
        try:
            return [event async for event in brain.decide(Question("Who?"))], vendor.received
        except BrainError as failed:
            return failed, vendor.received
        finally:
            await brain.close()


@pytest.mark.parametrize("name", ANSWERED)
def test_what_was_captured_is_one_decision_and_one_request(name: str) -> None:
    _, events = ANSWERED[name]
    made, received = run(played([stream(*events)]))
    assert [event.name for event in made if isinstance(event, ToolStart)] == ["respond"]
    pieces = [event.json for event in made if isinstance(event, ArgumentsDelta)]
    assert json.loads("".join(pieces))["answer"].startswith(FIRST)
    last = [event for event in made if isinstance(event, UsageReport)][-1].usage
    assert last.output_tokens == 89
    assert last.input_tokens == 472
    assert last.cache_read_tokens in (4_100, 4_090)
    assert len(received) == 1


@pytest.mark.parametrize(
    "name", [name for name in ANSWERED if "sections" in name or "text" in name]
)
def test_arguments_of_another_shape_are_answered_from_with_one_request(name: str) -> None:
    async def main() -> None:
        _, events = ANSWERED[name]
        async with CapturedAnswers("/v1/messages", [stream(*events)]) as vendor:
            brain = brain_at(vendor.url)
            turn = await decide(brain)
            await brain.close()
        assert turn.decision.decision == "respond"
        assert turn.decision.sections == ("education",)
        assert len(vendor.received) == 1

    run(main())


@pytest.mark.parametrize("name", FAILED)
def test_a_captured_failure_is_passing_or_lasting_as_its_document_says(name: str) -> None:
    _, answer, lasting, wait = FAILED[name]
    failed, received = run(played([answer]))
    assert isinstance(failed, BrainError), failed
    assert failed.permanent is lasting
    assert failed.retry_after_secs == wait
    assert len(received) == 1, "a limit that is reached is no reason to ask without strict tools"


def test_all_that_was_captured_is_as_documented_but_for_what_is_to_come() -> None:
    for name, (_, events) in ANSWERED.items():
        for kind, message in events:
            found = GRAMMARS["claude"].check(message)
            assert not found or kind == "news", (name, found)


# Strict tools, with and without.


TOO_LARGE = refused(
    400, "invalid_request_error", "The compiled grammar is too large"
)  # as in https://github.com/alphaXiv/agents/pull/49


def test_a_vendor_that_takes_no_strict_tools_is_asked_without_from_then_on() -> None:
    right = stream(STARTED, PING, block(), *WHOLE, *stopped("tool_use"))

    async def main() -> None:
        async with CapturedAnswers("/v1/messages", [TOO_LARGE, right]) as vendor:
            brain = brain_at(vendor.url)
            for _ in range(2):
                turn = await decide(brain)
                assert turn.decision.decision == "respond"
            await brain.close()
        strict = [["strict" in tool for tool in request["tools"]] for request in vendor.received]
        assert strict == [[True, True], [False, False], [False, False]]
        assert all(
            tool["eager_input_streaming"]
            for request in vendor.received
            for tool in request["tools"]
        )

    run(main())


def test_a_request_that_is_wrong_in_another_way_is_sent_twice_at_most() -> None:
    failed, received = run(played([refused(400, "invalid_request_error", "messages: too odd")]))
    assert isinstance(failed, BrainError)
    assert failed.permanent
    assert len(received) == 2
