"""The brain for any endpoint with OpenAI's chat completions: one forced tool call a decision.

Ollama, vLLM, Groq, OpenRouter and others differ in which parameters they accept. What an endpoint
rejects is left out from then on. See https://platform.openai.com/docs/api-reference/chat. Models
differ in how they write a call: :mod:`processors.brain.repair` reads it. Where tools fail, the call
is asked for as JSON in the text, by a schema if the endpoint takes one.
"""

import asyncio
import json
import os
import re
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, cast, get_args

import httpx2
import openai
from loguru import logger
from openai.types.chat import ChatCompletionChunk, ChatCompletionFunctionToolParam

from conversation.frames import Usage
from knowledge.loading.document import Document
from models.replacement import replace as replace_file
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
from processors.brain.prompt import call_as_text, call_schema, tools
from processors.brain.repair import ModelReply
from processors.brain.tool_call import ToolCallError, ToolCallStream
from processors.brain.tools import FunctionTool

Form = Literal["tools", "schema", "object", "text"]
"""How a call is requested: by tools, as JSON by a schema, as any JSON, or by the prompt alone."""

FORMS: tuple[Form, ...] = get_args(Form)

PROBE_SECS = 90.0
"""Longest wait for a probe: a local server may have to load the model, and read the document."""

_CONNECTIONS = 256
_REJECTED = (400, 404, 422, 501)  # Statuses with which endpoints reject unknown parameters.
# And a model or a template without tools, or a server without grammars: llama.cpp with a 500.
_ABOUT_FORM = re.compile(r"tool|function|jinja|template|response_format|schema|grammar|json")
_REMEMBERED_TURNS, _TOO_MANY_COMPLAINTS = 8, 2
_MOST_BODY = 1024**2  # of a reply that is not streamed, in bytes
_MOST_BLANK = 200  # characters in a row, more than any indentation: it would go on to its limit


@dataclass(frozen=True, slots=True)
class Dialect:
    """Which parameters an endpoint accepts.

    Parameters:
        form: How a call is requested.
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
    form: Form = "tools"

    def after(self, error: openai.APIStatusError) -> "Dialect | None":
        """The dialect to try after an endpoint's refusal; ``None`` if it was of something else."""
        said = str(error)
        if _is_page(error) or (error.status_code == 404 and "model" in said.lower()):
            return None  # There is no such model.
        if error.status_code == 500 and _ABOUT_FORM.search(said.lower()):
            return self.plainer
        return self.without(said) if error.status_code in _REJECTED else None

    def without(self, complaint: str) -> "Dialect | None":
        """The dialect to try after an error message; ``None`` if nothing is left to omit."""
        said = complaint.lower()
        fields = {"parallel": self.parallel, "counts": self.counts}
        if self.form == "tools":
            fields["forces"] = self.forces
        else:
            fields["parallel"] = False  # It is not sent.
        named = {
            "forces": "tool_choice" in said or "required" in said,
            "parallel": "parallel_tool_calls" in said,
            "counts": "stream_options" in said,
        }
        if "max_completion_tokens" in said and self.limit == "max_tokens":
            return replace(self, limit="max_completion_tokens")
        dropped = {field for field, kept in fields.items() if kept and named[field]}
        about_form = _ABOUT_FORM.search(said) is not None
        if not dropped and not about_form:
            # The message names none: omit all that is optional, then the forced tool as well.
            dropped = {field for field in ("parallel", "counts") if fields[field]} or (
                {"forces"} if fields.get("forces") else set()
            )
        if dropped:
            left = {field: value and field not in dropped for field, value in fields.items()}
            return replace(self, **cast(Any, left))
        return self.plainer if about_form else None

    @property
    def refused(self) -> tuple[str, ...]:
        """The parameters that are left out, by their names on the wire."""
        kept = {
            "parallel_tool_calls": self.parallel,
            "stream_options": self.counts,
            "max_tokens": self.limit == "max_tokens",
        }
        if self.form == "tools":
            kept["tool_choice: required"] = self.forces
        return tuple(name for name, sent in kept.items() if not sent)

    @property
    def plainer(self) -> "Dialect | None":
        """The same with the next form of request; ``None`` after the last one."""
        at = FORMS.index(self.form) + 1
        return replace(self, form=FORMS[at]) if at < len(FORMS) else None


class Dialects:
    """What was found out about models, in a file, by their address and name.

    Parameters:
        path: The file; what cannot be read in it counts as not found.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, base_url: str, model: str) -> Dialect | None:
        """What was found out about a model; ``None`` if nothing was."""
        known = self._all().get(_key(base_url, model))
        if not isinstance(known, dict) or known.keys() != {f.name for f in fields(Dialect)}:
            return None
        flags = (known[name] for name in ("forces", "parallel", "counts"))
        limits = ("max_tokens", "max_completion_tokens")
        if not all(isinstance(flag, bool) for flag in flags):
            return None
        if known["form"] not in FORMS or known["limit"] not in limits:
            return None
        return Dialect(**known)

    def write(self, base_url: str, model: str, dialect: Dialect) -> None:
        """Keep what was found out; a file that cannot be written is logged."""
        kept = {**self._all(), _key(base_url, model): asdict(dialect)}
        part = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(
                os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w"
            ) as file:
                json.dump(kept, file, indent=1, sort_keys=True)
            replace_file(part, self._path)
        except OSError as error:
            with suppress(OSError):
                part.unlink()
            logger.warning("{} cannot be written: {}", self._path, error.strerror or error)

    def _all(self) -> dict[str, Any]:
        try:
            kept = json.loads(self._path.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return kept if isinstance(kept, dict) else {}


def _key(base_url: str, model: str) -> str:
    return f"{base_url.rstrip('/')} {model}"


class _CutError(BrainError):
    """The model was stopped within its reply."""


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
        probes: Whether the first warm-up asks a question, to find out how the model makes calls.
        found: Where it is kept what was found out, so that the next start begins with it.
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
        probes: bool = False,
        found: Dialects | None = None,
    ) -> None:
        self.name = name
        self.model = model
        self._base_url = base_url
        self._found = found
        self.dialect = (found.read(base_url, model) if found else None) or Dialect()
        self._document = document
        self._registered = tuple(registered)
        self._probes = probes
        self._complaints: deque[bool] = deque(maxlen=_REMEMBERED_TURNS)
        self._second: Dialect | None = None  # What took the last second attempt.
        self._max_tokens = max_tokens
        self._stall_secs, self._connect_secs = stall_timeout_secs, connect_timeout_secs
        self._system = prompt(document, registered)
        self._as_text = f"{self._system}\n{call_as_text(document, registered)}"
        self._schema = call_schema(document, registered)
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
        """Open the connection for the first turn. Never raises; a failure is logged.

        With ``probes``, the first one asks the model a question, so that the endpoint loads it and
        reads the document.
        """
        try:
            await self._client.models.list(extra_headers=self._headers)
        except (openai.APIError, httpx2.HTTPError) as error:
            logger.warning("{}: warm-up failed: {}", self.name, self._fault(error))
            return Usage()
        if not self._probes:
            return Usage()
        self._probes = False
        try:
            async with asyncio.timeout(PROBE_SECS):
                return await self.probe()
        except TimeoutError:
            logger.warning("{} gave no whole answer within {:g} s", self.name, PROBE_SECS)
        except BrainError as error:
            logger.warning("{} was not probed: {}", self.name, error)
        except asyncio.CancelledError:
            self._probes = True  # The call was over first: the next one finds it out.
            raise
        return Usage()

    async def probe_anew(self) -> Usage:
        """Find it out again from the first form on, whatever was found before.

        Raises:
            BrainError: The endpoint failed.
        """
        self.dialect = Dialect()
        return await self.probe()

    async def probe(self) -> Usage:
        """Find out in which form this model makes a call, by asking it a question.

        It is asked in the present form first, and then in plainer ones.

        Raises:
            BrainError: The endpoint failed.
        """
        asked = [text for section in self._document.sections for text in section.questions]
        question = Question(asked[0] if asked else f"What is {self._document.title}?")
        dialect: Dialect | None = self.dialect
        used = Usage()
        while dialect is not None:
            self.dialect, call, reported = dialect, _ProbedCall(), Usage()
            try:
                async for event in self._decide(question, stall_secs=PROBE_SECS):
                    call.take(event)
                    reported = event.usage if isinstance(event, UsageReport) else reported
            except _CutError:
                pass  # In another form it may come to an end.
            used += reported
            if call.whole:
                logger.info(
                    "{}: {} makes its calls {}", self.name, self.model, _MEANS[dialect.form]
                )
                self._keep()
                return used
            dialect = self.dialect.plainer
        self.dialect = replace(self.dialect, form="tools")
        logger.warning("{}: {} makes no call, in whatever form it is asked", self.name, self.model)
        return used

    def decide(self, question: Question) -> AsyncIterator[BrainEvent]:
        """Stream one tool call that answers the question.

        Output tokens are estimated from the text received until the endpoint reports its count.

        Raises:
            BrainError: The vendor failed, refused, or cut the decision short.
        """
        return self._decide(question, stall_secs=self._stall_secs)

    async def _decide(
        self, question: Question, *, stall_secs: float
    ) -> AsyncGenerator[BrainEvent, None]:
        dialect = self._dialect_for(question)
        stream, dialect = await self._ask(question, dialect, stall_secs)
        reply = ModelReply(self._document, self._registered, in_text=dialect.form != "tools")
        try:
            kind = stream.response.headers.get("content-type", "")
            if "html" in kind:
                raise BrainError(
                    f"{self.name} answered with a web page (does its address end in /v1?)",
                    permanent=True,
                )
            chunks = self._unstreamed(stream, reply) if "json" in kind else _streamed(stream)
            async with aclosing(self._read(chunks, reply)) as events:
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

    def _dialect_for(self, question: Question) -> Dialect:
        """The dialect of a request: plainer for a second attempt, and after several for all."""
        self._complaints.append(bool(question.complaint))
        if not question.complaint or self.dialect.form != "tools":
            return self.dialect
        second = self._second or self.dialect.plainer or self.dialect
        if sum(self._complaints) >= _TOO_MANY_COMPLAINTS:
            self._remember(second)
        return second

    def _remember(self, dialect: Dialect) -> None:
        if dialect != self.dialect:
            logger.info("{} accepts requests as {}", self.name, dialect)
            self.dialect = dialect

    def _keep(self) -> None:
        if self._found is not None:
            self._found.write(self._base_url, self.model, self.dialect)

    async def _ask(
        self, question: Question, dialect: Dialect, stall_secs: float
    ) -> tuple[openai.AsyncStream[ChatCompletionChunk], Dialect]:
        """Open the stream, omitting one after another the parameters that the endpoint rejects."""
        usual = dialect == self.dialect
        while True:
            by_tools: dict[str, Any] = {}
            if dialect.form == "tools":
                by_tools["tools"] = self._tools
                by_tools["tool_choice"] = "required" if dialect.forces else "auto"
            try:
                stream = await self._completions.create(
                    model=self.model,
                    messages=cast(Any, self._messages(question, dialect)),
                    stream=True,
                    extra_body=self._optional(dialect),
                    extra_headers=self._headers,
                    timeout=openai.Timeout(stall_secs, connect=self._connect_secs),
                    **by_tools,
                )
            except (openai.APIError, httpx2.HTTPError) as error:
                status = error if isinstance(error, openai.APIStatusError) else None
                next_one = dialect.after(status) if status is not None else None
                if next_one is None:
                    raise self._fault(error) from None
                dialect = next_one
                continue
            if usual:
                self._remember(dialect)
            else:
                self._second = dialect
            return stream, dialect

    def _messages(self, question: Question, dialect: Dialect) -> list[dict[str, Any]]:
        by_tools = dialect.form == "tools"
        told: list[dict[str, Any]] = [
            {"role": "system", "content": self._system if by_tools else self._as_text}
        ]
        told += [{"role": role, "content": text} for role, text in messages(question)]
        for number, call in enumerate(question.calls, start=1):
            if by_tools:
                id, function = f"call_{number}", {"name": call.tool, "arguments": call.arguments}
                made = {"id": id, "type": "function", "function": function}
                told.append({"role": "assistant", "content": None, "tool_calls": [made]})
                told.append({"role": "tool", "tool_call_id": id, "content": call.result})
            else:
                written = json.dumps({"call": {"name": call.tool, "arguments": call.arguments}})
                told.append({"role": "assistant", "content": written})
                told.append({"role": "user", "content": f"[{call.tool} gave: {call.result}]"})
        return told

    def _optional(self, dialect: Dialect) -> dict[str, Any]:
        optional: dict[str, Any] = {dialect.limit: self._max_tokens}
        if dialect.parallel and dialect.form == "tools":
            optional["parallel_tool_calls"] = False
        if dialect.counts:
            optional["stream_options"] = {"include_usage": True}
        if dialect.form == "schema":
            schema = {"name": "decision", "strict": True, "schema": self._schema}
            optional["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif dialect.form == "object":
            optional["response_format"] = {"type": "json_object"}
        return optional

    async def _unstreamed(
        self, stream: openai.AsyncStream[ChatCompletionChunk], reply: ModelReply
    ) -> AsyncGenerator[Any, None]:
        """The one message of an endpoint that does not stream."""
        body = b""
        async for piece in stream.response.aiter_bytes():
            body += piece
            if len(body) > _MOST_BODY:
                raise BrainError(f"{self.name} sent over {_MOST_BODY:,} bytes at once")
        message = json.loads(body)
        if not isinstance(message, Mapping) or not message.get("choices"):
            told = message.get("error") if isinstance(message, Mapping) else None
            raise BrainError(f"{self.name} sent no answer{f': {told}'[:200] if told else ''}")
        reply.note("unstreamed")
        yield message

    async def _read(
        self, chunks: AsyncGenerator[Any, None], reply: ModelReply
    ) -> AsyncGenerator[BrainEvent, None]:
        counted: Usage | None = None
        chars, blank, finished = 0, 0, ""
        async for chunk in chunks:
            if blank > _MOST_BLANK:
                if not reply.whole:
                    raise _CutError(f"{self.name} wrote nothing but blanks")
                break
            if (used := _of(chunk, "usage")) is not None:
                counted = _usage(used)
                yield UsageReport(counted)
            for choice in _of(chunk, "choices") or ():
                delta = _of(choice, "delta") or _of(choice, "message")
                text = _text(_of(delta, "content"))
                blank = 0 if text.strip() else blank + len(text)
                events = reply.text(text)
                for part in _calls(delta):
                    function = _of(part, "function")
                    events += reply.call(
                        _of(part, "index"),
                        str(_of(part, "id") or ""),
                        str(_of(function, "name") or ""),
                        _of(function, "arguments"),
                    )
                for event in events:
                    if isinstance(event, ArgumentsDelta):
                        chars += len(event.json)
                        if counted is None:
                            yield UsageReport(Usage(output_tokens=estimated_tokens(chars)))
                    yield event
                finished = str(_of(choice, "finish_reason") or finished)
        if finished in ("length", "content_filter"):
            raise _CutError(f"{self.name} stopped before its decision was complete: {finished}")
        if not finished:
            if not reply.whole:
                raise BrainError(f"{self.name}'s stream ended before its message did")
            reply.note("unended")
        for event in reply.close():
            yield event
        if counted is None:
            written = max(chars, reply.text_chars)
            yield UsageReport(Usage(output_tokens=estimated_tokens(written)))

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


_MEANS: Mapping[Form, str] = {
    "tools": "by tools",
    "schema": "as JSON in its text, by a schema",
    "object": "as JSON in its text",
    "text": "in its text, without help of the endpoint",
}


class _ProbedCall:
    """Checks that a model streams one complete call of Viva's own."""

    def __init__(self) -> None:
        self._stream: ToolCallStream | None = None
        self._failed = False

    @property
    def whole(self) -> bool:
        return self._stream is not None and self._stream.complete and not self._failed

    def take(self, event: BrainEvent) -> None:
        """Take an event."""
        try:
            if isinstance(event, ToolStart):
                self._failed = self._failed or self._stream is not None
                self._failed = self._failed or event.name not in ("respond", "escalate")
                self._stream = ToolCallStream("escalate" if event.name == "escalate" else "respond")
            elif isinstance(event, ArgumentsDelta) and self._stream is not None:
                self._stream.feed(event.json)
        except ToolCallError:
            self._failed = True


async def _streamed(
    stream: openai.AsyncStream[ChatCompletionChunk],
) -> AsyncGenerator[Any, None]:
    async for chunk in stream:
        yield chunk


def _is_page(error: openai.APIStatusError) -> bool:
    return "html" in error.response.headers.get("content-type", "")


def _of(value: Any, name: str) -> Any:
    """A field of an endpoint's object, which the SDK does not validate; ``None`` if absent."""
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


def _text(content: Any) -> str:
    """A message's text; some endpoints give it in parts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "".join(str(_of(part, "text") or "") for part in content)


def _calls(delta: Any) -> list[Any]:
    """The pieces of calls in a message, the older ``function_call`` included."""
    calls = _of(delta, "tool_calls")
    found = [calls] if isinstance(calls, Mapping) else list(calls or ())
    if not found and (function := _of(delta, "function_call")) is not None:
        return [{"index": 0, "function": function}]
    return found


def _usage(reported: Any) -> Usage:
    """The counts of a report; -1 for an invalid one, since the SDK does not validate them."""
    details = _of(reported, "prompt_tokens_details")
    counts = [_of(details, "cached_tokens") or 0]
    counts += [_of(reported, "prompt_tokens") or 0, _of(reported, "completion_tokens") or 0]
    cached, given, written = (count if isinstance(count, int) else -1 for count in counts)
    return Usage(
        input_tokens=given if min(cached, given) < 0 else given - cached,
        output_tokens=written,
        cache_read_tokens=cached,
    )
