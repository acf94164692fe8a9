"""One WebSocket of the ElevenLabs simulator, and its contexts."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any, Protocol

from aiohttp import WSMsgType, web

from simulators.elevenlabs_wire import CloseSocket, Fault, Request, alignment

RATE = 24_000
MAX_CONTEXTS = 5
SCHEDULE = (120, 160, 250, 290)
"""Characters that the service waits for before each generation: the documents' default of
``chunk_length_schedule``."""
FORMATS = frozenset({"pcm_24000"})  # The simulator has more.


class Simulator(Protocol):
    """What a session uses of its simulator."""

    def now(self) -> float:
        """The event loop's time, in seconds."""
        ...

    def fault(self, request: Request, sent_secs: float, *kinds: str) -> Fault | None:
        """The fault of one of these kinds that is due on a request, if any."""
        ...

    def unknown_voice(self, voice_id: str) -> bool:
        """Whether the account has no voice with this id."""
        ...

    async def wait_for_audio(self, *, first: bool) -> None:
        """Wait from text to audio, for a context's first or further text."""
        ...

    async def synthesise(self, text: str, *, first: bool) -> tuple[bytes, list[float]]:
        """A text's audio, and the start of each of its characters in seconds."""
        ...

    def chunks(self, pcm: bytes) -> AsyncIterator[bytes]:
        """The audio in chunks, at the pace at which it is made."""
        ...


class Session:
    """One WebSocket with up to :data:`MAX_CONTEXTS` contexts."""

    def __init__(
        self,
        simulator: Simulator,
        request: Request,
        socket: web.WebSocketResponse,
        voice_id: str,
    ) -> None:
        self.simulator = simulator
        self.request = request
        self.auto = request.query.get("auto_mode") == "true"
        self.sync = request.query.get("sync_alignment") == "true"
        self.sent = 0  # bytes of audio
        self._socket = socket
        self._voice_id = voice_id
        self._timeout = float(request.query.get("inactivity_timeout", "20"))
        self._contexts: dict[str, Context] = {}
        self._closing: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Serve the connection until either side ends it."""
        receiving = asyncio.create_task(self._receive())
        await asyncio.wait({receiving, self._closing}, return_when=asyncio.FIRST_COMPLETED)
        if not receiving.done():
            receiving.cancel()
            await asyncio.gather(receiving, return_exceptions=True)
            self._closing.result()
        receiving.result()

    async def end(self) -> None:
        """Drop all contexts."""
        self._closing.cancel()
        for context in [*self._contexts.values()]:
            await context.drop()

    def stop(self, closing: CloseSocket) -> None:
        """End the connection from a context's task."""
        if not self._closing.done():
            self._closing.set_exception(closing)

    async def _receive(self) -> None:
        query = self.request.query
        while True:
            try:
                raw = await self._socket.receive(timeout=self._timeout)
            except TimeoutError:
                raise CloseSocket(
                    code=1008,
                    error="input_timeout_exceeded",
                    message=f"Have not received a new text input within the timeout of "
                    f"{self._timeout:g} seconds. Streaming input terminated. Please make sure to "
                    f"either feed the input in the timely manner, or to send the end of input "
                    f'text (empty string "") when done.',
                ) from None
            if raw.type is not WSMsgType.TEXT:
                return
            try:
                message = json.loads(raw.data)
                if not isinstance(message, dict):
                    raise ValueError
            except ValueError:
                raise CloseSocket(
                    code=1008,
                    error="invalid_input_message",
                    message="Could not parse input message, make sure it is a json and follows "
                    "the schema outlined in protocol.",
                ) from None
            masked = {k: "***" if "api" in k or k == "authorization" else v
                      for k, v in message.items()}  # fmt: skip
            self.request.messages.append((self.simulator.now(), masked))
            if self.simulator.unknown_voice(self._voice_id):
                raise CloseSocket(
                    code=1008,
                    error="voice_id_does_not_exist",
                    message=f"A voice with voice_id {self._voice_id} does not exist.",
                )
            if query.get("output_format") not in FORMATS:
                raise CloseSocket(
                    code=1008, error="invalid_output_format", message="Not supported."
                )
            if str(message.get("text") or "").strip() and (
                fault := self.simulator.fault(self.request, self.sent / 2 / RATE, "error")
            ):
                raise CloseSocket(code=1008, error=fault.code, message=fault.message)
            await self._handle(message)

    async def _handle(self, message: dict[str, Any]) -> None:
        if message.get("close_socket"):
            for context in [*self._contexts.values()]:
                await context.close(flush=bool(message.get("flush")))
            raise CloseSocket(code=1000)
        context_id = str(message.get("context_id") or message.get("contextId") or "")
        text = message.get("text") or ""
        if context_id not in self._contexts:
            if not text:
                return  # A keep-alive, or the close of a context that has ended.
            if len(self._contexts) >= MAX_CONTEXTS:
                raise CloseSocket(
                    code=1008,
                    error="max_active_conversations",
                    message=f"Maximum simultaneous contexts per WebSocket connection exceeded "
                    f"({MAX_CONTEXTS}). Please close an existing context before opening a new one.",
                )
            self._contexts[context_id] = Context(self, context_id, self._timeout)
        elif message.get("voice_settings"):
            raise CloseSocket(
                code=1008,
                error="invalid_input_message",
                message="voice_settings can only be provided in the first message of a context.",
            )
        context = self._contexts[context_id]
        context.touch()
        if text.strip() and not message.get("close_context"):
            context.add(text)
        if message.get("flush"):
            context.flush()
        if message.get("close_context"):
            closing = asyncio.create_task(context.close(flush=context.flushed))
            context.closing = closing

    async def closed(self, context: "Context") -> None:
        """Forget a context and send its ``isFinal``."""
        if self._contexts.get(context.context_id) is context:
            del self._contexts[context.context_id]
            await self.send({"isFinal": True, "contextId": context.context_id or None})

    async def send(self, message: dict[str, Any]) -> None:
        """Send a message; log it with its audio's length in place of the audio."""
        if self._socket.closed or self._closing.done():
            return
        logged = {**message}
        if logged.get("audio"):
            logged["audio"] = len(base64.b64decode(logged["audio"]))
        self.request.replies.append((self.simulator.now(), logged))
        try:
            await self._socket.send_json(message)
        except ConnectionError:
            self.stop(CloseSocket(code=None))


class Context:
    """One context: a stream of text, and the audio made from it."""

    def __init__(self, session: Session, context_id: str, timeout: float) -> None:
        self.context_id = context_id
        self.flushed = False
        self.closing: asyncio.Task[None] | None = None
        self._session = session
        self._timeout = timeout
        self._buffer = ""
        self._generations = 0
        self._texts: asyncio.Queue[str | None] = asyncio.Queue()
        self._task = asyncio.create_task(self._speak())
        self._timer: asyncio.TimerHandle | None = None

    def touch(self) -> None:
        """Restart the inactivity timeout."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(self._timeout, self._expire)

    def _expire(self) -> None:
        self.closing = asyncio.create_task(self.close(flush=False))

    def add(self, text: str) -> None:
        """Buffer text; generate audio once the schedule's length is reached."""
        self._buffer += text
        self.flushed = False
        least = SCHEDULE[min(self._generations, len(SCHEDULE) - 1)]
        if self._session.auto or len(self._buffer) >= least:
            self._generate()

    def flush(self) -> None:
        """Generate audio from the buffered text."""
        self.flushed = True
        self._generate()

    def _generate(self) -> None:
        text, self._buffer = self._buffer, ""
        if text.strip():
            self._generations += 1
            self._texts.put_nowait(text)

    async def close(self, *, flush: bool) -> None:
        """Close the context; with ``flush``, speak its buffered text first."""
        if flush:
            self._generate()
            self._texts.put_nowait(None)
            await asyncio.gather(self._task, return_exceptions=True)
        await self._stop()
        await self._session.closed(self)

    async def drop(self) -> None:
        """Stop at once, after the connection has ended."""
        if self.closing is not None:
            self.closing.cancel()
            await asyncio.gather(self.closing, return_exceptions=True)
        await self._stop()

    async def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _speak(self) -> None:
        session, first = self._session, True
        simulator = session.simulator
        while (text := await self._texts.get()) is not None:
            await simulator.wait_for_audio(first=first)
            pcm, begins = await simulator.synthesise(text, first=first)
            first = False
            at = 0
            async for chunk in simulator.chunks(pcm):
                if await self._apply_fault():
                    return
                low, high = at / 2 / RATE, (at + len(chunk)) / 2 / RATE
                last = at + len(chunk) >= len(pcm)
                if session.sync:
                    here = [i for i, s in enumerate(begins) if low <= s and (s < high or last)]
                else:
                    here = [] if at else list(range(len(text)))
                session.sent += len(chunk)
                at += len(chunk)
                times = alignment(text, begins, here, low if session.sync else 0.0)
                await session.send(
                    {
                        "audio": base64.b64encode(chunk).decode(),
                        "isFinal": None,
                        "normalizedAlignment": times,
                        "alignment": times,
                        "contextId": self.context_id or None,
                    }
                )

    async def _apply_fault(self) -> bool:
        """Apply a fault that is due; true if it ends the context's audio."""
        session = self._session
        secs = session.sent / 2 / RATE
        fault = session.simulator.fault(
            session.request, secs, "drop", "close", "stall", "garbage", "final"
        )
        if fault is None:
            return False
        if fault.kind == "garbage":
            await session._socket.send_str("\x00 this is not JSON")
            return False
        if fault.kind == "final":
            self.closing = asyncio.create_task(self.close(flush=False))
        elif fault.kind == "stall":
            await asyncio.sleep(3600)
        else:
            session.stop(CloseSocket(code=None if fault.kind == "drop" else 1000))
        return True
