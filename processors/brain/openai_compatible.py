"""The brain for any endpoint with OpenAI's chat completions: one forced tool call a decision.

Ollama, vLLM, Groq, OpenRouter and others accept different parameters. Once an endpoint rejects one,
later requests omit it. See https://platform.openai.com/docs/api-reference/chat.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, cast

import httpx2
import openai
from loguru import logger
from openai.types.chat import ChatCompletionChunk, ChatCompletionFunctionToolParam

from conversation.frames import Usage
from knowledge.loading.document import Document
from processors.brain import vendor_fault
from processors.brain.cached_prompt import estimated_tokens, messages, prompt
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

_CONNECTIONS = 256
_REJECTED = (400, 404, 422, 501)  # Statuses with which endpoints reject unknown parameters.


@dataclass(frozen=True, slots=True)
class Dialect:
    """Which parameters an endpoint accepts.

    Parameters:
        forces: Accepts ``tool_choice="required"``; otherwise ``auto`` is sent, and only the prompt
            asks for a tool call.
        parallel: Accepts ``parallel_tool_calls``.
        counts: Accepts ``stream_options``, without which most endpoints report no usage.
        limit: Its name for the parameter that limits the completion.
    """

    forces: bool = True
    parallel: bool = True
    counts: bool = True
    limit: str = "max_tokens"

    def without(self, complaint: str) -> "Dialect | None":
        """The dialect to try after an error message; ``None`` if nothing is left to omit."""
        said = complaint.lower()
        fields = {"forces": self.forces, "parallel": self.parallel, "counts": self.counts}
        named = {
            "forces": "tool_choice" in said or "required" in said,
            "parallel": "parallel_tool_calls" in said,
            "counts": "stream_options" in said,
        }
        if "max_completion_tokens" in said and self.limit == "max_tokens":
            return Dialect(**fields, limit="max_completion_tokens")
        dropped = {field for field, kept in fields.items() if kept and named[field]}
        if not dropped:
            # The message names none: omit all that is optional, then the forced tool as well.
            dropped = {field for field in ("parallel", "counts") if fields[field]} or (
                {"forces"} if self.forces else set()
            )
        if not dropped:
            return None
        kept = {field: value and field not in dropped for field, value in fields.items()}
        return Dialect(**kept, limit=self.limit)


class OpenAICompatibleBrain:
    """Decides turns with a model behind chat completions. Serves all calls of a process.

    Parameters:
        document: The document to answer from.
        base_url: The API's address with its version, such as ``"http://localhost:11434/v1"``.
        model: The model's id.
        api_key: The key, if the endpoint requires one; sent to ``base_url`` only.
        name: The brain's name in the settings and in decisions.
        max_tokens: Longest decision, in tokens; a longer one is cut off and refused.
        connect_timeout_secs: Longest wait for a connection.
        stall_timeout_secs: Longest silence on an open stream.
        keep_alive_secs: How long a connection is kept between turns.
        registered: Tools it may call besides ``respond`` and ``escalate``.
    """

    def __init__(
        self,
        document: Document,
        *,
        base_url: str,
        model: str,
        api_key: str | None = None,
        name: str = "openai",
        max_tokens: int = MAX_DECISION_TOKENS,
        connect_timeout_secs: float = 3.0,
        stall_timeout_secs: float = 10.0,
        keep_alive_secs: float = 120.0,
        registered: Sequence[FunctionTool] = (),
    ) -> None:
        self.name = name
        self.model = model
        self.dialect = Dialect()
        self._max_tokens = max_tokens
        self._system = prompt(document, registered)
        self._tools = [
            cast(ChatCompletionFunctionToolParam, {"type": "function", "function": tool})
            for tool in tools(document, registered)
        ]
        limits = httpx2.Limits(
            max_connections=_CONNECTIONS,
            max_keepalive_connections=_CONNECTIONS,
            keepalive_expiry=keep_alive_secs,  # httpx's default of 5 s ends before the next turn.
        )
        self._headers = {} if api_key else {"Authorization": openai.Omit()}
        self._client = openai.AsyncOpenAI(
            # Never None: the SDK would send OpenAI's key from the environment to any endpoint.
            api_key=api_key or "none",
            base_url=base_url,
            max_retries=0,  # DecisionRun and FailoverBrain decide about retries.
            timeout=openai.Timeout(stall_timeout_secs, connect=connect_timeout_secs),
            http_client=openai.DefaultAsyncHttpxClient(limits=limits),
        )
        self._completions = self._client.chat.completions  # Makes the SDK import it now.

    async def warm(self) -> Usage:
        """Open the connection for the first turn. Never raises; a failure is logged."""
        try:
            await self._client.models.list(extra_headers=self._headers)
        except (openai.APIError, httpx2.HTTPError) as error:
            logger.warning("{}: warm-up failed: {}", self.name, self._fault(error))
        return Usage()

    async def decide(self, question: Question) -> AsyncIterator[BrainEvent]:
        """Stream one tool call that answers the question.

        Output tokens are estimated from the text received until the endpoint reports its count.

        Raises:
            BrainError: The vendor failed, refused, or cut the decision short.
        """
        stream = await self._ask(question)
        try:
            async with aclosing(self._read(stream)) as events:
                async for event in events:
                    yield event
        except (openai.APIError, httpx2.HTTPError) as error:
            raise self._fault(error) from None
        except (ValueError, AttributeError, TypeError, IndexError) as error:
            raise BrainError(
                f"{self.name} sent an invalid stream ({type(error).__name__})"
            ) from None
        finally:
            await stream.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def _ask(self, question: Question) -> openai.AsyncStream[ChatCompletionChunk]:
        """Open the stream, omitting one after another the parameters that the endpoint rejects."""
        asked: list[dict[str, Any]] = [{"role": "system", "content": self._system}]
        asked += [{"role": role, "content": text} for role, text in messages(question)]
        for number, call in enumerate(question.calls, start=1):
            id, function = f"call_{number}", {"name": call.tool, "arguments": call.arguments}
            made = {"id": id, "type": "function", "function": function}
            asked.append({"role": "assistant", "content": None, "tool_calls": [made]})
            asked.append({"role": "tool", "tool_call_id": id, "content": call.result})
        dialect = self.dialect
        while True:
            try:
                stream = await self._completions.create(
                    model=self.model,
                    messages=cast(Any, asked),
                    tools=self._tools,
                    tool_choice="required" if dialect.forces else "auto",
                    stream=True,
                    extra_body=self._optional(dialect),
                    extra_headers=self._headers,
                )
            except (openai.APIError, httpx2.HTTPError) as error:
                status = error.status_code if isinstance(error, openai.APIStatusError) else 0
                unknown_model = status == 404 and "model" in str(error).lower()
                next_one = dialect.without(str(error)) if status in _REJECTED else None
                if next_one is None or unknown_model:
                    raise self._fault(error) from None
                dialect = next_one
                continue
            if dialect != self.dialect:
                logger.info("{} accepts requests as {}", self.name, dialect)
                self.dialect = dialect
            return stream

    def _optional(self, dialect: Dialect) -> dict[str, Any]:
        optional: dict[str, Any] = {dialect.limit: self._max_tokens}
        if dialect.parallel:
            optional["parallel_tool_calls"] = False
        if dialect.counts:
            optional["stream_options"] = {"include_usage": True}
        return optional

    async def _read(
        self, stream: openai.AsyncStream[ChatCompletionChunk]
    ) -> AsyncGenerator[BrainEvent, None]:
        call: tuple[int, str] | None = None
        counted: Usage | None = None
        chars, outside, finished = 0, 0, ""
        async for chunk in stream:
            if chunk.usage is not None:
                counted = _usage(chunk.usage)
                yield UsageReport(counted)
            for choice in chunk.choices or ():
                outside += len(choice.delta.content or "") + len(choice.delta.refusal or "")
                for part in choice.delta.tool_calls or ():
                    function = part.function
                    if function is None:
                        continue
                    # Some endpoints give a second call the same index, others give pieces no id.
                    begun = call is None or part.index != call[0]
                    if begun or (part.id and call is not None and part.id != call[1]):
                        call = (part.index, part.id or "")
                        yield ToolStart(function.name or "")
                    if function.arguments:
                        chars += len(function.arguments)
                        if counted is None:
                            yield UsageReport(Usage(output_tokens=estimated_tokens(chars)))
                        yield ArgumentsDelta(function.arguments)
                finished = choice.finish_reason or finished
        if outside:
            logger.warning("{} wrote {} characters outside the tool call", self.name, outside)
        if finished in ("length", "content_filter"):
            raise BrainError(f"{self.name} stopped before its decision was complete: {finished}")
        if not finished:
            raise BrainError(f"{self.name}'s stream ended before its message did")

    def _fault(self, error: Exception) -> BrainError:
        if isinstance(error, openai.APIStatusError):
            return vendor_fault.of_status(
                self.name,
                error.status_code,
                error.response.headers,
                kind=error.type or "",
                message=str(getattr(error.body, "get", lambda _: "")("message") or ""),
            )
        if isinstance(error, (openai.APITimeoutError, httpx2.TimeoutException)):
            return BrainError(f"{self.name} did not answer in time")
        if isinstance(error, openai.APIError) and not isinstance(error, openai.APIConnectionError):
            return BrainError(f"{self.name} ended its stream with an error")
        return BrainError(f"{self.name} could not be reached")


def _usage(reported: Any) -> Usage:
    """The counts of a report. Invalid ones become -1, since the SDK does not validate them."""
    details = reported.prompt_tokens_details
    counts = [(getattr(details, "cached_tokens", 0) or 0)]
    counts += [reported.prompt_tokens or 0, reported.completion_tokens or 0]
    cached, given, written = (count if isinstance(count, int) else -1 for count in counts)
    return Usage(
        input_tokens=given if min(cached, given) < 0 else given - cached,
        output_tokens=written,
        cache_read_tokens=cached,
    )
