"""The brain that uses Claude: a decision is one forced tool call, streamed, on a cached prompt.

See https://platform.claude.com/docs/en/api/messages-streaming,
``/docs/en/agents-and-tools/tool-use/fine-grained-tool-streaming`` and
``/docs/en/build-with-claude/prompt-caching``.
"""

import asyncio
import json
import math
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Literal, cast

import anthropic
import httpx2
from anthropic.types import (
    InputJSONDelta,
    MessageParam,
    RawContentBlockDeltaEvent,
    RawContentBlockStartEvent,
    RawMessageDeltaEvent,
    RawMessageStartEvent,
    RawMessageStopEvent,
    TextBlockParam,
    ToolParam,
    ToolUseBlock,
)
from loguru import logger

from conversation.frames import Usage
from knowledge.loading.document import Document
from processors.brain import vendor_fault
from processors.brain.cached_prompt import (
    CachedPrompt,
    build,
    estimated_tokens,
    messages,
    said_by_caller,
)
from processors.brain.claude_models import may_be_strict, minimum_tokens, token_ratio
from processors.brain.contract import (
    MAX_DECISION_TOKENS,
    ArgumentsDelta,
    BrainError,
    BrainEvent,
    Question,
    ToolStart,
    UsageReport,
)
from processors.brain.prompt import tools
from processors.brain.tools import FunctionTool

Ttl = Literal["5m", "1h"]

DEFAULT_MODEL = "claude-haiku-5-5"

# What a strict schema may say: the page's subset of JSON Schema.
_STRICT_KEYWORDS = frozenset(
    {
        "type", "description", "title", "properties", "required", "additionalProperties", "items",
        "enum", "const", "default", "anyOf",
    }
)  # fmt: skip
# Event types that are read. The versioning policy of the API allows it to add others.
_EVENTS = frozenset(
    {
        "message_start", "content_block_start", "content_block_delta", "content_block_stop",
        "message_delta", "message_stop",
    }
)  # fmt: skip
# Codes of a 429 that lasts until the end of the month, or until the customer contacts the vendor
# (https://platform.claude.com/docs/en/api/rate-limits, and the types of its SDK).
_LASTING_CODES = frozenset(
    {"enforced_spend_limit_reached", "contract_spend_limit_reached", "organization_on_hold"}
)
_SPENT = "usage limits"
"""Found in the message of a 400 when the organisation's own spending limit is reached."""
_TTL_SECS: Mapping[Ttl, float] = {"5m": 300.0, "1h": 3600.0}
_CONNECTIONS = 256  # one a call that decides; more calls than a process holds
_COUNT_TIMEOUT_SECS = 5.0  # of counting the prefix, at the start


class ClaudeBrain:
    """Decides turns with an Anthropic model. Serves all calls of a process.

    The tools and the system prompt form one cached prefix, shared by every turn of every call.

    Parameters:
        document: The document to answer from.
        cached_prompt: The system prompt, from :meth:`prepare`.
        api_key: The key; sent to ``base_url`` only and never logged.
        model: The model's id.
        base_url: The API's address; ``None`` for Anthropic's own.
        cache_ttl: How long the vendor keeps the prefix after each use.
        max_tokens: Longest decision, in tokens; a longer one is cut off and refused.
        connect_timeout_secs: Longest wait for a connection.
        stall_timeout_secs: Longest silence on an open stream.
        keep_alive_secs: How long a connection is kept between turns.
        registered: Tools it may call besides ``respond`` and ``escalate``.
        strict: Make the vendor enforce each tool's schema, for models that support it. If the
            vendor rejects strict tools, later requests omit the option.
    """

    def __init__(
        self,
        document: Document,
        cached_prompt: CachedPrompt,
        *,
        api_key: str,
        model: str = DEFAULT_MODEL,
        base_url: str | None = None,
        cache_ttl: Ttl = "5m",
        max_tokens: int = MAX_DECISION_TOKENS,
        connect_timeout_secs: float = 3.0,
        stall_timeout_secs: float = 10.0,
        keep_alive_secs: float = 120.0,
        registered: Sequence[FunctionTool] = (),
        strict: bool = True,
    ) -> None:
        self.cached_prompt = cached_prompt
        self.model = model
        self._max_tokens = max_tokens
        self._token_ratio = token_ratio(model)
        self._ttl_secs = _TTL_SECS[cache_ttl]
        self._tools = _tools(document, registered, strict=strict and may_be_strict(model))
        system: TextBlockParam = {"type": "text", "text": cached_prompt.text}
        if cached_prompt.cacheable:
            # The tools precede the system prompt, so a breakpoint after it covers both.
            system["cache_control"] = {"type": "ephemeral", "ttl": cache_ttl}
        self._system = [system]
        limits = httpx2.Limits(
            max_connections=_CONNECTIONS,
            max_keepalive_connections=_CONNECTIONS,
            keepalive_expiry=keep_alive_secs,  # httpx's default of 5 s ends before the next turn.
        )
        self._client = anthropic.AsyncAnthropic(
            api_key=api_key,
            base_url=base_url,
            max_retries=0,  # DecisionRun and FailoverBrain decide about retries.
            timeout=anthropic.Timeout(stall_timeout_secs, connect=connect_timeout_secs),
            http_client=anthropic.DefaultAsyncHttpxClient(limits=limits),
        )
        self._messages = self._client.messages  # Makes the SDK import it now, not during a turn.
        self._warm_until = float("-inf")
        self._warming = asyncio.Lock()

    @classmethod
    def load(
        cls,
        document: Document,
        *,
        api_key: str,
        model: str = DEFAULT_MODEL,
        base_url: str | None = None,
        registered: Sequence[FunctionTool] = (),
        strict: bool = True,
        **settings: Any,
    ) -> "ClaudeBrain":
        """Make a brain for a document. Blocks for up to seconds: the vendor counts the prefix.

        If the vendor cannot be reached or refuses the key, this is logged and the length of the
        prefix is estimated.
        """
        cached_prompt = prepare(
            document,
            api_key=api_key,
            model=model,
            base_url=base_url,
            registered=registered,
            strict=strict,
        )
        counted = "" if cached_prompt.counted else " (estimated)"
        if cached_prompt.cacheable:
            logger.info("{}: the prefix has {} tokens{}", model, cached_prompt.tokens, counted)
        else:
            logger.warning(
                "{}: the prefix has {} tokens{}, below the {} from which the model caches, even "
                "with its facts restated; caching and warm-up are off",
                model, cached_prompt.tokens, counted, cached_prompt.minimum,
            )  # fmt: skip
        return cls(
            document,
            cached_prompt,
            api_key=api_key,
            model=model,
            base_url=base_url,
            registered=registered,
            strict=strict,
            **settings,
        )

    @property
    def name(self) -> str:
        """``"claude"``."""
        return "claude"

    async def warm(self) -> Usage:
        """Put the prefix into the vendor's cache, unless it is there already.

        Runs while the greeting plays. Never raises; a failure is logged.

        Returns:
            The tokens used: none if the prefix is warm already, or too short to be cached.
        """
        if not self.cached_prompt.cacheable:
            return Usage()
        async with self._warming:
            started = asyncio.get_running_loop().time()
            # A cache entry near its end would expire during the call; a read renews it.
            if started < self._warm_until - self._ttl_secs / 2:
                return Usage()
            try:
                # max_tokens=0 only fills the cache. The API refuses it together with a forced tool
                # or a stream; neither is part of the prefix.
                message = await self._create(
                    max_tokens=0,
                    messages=[{"role": "user", "content": said_by_caller("Hello.")}],
                )
            except (anthropic.APIError, httpx2.HTTPError) as error:
                logger.warning("claude: warm-up failed: {}", _fault(error))
                return Usage()
            usage = _usage(message.usage, Usage())
            self._note_cache(usage, started)
            if not usage.cache_read_tokens + usage.cache_write_tokens:
                logger.warning(
                    "{} did not cache the prefix of {} tokens",
                    self.model,
                    self.cached_prompt.tokens,
                )
            return usage

    async def decide(self, question: Question) -> AsyncIterator[BrainEvent]:
        """Stream one tool call that answers the question.

        Until the vendor reports its count at the end, output tokens are estimated from the text
        received, so that an aborted decision is still charged.

        Raises:
            BrainError: The vendor failed, refused, or cut the decision short.
        """
        started = asyncio.get_running_loop().time()
        try:
            stream = await self._create(
                max_tokens=self._max_tokens,
                tool_choice={"type": "any", "disable_parallel_tool_use": True},
                messages=_conversation(question),
                stream=True,
            )
        except (anthropic.APIError, httpx2.HTTPError) as error:
            raise _fault(error) from None
        try:
            async with aclosing(self._read(stream, started)) as events:
                async for event in events:
                    yield event
        except (anthropic.APIError, httpx2.HTTPError) as error:
            raise _fault(error) from None
        except (ValueError, AttributeError, TypeError) as error:
            raise BrainError(
                f"claude sent an invalid message stream ({type(error).__name__})"
            ) from None
        finally:
            await stream.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def _create(self, **request: Any) -> Any:
        """Send a request; if the vendor rejects it, send it once more without strict tools.

        The documentation does not say whether ``strict`` and ``eager_input_streaming`` may be
        combined, and a document with very many sections may exceed the vendor's limits for a
        grammar. Without the second attempt, every request would then fail.
        """
        fixed: dict[str, Any] = {"model": self.model, "system": self._system}
        offered = self._tools
        try:
            return await self._messages.create(tools=offered, **fixed, **request)
        except anthropic.BadRequestError as error:
            if _SPENT in error.message or not any(tool.get("strict") for tool in offered):
                raise
            if self._tools is offered:  # Otherwise another call has dropped it already.
                logger.warning(
                    "{} rejects strict tools, continuing without: {}", self.model, _fault(error)
                )
                self._tools = [
                    cast(
                        ToolParam, {name: field for name, field in tool.items() if name != "strict"}
                    )
                    for tool in offered
                ]
        return await self._messages.create(tools=self._tools, **fixed, **request)

    async def _read(
        self, stream: anthropic.AsyncStream[Any], started: float
    ) -> AsyncGenerator[BrainEvent, None]:
        usage, chars, outside, stopped, whole = Usage(), 0, 0, "", False
        async for event in stream:
            if event.type not in _EVENTS:
                continue  # The SDK parses an unknown type as one of the known ones.
            match event:
                case RawMessageStartEvent(message=message):
                    usage = _usage(message.usage, usage)
                    self._note_cache(usage, started)
                    yield UsageReport(usage)
                case RawContentBlockStartEvent(content_block=ToolUseBlock(name=name)):
                    yield ToolStart(name)
                case RawContentBlockDeltaEvent(delta=InputJSONDelta(partial_json=piece)):
                    if piece:  # The first piece is always empty.
                        chars += len(piece)
                        written = math.ceil(estimated_tokens(chars) * self._token_ratio)
                        yield UsageReport(_at_least(usage, written))
                        yield ArgumentsDelta(piece)
                case RawContentBlockDeltaEvent(delta=delta):
                    outside += len(getattr(delta, "text", ""))
                case RawMessageDeltaEvent():
                    usage = _usage(event.usage, usage)
                    stopped = event.delta.stop_reason or ""
                    yield UsageReport(usage)
                case RawMessageStopEvent():
                    if outside:
                        logger.warning("claude wrote {} characters outside the tool call", outside)
                    if stopped in ("max_tokens", "refusal", "model_context_window_exceeded"):
                        raise BrainError(
                            f"claude stopped before its decision was complete: {stopped}"
                        )
                    whole = True  # Reads on to the end, so that the connection can be reused.
                case _:
                    pass  # The versioning policy of the API allows new ones.
        if not whole:
            raise BrainError("claude's stream ended before its message did")

    def _note_cache(self, usage: Usage, started: float) -> None:
        """Note until when the prefix stays cached: each use renews it, counted from its start."""
        if usage.cache_read_tokens or usage.cache_write_tokens:
            self._warm_until = started + self._ttl_secs


def prepare(
    document: Document,
    *,
    api_key: str,
    model: str = DEFAULT_MODEL,
    base_url: str | None = None,
    registered: Sequence[FunctionTool] = (),
    strict: bool = True,
) -> CachedPrompt:
    """Build the prefix for a document. Blocks: the vendor counts it if it can be reached."""
    offered = _tools(document, registered, strict=strict and may_be_strict(model))
    around = sum(len(str(tool)) for tool in offered)

    def estimate(system: str) -> int:
        return estimated_tokens(len(system) + around, low=True)

    def count(system: str) -> int:
        counted = client.messages.count_tokens(
            model=model,
            system=[{"type": "text", "text": system}],
            tools=offered,
            messages=[{"role": "user", "content": "."}],
        )
        return counted.input_tokens

    minimum = minimum_tokens(model)
    with anthropic.Anthropic(
        api_key=api_key, base_url=base_url, max_retries=0, timeout=_COUNT_TIMEOUT_SECS
    ) as client:
        try:
            return build(document, minimum=minimum, count=count, registered=registered)
        except (anthropic.APIError, httpx2.HTTPError) as error:
            logger.warning("claude: the prefix could not be counted: {}", _fault(error))
    return build(document, minimum=minimum, count=estimate, counted=False, registered=registered)


def _tools(
    document: Document, registered: Sequence[FunctionTool], *, strict: bool
) -> list[ToolParam]:
    offered: list[ToolParam] = []
    for tool in tools(document, registered):
        param: ToolParam = {
            "name": tool["name"],
            "description": tool["description"],
            "input_schema": tool["parameters"],
            # Without it the vendor withholds each value until it is complete.
            "eager_input_streaming": True,
        }
        if strict and _can_be_strict(tool["parameters"]):
            # Documented for use with a forced tool, against arguments of the wrong shape:
            # https://platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools
            param["strict"] = True
        offered.append(param)
    return offered


def _can_be_strict(schema: Any) -> bool:
    """Whether a schema stays within the subset of JSON Schema that strict tools support."""
    if not isinstance(schema, Mapping) or not schema.keys() <= _STRICT_KEYWORDS:
        return False
    if schema.get("type") == "object":
        if schema.get("additionalProperties") is not False:
            return False
        if not all(map(_can_be_strict, schema.get("properties", {}).values())):
            return False
    if "items" in schema and not _can_be_strict(schema["items"]):
        return False
    return all(map(_can_be_strict, schema.get("anyOf", ())))


def _conversation(question: Question) -> list[MessageParam]:
    told: list[dict[str, Any]] = [
        {"role": role, "content": text} for role, text in messages(question)
    ]
    for number, call in enumerate(question.calls, start=1):
        id = f"call_{number}"
        made = {"type": "tool_use", "id": id, "name": call.tool, "input": _object(call.arguments)}
        given = {"type": "tool_result", "tool_use_id": id, "content": call.result}
        told.append({"role": "assistant", "content": [made]})
        told.append({"role": "user", "content": [given | {"is_error": not call.ok}]})
    return cast(list[MessageParam], told)


def _object(arguments: str) -> dict[str, Any]:
    """The arguments of a call as an object: the vendor accepts nothing else in a history."""
    try:
        given = json.loads(arguments)
    except ValueError:
        return {}
    return given if isinstance(given, dict) else {}


def _usage(reported: Any, before: Usage) -> Usage:
    """The counts of a report. Missing ones keep their earlier value; invalid ones become -1."""

    def counted(name: str, otherwise: int) -> int:
        value = getattr(reported, name, None)
        if value is None:
            return otherwise
        return value if isinstance(value, int) else -1  # The SDK does not validate it.

    return Usage(
        input_tokens=counted("input_tokens", before.input_tokens),
        output_tokens=counted("output_tokens", before.output_tokens),
        cache_read_tokens=counted("cache_read_input_tokens", before.cache_read_tokens),
        cache_write_tokens=counted("cache_creation_input_tokens", before.cache_write_tokens),
    )


def _at_least(usage: Usage, output_tokens: int) -> Usage:
    return Usage(
        input_tokens=usage.input_tokens,
        output_tokens=max(usage.output_tokens, output_tokens),
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
    )


def _fault(error: Exception) -> BrainError:
    if isinstance(error, anthropic.APIStatusError):
        return vendor_fault.of_status(
            "claude",
            error.status_code,
            error.response.headers,
            kind=error.type or "",
            message=error.api_message or "",
            lasting=error.error_code in _LASTING_CODES,
        )
    timed_out = isinstance(error, (anthropic.APITimeoutError, httpx2.TimeoutException))
    return BrainError(
        "claude did not answer in time" if timed_out else "claude could not be reached"
    )
