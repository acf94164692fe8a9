"""A call over a WebSocket: what a sans-I/O protocol says and hears, on aiohttp's socket."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Protocol

import aiohttp

from client.protocol import Event

CHUNK_SECS = 0.02
"""A caller sends and plays so much at a time."""

HANG_UP_SECS = 3.0
"""Longest wait for a server to close the socket of a caller who has hung up."""


class Wire(Protocol):
    """What a connection carries: Viva's :class:`~client.protocol.ClientProtocol`, or another's."""

    def data_to_send(self) -> Iterator[str | bytes]:
        """Take out the messages for the server."""
        ...

    def receive(self, message: str | bytes, now: float) -> None:
        """Take a message of the server's."""
        ...

    def receive_eof(self) -> None:
        """The socket is closed."""
        ...

    def events_received(self) -> Sequence[Event]:
        """Take out what came."""
        ...

    def hang_up(self) -> None:
        """End the call."""
        ...


class Connection:
    """An open call; :func:`connect` makes one.

    Parameters:
        socket: The open WebSocket.
        wire: What is said and heard.
        take: Called with each event.
        clock: Seconds; what the wire and the ticks go by.
    """

    def __init__(
        self,
        socket: aiohttp.ClientWebSocketResponse,
        wire: Wire,
        take: Callable[[Event], None],
        clock: Callable[[], float],
    ) -> None:
        self._socket = socket
        self._wire = wire
        self._take = take
        self._clock = clock
        self._changed = asyncio.Event()
        self._ticking: asyncio.Task[None] | None = None
        self.listening = asyncio.create_task(self._listen())

    async def send(self) -> None:
        """Send what the wire has for the server; nothing once the socket is closed."""
        with suppress(ConnectionError):  # what ended the call is on its way
            for message in self._wire.data_to_send():
                if isinstance(message, str):
                    await self._socket.send_str(message)
                else:
                    await self._socket.send_bytes(message)

    def tick(self, every: Callable[[float], None], secs: float = CHUNK_SECS) -> asyncio.Task[None]:
        """Have a function called again and again, and what it has to say sent.

        Args:
            every: Called with the time at which it was due.
            secs: The time between two calls; the first comes after as long.

        Returns:
            The task that does so, until the socket is closed or :meth:`stop`.
        """
        self._ticking = asyncio.create_task(self._tick(every, secs))
        return self._ticking

    async def until(self, condition: Callable[[], bool], timeout_secs: float) -> bool:
        """Wait for something that a message or a tick brings about; whether it came in time."""
        try:
            async with asyncio.timeout(timeout_secs):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def hang_up(self) -> None:
        """Say no more, end the call, and take what the server still says of it."""
        await self.stop()
        self._wire.hang_up()
        await self.send()
        await asyncio.wait([self.listening], timeout=HANG_UP_SECS)

    async def stop(self) -> None:
        """Tick no more.

        Raises:
            Exception: Whatever a tick failed with.
        """
        ticking, self._ticking = self._ticking, None
        if ticking is not None:
            await _end(ticking)

    async def _tick(self, every: Callable[[float], None], secs: float) -> None:
        start = self._clock()
        for number in itertools.count(1):
            due = start + number * secs
            await asyncio.sleep(max(0.0, due - self._clock()))
            if self._socket.closed:
                return
            every(due)
            await self.send()
            self._changed.set()

    async def _listen(self) -> None:
        async for message in self._socket:
            if message.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT):
                self._wire.receive(message.data, self._clock())
                self._hand_on()
                await self.send()
        self._wire.receive_eof()
        self._hand_on()

    def _hand_on(self) -> None:
        for event in self._wire.events_received():
            self._take(event)
        self._changed.set()


@asynccontextmanager
async def connect(
    url: str,
    wire: Wire,
    take: Callable[[Event], None],
    *,
    headers: Mapping[str, str] | None = None,
    clock: Callable[[], float] | None = None,
) -> AsyncIterator[Connection]:
    """Open a call, and close its socket behind the block.

    Args:
        url: The socket, ``ws://HOST:PORT/call``.
        wire: What is said and heard.
        take: Called with each event.
        headers: Further headers of the request.
        clock: Seconds; the event loop's by default.

    Raises:
        aiohttp.ClientError: Nobody answers there, or the call is refused.
        OSError: The same.
    """
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url, max_msg_size=0, headers=headers) as socket,
    ):
        connection = Connection(socket, wire, take, clock or asyncio.get_running_loop().time)
        try:
            yield connection
        finally:
            try:
                await connection.stop()
            finally:
                await _end(connection.listening)


async def _end(task: asyncio.Task[None]) -> None:
    """Cancel a task unless it is over; if it failed, raise what it failed with."""
    task.cancel()
    (outcome,) = await asyncio.gather(task, return_exceptions=True)
    if isinstance(outcome, Exception):
        raise outcome
