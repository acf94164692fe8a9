"""Anthropic's rules: which requests it accepts, how it counts tokens, which prefixes it caches."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simulators.model import tokens


@dataclass(frozen=True, slots=True)
class Family:
    """What is documented of a model and its dated versions.

    Parameters:
        caches_from: The shortest prefix that it caches, in tokens
            (https://platform.claude.com/docs/en/build-with-claude/prompt-caching).
        forced: It takes a forced tool
            (https://platform.claude.com/docs/en/build-with-claude/thinking).
        newer: It is of the generation with the newer tokenizer, which gives some 30 % more tokens
            for the same text (https://platform.claude.com/docs/en/models/haiku-5-5/overview).
        thinks: Unless told otherwise it thinks before it writes, and then takes no sampling
            parameters (https://platform.claude.com/docs/en/models/haiku-5-5/migration-guide).
    """

    caches_from: int
    forced: bool = True
    newer: bool = True
    thinks: bool = False


FAMILIES: Mapping[str, Family] = {
    "claude-haiku-4-5": Family(4096, newer=False),
    "claude-haiku-5-5": Family(512, thinks=True),
    "claude-sonnet-5-5": Family(1024, forced=False, thinks=True),
    "claude-opus-5-5": Family(512, forced=False, thinks=True),
    "claude-fable-5-1": Family(512, forced=False, thinks=True),
    "claude-opus-4-5": Family(4096, newer=False),
    "claude-opus-4-6": Family(4096, newer=False),
    "claude-opus-4-7": Family(2048),
    "claude-opus-4-8": Family(1024),
    "claude-sonnet-4-5": Family(1024, newer=False),
    "claude-sonnet-4-6": Family(1024, newer=False),
    "claude-sonnet-5": Family(1024),
    "claude-opus-5": Family(512),
}
"""The models there are."""

VERSIONS = ("2023-06-01", "2026-10-21")
"""Accepted ``anthropic-version`` values. The newer one refuses sampling parameters."""

SAMPLING: Mapping[str, float | None] = {"temperature": 1, "top_p": 0.99, "top_k": None}
"""Sampling parameters, with the only value that models take which think by default."""

STRICT_KEYWORDS = frozenset(
    {
        "type", "description", "title", "properties", "required", "additionalProperties", "items",
        "enum", "const", "default", "anyOf", "allOf", "$ref", "$defs", "format", "minItems",
    }
)  # fmt: skip
"""What a strict tool's schema may say
(https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations)."""

TTL_SECS = {"5m": 300.0, "1h": 3600.0}
"""How long a cached prefix lasts, by ``ttl``."""

TOOL_PROMPT_TOKENS = 313
"""Tokens of the system prompt that a request with tools brings with it."""

THOUGHT_TOKENS = 60
"""Output tokens of the simulator's thinking, where a request allows it; any number is possible."""

MORE_TOKENS = 1.3
"""Tokens that newer models make of a text, relative to older ones."""

_FIELDS = frozenset(
    {
        "model", "max_tokens", "messages", "system", "tools", "tool_choice", "stream",
        "temperature", "top_k", "top_p", "stop_sequences", "metadata", "thinking",
        "service_tier", "cache_control",
    }
)  # fmt: skip
_TOOL_FIELDS = frozenset(
    {
        "name", "description", "input_schema", "cache_control", "eager_input_streaming", "strict",
        "type", "defer_loading", "allowed_callers", "input_examples",
    }
)  # fmt: skip


class RefusedError(Exception):
    """The API refuses a request with an HTTP status and a message."""

    def __init__(self, status: int, message: str, retry_after: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


def validate(body: Mapping[str, Any], version: str = VERSIONS[-1]) -> None:
    """Check a request's body.

    Raises:
        RefusedError: The vendor would refuse it; with the vendor's message where that is known.
    """
    for name in ("model", "max_tokens", "messages"):
        if name not in body:
            raise RefusedError(400, f"{name}: Field required")
    for name in body:
        removed = name in SAMPLING and version != VERSIONS[0]
        if name not in _FIELDS or removed:
            raise RefusedError(400, f"{name}: Extra inputs are not permitted")
    found = family(body["model"])
    for name, only in SAMPLING.items():
        if found.thinks and name in body and body[name] != only:
            raise RefusedError(400, f"{name}: is not supported on this model with this value")
    if found.thinks and body["messages"] and body["messages"][-1].get("role") == "assistant":
        raise RefusedError(400, "messages: final message must not be from the assistant")
    if not isinstance(body["max_tokens"], int) or body["max_tokens"] < 0:
        raise RefusedError(400, "max_tokens: Input should be greater than or equal to 0")
    _validate_messages(body["messages"])
    _validate_tools(body.get("tools") or [])
    choice = body.get("tool_choice")
    if choice is not None:
        if not body.get("tools"):
            raise RefusedError(400, "tool_choice: tool_choice may only be specified with tools")
        if choice.get("type") not in ("auto", "any", "tool", "none"):
            tags = "'any', 'auto', 'none', 'tool'"
            raise RefusedError(
                400, f"tool_choice: Input tag '{choice.get('type')}' does not match any of {tags}"
            )
        if choice["type"] in ("any", "tool") and not family(body["model"]).forced:
            raise RefusedError(
                400, f"tool_choice: {choice['type']!r} is not supported by {body['model']}"
            )
        names = [tool["name"] for tool in body["tools"]]
        if choice["type"] == "tool" and choice.get("name") not in names:
            raise RefusedError(400, f"Tool '{choice.get('name')}' not found in provided tools")
    if body["max_tokens"] == 0 and (
        body.get("stream") or (choice or {}).get("type") in ("any", "tool")
    ):
        raise RefusedError(400, "max_tokens: 0 may not be combined with stream or a forced tool")
    marked = [block["cache_control"] for block in _blocks(body) if block.get("cache_control")]
    if len(marked) > 4:
        raise RefusedError(
            400, f"A maximum of 4 blocks with cache_control may be provided. Found {len(marked)}."
        )
    for control in marked:
        if control.get("type") != "ephemeral" or control.get("ttl", "5m") not in TTL_SECS:
            raise RefusedError(400, "cache_control.ephemeral.ttl: Input should be '5m' or '1h'")


def _validate_messages(messages: Any) -> None:
    if not messages:
        raise RefusedError(400, "messages: at least one message is required")
    if messages[0].get("role") != "user":
        raise RefusedError(400, 'messages: first message must use the "user" role')
    for at, message in enumerate(messages):
        if message.get("role") not in ("user", "assistant"):
            raise RefusedError(400, f"messages.{at}.role: Input should be 'user' or 'assistant'")
        content = message.get("content")
        _validate_calls(at, content, messages[at - 1].get("content") if at else "")
        texts = [content] if isinstance(content, str) else [_text(block) for block in content]
        if not all(text for text in texts) or not texts:
            raise RefusedError(400, f"messages.{at}: all messages must have non-empty content")
        if not all(text.strip() for text in texts):
            raise RefusedError(
                400, "messages: text content blocks must contain non-whitespace text"
            )


def _validate_calls(at: int, content: Any, before: Any) -> None:
    """Check that each tool call has its result in the next message, and each result its call."""

    def ids(content: Any, kind: str, name: str) -> set[str]:
        blocks = [] if isinstance(content, str) else content
        return {block[name] for block in blocks if block.get("type") == kind}

    called, answered = ids(before, "tool_use", "id"), ids(content, "tool_result", "tool_use_id")
    if missing := called - answered:
        raise RefusedError(
            400, f"messages.{at - 1}: `tool_use` ids were found without `tool_result` blocks "
            f"immediately after: {', '.join(sorted(missing))}.",
        )  # fmt: skip
    if unknown := answered - called:
        raise RefusedError(
            400, f"messages.{at}.content: unexpected `tool_use_id` found in `tool_result` blocks: "
            f"{', '.join(sorted(unknown))}.",
        )  # fmt: skip


def _text(block: Mapping[str, Any]) -> str:
    """A block's text; of a tool call or result, its text as the model is given it."""
    match block.get("type"):
        case "tool_use":
            return json.dumps(block["input"])
        case "tool_result":
            return str(block["content"])
        case _:
            return str(block["text"])


def _validate_tools(tools: Any) -> None:
    for at, tool in enumerate(tools):
        for name in tool:
            if name not in _TOOL_FIELDS:
                raise RefusedError(400, f"tools.{at}.custom.{name}: Extra inputs are not permitted")
        if not re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", tool.get("name", "")):
            raise RefusedError(400, f"tools.{at}.custom.name: String should match the pattern")
        if tool.get("input_schema", {}).get("type") != "object":
            raise RefusedError(
                400, f"tools.{at}.custom.input_schema.type: Input should be 'object'"
            )
        if tool.get("strict"):
            _validate_strict(at, tool["input_schema"])


def _validate_strict(at: int, schema: Any) -> None:
    """Refuse a schema of which no grammar can be made."""
    if not isinstance(schema, Mapping):
        return
    for name in schema:
        if name not in STRICT_KEYWORDS:
            raise RefusedError(400, f"tools.{at}.custom: schema keyword '{name}' is not supported")
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        raise RefusedError(
            400,
            f"tools.{at}.custom: For 'object' type, 'additionalProperties' must be explicitly set "
            "to false",
        )
    for inner in [*schema.get("properties", {}).values(), schema.get("items")]:
        _validate_strict(at, inner)


def _blocks(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The prompt's blocks in the order of the vendor's rendering: tools, system, messages."""
    system = body.get("system") or []
    blocks = list(body.get("tools") or [])
    blocks += [{"type": "text", "text": system}] if isinstance(system, str) else system
    for message in body["messages"]:
        content = message["content"]
        told = [{"type": "text", "text": content}] if isinstance(content, str) else content
        blocks += [{"role": message["role"], **block} for block in told]
    return blocks


def breakpoints(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The prefixes marked for caching, shortest first, with their time to live: ``5m``, ``1h``."""
    found, prefix = [], ""
    for block in _blocks(body):
        plain = {name: value for name, value in block.items() if name != "cache_control"}
        prefix += json.dumps(plain)
        if block.get("cache_control"):
            found.append((prefix, block["cache_control"].get("ttl", "5m")))
    return found


def tokens_of(model: str, value: Any) -> int:
    """How many tokens a model makes of something, roughly."""
    return math.ceil(tokens(value) * (MORE_TOKENS if family(model).newer else 1.0))


def thinks_first(body: Mapping[str, Any]) -> bool:
    """Whether the answer begins with a thought: not if a tool is forced, or it is told not to.

    https://platform.claude.com/docs/en/models/haiku-5-5/migration-guide#configure-thinking
    """
    forced = (body.get("tool_choice") or {}).get("type") in ("any", "tool")
    disabled = (body.get("thinking") or {}).get("type") == "disabled"
    return family(body["model"]).thinks and not forced and not disabled


def all_tokens(body: Mapping[str, Any]) -> int:
    """The tokens of a whole request, including its tools."""
    prompt = "".join(
        json.dumps({name: value for name, value in block.items() if name != "cache_control"})
        for block in _blocks(body)
    )
    return tokens_of(body["model"], prompt) + TOOL_PROMPT_TOKENS * bool(body.get("tools"))


def family(model: str) -> Family:
    """The family of a model.

    Raises:
        RefusedError: There is no such model.
    """
    for name, found in FAMILIES.items():
        if re.fullmatch(rf"{name}(-\d{{8}})?", model):
            return found
    raise RefusedError(404, f"model: {model}")
