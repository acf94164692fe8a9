"""What Anthropic's Messages API sends in a stream, and instead of one.

Events: https://platform.claude.com/docs/en/build-with-claude/streaming. Usage and stop reasons:
https://platform.claude.com/docs/en/api/messages/create. Errors:
https://platform.claude.com/docs/en/api/errors. Further kinds of event may come, says its
versioning policy (https://platform.claude.com/docs/en/api/versioning).
"""

from collections.abc import Mapping
from typing import Any, Literal

from simulators.grammar.message import Grammar, Shape


class CacheCreation(Shape):
    """What was written to the cache, by lifetime."""

    ephemeral_5m_input_tokens: int
    ephemeral_1h_input_tokens: int


class OutputDetails(Shape):
    """What the output tokens were spent on."""

    thinking_tokens: int | None = None


class Usage(Shape):
    """What a message used; the last one stands."""

    output_tokens: int
    input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation: CacheCreation | None = None
    output_tokens_details: OutputDetails | None = None
    server_tool_use: dict[str, Any] | None = None
    service_tier: Literal["standard", "priority", "batch"] | None = None
    inference_geo: str | None = None
    speed: Literal["standard", "fast"] | None = None


StopReason = Literal[
    "end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal",
    "model_context_window_exceeded",
]  # fmt: skip


class Message(Shape):
    """A message, or the beginning of one."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[dict[str, Any]]
    stop_reason: StopReason | None
    stop_sequence: str | None
    usage: Usage
    stop_details: dict[str, Any] | None = None
    container: dict[str, Any] | None = None


class MessageStart(Shape):
    """``message_start``: the first event."""

    type: Literal["message_start"]
    message: Message


class Caller(Shape):
    """Who called a tool."""

    type: str
    tool_id: str | None = None


class Block(Shape):
    """The beginning of a content block."""

    type: Literal["text", "tool_use", "thinking", "redacted_thinking"]
    text: str | None = None
    citations: list[Any] | None = None
    id: str | None = None
    name: str | None = None
    input: dict[str, Any] | None = None
    caller: Caller | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None


class BlockStart(Shape):
    """``content_block_start``."""

    type: Literal["content_block_start"]
    index: int
    content_block: Block


class Delta(Shape):
    """A piece of a content block: of a text, a tool's input, a thought or its signature."""

    type: Literal["text_delta", "input_json_delta", "thinking_delta", "signature_delta"]
    text: str | None = None
    partial_json: str | None = None
    thinking: str | None = None
    signature: str | None = None


class BlockDelta(Shape):
    """``content_block_delta``."""

    type: Literal["content_block_delta"]
    index: int
    delta: Delta


class BlockStop(Shape):
    """``content_block_stop``."""

    type: Literal["content_block_stop"]
    index: int


class Stopped(Shape):
    """Why a message ended."""

    stop_reason: StopReason | None
    stop_sequence: str | None
    stop_details: dict[str, Any] | None = None
    container: dict[str, Any] | None = None


class MessageDelta(Shape):
    """``message_delta``: the counts here are cumulative."""

    type: Literal["message_delta"]
    delta: Stopped
    usage: Usage
    context_management: dict[str, Any] | None = None


class MessageStop(Shape):
    """``message_stop``: the last event."""

    type: Literal["message_stop"]


class Ping(Shape):
    """``ping``: any number of them, anywhere."""

    type: Literal["ping"]


class ErrorDetail(Shape):
    """What is wrong."""

    type: Literal[
        "invalid_request_error", "authentication_error", "billing_error", "permission_error",
        "not_found_error", "conflict_error", "request_too_large", "rate_limit_error", "api_error",
        "timeout_error", "overloaded_error",
    ]  # fmt: skip
    message: str
    details: dict[str, Any] | None = None


class Error(Shape):
    """``error``: instead of a message, or in the middle of one, which it ends."""

    type: Literal["error"]
    error: ErrorDetail
    request_id: str | None = None


class TokenCount(Shape):
    """What ``count_tokens`` answers."""

    input_tokens: int


MESSAGES: Mapping[str, type[Shape]] = {
    "message": Message,
    "message_start": MessageStart,
    "content_block_start": BlockStart,
    "content_block_delta": BlockDelta,
    "content_block_stop": BlockStop,
    "message_delta": MessageDelta,
    "message_stop": MessageStop,
    "ping": Ping,
    "error": Error,
    "token count": TokenCount,
}


def kind_of(message: Mapping[str, Any]) -> str:
    """The kind of a message."""
    return str(message.get("type", "token count" if "input_tokens" in message else "?"))


GRAMMAR = Grammar(MESSAGES, kind_of, "/v1/messages")
