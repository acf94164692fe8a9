"""Limits what a connection may send, in messages and bytes, above what honest clients need."""

import asyncio
from collections.abc import Callable


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

    So bytes that never become a message count, too, such as endless fragments of one. Once the
    allowance is exceeded, bytes are dropped and the transport is paused, so that the sender is held
    back while it is told.

    Parameters:
        transport: The connection; its protocol so far gets what is allowed.
        allowance: The bytes allowed.
        flooded: Called once, when they are exceeded.
    """

    def __init__(
        self, transport: asyncio.Transport, allowance: Allowance, flooded: Callable[[], None]
    ) -> None:
        protocol = transport.get_protocol()
        assert isinstance(protocol, asyncio.Protocol)
        self._transport = transport
        self._protocol = protocol
        self._allowance = allowance
        self._flooded = flooded
        self._dropping = False
        transport.set_protocol(self)

    def data_received(self, data: bytes) -> None:
        """Pass data on, or drop it."""
        if not self._dropping and self._allowance.exceeded(len(data)):
            self._dropping = True
            self._flooded()
        if self._dropping:
            self._transport.pause_reading()
        else:
            self._protocol.data_received(data)

    def eof_received(self) -> bool | None:
        """Pass the end of what comes on."""
        return self._protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass the loss of the connection on."""
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass on that the other side does not read."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Pass on that the other side reads again."""
        self._protocol.resume_writing()
