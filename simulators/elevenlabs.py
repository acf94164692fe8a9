"""A simulator of ElevenLabs' text to speech: the multi-context WebSocket and the HTTP streams.

* https://elevenlabs.io/docs/api-reference/text-to-speech/v-1-text-to-speech-voice-id-multi-stream-input
* https://elevenlabs.io/docs/developer-guides/websocket-multi
"""

import asyncio
import math
import random
import re
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Self

from aiohttp import web

from simulators.elevenlabs_session import FORMATS, RATE, Session
from simulators.elevenlabs_wire import (
    MISSING_PERMISSION,
    CloseSocket,
    Fault,
    Request,
    refuse,
    timestamped,
)
from simulators.listener import Listener

__all__ = ["RATE", "ElevenLabsSimulator", "Fault", "Request", "pitch_of", "tone"]

Voice = Callable[[str], Awaitable[bytes]]
"""Synthesises a text: 16-bit samples, little endian, mono, 24 kHz."""

Delay = float | Callable[[random.Random], float]
"""Seconds, or a function that draws them."""

SECS_A_CHARACTER = 0.05

DEFAULT_VOICE = "JBFqnCBsd6RMkjVDRZzb"
"""A voice that every account had by default; ElevenLabs withdraws it on 31 December 2026."""

OWN_VOICE = "SimulatedVoice0000001"
"""The account's own voice, unless ``voices`` says otherwise."""

_SENTENCE = re.compile(r".+?(?:[.!?]+\s+|$)", re.DOTALL)


async def tone(text: str) -> bytes:
    """A sine tone instead of speech: 50 ms a character, at the text's :func:`pitch_of`."""
    pitch = pitch_of(text)
    count = round(SECS_A_CHARACTER * len(text.strip()) * RATE)
    step = 2 * math.pi * pitch / RATE
    return struct.pack(f"<{count}h", *(round(9000 * math.sin(step * n)) for n in range(count)))


def pitch_of(text: str) -> int:
    """The pitch of :func:`tone` for a text, in Hz; tells texts apart in recorded audio."""
    return 200 + 25 * (zlib.crc32(text.strip().encode()) % 64)


class ElevenLabsSimulator:
    """Serves ElevenLabs' text to speech while its context is open.

    Args:
        voice: The synthesiser.
        first_audio_secs: Delay from a context's first text to its first audio.
        next_audio_secs: Delay from further text of a context to its audio.
        leading_silence_secs: Silence before a context's first speech.
        realtime_factor: Seconds that it takes to make a second of audio.
        chunk_secs: Seconds of audio in a message.
        keys: Accepted API keys; ``None`` accepts any but an empty one.
        speech_only: Keys among them that are restricted to speech, and may not list voices.
        voices: Ids of the account's voices; ``None`` accepts any id.
        faults: What goes wrong; checked before anything is sent.
        seed: The seed of the random delays.
        host: The address to listen on.
        port: The port to listen on; 0 picks a free one.
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
        speech_only: Sequence[str] = (),
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
        self._speech_only = speech_only
        self._voices = voices
        self._random = random.Random(seed)
        self._host, self._port = host, port
        self.listener = Listener(shutdown_timeout=0.2, access_log=None)

    async def __aenter__(self) -> Self:
        app = web.Application()
        base = "/v1/text-to-speech/{voice_id}"
        app.router.add_get(f"{base}/multi-stream-input", self._socket)
        app.router.add_get("/v1/voices", self._list_voices)
        app.router.add_post(f"{base}/stream", self._stream)
        app.router.add_post(f"{base}/stream/with-timestamps", self._stream)
        self.url = f"http://{await self.listener.start(app, self._host, self._port)}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.listener.stop()

    # Shared by the WebSocket and HTTP.

    def now(self) -> float:
        """The event loop's time, in seconds."""
        return asyncio.get_running_loop().time()

    def draw(self, delay: Delay) -> float:
        """A delay, in seconds."""
        return delay(self._random) if callable(delay) else delay

    def fault(self, request: Request, sent_secs: float, *kinds: str) -> Fault | None:
        """The fault of one of these kinds that is due on a request, if any.

        A fault of a single request is removed, so that it happens once.

        Args:
            request: The request.
            sent_secs: Seconds of audio sent on it.
            kinds: The kinds of fault that can happen at this point.
        """
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

    async def _list_voices(self, http: web.Request) -> web.Response:
        # https://elevenlabs.io/docs/api-reference/voices/search; default voices are ``premade``.
        key = http.headers.get("xi-api-key", "")
        if not key or (self._keys is not None and key not in self._keys):
            return refuse(401)
        if key in self._speech_only:
            return refuse(401, "missing_permissions", MISSING_PERMISSION.format("voices_read"))
        own = [OWN_VOICE] if self._voices is None else self._voices
        listed = [{"voice_id": DEFAULT_VOICE, "name": "George", "category": "premade"}] + [
            {"voice_id": voice_id, "name": f"Voice {number}", "category": "professional"}
            for number, voice_id in enumerate(own, 1)
        ]
        return web.json_response({"voices": listed})

    def unknown_voice(self, voice_id: str) -> bool:
        """Whether the account has no voice with this id."""
        return self._voices is not None and voice_id not in self._voices

    async def synthesise(self, text: str, *, first: bool) -> tuple[bytes, list[float]]:
        """A text's audio, and the start of each of its characters in seconds.

        Args:
            text: The text.
            first: Whether it is the context's first text, which starts with silence.
        """
        pcm = bytes(2 * round(self.draw(self._silence) * RATE)) if first else b""
        begins: list[float] = []
        for sentence in _SENTENCE.findall(text):
            origin = len(pcm) / 2 / RATE
            said = await self._voice(sentence)
            secs = len(said) / 2 / RATE
            begins += [origin + secs * i / len(sentence) for i in range(len(sentence))]
            pcm += said
        return pcm, begins

    async def wait_for_audio(self, *, first: bool) -> None:
        """Wait from text to audio, for a context's first or further text."""
        await asyncio.sleep(self.draw(self._first_audio if first else self._next_audio))

    async def chunks(self, pcm: bytes) -> AsyncIterator[bytes]:
        """The audio in chunks, at the pace at which it is made; the first one is there."""
        for at in range(0, len(pcm), self._chunk):
            chunk = pcm[at : at + self._chunk]
            if at:
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
            return refuse(400, "invalid_output_format", "The simulator supports pcm_24000 only.")
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
        await self.wait_for_audio(first=True)
        if self.fault(request, 0.0, "stall"):
            await asyncio.sleep(3600)
        await response.prepare(http)
        pcm, begins = await self.synthesise(text, first=True)
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
                await response.write(timestamped(chunk, text, begins, here))
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
        session = Session(self, request, socket, http.match_info["voice_id"])
        try:
            await session.run()
        except CloseSocket as closing:
            if closing.code is None:
                if http.transport is not None:
                    http.transport.abort()
            else:
                if closing.error:
                    error = {
                        "message": closing.message,
                        "error": closing.error,
                        "code": closing.code,
                    }
                    await socket.send_json(error)
                    request.replies.append((self.now(), error))
                await socket.close(code=closing.code, message=closing.message.encode()[:120])
        except ConnectionError:
            pass
        finally:
            await session.end()
            request.close_code = socket.close_code
        return socket
