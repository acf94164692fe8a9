"""Limits a process's connections: how many there may be, and how long one may be idle."""

import asyncio
import socket
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import cast

from aiohttp import web
from loguru import logger

REQUEST_SECS = 10.0
"""How long a connection may take until its first request's headers are complete."""

KEEP_ALIVE_SECS = 75.0
"""How long a connection may be idle after a response. Longer than proxies keep theirs (nginx:
60 s), which would otherwise send a request while the connection is being closed."""

UNREAD_SECS = 60.0
"""How long a peer may leave a response unread, where the system can tell (Linux)."""

RESERVED_FILES = 128
"""File descriptors kept for other uses: models, the database, recordings, vendors, and connections
that are accepted but not counted yet."""

ACCEPTED_AT_ONCE = 64
"""Connections accepted before other events are handled."""

MOST_CONNECTIONS = 10_000
"""Connections of a process whose file descriptors are not limited."""

LOG_SECS = 60.0
"""Interval between two log lines about closed connections."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
NetworkOf = Callable[[str], str | None]


def allowed_connections() -> int:
    """The number of connections that this process's limit on file descriptors allows."""
    try:
        import resource
    except ImportError:  # not a Unix system
        return MOST_CONNECTIONS
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(1, min(MOST_CONNECTIONS, files - RESERVED_FILES))


class Connections:
    """Counts a process's connections, and closes idle ones.

    Where there are too many, from one network or in total, the one that has been idle the longest
    is closed: a browser reconnects when it needs to. A new one is refused only if the limit is
    reached and none is idle, that is, if all of them are calls.

    Parameters:
        most: How many there may be.
        most_of_network: How many of one network before its idle ones make room; 0 for any number.
        network_of: The network of a peer's address; ``None`` if it has no ceiling.
        request_secs: How long one may take until its first request has come.
    """

    def __init__(
        self,
        *,
        most: int,
        most_of_network: int,
        network_of: NetworkOf,
        request_secs: float = REQUEST_SECS,
    ) -> None:
        self._most = most
        self._most_of_network = most_of_network
        self._network_of = network_of
        self._request_secs = request_secs
        self._open: dict[web.RequestHandler, Connection] = {}
        self._count: Counter[str | None] = Counter()
        self._idle: dict[str | None, OrderedDict[Connection, None]] = {}
        self._closed: Counter[str] = Counter()
        self._logged_at = float("-inf")

    def __len__(self) -> int:
        return len(self._open)

    @property
    def idle(self) -> int:
        """The number of idle connections."""
        return sum(map(len, self._idle.values()))

    def guard(self, handler: web.RequestHandler) -> asyncio.Protocol:
        """The protocol for a connection; it passes everything on to aiohttp's."""
        return Connection(handler, self)

    @web.middleware
    async def note_request(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Middleware: note when a connection sends a request, and when that is answered."""
        connection = self._open.get(request.protocol)
        if connection is None:  # not of a guarded listener
            return await handler(request)
        connection.asked()
        self._forget_idle(connection)
        try:
            return await handler(request)
        finally:
            if connection.is_open:
                self._note_idle(connection)

    def opened(self, connection: "Connection", address: str) -> bool:
        """Count a new connection; returns whether there is room for it."""
        network = connection.network = self._network_of(address)
        if not self._make_room(network):
            return False
        self._open[connection.handler] = connection
        self._count[network] += 1
        self._note_idle(connection)
        loop = asyncio.get_running_loop()
        connection.deadline = loop.call_later(self._request_secs, self._close_silent, connection)
        return True

    def lost(self, connection: "Connection") -> None:
        """Stop counting a connection."""
        if self._open.pop(connection.handler, None) is None:
            return
        self._forget_idle(connection)
        self._count[connection.network] -= 1
        if not self._count[connection.network]:
            del self._count[connection.network]

    def _make_room(self, network: str | None) -> bool:
        if network is not None and 0 < self._most_of_network <= self._count[network]:
            self._close_idle(network, "its network has too many")
        if len(self._open) < self._most:
            return True
        # From the network with the most, so that one network's do not displace another's.
        largest = max(self._idle, key=self._count.__getitem__, default=None)
        if self._close_idle(largest, "there are too many"):
            return True
        self._tell("refused because there are too many and none is idle")
        return False

    def _close_idle(self, network: str | None, why: str) -> bool:
        """Close the longest idle connection of a network; returns whether it has one."""
        idle = self._idle.get(network)
        if not idle:
            return False
        self._close(next(iter(idle)), why)
        return True

    def _close_silent(self, connection: "Connection") -> None:
        self._close(connection, f"no request came within {self._request_secs:g} s")

    def _close(self, connection: "Connection", why: str) -> None:
        connection.abort()
        self.lost(connection)
        self._tell(f"closed because {why}")

    def _note_idle(self, connection: "Connection") -> None:
        self._idle.setdefault(connection.network, OrderedDict())[connection] = None

    def _forget_idle(self, connection: "Connection") -> None:
        idle = self._idle.get(connection.network)
        if idle is None:
            return
        idle.pop(connection, None)
        if not idle:
            del self._idle[connection.network]

    def _tell(self, what: str) -> None:
        self._closed[what] += 1
        now = asyncio.get_running_loop().time()
        if now - self._logged_at < LOG_SECS:
            return
        self._logged_at = now
        told = "; ".join(f"{count} {what}" for what, count in self._closed.items())
        logger.warning("connections: {}. {} are open, of {}", told, len(self._open), self._most)
        self._closed.clear()


class Connection(asyncio.Protocol):
    """Stands between a transport and aiohttp's protocol, and tells when it is opened and lost.

    Parameters:
        handler: aiohttp's protocol.
        connections: Counts it.
    """

    def __init__(self, handler: web.RequestHandler, connections: Connections) -> None:
        self.handler = handler
        self.network: str | None = None
        self.deadline: asyncio.TimerHandle | None = None
        self._connections = connections
        self._transport: asyncio.Transport | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is neither closed nor refused."""
        return self._transport is not None

    def asked(self) -> None:
        """Note that a request has come, so that the wait for the first is over."""
        if self.deadline is not None:
            self.deadline.cancel()
            self.deadline = None

    def abort(self) -> None:
        """Close it at once."""
        if self._transport is not None:
            self._transport.abort()

    # asyncio.Protocol.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Pass it on if there is room."""
        transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        if not self._connections.opened(self, peer[0] if isinstance(peer, tuple) else ""):
            transport.abort()
            return
        self._transport = transport
        _limit_unread(transport)
        self.handler.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass it on, unless it was refused."""
        if self._transport is None:
            return
        self._transport = None
        self.asked()
        self._connections.lost(self)
        self.handler.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Pass it on."""
        self.handler.data_received(data)

    def eof_received(self) -> bool | None:
        """Pass it on."""
        self.handler.eof_received()
        return None

    def pause_writing(self) -> None:
        """Pass it on."""
        self.handler.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        self.handler.resume_writing()


def _limit_unread(transport: asyncio.Transport) -> None:
    """Have the system drop a connection whose peer stops reading."""
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    raw = transport.get_extra_info("socket")
    if option is not None and raw is not None:
        with suppress(OSError):
            raw.setsockopt(socket.IPPROTO_TCP, option, int(UNREAD_SECS * 1000))


class GuardedSite(web.BaseSite):
    """aiohttp's ``TCPSite`` with guarded connections.

    Parameters:
        runner: The application's runner, set up.
        host: Address or name to listen on.
        port: Port to listen on; 0 picks a free one.
        connections: Guards the connections.
    """

    def __init__(
        self, runner: web.BaseRunner, host: str, port: int, connections: Connections
    ) -> None:
        super().__init__(runner, backlog=ACCEPTED_AT_ONCE)
        self._host = host
        self._port = port
        self._connections = connections

    @property
    def name(self) -> str:
        """Where it listens."""
        return f"http://{self._host}:{self._port}"

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: The address is not available.
        """
        await super().start()
        server = self._runner.server
        assert server is not None
        self._server = await asyncio.get_running_loop().create_server(
            lambda: self._connections.guard(server()),
            self._host,
            self._port,
            backlog=self._backlog,
        )
