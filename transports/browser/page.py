"""The page's WebSocket: parses and sends messages, answers faults, bounds every wait."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from typing import Any

from aiohttp import ClientConnectionResetError, WSCloseCode, WSMessage, WSMsgType, web
from loguru import logger
from pipecat.processors.frameworks.rtvi import models as rtvi
from pydantic import BaseModel

from conversation.observer import CallObserver, Unobserved
from conversation.turns import INPUT_SAMPLE_RATE
from transports.browser.messages import (
    MAX_AUDIO_BYTES,
    Audible,
    ClientMessage,
    ClientReady,
    Clock,
    ClockAsked,
    Codec,
    End,
    Hangup,
    Lead,
    MessageError,
    Payload,
    Playback,
    Resume,
    Resumed,
    Talk,
    Typed,
    Typing,
    parse_client_message,
    rtvi_message,
    server_message,
)
from transports.browser.opus import OpusDecoder, OpusEncoder, OpusError, load
from transports.browser.resumption import AWAY_SECS, RESUME_SECS, Resumption
from transports.deadlines import Deadlines
from transports.flood import Allowance, ByteGuard

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

SILENCE_SECS = 0.1
"""Length of the silence that a call hears at a time while its page is away."""

LATE_STEP_SECS = 0.05
"""Least change of how late the caller's voice comes that counts."""

BUSY_SECS = 3.0
"""Interval at which a call whose page is away is kept from asking whether anybody is there."""

_SILENCE = bytes(round(SILENCE_SECS * INPUT_SAMPLE_RATE) * 2)

_LEFT = (0, WSCloseCode.OK, WSCloseCode.GOING_AWAY)
"""Codes with which a page closes its socket that does not come back; 0 is none."""


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
        guard: What limits the connection, and drops it when the page does not answer.
    """

    lead_secs = 0.4
    """Maximum lead of the voice sent over the voice played; a page may ask for another one."""

    late_secs = 0.0
    """By how much later than it was spoken the caller's voice comes, as the page measures it."""

    bytes_per_sec = BYTES_PER_SEC
    bytes_at_once = BYTES_AT_ONCE

    def __init__(
        self,
        socket: web.WebSocketResponse,
        *,
        send_timeout_secs: float = 5.0,
        guard: ByteGuard | None = None,
    ) -> None:
        self._socket = socket
        self._send_timeout_secs = send_timeout_secs
        self._guard = guard
        if guard is not None:
            guard.flooded = self.flooded
        self._received = 0
        self._allowance = Allowance(MESSAGES_PER_SEC, MESSAGES_AT_ONCE, time.monotonic)
        self._flood = ""
        self._deadlines = Deadlines()
        self._reader: asyncio.Task[object] | None = None  # what waits for the next message
        self._faults = 0
        self._typed = 0  # questions
        self._asks_for_lead = False
        self._ear: OpusDecoder | None = None  # of a page that sends Opus
        self._mouth: OpusEncoder | None = None  # of one that gets it
        self._stalled = False
        self._started = False
        self._resumption: Resumption | None = None  # once the page may resume its call
        self._successor: Page | None = None  # the call's page, which has taken this one's socket
        self._released = asyncio.Event()  # the socket is of no more use
        self._heard_at = 0.0
        self._there = asyncio.Event()
        self._there.set()
        self._away_since = self._silent_until = self._busy_until = 0.0
        self._catching_up = False
        self.absent: Callable[[float], None] = lambda _quiet_secs: None
        """Called when the page is away, with the seconds for which nothing has come."""
        self.back: Callable[[], None] = lambda: None
        """Called when it is there again."""
        self.observer: CallObserver = Unobserved()
        """Told of all that passes; :class:`VoiceOutput` gives it that of the page's call."""

    @property
    def socket(self) -> web.WebSocketResponse:
        """The WebSocket."""
        return self._socket

    @property
    def closed(self) -> bool:
        """Whether nothing more can be sent on the socket."""
        return self._socket.closed or self._stalled

    @property
    def away(self) -> bool:
        """Whether the page cannot be reached now, and may come back."""
        return not self._there.is_set()

    async def present(self) -> None:
        """Wait until the page is not away."""
        await self._there.wait()

    async def receive(self) -> bytes | ClientMessage:
        """Wait for the next valid message: audio as bytes, or a parsed text message.

        Raises:
            PageClosedError: The page has gone.
            PageProtocolError: Three messages in a row were invalid, or there were too many.
        """
        while True:
            if self.away and (filler := self._filler()) is not None:
                self._note_said(filler)
                return filler
            message = await self._next_message()
            if message is None:
                continue
            if message.type is WSMsgType.PING:
                await self._pong(message.data)
                continue
            if message.type is WSMsgType.PONG:
                continue
            if message.type not in (WSMsgType.BINARY, WSMsgType.TEXT):
                left = message.type is WSMsgType.CLOSE and message.data in _LEFT
                if left or self._resumption is None:
                    raise PageClosedError
                self._go_away()
                continue
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
                    if self._resumption is not None and heard.received is not None:
                        self._resumption.unreceived.acknowledge(heard.received)
                    if heard.late is not None:
                        self.late(heard.late)
                    await self.send(Clock(sent=heard.sent, now=time.monotonic()))
                elif isinstance(heard, Lead):
                    self.lead(heard.secs)
                elif heard is not None:
                    self._typed += isinstance(heard, Typed)
                    self._note_said(heard)
                    return heard

    def flooded(self) -> None:
        """End the reading: the page sends more bytes than any client needs."""
        if self._successor is not None:
            self._successor.flooded()
            return
        self._cut_off("bytes come faster than any call needs")
        if self._reader is not None:
            self._deadlines.move(self._reader, asyncio.get_running_loop().time())

    def _cut_off(self, flood: str) -> None:
        self._flood = self._flood or flood
        self._send_timeout_secs = min(self._send_timeout_secs, FLOOD_TIMEOUT_SECS)
        if self._guard is not None:
            self._guard.deafen()

    async def _next_message(self) -> WSMessage | None:
        """The next message, within what a page may send; ``None`` if there is none for now."""
        self._received += 1
        if self._received % YIELD_AFTER == 0:
            await asyncio.sleep(0)  # a full buffer is read without waiting
        message, socket = None, self._socket
        if not self._flood:
            self._reader = asyncio.current_task()
            with contextlib.suppress(TimeoutError):
                if self.away and self.closed:
                    await self._deadlines.within(self._patience(), self._there.wait())
                else:
                    message = await self._deadlines.within(self._patience(), socket.receive())
            self._reader = None
        if message is not None and self._allowance.exceeded(1):
            self._cut_off(f"more than {MESSAGES_PER_SEC:.0f} messages a second")
        if self._flood:
            with contextlib.suppress(PageClosedError, PageStalledError):
                await self.send_error(self._flood, fatal=True)
            raise PageProtocolError(self._flood)
        if self._resumption is not None:
            message = self._noted(message, socket)
        return message

    def lead(self, secs: float) -> None:
        """Send the voice so far ahead, at most, from now on."""
        self.lead_secs = secs
        self._asks_for_lead = True
        self.note_lead()

    def note_lead(self) -> None:
        """Tell the observer of the lead that the page has asked for, if it has."""
        if self._asks_for_lead:
            self.observer.page_said("lead", {"secs": self.lead_secs})

    def late(self, secs: float) -> None:
        """Note by how much later than it was spoken the caller's voice comes now."""
        if abs(secs - self.late_secs) >= LATE_STEP_SECS:
            self.late_secs = secs
            self.note_late()

    def note_late(self) -> None:
        """Tell the observer how late the caller's voice comes, once that is known."""
        if self.late_secs:
            self.observer.page_said("late", {"secs": self.late_secs})

    def note_codecs(self) -> None:
        """Tell the observer what both voices come in, unless it is PCM."""
        if self._ear is not None or self._mouth is not None:
            microphone, voice = (_codec(side) for side in (self._ear, self._mouth))
            self.observer.page_said("codecs", {"microphone": microphone, "voice": voice})

    # A page that may resume its call.

    async def offer_resumption(self, resumption: Resumption) -> None:
        """Tell the page by what it may resume its call; what follows is numbered.

        Raises:
            PageClosedError: The page has gone.
            PageStalledError: The page has not read within the timeout.
        """
        await self._transmit(self._offer(resumption))
        self._resumption = resumption
        self._heard_at = asyncio.get_running_loop().time()
        if self._reader is not None:
            self._deadlines.move(self._reader, self._heard_at + AWAY_SECS)

    def resumes(self, asked: Resumed) -> bool:
        """Whether a page that asks for it may resume the call; its token is used up then."""
        return self._resumption is not None and self._resumption.resume(asked.token, asked.received)

    async def take_over(self, newcomer: "Page", received: int) -> None:
        """Go on with the socket on which the page has come back; returns when that is over.

        Args:
            newcomer: The socket, on which the right to resume was proved.
            received: How many messages have come on those before.
        """
        self._go_away()
        self._drop_connection()
        self._released.set()
        self._socket, self._released, self._stalled = newcomer.socket, newcomer._released, False
        self._guard, newcomer._successor = newcomer._guard, self
        # If it goes again meanwhile, it may come back again.
        with contextlib.suppress(PageClosedError, PageStalledError):
            await self._catch_up(received)
            self._come_back()
        await newcomer._released.wait()

    async def _catch_up(self, received: int) -> None:
        """Send what the page has not received, and what comes up meanwhile."""
        resumption, socket = self._resumption, self._socket
        assert resumption is not None
        self._catching_up = True
        try:
            await self._transmit(self._offer(resumption))
            while (message := resumption.unreceived.after(received)) is not None:
                await self._transmit(message)
                received += 1
                if socket is not self._socket:
                    raise PageClosedError
        finally:
            self._catching_up = False

    def _offer(self, resumption: Resumption) -> str:
        message = Resume(
            token=resumption.renew(),
            place=resumption.place,
            secs=RESUME_SECS,
            typed=self._typed,
        )
        return server_message(message)

    def _patience(self) -> float | None:
        """How long to wait for the next message, in seconds."""
        if self._resumption is None:
            return None
        return SILENCE_SECS if self.away else AWAY_SECS

    def _noted(self, message: WSMessage | None, socket: web.WebSocketResponse) -> WSMessage | None:
        """A message of a page that may be away; ``None`` if it came on a socket before."""
        if socket is not self._socket:
            return None
        if message is None:
            self._go_away()
        elif message.type in (WSMsgType.BINARY, WSMsgType.TEXT, WSMsgType.PING, WSMsgType.PONG):
            self._heard_at = self._silent_until = asyncio.get_running_loop().time()
            if self.away and not self._catching_up:
                self._come_back()
        return message

    def _go_away(self) -> None:
        if self.away or self._resumption is None:
            return
        now = asyncio.get_running_loop().time()
        logger.info("the page is away")
        self._away_since = self._silent_until = now
        self._busy_until = now - BUSY_SECS
        self._note_away(now - self._heard_at)

    def _come_back(self) -> None:
        if not self.away:
            return
        secs = asyncio.get_running_loop().time() - self._away_since
        logger.info("the page is back after {:.1f} s", secs)
        self._note_back()

    def _note_away(self, quiet_secs: float) -> None:
        self._there.clear()
        self.observer.page_said("away", {"quiet_secs": quiet_secs})
        self.absent(quiet_secs)

    def _note_back(self) -> None:
        self._there.set()
        self.observer.page_said("back", {})
        self.back()

    def _filler(self) -> bytes | Typing | None:
        """What a call hears next of a page that is away, if it is due: as of one that is muted.

        Raises:
            PageClosedError: It has been away for too long.
        """
        now = asyncio.get_running_loop().time()
        if now - self._away_since >= RESUME_SECS:
            raise PageClosedError
        if now - self._busy_until >= BUSY_SECS:
            self._busy_until = now
            return Typing()
        if now - self._silent_until >= SILENCE_SECS:
            self._silent_until += SILENCE_SECS
            return _SILENCE
        return None

    def _note_said(self, message: bytes | ClientMessage) -> None:
        """Tell the observer what the page has said."""
        match message:
            case bytes():
                self.observer.heard(message)
            case Playback() | Audible() | Hangup() | Typing() | Talk() | Typed():
                self.observer.page_said(type(message).__name__.lower(), message.model_dump())
            case _:
                pass

    async def _understood(self, message: WSMessage) -> bytes | ClientMessage | None:
        """Parse a message; ``None`` if it was handled here."""
        if message.type is WSMsgType.BINARY:
            return self._decoded(message.data)
        heard = parse_client_message(message.data)
        if isinstance(heard, ClientReady):
            self._refuse_second_start()
        if isinstance(heard, Resumed) and self._started:
            raise MessageError("resume came in mid-call; it opens a socket of its own")
        return heard

    def _decoded(self, data: bytes) -> bytes:
        if self._ear is None:
            return _pcm(data)
        try:
            return self._ear.decode(data)
        except OpusError as error:
            raise MessageError(str(error)) from None

    async def _agree(self, ready: ClientReady) -> None:
        """Take to what the page wants audio to come in."""
        if "opus" not in (ready.data.microphone, ready.data.voice):
            return
        await asyncio.to_thread(load)
        self._ear = OpusDecoder() if ready.data.microphone == "opus" else None
        self._mouth = OpusEncoder() if ready.data.voice == "opus" else None

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
        await self._send_voice(audio if self._mouth is None else self._mouth.encode(audio))

    async def send_rest(self) -> None:
        """Send what a codec holds back of a whole voice; raises as ``send_audio``."""
        if self._mouth is not None:
            await self._send_voice(self._mouth.rest())

    def drop_rest(self) -> None:
        """Forget what a codec holds back: the voice was interrupted."""
        if self._mouth is not None:
            self._mouth.drop()

    async def _send_voice(self, message: bytes) -> None:
        if message:
            await self._send(message)

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
                    await self._agree(ready)
                    self._started = True
                    return ready
                case Hangup():
                    raise PageClosedError
                case _:
                    pass

    async def asked_to_resume(self) -> Resumed:
        """Wait for what a page says that comes back to its call; raises as :meth:`ready`."""
        while True:
            match await self.receive():
                case Resumed() as asked:
                    return asked
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
        if self._flood and self._guard is not None:
            # The socket would first read all that waits, in one go: a hundred thousand messages.
            await self._guard.hang_up(self._send_timeout_secs)
            self._released.set()
            return
        try:
            async with asyncio.timeout(self._send_timeout_secs):
                await self._socket.close()
        except TimeoutError:
            self._drop_connection()
        except (ConnectionError, RuntimeError):
            pass
        self._released.set()

    def _drop_connection(self) -> None:
        if self._guard is not None:
            self._guard.abort()

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
        """Send a message; to a page that may resume its call, sooner or later."""
        if self._resumption is None:
            await self._transmit(message)
            return
        self._resumption.unreceived.add(message)
        socket = self._socket
        if self._catching_up or (self.away and self.closed):
            return
        try:
            await self._transmit(message)
        except (PageClosedError, PageStalledError):
            if socket is self._socket:
                self._go_away()

    async def _transmit(self, message: str | bytes) -> None:
        await self._taken_in(
            self._socket.send_str(message)
            if isinstance(message, str)
            else self._socket.send_bytes(message)
        )

    async def _pong(self, data: bytes) -> None:
        with contextlib.ExitStack() as stack:
            if self._resumption is not None:  # what comes next of it shows whether it has gone
                stack.enter_context(contextlib.suppress(PageClosedError, PageStalledError))
            await self._taken_in(self._socket.pong(data))

    async def _taken_in(self, sending: Coroutine[Any, Any, None]) -> None:
        """Wait for the page to accept what is sent."""
        if self.closed:
            sending.close()
            raise PageClosedError
        socket = self._socket
        try:
            await self._deadlines.within(self._send_timeout_secs, sending)
        except TimeoutError:
            self._stalled = self._stalled or socket is self._socket
            raise PageStalledError from None
        except (ClientConnectionResetError, ConnectionError, RuntimeError):
            raise PageClosedError from None


def _codec(side: OpusDecoder | OpusEncoder | None) -> Codec:
    return "pcm" if side is None else "opus"


def _pcm(data: bytes) -> bytes:
    if not data:
        raise MessageError("audio message of 0 bytes; one sample, 2 bytes, at least")
    if len(data) > MAX_AUDIO_BYTES:
        raise MessageError(f"audio message of {len(data)} bytes; {MAX_AUDIO_BYTES} at most")
    if len(data) % 2:
        raise MessageError(
            f"audio message of {len(data)} bytes; 16-bit samples need an even length"
        )
    return data
