"""A WebSocket server that replays captured vendor messages against the client's audio."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any, Self

from aiohttp import WSMsgType, web

BYTES_A_SEC = 32_000


class CapturedSocket:
    """Sends each captured message as soon as the client has sent as much audio as at capture.

    Args:
        path: The path it serves, such as ``/v1/listen``.
        messages: Pairs of audio seconds received and the message to send then; a mapping is sent
            as JSON.
    """

    def __init__(
        self, path: str, messages: Sequence[tuple[float, Mapping[str, Any] | str]]
    ) -> None:
        self._path = path
        self._messages = messages
        self._runner: web.AppRunner | None = None
        self.received: list[dict[str, Any]] = []
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get(self._path, self._play)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"ws://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _play(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        coming = list(self._messages)
        heard = 0
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                heard += len(message.data)
            elif message.type is WSMsgType.TEXT:
                self.received.append(json.loads(message.data))
                if self.received[-1].get("type") == "CloseStream":
                    await socket.close()
            while coming and heard >= coming[0][0] * BYTES_A_SEC:
                _, told = coming.pop(0)
                await socket.send_str(told if isinstance(told, str) else json.dumps(told))
                await asyncio.sleep(0)
        return socket
