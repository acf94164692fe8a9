"""What the simulators of language models share: what they say, how fast, and what goes wrong.

A simulator answers by script, or by a brain of ours. It may be late, break off, or refuse: for the
n-th request, or for all of them, before the answer or at a point in it.
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

SECRET_HEADERS = frozenset({"authorization", "x-api-key", "api-key", "cookie"})


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of a model.

    Parameters:
        tool: The tool it calls; empty to write ``text`` and call none.
        arguments: The call's arguments; a string is sent as it stands, valid JSON or not.
        text: What it writes before the call, or instead of it.
        also: A further call after it.
        stop: Why it stops, in the vendor's word, if not for the usual reason.
    """

    tool: str = "respond"
    arguments: Mapping[str, Any] | str = field(default_factory=dict)
    text: str = ""
    also: "Reply | None" = None
    stop: str = ""

    @property
    def json(self) -> str:
        """The arguments as the model writes them."""
        if isinstance(self.arguments, str):
            return self.arguments
        return json.dumps(self.arguments, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Latency:
    """A log-normal distribution of waiting times, as those of vendors are.

    Parameters:
        median_secs: Half of the waits are shorter.
        spread: Standard deviation of the wait's logarithm; 0 for the same wait every time.
    """

    median_secs: float = 0.0
    spread: float = 0.0

    def draw(self, chance: random.Random) -> float:
        """One waiting time, in seconds."""
        return self.median_secs * math.exp(chance.gauss(0.0, self.spread))


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong.

    Parameters:
        kind: ``status`` refuses the request; ``drop`` breaks the connection off; ``stall`` goes
            silent; ``garbage`` sends what is no event; ``error`` sends the vendor's error event;
            ``eof`` ends the stream as if it were whole.
        request: Which request it befalls, from 0; ``None`` for every one.
        after_chars: How much of the arguments is sent before it; ``None`` for nothing at all.
        status: The HTTP status of ``status``.
        retry_after: The ``retry-after`` field of ``status``.
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
    """One request as it was received.

    Parameters:
        path: Its path.
        query: Its query.
        headers: Its headers, names in lower case, secrets masked.
        body: Its JSON body.
        at: When it came, on the event loop's clock.
        sent: What was sent back, each with its time: event names, and ``"status 429"`` and such.
        ended: ``"finished"``, ``"aborted"`` by the client, or a fault's kind; empty while it runs.
        ended_at: When that was.
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
        """When an event was first sent."""
        return next(at for at, name in self.sent if name == event)


class DroppedError(Exception):
    """The connection has been broken off on purpose."""


class EndedError(Exception):
    """The stream has been ended early on purpose."""


@dataclass
class Model:
    """What a simulated model does.

    Parameters:
        script: Its answers, one a request; the last one is given again and again.
        brain: Answers instead of the script.
        first_token: From the request to the first token.
        tokens_per_sec: How fast it writes; 0 for at once.
        faults: What goes wrong.
        api_key: The key it takes; ``None`` takes any.
        seed: Of all chance in it, where the arguments are cut included.
    """

    script: Sequence[Reply] = ()
    brain: Brain | None = None
    first_token: Latency = Latency()
    tokens_per_sec: float = 0.0
    faults: Sequence[Fault] = ()
    api_key: str | None = None
    seed: int = 0


CHARS_PER_TOKEN = 3.8


def tokens(value: Any) -> int:
    """How many tokens something has, roughly as the vendors count English and JSON."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return math.ceil(len(text) / CHARS_PER_TOKEN)


class Writer:
    """Plays a :class:`Model` over an HTTP server on loopback; each vendor's simulator has one."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.requests: list[Request] = []
        self._chance = random.Random(model.seed)
        self._answered = 0
        self._runner: web.AppRunner | None = None

    async def start(self, app: web.Application, *, host: str, port: int) -> str:
        """Listen, and return the base URL."""
        # Without it a handler would not notice that its client has gone.
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        listening = self._runner.addresses[0]
        return f"http://{listening[0]}:{listening[1]}"

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def receive(self, request: web.Request) -> Request:
        """Log a request."""
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

    def begin(self) -> tuple[int, list[Fault]]:
        """The number of the next answer and what will go wrong with it."""
        number, self._answered = self._answered, self._answered + 1
        return number, [fault for fault in self.model.faults if fault.request in (None, number)]

    async def reply(self, number: int, conversation: Sequence[tuple[str, str]]) -> Reply:
        """The answer to a conversation of roles and texts."""
        if self.model.brain is not None:
            return await _decided(self.model.brain, conversation)
        if not self.model.script:
            raise ValueError("the model has neither a script nor a brain")
        return self.model.script[min(number, len(self.model.script) - 1)]

    async def think(self) -> None:
        """Wait for the first token."""
        await asyncio.sleep(self.model.first_token.draw(self._chance))

    async def pieces(self, source: str) -> AsyncIterator[str]:
        """A text in pieces cut anywhere, at the model's speed."""
        at = 0
        while at < len(source):
            piece = source[at : at + self._chance.randint(1, 9)]
            if self.model.tokens_per_sec:
                await asyncio.sleep(len(piece) / CHARS_PER_TOKEN / self.model.tokens_per_sec)
            at += len(piece)
            yield piece


class EventStream:
    """A response of server-sent events, with what goes wrong in it."""

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

    async def go_wrong(
        self, chars: int | None, error: Mapping[str, Any], *, error_event: str = ""
    ) -> None:
        """Let happen what is due before the answer (``None``), or after further characters of it.

        Parameters:
            chars: How many characters of the arguments have just been sent.
            error: The vendor's error, as it is sent in a stream.
            error_event: The name of the event that it is sent as, if it has one.
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
    """End a response that has been told whole, or was ended early on purpose."""
    await stream.response.write_eof()
    received.ended = received.ended or "finished"
    received.ended_at = asyncio.get_running_loop().time()
    return stream.response


def gone(received: Request) -> None:
    """Note that the client has gone."""
    if not received.ended or received.ended == "stall":
        received.ended = "aborted"
    received.ended_at = asyncio.get_running_loop().time()


def conversation(messages: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Roles and texts of messages whose content is a text or a list of blocks."""
    told = []
    for message in messages:
        content = message.get("content")
        if isinstance(content, list):
            content = " ".join(block.get("text", "") for block in content)
        told.append((str(message.get("role")), str(content)))
    return told


async def _decided(brain: Brain, told: Sequence[tuple[str, str]]) -> Reply:
    """What one of our brains decides on a conversation."""
    history, asked = [], ""
    for role, text in told:
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
