"""A call over a WebSocket: what a sans-I/O protocol says and hears, on aiohttp's socket."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Protocol

import aiohttp

from client.protocol import Event

CHUNK_SECS = 0.02
"""Length of audio that a caller sends and plays at a time."""

HANG_UP_SECS = 3.0
"""Maximum wait for a server to close the socket after a hang-up."""


class Wire(Protocol):
    """What a connection carries: Viva's :class:`~client.protocol.ClientProtocol`, or another's."""

    def data_to_send(self) -> Iterator[str | bytes]:
        """Remove and return the messages for the server."""
        ...

    def receive(self, message: str | bytes, now: float) -> None:
        """Process a message from the server."""
        ...

    def receive_eof(self) -> None:
        """Note that the socket is closed."""
        ...

    def events_received(self) -> Sequence[Event]:
        """Remove and return the received events."""
        ...

    def hang_up(self) -> None:
        """End the call."""
        ...


class Connection:
    """An open call; :func:`connect` makes one.

    Parameters:
        socket: The open WebSocket.
        wire: The sans-I/O protocol.
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
        """Send the wire's messages; does nothing once the socket is closed."""
        with suppress(ConnectionError):  # what ended the call is on its way
            for message in self._wire.data_to_send():
                if isinstance(message, str):
                    await self._socket.send_str(message)
                else:
                    await self._socket.send_bytes(message)

    def tick(self, every: Callable[[float], None], secs: float = CHUNK_SECS) -> asyncio.Task[None]:
        """Call a function periodically, and send the wire's messages after each call.

        Args:
            every: Called with its due time.
            secs: The interval; also the delay of the first call.

        Returns:
            The task, which ends when the socket is closed or by :meth:`stop`.
        """
        self._ticking = asyncio.create_task(self._tick(every, secs))
        return self._ticking

    async def until(self, condition: Callable[[], bool], timeout_secs: float) -> bool:
        """Wait for a condition on messages and ticks; returns whether it came true in time."""
        try:
            async with asyncio.timeout(timeout_secs):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def hang_up(self) -> None:
        """Stop ticking, end the call, and process the server's last messages."""
        await self.stop()
        self._wire.hang_up()
        await self.send()
        await asyncio.wait([self.listening], timeout=HANG_UP_SECS)

    async def stop(self) -> None:
        """Stop ticking.

        Raises:
            Exception: The exception of a failed tick.
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
    """Open a call, and close its socket at the end of the block.

    Args:
        url: The socket, ``ws://HOST:PORT/call``.
        wire: The sans-I/O protocol.
        take: Called with each event.
        headers: Further headers of the request.
        clock: Seconds; the event loop's by default.

    Raises:
        aiohttp.ClientError: No server answers, or the call is refused.
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
    """Cancel a task unless it is done; raise its exception if it failed."""
    task.cancel()
    (outcome,) = await asyncio.gather(task, return_exceptions=True)
    if isinstance(outcome, Exception):
        raise outcome
