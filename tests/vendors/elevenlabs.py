"""ElevenLabs on loopback: the multi-context WebSocket and the HTTP streams, as documented.

https://elevenlabs.io/docs/api-reference/text-to-speech/v-1-text-to-speech-voice-id-multi-stream-input
https://elevenlabs.io/docs/developer-guides/websocket-multi
"""

import asyncio
import base64
import json
import math
import random
import re
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from aiohttp import WSMsgType, web

Voice = Callable[[str], Awaitable[bytes]]
"""Speaks a text: s16le, one channel, 24 kHz."""

Delay = float | Callable[[random.Random], float]
"""Seconds, or how to draw them."""

RATE = 24_000
MAX_CONTEXTS = 5
SCHEDULE = (120, 160, 250, 290)
SECS_A_CHARACTER = 0.05
FORMATS = frozenset({"pcm_24000"})  # The vendor has more; this one speaks PCM at 24 kHz only.

_SENTENCE = re.compile(r".+?(?:[.!?]+\s+|$)", re.DOTALL)

_REFUSALS = {
    401: ("invalid_api_key", "Invalid API key"),
    402: ("payment_required", "You have no credits remaining; this is not enough for the request."),
    404: ("voice_not_found", "A voice with the voice_id was not found."),
    429: ("too_many_concurrent_requests", "Too many concurrent requests for this subscription."),
    500: ("internal_error", "An unexpected error occurred."),
    503: ("system_busy", "The system is busy; please try again."),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong.

    Parameters:
        kind: ``"status"`` refuses the request with an HTTP status; ``"error"`` accepts a WebSocket
            and refuses by a message and close code 1008 once text comes; ``"drop"`` cuts the
            connection without a word; ``"close"`` closes a WebSocket properly; ``"stall"`` sends
            nothing more; ``"garbage"`` sends what is no JSON and goes on; ``"final"`` ends the
            context.
        status: For ``"status"``.
        code: For ``"error"``, e.g. ``"quota_exceeded"``.
        message: For ``"error"``.
        after_secs: Once so much audio of the request has been sent; 0 before any.
        request: Which request it befalls, from 1; ``None`` every one.
    """

    kind: Literal["status", "error", "drop", "close", "stall", "garbage", "final"]
    status: int = 500
    code: str = ""
    message: str = ""
    after_secs: float = 0.0
    request: int | None = None


@dataclass(slots=True)
class Request:
    """A request as it came.

    Parameters:
        number: From 1.
        at: Seconds on the loop's clock.
        path: Without the query.
        query: The query string, parsed.
        headers: Lower-case names, secrets masked.
        body: Of an HTTP request, parsed.
        messages: What a WebSocket's client sent, with times, secrets masked.
        replies: What was sent to it, with times, audio as its length in bytes.
        close_code: How a WebSocket ended.
        aborted: The client went away before an HTTP request's end.
    """

    number: int
    at: float
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any = None
    messages: list[tuple[float, Any]] = field(default_factory=list)
    replies: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    close_code: int | None = None
    aborted: bool = False

    def told(self, key: str) -> list[Any]:
        """The client's messages that have something under a key."""
        return [message for _, message in self.messages if message.get(key)]


async def tone(text: str) -> bytes:
    """A tone that says which text it speaks by its pitch: 50 ms a character."""
    pitch = pitch_of(text)
    count = round(SECS_A_CHARACTER * len(text.strip()) * RATE)
    step = 2 * math.pi * pitch / RATE
    return struct.pack(f"<{count}h", *(round(9000 * math.sin(step * n)) for n in range(count)))


def pitch_of(text: str) -> int:
    """The pitch in which :func:`tone` speaks a text, in Hz."""
    return 200 + 25 * (zlib.crc32(text.strip().encode()) % 64)


class _Over(Exception):  # noqa: N818 - not an error
    """The connection is to end."""

    def __init__(self, *, code: int | None, error: str = "", message: str = "") -> None:
        self.code = code
        self.error = error
        self.message = message


class ElevenLabsSimulator:
    """Speaks like ElevenLabs, as fast and as badly as it is told to.

    Args:
        voice: What it speaks with.
        first_audio_secs: From the text to the first audio of a context.
        next_audio_secs: The same for further text of a context.
        leading_silence_secs: Silence ahead of a context's first sample.
        realtime_factor: Seconds that a second of audio takes to be made.
        chunk_secs: Audio in a message.
        keys: Keys that are let in; ``None`` lets in any but an empty one.
        voices: Voices there are; ``None`` for any.
        faults: What goes wrong, looked up whenever something is about to be sent.
        seed: For what is drawn.
        host: Where to listen.
        port: Where to listen; 0 for any.
    """

    def __init__(
        self,
        *,
        voice: Voice = tone,
        first_audio_secs: Delay = 0.09,
        next_audio_secs: Delay = 0.03,
        leading_silence_secs: Delay = 0.15,
        realtime_factor: float = 0.1,
        chunk_secs: float = 0.2,
        keys: Sequence[str] | None = None,
        voices: Sequence[str] | None = None,
        faults: Sequence[Fault] = (),
        seed: int = 0,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.requests: list[Request] = []
        self.faults = list(faults)
        self.url = ""
        self._voice = voice
        self._first_audio = first_audio_secs
        self._next_audio = next_audio_secs
        self._silence = leading_silence_secs
        self._realtime_factor = realtime_factor
        self._chunk = round(chunk_secs * RATE) * 2
        self._keys = keys
        self._voices = voices
        self._random = random.Random(seed)
        self._host, self._port = host, port
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        base = "/v1/text-to-speech/{voice_id}"
        app.router.add_get(f"{base}/multi-stream-input", self._socket)
        app.router.add_post(f"{base}/stream", self._stream)
        app.router.add_post(f"{base}/stream/with-timestamps", self._stream)
        self._runner = web.AppRunner(app, shutdown_timeout=0.2, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    # What both ways have in common.

    def now(self) -> float:
        """Seconds on the loop's clock."""
        return asyncio.get_running_loop().time()

    def draw(self, delay: Delay) -> float:
        """A delay's seconds, this time."""
        return delay(self._random) if callable(delay) else delay

    def fault(self, request: Request, sent_secs: float, *kinds: str) -> Fault | None:
        """What goes wrong now, if anything; it goes wrong once a request."""
        for fault in self.faults:
            due = fault.request in (None, request.number) and sent_secs >= fault.after_secs
            if due and fault.kind in kinds:
                if fault.request is not None:
                    self.faults.remove(fault)
                return fault
        return None

    def _begin(self, http: web.Request) -> Request:
        headers = {name.lower(): value for name, value in http.headers.items()}
        for secret in ("xi-api-key", "authorization"):
            if secret in headers:
                headers[secret] = "***"
        request = Request(len(self.requests) + 1, self.now(), http.path, dict(http.query), headers)
        self.requests.append(request)
        return request

    def _refusal(self, http: web.Request, request: Request) -> web.Response | None:
        key = http.headers.get("xi-api-key", "")
        if not key or (self._keys is not None and key not in self._keys):
            return refuse(401)
        if fault := self.fault(request, 0.0, "status"):
            return refuse(fault.status)
        return None

    def unknown_voice(self, voice_id: str) -> bool:
        """Whether there is no such voice."""
        return self._voices is not None and voice_id not in self._voices

    async def spoken(self, text: str, *, first: bool) -> tuple[bytes, list[float]]:
        """A text's audio and when each of its characters begins, in seconds."""
        pcm = bytes(2 * round(self.draw(self._silence) * RATE)) if first else b""
        begins: list[float] = []
        for sentence in _SENTENCE.findall(text):
            origin = len(pcm) / 2 / RATE
            said = await self._voice(sentence)
            secs = len(said) / 2 / RATE
            begins += [origin + secs * i / len(sentence) for i in range(len(sentence))]
            pcm += said
        return pcm, begins

    async def latency(self, *, first: bool) -> None:
        """Wait as long as the vendor would."""
        await asyncio.sleep(self.draw(self._first_audio if first else self._next_audio))

    async def chunks(self, pcm: bytes) -> AsyncIterator[bytes]:
        """Audio as fast as it is made."""
        for at in range(0, len(pcm), self._chunk):
            chunk = pcm[at : at + self._chunk]
            await asyncio.sleep(len(chunk) / 2 / RATE * self._realtime_factor)
            yield chunk

    # HTTP.

    async def _stream(self, http: web.Request) -> web.StreamResponse:
        request = self._begin(http)
        request.body = body = await http.json()
        if refusal := self._refusal(http, request):
            return refusal
        if self.unknown_voice(http.match_info["voice_id"]):
            return refuse(404)
        text = body.get("text")
        if not isinstance(text, str) or not text:
            detail = [{"loc": ["body", "text"], "msg": "Field required", "type": "missing"}]
            return web.json_response({"detail": detail}, status=422)
        if http.query.get("output_format") not in FORMATS:
            return refuse(400, "invalid_output_format", "This output format is not spoken here.")
        timed = http.path.endswith("/with-timestamps")
        response = web.StreamResponse(
            headers={"content-type": "application/json" if timed else "audio/pcm"}
        )
        try:
            await self._speak(http, request, response, text, timed=timed)
        except ConnectionError:
            request.aborted = True
        return response

    async def _speak(
        self,
        http: web.Request,
        request: Request,
        response: web.StreamResponse,
        text: str,
        *,
        timed: bool,
    ) -> None:
        await self.latency(first=True)
        if self.fault(request, 0.0, "stall"):
            await asyncio.sleep(3600)
        await response.prepare(http)
        pcm, begins = await self.spoken(text, first=True)
        sent = 0
        async for chunk in self.chunks(pcm):
            if self.fault(request, sent / 2 / RATE, "drop", "close"):
                if http.transport is not None:
                    http.transport.abort()
                return
            if self.fault(request, sent / 2 / RATE, "stall"):
                await asyncio.sleep(3600)
            if self.fault(request, sent / 2 / RATE, "garbage"):
                await response.write(b"\x00{garbage\n" if timed else b"\x00")
            low, high = sent / 2 / RATE, (sent + len(chunk)) / 2 / RATE
            sent += len(chunk)
            if timed:
                last = sent >= len(pcm)
                here = [i for i, s in enumerate(begins) if low <= s and (s < high or last)]
                await response.write(_timestamped(chunk, text, begins, here))
            else:
                await response.write(chunk)
            request.replies.append((self.now(), {"audio": len(chunk)}))
        await response.write_eof()

    # The WebSocket.

    async def _socket(self, http: web.Request) -> web.StreamResponse:
        request = self._begin(http)
        if refusal := self._refusal(http, request):
            return refusal
        socket = web.WebSocketResponse()
        await socket.prepare(http)
        session = _Session(self, request, socket, http.match_info["voice_id"])
        try:
            await session.run()
        except _Over as over:
            if over.code is None:
                if http.transport is not None:
                    http.transport.abort()
            else:
                if over.error:
                    told = {"message": over.message, "error": over.error, "code": over.code}
                    await socket.send_json(told)
                    request.replies.append((self.now(), told))
                await socket.close(code=over.code, message=over.message.encode()[:120])
        except ConnectionError:
            pass
        finally:
            await session.end()
            request.close_code = socket.close_code
        return socket


class _Session:
    """One WebSocket."""

    def __init__(
        self,
        vendor: ElevenLabsSimulator,
        request: Request,
        socket: web.WebSocketResponse,
        voice_id: str,
    ) -> None:
        self.vendor = vendor
        self.request = request
        self.auto = request.query.get("auto_mode") == "true"
        self.sync = request.query.get("sync_alignment") == "true"
        self.sent = 0  # Bytes of audio.
        self._socket = socket
        self._voice_id = voice_id
        self._timeout = float(request.query.get("inactivity_timeout", "20"))
        self._contexts: dict[str, _Context] = {}
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        receiving = asyncio.create_task(self._receive())
        await asyncio.wait({receiving, self._over}, return_when=asyncio.FIRST_COMPLETED)
        if not receiving.done():
            receiving.cancel()
            await asyncio.gather(receiving, return_exceptions=True)
            self._over.result()
        receiving.result()

    async def end(self) -> None:
        self._over.cancel()
        for context in [*self._contexts.values()]:
            await context.drop()

    def stop(self, over: _Over) -> None:
        """End the connection, from a context's task."""
        if not self._over.done():
            self._over.set_exception(over)

    async def _receive(self) -> None:
        query = self.request.query
        while True:
            try:
                raw = await self._socket.receive(timeout=self._timeout)
            except TimeoutError:
                raise _Over(
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
                raise _Over(
                    code=1008,
                    error="invalid_input_message",
                    message="Could not parse input message, make sure it is a json and follows "
                    "the schema outlined in protocol.",
                ) from None
            masked = {k: "***" if "api" in k or k == "authorization" else v
                      for k, v in message.items()}  # fmt: skip
            self.request.messages.append((self.vendor.now(), masked))
            if self.vendor.unknown_voice(self._voice_id):
                raise _Over(
                    code=1008,
                    error="voice_id_does_not_exist",
                    message=f"A voice with voice_id {self._voice_id} does not exist.",
                )
            if query.get("output_format") not in FORMATS:
                raise _Over(code=1008, error="invalid_output_format", message="Not spoken here.")
            if str(message.get("text") or "").strip() and (
                fault := self.vendor.fault(self.request, self.sent / 2 / RATE, "error")
            ):
                raise _Over(code=1008, error=fault.code, message=fault.message)
            await self._take(message)

    async def _take(self, message: dict[str, Any]) -> None:
        if message.get("close_socket"):
            for context in [*self._contexts.values()]:
                await context.close(flush=bool(message.get("flush")))
            raise _Over(code=1000)
        context_id = str(message.get("context_id") or message.get("contextId") or "")
        text = message.get("text") or ""
        if context_id not in self._contexts:
            if not text:
                return  # A keep-alive, or the end of what has ended.
            if len(self._contexts) >= MAX_CONTEXTS:
                raise _Over(
                    code=1008,
                    error="max_active_conversations",
                    message=f"Maximum simultaneous contexts per WebSocket connection exceeded "
                    f"({MAX_CONTEXTS}). Please close an existing context before opening a new one.",
                )
            self._contexts[context_id] = _Context(self, context_id, self._timeout)
        elif message.get("voice_settings"):
            raise _Over(
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

    async def closed(self, context: "_Context") -> None:
        """Say that a context is no more."""
        if self._contexts.get(context.context_id) is context:
            del self._contexts[context.context_id]
            await self.send({"isFinal": True, "contextId": context.context_id or None})

    async def send(self, message: dict[str, Any]) -> None:
        if self._socket.closed or self._over.done():
            return
        logged = {**message}
        if logged.get("audio"):
            logged["audio"] = len(base64.b64decode(logged["audio"]))
        self.request.replies.append((self.vendor.now(), logged))
        try:
            await self._socket.send_json(message)
        except ConnectionError:
            self.stop(_Over(code=None))


class _Context:
    """One stream of text and its audio."""

    def __init__(self, session: _Session, context_id: str, timeout: float) -> None:
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
        """Something came for it."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(self._timeout, self._expire)

    def _expire(self) -> None:
        self.closing = asyncio.create_task(self.close(flush=False))

    def add(self, text: str) -> None:
        self._buffer += text
        self.flushed = False
        least = SCHEDULE[min(self._generations, len(SCHEDULE) - 1)]
        if self._session.auto or len(self._buffer) >= least:
            self._generate()

    def flush(self) -> None:
        self.flushed = True
        self._generate()

    def _generate(self) -> None:
        text, self._buffer = self._buffer, ""
        if text.strip():
            self._generations += 1
            self._texts.put_nowait(text)

    async def close(self, *, flush: bool) -> None:
        if flush:
            self._generate()
            self._texts.put_nowait(None)
            await asyncio.gather(self._task, return_exceptions=True)
        await self._stop()
        await self._session.closed(self)

    async def drop(self) -> None:
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
        vendor = session.vendor
        while (text := await self._texts.get()) is not None:
            await vendor.latency(first=first)
            pcm, begins = await vendor.spoken(text, first=first)
            first = False
            at = 0
            async for chunk in vendor.chunks(pcm):
                if await self._goes_wrong():
                    return
                low, high = at / 2 / RATE, (at + len(chunk)) / 2 / RATE
                last = at + len(chunk) >= len(pcm)
                if session.sync:
                    here = [i for i, s in enumerate(begins) if low <= s and (s < high or last)]
                else:
                    here = [] if at else list(range(len(text)))
                session.sent += len(chunk)
                at += len(chunk)
                times = _alignment(text, begins, here, low if session.sync else 0.0)
                await session.send(
                    {
                        "audio": base64.b64encode(chunk).decode(),
                        "isFinal": None,
                        "normalizedAlignment": times,
                        "alignment": times,
                        "contextId": self.context_id or None,
                    }
                )

    async def _goes_wrong(self) -> bool:
        session = self._session
        secs = session.sent / 2 / RATE
        fault = session.vendor.fault(
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
            session.stop(_Over(code=None if fault.kind == "drop" else 1000))
        return True


def refuse(status: int, code: str = "", message: str = "") -> web.Response:
    """A refusal as the vendor words it."""
    known = _REFUSALS.get(status, ("error", "Something went wrong."))
    detail = {"status": code or known[0], "message": message or known[1]}
    return web.json_response({"detail": detail}, status=status)


def _alignment(
    text: str, begins: Sequence[float], here: Sequence[int], origin: float
) -> dict[str, Any] | None:
    if not here:
        return None
    starts = [round(1000 * (begins[i] - origin)) for i in here]
    after = [begins[i + 1] if i + 1 < len(begins) else begins[i] + 0.05 for i in here]
    return {
        "chars": [text[i] for i in here],
        "charStartTimesMs": starts,
        "charDurationsMs": [
            round(1000 * (end - begins[i])) for end, i in zip(after, here, strict=True)
        ],
    }


def _timestamped(chunk: bytes, text: str, begins: Sequence[float], here: Sequence[int]) -> bytes:
    times = None
    if here:
        times = {
            "characters": [text[i] for i in here],
            "character_start_times_seconds": [round(begins[i], 3) for i in here],
            "character_end_times_seconds": [
                round(begins[i + 1] if i + 1 < len(begins) else begins[i] + 0.05, 3) for i in here
            ],
        }
    told = {
        "audio_base64": base64.b64encode(chunk).decode(),
        "alignment": times,
        "normalized_alignment": times,
    }
    return json.dumps(told).encode() + b"\n"
