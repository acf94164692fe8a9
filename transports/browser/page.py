"""The page's WebSocket: parses and sends messages, answers faults, bounds every wait."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from typing import Any

from aiohttp import ClientConnectionResetError, WSMessage, WSMsgType, web
from pipecat.processors.frameworks.rtvi import models as rtvi
from pydantic import BaseModel

from conversation.observer import CallObserver, Unobserved
from transports.browser.messages import (
    MAX_AUDIO_BYTES,
    Audible,
    ClientMessage,
    ClientReady,
    Clock,
    ClockAsked,
    End,
    Hangup,
    MessageError,
    Payload,
    Playback,
    Typed,
    Typing,
    parse_client_message,
    rtvi_message,
    server_message,
)
from transports.flood import Allowance

MESSAGES_PER_SEC = 200.0
"""How many messages a client may send a second, pings among them: Viva's page sends 45, a client
with a message each 10 ms and its reports 110."""

MESSAGES_AT_ONCE = 600
"""How many it may send at once: what Viva's page buffers while its network is down for 10 s."""

BYTES_PER_SEC = 64_000
"""How many bytes a page may send a second: twice what its voice takes."""

BYTES_AT_ONCE = 640_000
"""How many it may send at once: twice what it buffers while its network is down for 10 s."""

YIELD_AFTER = 10
"""Messages read from a full buffer before other calls have their turn."""

FLOOD_TIMEOUT_SECS = 2.0
"""Maximum wait for a client that sends too much to take in that its call is over."""

FAULTS_IN_A_ROW = 3
"""Number of invalid messages in a row that ends a call."""


class PageClosedError(Exception):
    """The page has gone."""


class PageProtocolError(Exception):
    """The page keeps sending invalid messages; the text is the last error."""


class PageStalledError(Exception):
    """The page has stopped reading."""


class Page:
    """The socket of one page; docs/protocol.md describes the protocol.

    Parameters:
        socket: A prepared WebSocket.
        send_timeout_secs: Maximum wait for the page to accept a message.
        drop: Drops the connection of a page that does not answer.
    """

    lead_secs = 0.4
    """Maximum lead of the voice sent over the voice played."""

    bytes_per_sec = BYTES_PER_SEC
    bytes_at_once = BYTES_AT_ONCE

    def __init__(
        self,
        socket: web.WebSocketResponse,
        *,
        send_timeout_secs: float = 5.0,
        drop: Callable[[], None] = lambda: None,
    ) -> None:
        self._socket = socket
        self._send_timeout_secs = send_timeout_secs
        self._drop_connection = drop
        self._received = 0
        self._allowance = Allowance(MESSAGES_PER_SEC, MESSAGES_AT_ONCE, time.monotonic)
        self._flood = ""
        self._waiting: asyncio.Timeout | None = None
        self._faults = 0
        self._stalled = False
        self._started = False
        self.observer: CallObserver = Unobserved()
        """Told of all that passes; :class:`VoiceOutput` gives it that of the page's call."""

    @property
    def socket(self) -> web.WebSocketResponse:
        """The WebSocket."""
        return self._socket

    @property
    def closed(self) -> bool:
        """Whether nothing more can be sent."""
        return self._socket.closed or self._stalled

    async def receive(self) -> bytes | ClientMessage:
        """Wait for the next valid message: audio as bytes, or a parsed text message.

        Raises:
            PageClosedError: The page has gone.
            PageProtocolError: Three messages in a row were invalid, or there were too many.
        """
        while True:
            message = await self._next_message()
            if message.type is WSMsgType.PING:
                await self._pong(message.data)
                continue
            if message.type is WSMsgType.PONG:
                continue
            if message.type not in (WSMsgType.BINARY, WSMsgType.TEXT):
                raise PageClosedError
            try:
                heard = await self._understood(message)
            except MessageError as error:
                self._faults += 1
                fatal = self._faults >= FAULTS_IN_A_ROW
                await self.send_error(str(error), fatal=fatal)
                if fatal:
                    raise PageProtocolError(str(error)) from None
            else:
                self._faults = 0
                if isinstance(heard, ClockAsked):
                    await self.send(Clock(sent=heard.sent, now=time.monotonic()))
                elif heard is not None:
                    self._note_said(heard)
                    return heard

    def flooded(self) -> None:
        """End the reading: the page sends more bytes than any client needs."""
        self._cut_off("bytes come faster than any call needs")
        if self._waiting is not None:
            self._waiting.reschedule(asyncio.get_running_loop().time())

    def _cut_off(self, flood: str) -> None:
        self._flood = self._flood or flood
        self._send_timeout_secs = min(self._send_timeout_secs, FLOOD_TIMEOUT_SECS)

    async def _next_message(self) -> WSMessage:
        """The next message, within what a page may send."""
        self._received += 1
        if self._received % YIELD_AFTER == 0:
            await asyncio.sleep(0)  # a full buffer is read without waiting
        message = None
        if not self._flood:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None) as self._waiting:
                    message = await self._socket.receive()
            self._waiting = None
        if self._allowance.exceeded(1):
            self._cut_off(f"more than {MESSAGES_PER_SEC:.0f} messages a second")
        if self._flood or message is None:
            with contextlib.suppress(PageClosedError, PageStalledError):
                await self.send_error(self._flood, fatal=True)
            raise PageProtocolError(self._flood)
        return message

    def _note_said(self, message: bytes | ClientMessage) -> None:
        """Tell the observer what the page has said."""
        match message:
            case bytes():
                self.observer.heard(message)
            case Playback() | Audible() | Hangup() | Typing() | Typed():
                self.observer.page_said(type(message).__name__.lower(), message.model_dump())
            case _:
                pass

    async def _understood(self, message: WSMessage) -> bytes | ClientMessage | None:
        """Parse a message; ``None`` if it was handled here."""
        if message.type is WSMsgType.BINARY:
            return _audio(message.data)
        heard = parse_client_message(message.data)
        if isinstance(heard, ClientReady):
            self._refuse_second_start()
        return heard

    def _refuse_second_start(self) -> None:
        if self._started:
            raise MessageError("client-ready came twice; the call has started")

    async def send_audio(self, audio: bytes) -> None:
        """Send PCM s16le, mono, 24 kHz.

        Raises:
            PageClosedError: The page has gone.
            PageStalledError: The page has not read within the timeout.
        """
        self.observer.sent(audio)
        await self._send(audio)

    async def send(self, payload: BaseModel) -> None:
        """Send one of Viva's messages inside a ``server-message``; raises as ``send_audio``."""
        self._note(payload)
        await self._send(server_message(payload))

    async def send_rtvi(self, message: BaseModel) -> None:
        """Send one of RTVI's own messages; raises as ``send_audio``."""
        self._note(message)
        await self._send(rtvi_message(message))

    async def send_error(self, error: str, *, fatal: bool = False) -> None:
        """Send an ``error`` message; raises as ``send_audio``."""
        await self.send_rtvi(rtvi.Error(data=rtvi.ErrorData(error=error, fatal=fatal)))

    async def ready(self) -> ClientReady:
        """Wait for the page's ``client-ready``; audio before it is ignored.

        Raises:
            PageClosedError: The page has gone, or hung up.
            PageProtocolError: Three messages in a row were invalid, or there were too many.
        """
        while True:
            match await self.receive():
                case ClientReady() as ready:
                    self._started = True
                    return ready
                case Hangup():
                    raise PageClosedError
                case _:
                    pass

    async def finish(self, reason: str, message: str) -> None:
        """Send the reason for the end, if the page can be reached, and close the socket."""
        if reason != "disconnected":
            with contextlib.suppress(PageClosedError, PageStalledError):
                await self.send(End.model_validate({"reason": reason, "message": message}))
        await self.close()

    async def close(self) -> None:
        """Close the socket; drop a page that does not answer."""
        try:
            async with asyncio.timeout(self._send_timeout_secs):
                await self._socket.close()
        except TimeoutError:
            self._drop_connection()
        except (ConnectionError, RuntimeError):
            pass

    def _note(self, message: BaseModel) -> None:
        """Report a message to the page to the observer: one of Viva's payloads, or of RTVI's."""
        if not self.observer.live:
            return
        if isinstance(message, Payload):
            told = data = message.model_dump(mode="json")
        else:
            told = message.model_dump(mode="json", exclude_none=True)
            data = told.get("data") or {}
        self.observer.page_told(told["type"], data)

    async def _send(self, message: str | bytes) -> None:
        await self._taken_in(
            self._socket.send_str(message)
            if isinstance(message, str)
            else self._socket.send_bytes(message)
        )

    async def _pong(self, data: bytes) -> None:
        await self._taken_in(self._socket.pong(data))

    async def _taken_in(self, sending: Coroutine[Any, Any, None]) -> None:
        """Wait for the page to accept what is sent."""
        if self.closed:
            sending.close()
            raise PageClosedError
        try:
            async with asyncio.timeout(self._send_timeout_secs):
                await sending
        except TimeoutError:
            self._stalled = True
            raise PageStalledError from None
        except (ClientConnectionResetError, ConnectionError, RuntimeError):
            raise PageClosedError from None


def _audio(data: bytes) -> bytes:
    if not data:
        raise MessageError("audio message of 0 bytes; one sample, 2 bytes, at least")
    if len(data) > MAX_AUDIO_BYTES:
        raise MessageError(f"audio message of {len(data)} bytes; {MAX_AUDIO_BYTES} at most")
    if len(data) % 2:
        raise MessageError(
            f"audio message of {len(data)} bytes; 16-bit samples need an even length"
        )
    return data
