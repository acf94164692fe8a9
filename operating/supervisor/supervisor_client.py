"""The process that supervises workers, as one of its workers sees it."""

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
"""How often the supervisor is told what has changed."""

FIRST_REQUEST_SECS = 1.0
"""A connection on which nothing is asked by then counts for no call."""

GRACE_SECS = 60.0
"""A worker whose supervisor is dead hangs up and ends at once after so long."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_VARIABLE = "VIVA_WORKER"


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """What a worker is told when it is started.

    Parameters:
        number: Its number, from 0.
        workers: How many there are.
        channel: File descriptor of the socket by which connections come and news go.
        address: What callers open.
        folder: Where each worker listens for the others, by its number.
        first: Whether it is the first of all, which greets the operator.
    """

    number: int
    workers: int
    channel: int
    address: str
    folder: str
    first: bool

    def environment(self) -> dict[str, str]:
        """The environment of its process."""
        return {**os.environ, _VARIABLE: json.dumps(asdict(self))}

    @classmethod
    def of_this_process(cls) -> "WorkerContext | None":
        """That of this process; ``None`` if it is no worker."""
        given = os.environ.pop(_VARIABLE, None)  # it is not for this process's own children
        return cls(**json.loads(given)) if given else None

    def socket(self, number: int) -> Path:
        """Where a worker listens for the others."""
        return Path(self.folder) / f"{number}.sock"


class SupervisorClient:
    """Takes the connections that the supervisor hands over, and tells it how the work goes.

    Parameters:
        context: What this worker was told.
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
    async def note(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Note that it is known what a connection asks for; until then it counts as a call."""
        self._asked(request.protocol)
        return await handler(request)

    def tell(self, **news: Any) -> None:
        """Tell the supervisor; from any thread. One that is dead is told nothing."""
        try:
            self._channel.sendall(json.dumps(news).encode() + b"\n")
        except OSError as error:
            logger.debug("the supervisor takes no news: {}", error)

    def take(
        self,
        server: web.Server,
        *,
        state: Callable[[], Mapping[str, Any]],
        gone: Callable[[], None],
    ) -> None:
        """Take connections from now on.

        Args:
            server: Serves them.
            state: What the supervisor chooses workers by: ``calls``, ``taking``, ``loaded``.
            gone: Called when the supervisor is dead.
        """
        loop = asyncio.get_running_loop()
        # Its messages to us are read when there are some; ours are few and short, and may block.
        loop.add_reader(self._channel.fileno(), self._take, server)
        self._read = True
        self._news = asyncio.create_task(self._tell_changes(state))
        threading.Thread(target=self._watch, args=(loop, gone), daemon=True).start()

    async def close(self) -> None:
        """Take no more connections."""
        if self._read:
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
            self._read = False
        if self._news is not None:
            self._news.cancel()
            await asyncio.gather(self._news, return_exceptions=True)

    def _take(self, server: web.Server) -> None:
        _, descriptors, _, _ = socket.recv_fds(self._channel, 1, 1)
        for descriptor in descriptors:
            connection = socket.socket(fileno=descriptor)
            connection.setblocking(False)
            protocol = server()
            loop = asyncio.get_running_loop()
            opening = loop.create_task(_open(protocol, connection))
            self._unasked.add(protocol)
            loop.call_later(FIRST_REQUEST_SECS, self._asked, protocol)
            self._opening.add(opening)
            opening.add_done_callback(self._opened)
        if not descriptors and self._read:  # the supervisor is dead, which _watch sees to
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
            self._read = False

    def _asked(self, protocol: object) -> None:
        if protocol in self._unasked:
            self._unasked.discard(protocol)
            self._taken += 1

    def _opened(self, opening: "asyncio.Task[Any]") -> None:
        self._opening.discard(opening)
        if not opening.cancelled() and (error := opening.exception()):
            logger.warning("a connection was lost before it could be served: {}", error)

    async def _tell_changes(self, state: Callable[[], Mapping[str, Any]]) -> None:
        told: dict[str, Any] = {}
        while True:
            now = {**state(), "taken": self._taken}
            if now != told:
                self.tell(**now)
                told = now
            await asyncio.sleep(NEWS_SECS)

    @staticmethod
    def _watch(loop: asyncio.AbstractEventLoop, gone: Callable[[], None]) -> None:
        """Wait in a thread for the supervisor's end: standard input is open as long as it lives."""
        while os.read(0, 1):
            pass
        with suppress(RuntimeError):  # the loop is closed: this process ends as it is
            loop.call_soon_threadsafe(gone)
        threading.Event().wait(GRACE_SECS)
        os.kill(os.getpid(), signal.SIGKILL)


async def _open(protocol: asyncio.BaseProtocol, connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    await loop.connect_accepted_socket(lambda: protocol, connection)
