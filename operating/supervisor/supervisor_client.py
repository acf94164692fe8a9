"""The supervisor, as one of its workers sees it."""

import asyncio
import json
import os
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aiohttp import web
from loguru import logger

NEWS_SECS = 0.02
"""Interval at which changes are reported to the supervisor."""

FIRST_REQUEST_SECS = 1.0
"""A connection without a request by then does not count as a call."""

GRACE_SECS = 60.0
"""How long a worker whose supervisor has died drains before it ends."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_VARIABLE = "VIVA_WORKER"


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """The supervisor's parameters for a new worker.

    Parameters:
        number: Its number, counting from 0.
        workers: Number of workers.
        channel: File descriptor of the socket for connections and status updates.
        address: The address that callers open.
        folder: Directory of the workers' sockets for each other.
        first: Whether it is the very first worker, which greets the operator.
    """

    number: int
    workers: int
    channel: int
    address: str
    folder: str
    first: bool

    def environment(self) -> dict[str, str]:
        """The environment of the worker's process."""
        return {**os.environ, _VARIABLE: json.dumps(asdict(self))}

    @classmethod
    def of_this_process(cls) -> "WorkerContext | None":
        """The context of this process; ``None`` if it is not a worker."""
        given = os.environ.pop(_VARIABLE, None)  # child processes must not inherit it
        return cls(**json.loads(given)) if given else None

    def metrics_socket(self, number: int) -> Path:
        """A worker's metrics socket."""
        return Path(self.folder) / f"{number}.sock"

    def handover_socket(self, number: int) -> Path:
        """The socket on which a worker is handed connections by the others."""
        return Path(self.folder) / f"{number}.handover"


class SupervisorClient:
    """Receives connections from the supervisor, and reports this worker's status to it.

    Parameters:
        context: This worker's context.
    """

    def __init__(self, context: WorkerContext) -> None:
        self.context = context
        self._channel = socket.socket(fileno=context.channel)
        self._taken = 0
        self._unasked: set[object] = set()
        self._news: asyncio.Task[None] | None = None
        self._opening: set[asyncio.Task[Any]] = set()
        self._read = False

    @web.middleware
    async def note_request(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Middleware: note that a connection has made a request; until then it counts as a call."""
        self._asked(request.protocol)
        return await handler(request)

    def send_status(self, **news: Any) -> None:
        """Send a status update to the supervisor, from any thread; ignored if it has died."""
        try:
            self._channel.sendall(json.dumps(news).encode() + b"\n")
        except OSError as error:
            logger.debug("cannot send a status update to the supervisor: {}", error)

    def receive_connections(
        self,
        server: web.Server,
        *,
        state: Callable[[], Mapping[str, Any]],
        gone: Callable[[], None],
        guard: Callable[[web.RequestHandler], asyncio.Protocol] = lambda handler: handler,
    ) -> None:
        """Start to receive connections.

        Args:
            server: Serves them.
            state: Returns this worker's status, by which the supervisor chooses: ``calls``,
                ``taking``, ``loaded``.
            gone: Called when the supervisor has died.
            guard: The protocol to give a connection instead of aiohttp's.
        """
        loop = asyncio.get_running_loop()
        # Its messages are read when they arrive; ours are few and short, and may block.
        loop.add_reader(self._channel.fileno(), self._take, server, guard)
        self._read = True
        self._news = asyncio.create_task(self._tell_changes(state))
        threading.Thread(target=self._watch, args=(loop, gone), daemon=True).start()

    async def close(self) -> None:
        """Stop receiving connections."""
        if self._read:
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
            self._read = False
        if self._news is not None:
            self._news.cancel()
            await asyncio.gather(self._news, return_exceptions=True)

    def _take(
        self,
        server: web.Server,
        guard: Callable[[web.RequestHandler], asyncio.Protocol],
    ) -> None:
        _, descriptors, _, _ = socket.recv_fds(self._channel, 1, 1)
        for descriptor in descriptors:
            protocol = server()
            self._unasked.add(protocol)
            asyncio.get_running_loop().call_later(FIRST_REQUEST_SECS, self._asked, protocol)
            self.open(guard(protocol), socket.socket(fileno=descriptor))
        if not descriptors and self._read:  # the supervisor has died; _watch handles that
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
            self._read = False

    def open(
        self, protocol: asyncio.Protocol, connection: socket.socket, received: bytes = b""
    ) -> None:
        """Serve a connection.

        Args:
            protocol: Serves it.
            connection: Its socket.
            received: What has come on it already.
        """
        connection.setblocking(False)
        opening = asyncio.get_running_loop().create_task(_open(protocol, connection, received))
        self._opening.add(opening)
        opening.add_done_callback(self._opened)

    def _asked(self, protocol: object) -> None:
        if protocol in self._unasked:
            self._unasked.discard(protocol)
            self._taken += 1

    def _opened(self, opening: "asyncio.Task[Any]") -> None:
        self._opening.discard(opening)
        if not opening.cancelled() and (error := opening.exception()):
            logger.warning("a connection was lost before it was served: {}", error)

    async def _tell_changes(self, state: Callable[[], Mapping[str, Any]]) -> None:
        told: dict[str, Any] = {}
        while True:
            now = {**state(), "taken": self._taken}
            if now != told:
                self.send_status(**now)
                told = now
            await asyncio.sleep(NEWS_SECS)

    @staticmethod
    def _watch(loop: asyncio.AbstractEventLoop, gone: Callable[[], None]) -> None:
        """Wait in a thread for the supervisor's end, which closes standard input."""
        while os.read(0, 1):
            pass
        with suppress(RuntimeError):  # the loop is closed: this process is ending anyway
            loop.call_soon_threadsafe(gone)
        threading.Event().wait(GRACE_SECS)
        os.kill(os.getpid(), signal.SIGKILL)


async def _open(protocol: asyncio.Protocol, connection: socket.socket, received: bytes) -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_accepted_socket(lambda: protocol, connection)
    if received and not transport.is_closing():  # nothing else has been read by now
        protocol.data_received(received)
