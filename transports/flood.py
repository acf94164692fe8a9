"""Limits what a connection may send, in messages and bytes, above what honest clients need."""

import asyncio
import contextlib
from collections.abc import Callable

CLOSE_FRAME = b"\x88\x02\x03\xe8"
"""What closes a WebSocket with code 1000 (RFC 6455, sections 5.5.1 and 7.4.1)."""

SLICE_BYTES = 4_096
"""Bytes parsed before other calls have their turn: up to 680 messages, in about 2 ms. What is read
at once may be 640 kB, or 0.3 s of parsing."""

PEEK_SECS = 0.1
"""Time between two looks at whether a client that is not heard any more has gone."""


class Allowance:
    """A token bucket: limits an average rate, and the amount at once.

    Parameters:
        per_sec: The amount allowed per second.
        at_once: The amount allowed at once, after a pause.
        now: The clock, in seconds.
    """

    def __init__(self, per_sec: float, at_once: float, now: Callable[[], float]) -> None:
        self._per_sec = per_sec
        self._at_once = at_once
        self._now = now
        self._left = at_once
        self._since = now()

    def exceeded(self, amount: float) -> bool:
        """Use an amount; returns whether it exceeds what is left."""
        now = self._now()
        self._left = min(self._at_once, self._left + (now - self._since) * self._per_sec)
        self._since = now
        self._left -= amount
        return self._left < 0


class ByteGuard(asyncio.Protocol):
    """Counts the bytes that a transport receives, before its protocol does.

    So bytes that never become a message count, too, such as endless fragments of one. Much at once
    is passed on in slices, so that whoever counts messages can act before all are parsed. Once the
    allowance is exceeded, or the guard is told to :meth:`deafen` the connection, bytes are dropped
    and the transport is paused, so that the sender is held back while it is told.

    Parameters:
        transport: The connection; its protocol so far gets what is allowed.
        allowance: The bytes allowed.

    Attributes:
        flooded: Called once, when they are exceeded.
    """

    def __init__(self, transport: asyncio.Transport, allowance: Allowance) -> None:
        protocol = transport.get_protocol()
        assert isinstance(protocol, asyncio.Protocol)
        self._transport = transport
        self._protocol = protocol
        self._allowance = allowance
        self.flooded: Callable[[], None] = lambda: None
        self._deaf = False
        self._waiting = b""  # received, within the allowance, and not yet passed on
        self._lost = asyncio.Event()
        transport.set_protocol(self)

    def deafen(self) -> None:
        """Read nothing more of the connection."""
        self._deaf = True
        self._transport.pause_reading()

    async def hang_up(self, timeout_secs: float) -> None:
        """Close the WebSocket, and drop the connection unless its client does so in time.

        What the client still sends is dropped unparsed.

        Args:
            timeout_secs: Maximum wait for the client.
        """
        self.deafen()
        self._transport.write(CLOSE_FRAME)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_secs):
                while not self._lost.is_set():
                    self._transport.resume_reading()  # to learn whether the client has gone
                    await asyncio.sleep(PEEK_SECS)
        self.abort()

    def abort(self) -> None:
        """Drop the connection at once."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Pass data on, or drop it."""
        if not self._deaf and self._allowance.exceeded(len(data)):
            self._deaf = True
            self.flooded()
        if self._deaf:
            self._transport.pause_reading()
        elif self._waiting:
            self._waiting += data
        else:
            self._pass_on(data)

    def _pass_on(self, data: bytes) -> None:
        self._waiting = data[SLICE_BYTES:]
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._pass_on_the_rest)
        self._protocol.data_received(data[:SLICE_BYTES])

    def _pass_on_the_rest(self) -> None:
        if self._waiting and not self._deaf:
            self._pass_on(self._waiting)

    def _pass_on_all(self) -> None:
        data, self._waiting = self._waiting, b""
        if data and not self._deaf:
            self._protocol.data_received(data)

    def eof_received(self) -> bool | None:
        """Pass the end of what comes on, after all that came before it."""
        self._pass_on_all()
        return self._protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass the loss of the connection on, after all that came before it."""
        self._pass_on_all()
        self._lost.set()
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass on that the other side does not read."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Pass on that the other side reads again."""
        self._protocol.resume_writing()
