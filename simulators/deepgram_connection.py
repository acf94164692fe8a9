"""One WebSocket of Deepgram's simulator: what Nova's and Flux's connections have in common."""

import asyncio
import json
import uuid
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Protocol

from aiohttp import WSCloseCode, WSMsgType, web

from simulators.deepgram_faults import Fault, Request
from simulators.deepgram_recogniser import Script, Transcriber, TurnJudge

NET_0001 = "NET-0001"


class Simulator(Protocol):
    """What a connection uses of its simulator."""

    script: Script
    transcriber: Transcriber | None
    judge: TurnJudge | None
    speech_rms: float
    timeout_secs: float

    def delay(self) -> float:
        """Draw the next message's latency, in seconds."""
        ...

    def flux_delay(self) -> float:
        """Draw the latency of Flux's next message, in seconds."""
        ...

    def faults_of(self, *, connection: int) -> list[Fault]:
        """The faults that apply to the connection with this number."""
        ...


class Clock(Protocol):
    """A recogniser, as far as faults need it."""

    @property
    def time(self) -> float:
        """Seconds of audio that it has been given."""
        ...


class DeepgramConnection(ABC):
    """Receives audio and commands, sends messages when they are due, and applies faults.

    Parameters:
        simulator: Whose connection it is.
        number: Its number, from 0.
        log: Where it writes down what comes and goes.
        request: The handshake.
        recogniser: What its audio goes to.
    """

    CUT: ClassVar[bytes]
    """The first bytes of a message, after which the fault ``cut`` ends the connection."""

    GARBAGE: ClassVar[str]
    """A message whose fields are not what they must be, for the fault ``garbage``."""

    def __init__(
        self,
        simulator: Simulator,
        number: int,
        log: Request,
        request: web.Request,
        recogniser: Clock,
    ) -> None:
        self._simulator = simulator
        self._number = number
        self._log = log
        self._request = request
        self._recogniser_clock = recogniser
        self._id = str(uuid.UUID(int=number + 1))
        self._socket = web.WebSocketResponse(compress=False, autoping=True, timeout=1.0)
        self._outbox: asyncio.Queue[tuple[float, Any]] = asyncio.Queue()
        self._applied: set[int] = set()
        self._stalled = False

    async def serve(self) -> web.WebSocketResponse:
        """Serve the connection until either side ends it."""
        self._socket.headers["dg-request-id"] = self._id
        await self._socket.prepare(self._request)
        self._opened()
        sending = asyncio.create_task(self._send())
        try:
            await self._receive()
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        return self._socket

    def abort(self) -> None:
        """Drop the TCP connection."""
        if self._request.transport is not None:
            self._request.transport.abort()

    # What each model does in its own way.

    def _opened(self) -> None:  # noqa: B027 - Nova says nothing first
        """Queue what is sent first."""

    @abstractmethod
    async def _hear(self, audio: bytes) -> None:
        """Give audio to the recogniser, and queue what it says."""

    @abstractmethod
    async def _obey(self, kind: str, message: dict[str, Any], text: str) -> bool:
        """Handle a text message; true if it ends the connection."""

    async def _emptied(self) -> bool:
        """Handle a message without audio; true if it ends the connection."""
        return False

    async def _message(self, event: Any) -> dict[str, Any]:
        """The message of what was queued; called when its turn has come, before it is due."""
        message: dict[str, Any] = event
        return message

    async def _before_close(self) -> None:  # noqa: B027 - Nova says nothing then
        """Send what precedes the fault ``close``."""

    # What they have in common.

    async def _receive(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._simulator.timeout_secs):
                    message = await self._socket.receive()
            except TimeoutError:
                await self._close(WSCloseCode.INTERNAL_ERROR, NET_0001)
                return
            if message.type is WSMsgType.BINARY:
                if not message.data and await self._emptied():
                    return
                self._log.audio_bytes += len(message.data)
                self._log.audio_messages += 1
                if not self._stalled:
                    await self._hear(message.data)
                if await self._apply_faults():
                    return
            elif message.type is WSMsgType.TEXT:
                if await self._command(message.data):
                    return
            else:
                return

    async def _command(self, text: str) -> bool:
        try:
            message = json.loads(text)
            kind = message["type"]
        except (ValueError, KeyError, TypeError):
            message, kind = {"type": "?"}, "?"
        self._log.messages.append((now(), message))
        return await self._obey(kind, message, text)

    async def _drain(self) -> None:
        """Wait until all that is queued has been sent."""
        while not self._outbox.empty():
            await asyncio.sleep(0.005)
        await asyncio.sleep(0)

    async def _send(self) -> None:
        while True:
            due, event = await self._outbox.get()
            message = await self._message(event)
            if (wait := due - now()) > 0:
                await asyncio.sleep(wait)
            if self._stalled or self._socket.closed:
                continue
            self._log.sent.append((now(), message))
            try:
                await self._socket.send_str(json.dumps(message))
            except ConnectionError:
                return

    async def _close(self, code: int, reason: str) -> None:
        self._log.closed_with = int(code)
        await self._socket.close(code=code, message=reason.encode())

    async def _apply_faults(self) -> bool:
        """Apply the faults that are due; true if one ended the connection."""
        for index, fault in enumerate(self._simulator.faults_of(connection=self._number)):
            if index in self._applied or self._recogniser_clock.time < fault.at_secs:
                continue
            self._applied.add(index)
            match fault.kind:
                case "drop":
                    self.abort()
                    return True
                case "cut":
                    if self._request.transport is not None:
                        # The header announces a text frame of 256 bytes; these are all that come.
                        self._request.transport.write(b"\x81\x7e\x01\x00" + self.CUT)
                        self._request.transport.close()
                    return True
                case "close":
                    await self._before_close()
                    await self._close(fault.code, fault.reason)
                    return True
                case "stall":
                    self._stalled = True
                case "garbage":
                    await self._socket.send_str("}{ this is no JSON")
                    await self._socket.send_str(self.GARBAGE)
        return False


def now() -> float:
    """Seconds, on the event loop's clock."""
    return asyncio.get_running_loop().time()
