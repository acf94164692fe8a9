"""A simulator of Deepgram's live transcription.

It serves the WebSocket ``GET /v1/listen`` (Nova); ``/v2/listen`` is Flux, in
:mod:`simulators.deepgram_flux`. Messages follow the vendor's documentation:

* ``Results``, ``SpeechStarted``, ``Metadata``:
  https://developers.deepgram.com/reference/speech-to-text/listen-streaming
* when ``speech_final`` is set: https://developers.deepgram.com/docs/endpointing
* ``UtteranceEnd``, which needs interim results, "about once a second":
  https://developers.deepgram.com/docs/utterance-end
* ``Finalize``: https://developers.deepgram.com/docs/finalize does not promise an answer;
  :data:`~simulators.deepgram_recogniser.FinalizeAnswer` lists those that have been observed.
* ``KeepAlive``: https://developers.deepgram.com/docs/audio-keep-alive
* refusals: https://developers.deepgram.com/docs/errors; a passing 429 also occurs below the plan's
  limit (https://github.com/deepgram/deepgram-python-sdk/issues/726)
* closes: https://developers.deepgram.com/docs/stt-troubleshooting-websocket-data-and-net-errors
* ``GET /v1/auth/token``, which tells whether a key is valid:
  https://developers.deepgram.com/docs/authenticating
"""

import asyncio
import math
import random
import uuid
from collections.abc import Awaitable, Sequence
from typing import Any, Self

from aiohttp import WSCloseCode, web

from simulators.deepgram_connection import DeepgramConnection, now
from simulators.deepgram_faults import Fault, Latency, Request
from simulators.deepgram_flux import FluxConnection, FluxQuery
from simulators.deepgram_flux import parse as parse_flux
from simulators.deepgram_query import BadQueryError, Query, parse
from simulators.deepgram_recogniser import (
    INTERIM_SECS,
    FinalizeAnswer,
    NovaRecogniser,
    Result,
    Script,
    SpeechStarted,
    Transcriber,
    TurnJudge,
    Utterance,
    UtteranceEnd,
)
from simulators.listener import Listener

__all__ = ["DeepgramSimulator", "Fault", "Latency", "Request", "Utterance"]

_REFUSALS = {
    400: ("Bad Request", "Bad Request: failed to process the request."),
    401: ("INVALID_AUTH", "Invalid credentials."),
    402: (
        "ASR_PAYMENT_REQUIRED",
        "Project does not have enough credits for an ASR request and does not have an "
        "overage agreement.",
    ),
    403: ("INSUFFICIENT_PERMISSIONS", "User does not have access to this model."),
    408: ("REQUEST_TIMEOUT", "The request took too long."),
    425: ("TOO_EARLY", "The request came too early."),
    429: ("TOO_MANY_REQUESTS", "Too many requests. Please try again later."),
    500: ("INTERNAL_SERVER_ERROR", "An unexpected error occurred."),
    503: ("SERVICE_UNAVAILABLE", "The service is temporarily unavailable."),
}


class DeepgramSimulator:
    """Serves Deepgram's WebSockets while its context is open.

    Parameters:
        script: The utterances recognised, one per stretch of speech, in order.
        transcriber: Recognises the audio instead of the script.
        judge: Tells by the sound whether a turn that Flux has so recognised is over.
        api_key: The only key that is accepted; others are refused with 401.
        latency: The delay of each message after the audio that it is about.
        flux_latency: The same for Flux's messages; ``None`` for the same delay.
        faults: What goes wrong; more may be appended while it runs.
        max_connections: Further simultaneous connections are refused with 429.
        timeout_secs: Seconds without audio or ``KeepAlive`` after which it closes with NET-0001.
        speech_rms: The RMS above which a 10 ms frame counts as speech, of 32768.
        interim_secs: The interval of interim results of scripted speech.
        finalize: How ``Finalize`` is answered; may be changed while it runs.
        utterance_end_late_secs: Extra delay of ``UtteranceEnd``.
        flux: Whether the account may use Flux; if not, it is refused with 403.
        seed: The seed of the random latencies.
        host: The address to listen on.
        port: The port to listen on; 0 picks a free one.
    """

    def __init__(
        self,
        script: Sequence[Utterance | str] = (),
        *,
        transcriber: Transcriber | None = None,
        judge: TurnJudge | None = None,
        api_key: str = "simulated-deepgram-key",
        latency: Latency | None = None,
        flux_latency: Latency | None = None,
        faults: Sequence[Fault] = (),
        max_connections: int = 50,
        timeout_secs: float = 10.0,
        speech_rms: float = 300.0,
        interim_secs: float = INTERIM_SECS,
        finalize: FinalizeAnswer = "speech_final",
        utterance_end_late_secs: float = 0.0,
        flux: bool = True,
        seed: int = 0,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.api_key = api_key
        self.script = Script(script)
        self.transcriber = transcriber
        self.judge = judge
        self.latency = latency or Latency()
        self.flux_latency = flux_latency
        self.faults = list(faults)
        self.requests: list[Request] = []
        self.answers_finalize = True
        """Set to false to leave ``Finalize`` unanswered, as Deepgram may when little is pending."""
        self.timeout_secs = timeout_secs
        self.speech_rms = speech_rms
        self.interim_secs = interim_secs
        self.finalize = finalize
        self.utterance_end_late_secs = utterance_end_late_secs
        self.flux = flux
        self._max_connections = max_connections
        self._random = random.Random(seed)
        self._host, self._port = host, port
        self.listener = Listener(shutdown_timeout=0.1, access_log=None)
        self._open: set[DeepgramConnection] = set()

    @property
    def url(self) -> str:
        """The base URL, as ``DEEPGRAM_BASE_URL`` takes it."""
        return f"ws://{self._host}:{self._port}"

    @property
    def connections(self) -> list[Request]:
        """The requests that were upgraded to WebSockets."""
        return [request for request in self.requests if request.status == 101]

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/v1/listen", self._listen)
        app.router.add_get("/v2/listen", self._listen)
        app.router.add_get("/v1/auth/token", self._describe_key)
        listening = await self.listener.start(app, self._host, self._port)
        self._port = int(listening.rpartition(":")[2])
        return self

    async def __aexit__(self, *_: object) -> None:
        for connection in list(self._open):
            connection.abort()
        await self.listener.stop()

    def delay(self) -> float:
        """Draw the next message's latency, in seconds."""
        return self._draw(self.latency)

    def flux_delay(self) -> float:
        """Draw the latency of Flux's next message, in seconds."""
        return self._draw(self.flux_latency or self.latency)

    def _draw(self, latency: Latency) -> float:
        return latency.median_secs * math.exp(latency.sigma * self._random.gauss(0, 1))

    def faults_of(self, *, connection: int) -> list[Fault]:
        """The faults that apply to the connection with this number."""
        return [fault for fault in self.faults if fault.connection in (None, connection)]

    async def _describe_key(self, request: web.Request) -> web.Response:
        if not self._accepts(request):
            return _refuse(None, 401)
        return web.json_response({"api_key_id": str(uuid.UUID(int=1)), "scopes": ["usage:write"]})

    def _accepts(self, request: web.Request) -> bool:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        return scheme.lower() in ("token", "bearer") and key == self.api_key

    async def _listen(self, request: web.Request) -> web.StreamResponse:
        number = len(self.requests)
        log = Request(
            at_secs=now(),
            path=request.path,
            query=list(request.query.items()),
            headers={
                name.lower(): _masked(value) if name.lower() == "authorization" else value
                for name, value in request.headers.items()
            },
        )
        self.requests.append(log)
        if not self._accepts(request):
            return _refuse(log, 401)
        flux = request.path == "/v2/listen"
        if flux and not self.flux:
            return _refuse(log, 403)
        query: Query | FluxQuery
        try:
            query = parse_flux(log.query) if flux else parse(log.query)
        except BadQueryError as error:
            return _refuse(log, 400, str(error))
        if len(self._open) >= self._max_connections:
            return _refuse(log, 429)
        for fault in self.faults_of(connection=number):
            if fault.kind == "status":
                return _refuse(log, fault.code, retry_after=fault.retry_after_secs)
            if fault.kind == "hang":
                await asyncio.sleep(3600)
        log.status = 101
        connection: DeepgramConnection
        if isinstance(query, Query):
            connection = _NovaConnection(self, number, log, query, request)
        else:
            connection = FluxConnection(self, number, log, query, request)
        self._open.add(connection)
        try:
            return await connection.serve()
        finally:
            self._open.discard(connection)


class _NovaConnection(DeepgramConnection):
    CUT = b'{"type":"Resul'
    GARBAGE = '{"type": "Results", "channel": null}'

    def __init__(
        self,
        simulator: DeepgramSimulator,
        number: int,
        log: Request,
        query: Query,
        request: web.Request,
    ) -> None:
        self._nova = simulator
        self._query = query
        self._recogniser = NovaRecogniser(
            query,
            script=simulator.script,
            transcriber=simulator.transcriber,
            speech_rms=simulator.speech_rms,
            interim_secs=simulator.interim_secs,
        )
        super().__init__(simulator, number, log, request, self._recogniser)

    async def _hear(self, audio: bytes) -> None:
        self._enqueue(self._recogniser.add_audio(audio))

    async def _emptied(self) -> bool:
        await self._end()  # Deepgram reads an empty message as CloseStream
        return True

    async def _obey(self, kind: str, message: dict[str, Any], text: str) -> bool:
        if kind == "Finalize":
            if self._nova.answers_finalize and not self._stalled:
                self._enqueue(self._recogniser.finalize(self._nova.finalize))
        elif kind == "CloseStream":
            await self._end()
            return True
        elif kind != "KeepAlive":
            error = {
                "type": "Error",
                "variant": "SchemaError",
                "description": "Could not deserialize last text message.",
                "message": text,
            }
            self._outbox.put_nowait((now() + self._simulator.delay(), error))
        return False

    async def _end(self) -> None:
        """Flush the last words, send ``Metadata`` and close."""
        if self._stalled:
            await asyncio.sleep(self._simulator.timeout_secs)
            return
        self._enqueue(self._recogniser.finalize())
        summary = {
            "type": "Metadata",
            "transaction_key": "deprecated",
            "request_id": self._id,
            "sha256": "0" * 64,
            "created": "2026-01-01T00:00:00.000Z",
            "duration": round(self._recogniser.time, 3),
            "channels": 1,
        }
        self._outbox.put_nowait((now(), summary))
        await self._drain()
        await self._close(WSCloseCode.OK, "")

    def _enqueue(self, events: Sequence[Result | SpeechStarted | UtteranceEnd]) -> None:
        for event in events:
            due = now() + self._simulator.delay()
            late = self._nova.utterance_end_late_secs
            if isinstance(event, UtteranceEnd) and late:
                asyncio.get_running_loop().call_later(
                    late, self._outbox.put_nowait, (due + late, event)
                )
            else:
                self._outbox.put_nowait((due, event))

    async def _message(
        self, event: Result | SpeechStarted | UtteranceEnd | dict[str, Any]
    ) -> dict[str, Any]:
        match event:
            case dict():
                return event
            case SpeechStarted():
                return {
                    "type": "SpeechStarted",
                    "channel": [0],
                    "timestamp": round(event.timestamp, 3),
                }
            case UtteranceEnd():
                return {
                    "type": "UtteranceEnd",
                    "channel": [0, 1],
                    "last_word_end": round(event.last_word_end, 3),
                }
        if event.bare:
            return {"from_finalize": True}
        words = await event.words if isinstance(event.words, Awaitable) else event.words
        return self._results(event, words)

    def _results(self, result: Result, words: list[str]) -> dict[str, Any]:
        begin, end = result.word_span
        step = (end - begin) / max(1, len(words))
        confidence = 0.98 if words else 0.0
        timed = [
            {
                "word": word.strip(".,?!;:").lower(),
                "start": round(begin + step * n, 3),
                "end": round(begin + step * (n + 1), 3),
                "confidence": confidence,
                "punctuated_word": word,
            }
            for n, word in enumerate(words)
        ]
        message = {
            "type": "Results",
            "channel_index": [0, 1],
            "duration": round(result.duration, 3),
            "start": round(result.start, 3),
            "is_final": result.final,
            "speech_final": result.speech_final,
            "channel": {
                "alternatives": [
                    {"transcript": " ".join(words), "confidence": confidence, "words": timed}
                ]
            },
            "metadata": {
                "request_id": self._id,
                "model_info": {
                    "name": f"general-{self._query.model}",
                    "version": "2026-01-01.0",
                    "arch": self._query.model,
                },
                "model_uuid": str(uuid.UUID(int=3)),
            },
            "from_finalize": result.from_finalize,
        }
        if result.speech_final is None:
            del message["speech_final"]
        return message


def _refuse(
    log: Request | None, status: int, message: str = "", *, retry_after: float | None = None
) -> web.Response:
    code, usual = _REFUSALS.get(status, ("ERROR", "An error occurred."))
    message = message or usual
    if log is not None:
        log.status = status
    headers = {"dg-request-id": str(uuid.uuid4()), "dg-error": message}
    if retry_after is not None:
        headers["retry-after"] = f"{retry_after:g}"
    body = {"err_code": code, "err_msg": message, "request_id": headers["dg-request-id"]}
    return web.json_response(body, status=status, headers=headers)


def _masked(value: str) -> str:
    return f"{value.partition(' ')[0]} ***"
