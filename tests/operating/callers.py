"""Callers who cost next to nothing: they are silent, listen, and note how their call ends."""

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp

SILENCE = bytes(3200)
"""100 ms."""


@dataclass
class QuietCaller:
    """One call.

    Parameters:
        url: The socket, ``ws://HOST:PORT/call``.
        speaks: Whether silence is sent, as a microphone would.
    """

    url: str
    speaks: bool = True
    call: str = ""
    ended: str = ""
    heard_bytes: int = 0
    began: asyncio.Event = field(default_factory=asyncio.Event)
    _hang_up: asyncio.Event = field(default_factory=asyncio.Event)
    _ids: int = 0

    @property
    def open(self) -> bool:
        """Whether the call goes on."""
        return bool(self.call) and not self.ended

    async def run(self) -> "QuietCaller":
        """Call, until the call is over."""
        try:
            async with aiohttp.ClientSession() as session, session.ws_connect(self.url) as socket:
                await self._send(
                    socket, "client-ready", {"version": "2.0.0", "about": {"library": "quiet"}}
                )
                talking = asyncio.create_task(self._talk(socket))
                try:
                    async for message in socket:
                        self._hear(message)
                finally:
                    talking.cancel()
                    await asyncio.gather(talking, return_exceptions=True)
        except aiohttp.ClientError as error:
            self.ended = self.ended or f"unreachable: {error}"
        self.ended = self.ended or "dropped"  # what the page says of a socket that just closes
        self.began.set()
        return self

    def hang_up(self) -> None:
        """End the call as a caller does."""
        self._hang_up.set()

    async def _talk(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while not self._hang_up.is_set():
            if self.speaks and self.call:
                await socket.send_bytes(SILENCE)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hang_up.wait(), 0.1)
        await self._send(socket, "client-message", {"t": "hangup", "d": {}})

    async def _send(
        self, socket: aiohttp.ClientWebSocketResponse, kind: str, data: dict[str, Any]
    ) -> None:
        self._ids += 1
        message = {"label": "rtvi-ai", "type": kind, "id": str(self._ids), "data": data}
        await socket.send_str(json.dumps(message))

    def _hear(self, message: aiohttp.WSMessage) -> None:
        if message.type is aiohttp.WSMsgType.BINARY:
            self.heard_bytes += len(message.data)
        elif message.type is aiohttp.WSMsgType.TEXT:
            told = json.loads(message.data)
            data = told.get("data") or {}
            if told["type"] == "bot-ready":
                self.call = data["about"]["call"]
                self.began.set()
            elif data.get("type") == "end":
                self.ended = data["reason"]
                self.began.set()
