"""A proxy on loopback that records every message between a vendor and its client.

The vendor's own client connects to it instead of the vendor. It passes HTTP and WebSocket on byte
for byte, in both directions.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import aiohttp
from aiohttp import web

from simulators.listener import Listener

_HOP_BY_HOP = frozenset(
    {
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer",
        "transfer-encoding", "upgrade", "host", "content-length", "accept-encoding",
        "content-encoding", "sec-websocket-key", "sec-websocket-version",
        "sec-websocket-extensions", "sec-websocket-accept", "sec-websocket-protocol",
    }
)  # fmt: skip
_MAX_MESSAGE = 16 * 1024 * 1024
CONNECT_SECS = 10.0
"""Longest wait for the vendor to be reached."""


@dataclass(slots=True)
class Exchange:
    """One request, or one WebSocket.

    Parameters:
        path: Its path, without the query.
        status: The HTTP status of the answer; 101 for a WebSocket; 0 if the vendor was not reached.
        received: What the vendor sent, each message parsed if it is JSON.
        sent: How many messages were sent to it.
        close_code: How the vendor closed a WebSocket, if it did.
        unreadable: The beginnings of messages that should be JSON and are not.
    """

    path: str
    status: int = 0
    received: list[Any] = field(default_factory=list)
    sent: int = 0
    close_code: int | None = None
    unreadable: list[str] = field(default_factory=list)

    def record(self, text: str) -> None:
        """Keep one message of the vendor's."""
        try:
            self.received.append(json.loads(text))
        except ValueError:
            self.unreadable.append(text[:80])


class Wiretap:
    """A loopback address that stands for a vendor's.

    Parameters:
        upstream: The vendor's base address, with its scheme.
    """

    def __init__(self, upstream: str) -> None:
        if upstream.startswith("ws"):
            upstream = f"http{upstream.removeprefix('ws')}"
        self._upstream = upstream.rstrip("/")
        self._listener = Listener(shutdown_timeout=0.2, access_log=None)
        self.exchanges: list[Exchange] = []
        self.url = ""
        self._refusals: dict[asyncio.Task[Any] | None, bytes] = {}

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECS)
        trace = aiohttp.TraceConfig()
        trace.on_request_end.append(self._read_refusal)
        self._session = aiohttp.ClientSession(
            timeout=timeout, auto_decompress=True, trace_configs=[trace]
        )
        app = web.Application(client_max_size=_MAX_MESSAGE)
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        self.url = f"http://{await self._listener.start(app)}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()
        await self._listener.stop()

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        exchange = Exchange(request.path)
        self.exchanges.append(exchange)
        if request.headers.get("upgrade", "").lower() == "websocket":
            return await self._pass_socket(request, exchange)
        return await self._pass_request(request, exchange)

    # HTTP.

    async def _pass_request(self, request: web.Request, exchange: Exchange) -> web.StreamResponse:
        exchange.sent += 1
        try:
            answer = await self._session.request(
                request.method,
                f"{self._upstream}{request.rel_url}",
                headers=_forwarded(request.headers),
                data=await request.read(),
                allow_redirects=False,
            )
        except (aiohttp.ClientError, TimeoutError):
            return web.Response(status=502)
        async with answer:
            exchange.status = answer.status
            response = web.StreamResponse(status=answer.status, headers=_forwarded(answer.headers))
            await response.prepare(request)
            whole = bytearray()
            async for chunk in answer.content.iter_any():
                whole += chunk
                await response.write(chunk)
            await response.write_eof()
        for text in _texts(bytes(whole), answer.content_type):
            exchange.record(text)
        return response

    # WebSocket.

    async def _read_refusal(
        self, _: aiohttp.ClientSession, __: object, ended: aiohttp.TraceRequestEndParams
    ) -> None:
        """Keep the body of a refused handshake, which aiohttp's error lacks."""
        if "upgrade" in ended.headers and ended.response.status != 101:
            self._refusals[asyncio.current_task()] = await ended.response.read()

    async def _pass_socket(self, request: web.Request, exchange: Exchange) -> web.StreamResponse:
        try:
            vendor = await self._session.ws_connect(
                f"{self._upstream}{request.rel_url}",
                headers=_forwarded(request.headers),
                max_msg_size=_MAX_MESSAGE,
                autoping=True,
            )
        except aiohttp.WSServerHandshakeError as refused:
            exchange.status = refused.status
            body = self._refusals.pop(asyncio.current_task(), b"")
            told: dict[str, str] = {}
            if refused.headers is not None:
                told = {name.lower(): value for name, value in refused.headers.items()}
            for text in _texts(body, told.get("content-type", "").partition(";")[0]):
                exchange.record(text)
            return web.Response(status=refused.status, headers=_forwarded(told), body=body)
        except (aiohttp.ClientError, TimeoutError):
            return web.Response(status=502)
        exchange.status = 101
        client = web.WebSocketResponse(max_msg_size=_MAX_MESSAGE)
        await client.prepare(request)
        forth = asyncio.create_task(_pump(client, vendor, exchange, "sent"))
        back = asyncio.create_task(_pump(vendor, client, exchange, "received"))
        try:
            await asyncio.wait({forth, back}, return_when=asyncio.FIRST_COMPLETED)
            exchange.close_code = vendor.close_code
        finally:
            for pump in (forth, back):
                pump.cancel()
            await asyncio.gather(forth, back, return_exceptions=True)
            await vendor.close()
        return client


async def _pump(
    source: Any, sink: Any, exchange: Exchange, direction: Literal["sent", "received"]
) -> None:
    """Carry messages one way until one side closes, and close the other as it was closed."""
    async for message in source:
        if message.type is aiohttp.WSMsgType.TEXT:
            if direction == "sent":
                exchange.sent += 1
            else:
                exchange.record(message.data)
            await sink.send_str(message.data)
        elif message.type is aiohttp.WSMsgType.BINARY:
            exchange.sent += direction == "sent"
            await sink.send_bytes(message.data)
    code = source.close_code or 1011
    await sink.close(code=code if 1000 <= code < 5000 and code not in (1005, 1006) else 1000)


def _forwarded(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _HOP_BY_HOP}


def _texts(body: bytes, content_type: str) -> Iterator[str]:
    """The messages of an answer: server-sent events, lines of JSON, or one JSON object."""
    text = body.decode(errors="replace")
    if content_type == "text/event-stream":
        for line in text.splitlines():
            if line.startswith("data:") and (data := line[5:].strip()) != "[DONE]":
                yield data
    elif "json" in content_type:
        # A stream with timestamps is an object a line, under the type of one object.
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) > 1 and all(line.startswith("{") for line in lines):
            yield from lines
        elif text.strip():
            yield text
