"""Servers that replay what others captured of the vendors."""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from aiohttp import WSMsgType, web

from simulators.listener import Listener

BYTES_A_SEC = 32_000
MAX_REQUEST_BYTES = 16 * 1024**2


class _Captured(ABC):
    """Listens at one path from entering to leaving, at ``url``.

    Args:
        path: The path it serves, such as ``/v1/listen``.
    """

    _METHOD: ClassVar[str] = "GET"
    _SCHEME: ClassVar[str] = "ws"

    def __init__(self, path: str) -> None:
        self._path = path
        self._listener = Listener(shutdown_timeout=0.1, access_log=None)
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=MAX_REQUEST_BYTES)
        app.router.add_route(self._METHOD, self._path, self._play)
        self.url = f"{self._SCHEME}://{await self._listener.start(app)}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._listener.stop()

    @abstractmethod
    async def _play(self, request: web.Request) -> web.StreamResponse:
        """Answer one request, or serve one WebSocket."""


class CapturedSocket(_Captured):
    """Sends each captured message as soon as the client has sent as much audio as at capture.

    Args:
        path: The path it serves, such as ``/v1/listen``.
        messages: Pairs of audio seconds received and the message to send then; a mapping is sent
            as JSON.
    """

    def __init__(
        self, path: str, messages: Sequence[tuple[float, Mapping[str, Any] | str]]
    ) -> None:
        super().__init__(path)
        self._messages = messages
        self.received: list[dict[str, Any]] = []

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


class CapturedAnswers(_Captured):
    """A server that answers each request with what was captured, in turn.

    Args:
        path: Where it listens, ``/v1/messages`` or the like.
        answers: For each request its status, its content type and its body, the last one for all
            further ones.
    """

    _METHOD = "POST"
    _SCHEME = "http"

    def __init__(self, path: str, answers: Sequence[tuple[int, str, str]]) -> None:
        super().__init__(path)
        self._answers = answers
        self.received: list[dict[str, Any]] = []

    async def _play(self, request: web.Request) -> web.Response:
        self.received.append(await request.json())
        at = min(len(self.received), len(self._answers)) - 1
        status, content_type, body = self._answers[at]
        return web.Response(status=status, text=body, content_type=content_type)


class CapturedContexts(_Captured):
    """A server that plays what was captured to each context of a multi-context WebSocket.

    Args:
        path: Where it listens.
        scripts: For each connection what follows the first flush: messages, in which ``CONTEXT``
            stands for the client's context, and, if the vendor closed it, code and reason. The last
            one is for all further connections.
    """

    def __init__(
        self, path: str, scripts: Sequence[Sequence[Mapping[str, Any] | tuple[int, str]]]
    ) -> None:
        super().__init__(path)
        self._scripts = scripts
        self.connections = 0

    async def _play(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        script = self._scripts[min(self.connections, len(self._scripts) - 1)]
        self.connections += 1
        async for message in socket:
            told = json.loads(message.data)
            if told.get("close_socket"):
                await socket.close()
            if not told.get("flush"):
                continue
            for step in script:
                if isinstance(step, tuple):
                    await socket.close(code=step[0], message=step[1].encode()[:120])
                    break
                sent = json.dumps(step).replace("CONTEXT", told["context_id"])
                await socket.send_str(sent)
        return socket
