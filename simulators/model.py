"""What the simulated language models share: scripted or brain-made replies, latency and faults.

A reply can be late, break off or be refused: on one request or on all, before the answer or at a
point within it.
"""

import asyncio
import dataclasses
import html
import json
import math
import random
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web
from multidict import CIMultiDictProxy

from conversation.frames import Exchange
from processors.brain.contract import ArgumentsDelta, Brain, Question, ToolStart
from simulators.listener import Listener

SECRET_HEADERS = frozenset({"authorization", "x-api-key", "api-key", "cookie"})


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of a model.

    Parameters:
        tool: The tool that it calls; empty for text alone.
        arguments: The call's arguments; a string is sent unchanged, valid JSON or not.
        text: Text before the call, or instead of one.
        also: A further call in the same answer.
        stop: The vendor's stop reason, if not the usual one.
    """

    tool: str = "respond"
    arguments: Mapping[str, Any] | str = field(default_factory=dict)
    text: str = ""
    also: "Reply | None" = None
    stop: str = ""

    @property
    def json(self) -> str:
        """The arguments as JSON, in the form that is streamed."""
        if isinstance(self.arguments, str):
            return self.arguments
        return json.dumps(self.arguments, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Latency:
    """A log-normal distribution of waiting times.

    Parameters:
        median_secs: The median.
        spread: Standard deviation of the wait's logarithm; 0 always gives the median.
    """

    median_secs: float = 0.0
    spread: float = 0.0

    def draw(self, chance: random.Random) -> float:
        """Draw a waiting time, in seconds."""
        return self.median_secs * math.exp(chance.gauss(0.0, self.spread))


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong.

    Parameters:
        kind: ``status`` refuses the request; ``drop`` drops the connection; ``stall`` pauses the
            stream; ``garbage`` sends a malformed event and ends it; ``error`` sends the vendor's
            error event; ``eof`` ends the stream early, without an error.
        request: The request's number, from 0; ``None`` for every request.
        after_chars: Characters of the arguments sent before it; ``None`` for before the answer.
        status: The HTTP status of ``status``.
        retry_after: The ``retry-after`` header of ``status``.
        stall_secs: How long a ``stall`` lasts before the answer goes on.
    """

    kind: Literal["status", "drop", "stall", "garbage", "error", "eof"]
    request: int | None = None
    after_chars: int | None = None
    status: int = 500
    retry_after: str = ""
    stall_secs: float = 3600.0


@dataclass
class Request:
    """One request as received.

    Parameters:
        path: The path.
        query: The query parameters.
        headers: The headers, names in lower case, secrets masked.
        body: The JSON body.
        at: When it arrived, on the event loop's clock.
        sent: What was sent, each with its time: names of events, or for example ``"status 429"``.
        ended: ``"finished"``, ``"aborted"`` (by the client) or a fault's kind; empty while it runs.
        ended_at: When it ended.
    """

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: dict[str, Any]
    at: float
    sent: list[tuple[float, str]] = field(default_factory=list)
    ended: str = ""
    ended_at: float = 0.0

    def when(self, event: str) -> float:
        """When an event was first sent, on the event loop's clock."""
        return next(at for at, name in self.sent if name == event)


class DroppedError(Exception):
    """A fault dropped the connection."""


class EndedError(Exception):
    """A fault ended the stream early."""


@dataclass
class Model:
    """The behaviour of a simulated model.

    Parameters:
        script: Its answers, one per request; the last one repeats.
        brain: A brain that answers instead of the script.
        first_token: The delay from the request to the first token.
        tokens_per_sec: The speed of writing; 0 for no delay.
        faults: What goes wrong.
        api_key: The key that it accepts; ``None`` accepts any.
        seed: The seed of its random choices, such as where the stream is cut into pieces.
    """

    script: Sequence[Reply] = ()
    brain: Brain | None = None
    first_token: Latency = Latency()
    tokens_per_sec: float = 0.0
    faults: Sequence[Fault] = ()
    api_key: str | None = None
    seed: int = 0


CHARS_PER_TOKEN = 3.8
"""About what the vendors' tokenizers give for English and JSON; no tokenizer is run."""


def tokens(value: Any) -> int:
    """Estimated tokens of a text, or of a value as JSON."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return math.ceil(len(text) / CHARS_PER_TOKEN)


class LanguageModelSimulator:
    """The base of the language model simulators: serves a :class:`Model` over HTTP on loopback."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.requests: list[Request] = []
        self._chance = random.Random(model.seed)
        self._answered = 0
        # Without handler_cancellation a handler does not notice that its client has disconnected.
        self._listener = Listener(handler_cancellation=True, shutdown_timeout=0.2)

    async def start(self, app: web.Application, *, host: str, port: int) -> str:
        """Listen, and return the base URL."""
        return f"http://{await self._listener.start(app, host, port)}"

    async def stop(self) -> None:
        """Stop listening."""
        await self._listener.stop()

    async def receive(self, request: web.Request) -> Request:
        """Parse and log a request; a body that is not a JSON object counts as empty."""
        try:
            body = await request.json() if request.can_read_body else {}
        except ValueError:
            body = {}
        received = Request(
            path=request.path,
            query=dict(request.query),
            headers=_masked(request.headers),
            body=body if isinstance(body, dict) else {},
            at=asyncio.get_running_loop().time(),
        )
        self.requests.append(received)
        return received

    def next_answer(self) -> tuple[int, list[Fault]]:
        """The number of the next answer, and its faults."""
        number, self._answered = self._answered, self._answered + 1
        return number, [fault for fault in self.model.faults if fault.request in (None, number)]

    async def reply(self, number: int, conversation: Sequence[tuple[str, str]]) -> Reply:
        """The answer to a conversation of ``(role, text)`` pairs.

        Raises:
            ValueError: The model has neither a script nor a brain.
        """
        if self.model.brain is not None:
            return await _brain_reply(self.model.brain, conversation)
        if not self.model.script:
            raise ValueError("the model has neither a script nor a brain")
        return self.model.script[min(number, len(self.model.script) - 1)]

    async def wait_first_token(self) -> None:
        """Wait for the first token."""
        await asyncio.sleep(self.model.first_token.draw(self._chance))

    async def pieces(self, source: str) -> AsyncIterator[str]:
        """A text in pieces of 1 to 9 characters, at the model's speed."""
        at = 0
        while at < len(source):
            piece = source[at : at + self._chance.randint(1, 9)]
            if self.model.tokens_per_sec:
                await asyncio.sleep(len(piece) / CHARS_PER_TOKEN / self.model.tokens_per_sec)
            at += len(piece)
            yield piece


class EventStream:
    """A response of server-sent events that applies its faults."""

    def __init__(self, request: web.Request, received: Request, faults: Iterable[Fault]) -> None:
        self.response = web.StreamResponse(
            headers={
                "content-type": "text/event-stream; charset=utf-8",
                "cache-control": "no-cache",
            }
        )
        self._request = request
        self._received = received
        self._faults = [fault for fault in faults if fault.kind != "status"]
        self._chars = 0

    async def open(self, headers: Mapping[str, str]) -> None:
        """Send the headers."""
        self.response.headers.update(headers)
        await self.response.prepare(self._request)

    async def send(self, data: Any, *, event: str = "", name: str = "") -> None:
        """Send one event; ``name`` is what the log calls it."""
        head = f"event: {event}\n" if event else ""
        body = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
        await self.response.write(f"{head}data: {body}\n\n".encode())
        self.note(name or event)

    def note(self, name: str) -> None:
        """Log what was sent."""
        self._received.sent.append((asyncio.get_running_loop().time(), name))

    async def apply_faults(
        self, chars: int | None, error: Mapping[str, Any], *, error_event: str = ""
    ) -> None:
        """Apply the faults that are due.

        Args:
            chars: Characters of the arguments sent since the last call; ``None`` before the
                answer.
            error: The body of the vendor's error event.
            error_event: The name of that event, if events are named.

        Raises:
            DroppedError: A fault dropped the connection.
            EndedError: A fault ended the stream.
        """
        if chars is not None:
            self._chars += chars
        for fault in list(self._faults):
            due = (
                fault.after_chars is None
                if chars is None
                else fault.after_chars is not None and self._chars >= fault.after_chars
            )
            if not due:
                continue
            self._faults.remove(fault)
            self._received.ended = fault.kind
            self.note(fault.kind)
            match fault.kind:
                case "drop":
                    if self._request.transport is not None:
                        self._request.transport.abort()
                    raise DroppedError
                case "stall":
                    await asyncio.sleep(fault.stall_secs)
                    self._received.ended = ""
                case "garbage":
                    await self.response.write(b'event: content_block_delta\ndata: {"ty\xff\xfe\n\n')
                    raise EndedError
                case "error":
                    await self.send(error, event=error_event, name="error")
                    raise EndedError
                case _:
                    raise EndedError


async def finish(received: Request, stream: EventStream) -> web.StreamResponse:
    """End a response and log its end."""
    await stream.response.write_eof()
    received.ended = received.ended or "finished"
    received.ended_at = asyncio.get_running_loop().time()
    return stream.response


def log_disconnect(received: Request) -> None:
    """Log that the client disconnected."""
    if not received.ended or received.ended == "stall":
        received.ended = "aborted"
    received.ended_at = asyncio.get_running_loop().time()


def conversation(messages: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """``(role, text)`` of messages whose content is a text or a list of blocks."""
    texts = []
    for message in messages:
        content = message.get("content")
        if isinstance(content, list):
            content = " ".join(block.get("text", "") for block in content)
        texts.append((str(message.get("role")), str(content)))
    return texts


async def _brain_reply(brain: Brain, conversation: Sequence[tuple[str, str]]) -> Reply:
    """The decision of one of Viva's brains, as a model's reply."""
    history, asked = [], ""
    for role, text in conversation:
        if role == "user":
            asked = _unquoted(text)
        elif role == "assistant":
            history.append(Exchange(question=asked, answer=text))
    reply, source = Reply(), ""
    async for event in brain.decide(Question(text=asked, history=tuple(history))):
        if isinstance(event, ToolStart):
            reply = dataclasses.replace(reply, tool=event.name)
        elif isinstance(event, ArgumentsDelta):
            source += event.json
    return dataclasses.replace(reply, arguments=source)


def _unquoted(text: str) -> str:
    quoted = re.search(r"<caller>(.*)</caller>", text, re.DOTALL)
    return html.unescape(quoted.group(1)) if quoted else text


def _masked(headers: CIMultiDictProxy[str]) -> dict[str, str]:
    return {
        name.lower(): "***" if name.lower() in SECRET_HEADERS else value
        for name, value in headers.items()
    }
