"""Deepgram's Flux, simulated: ``GET /v2/listen``, its turns and their state machine.

Each message is as its document has it:

* ``Connected``, ``TurnInfo``, ``Error``: https://developers.deepgram.com/reference/speech-to-text/
  listen-flux; the SDK's ``deepgram.listen.v2.types`` are made of the same specification.
* Which event follows which, ``Update`` every 0.25 s: https://developers.deepgram.com/docs/flux/state
* The thresholds and their ranges: https://developers.deepgram.com/docs/flux/configuration
* ``Configure`` and its two answers: https://developers.deepgram.com/docs/flux/configure
* ``ForceEndTurn``, ``trigger``: https://developers.deepgram.com/docs/flux/force-end-turn
* ``CloseStream`` ends no turn, and the socket is closed without a status:
  https://developers.deepgram.com/docs/flux/close-stream
* What Nova takes and Flux does not: https://developers.deepgram.com/docs/flux/nova-3-migration
"""

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import numpy as np
from aiohttp import WSCloseCode, WSMsgType, web

from conversation.utterance import trails_off
from simulators.deepgram_ear import Script, Transcriber
from simulators.deepgram_faults import Fault, Request
from simulators.deepgram_query import KEYTERM_TOKENS, BadQueryError, keyterm_tokens

MODELS = frozenset({"flux-general-en", "flux-general-multi"})
RATES = frozenset({8000, 16_000, 24_000, 44_100, 48_000})
UPDATE_SECS = 0.25
_FRAME_SECS = 0.01
_WORD_GAP_SECS = 0.15
_LEAST_SPEECH_SECS = 0.05
_HEAR_EVERY_SECS = 1.0  # with a recogniser on this machine, which has other things to do
_HEAR_AT_SILENCE_SECS = 0.12
_TIMEOUT_SECS = 10.0

# How the confidence in the end of a turn grows with silence: past 0.7 after 0.22 s when all has
# been said (some 260 ms with the latency, the published median), to no more than 0.6 in a pause,
# which an eager threshold may be below.
_OVER = (3.2, 0.97)
_PAUSE = (0.8, 0.6)

_LISTS = frozenset({"keyterm", "language_hint", "tag"})
_SINGLE = frozenset(
    {
        "model", "encoding", "sample_rate", "eot_threshold", "eager_eot_threshold",
        "eot_timeout_ms", "mip_opt_out", "numerals", "profanity_filter", "redact",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FluxQuery:
    """A request's parameters, as Flux understands them.

    Parameters:
        model: Its model.
        sample_rate: Of the audio.
        eot_threshold: Confidence from which a turn is over.
        eager_eot_threshold: Confidence from which its end is foretold; ``None`` for never.
        eot_timeout_secs: Silence that ends a turn in any case.
        keyterms: Names that may be said.
    """

    model: str
    sample_rate: int
    eot_threshold: float = 0.7
    eager_eot_threshold: float | None = None
    eot_timeout_secs: float = 5.0
    keyterms: tuple[str, ...] = ()


def parse(pairs: Iterable[tuple[str, str]]) -> FluxQuery:
    """Check a query string; a parameter that is not Flux's is refused.

    Raises:
        BadQueryError: It is refused with 400.
    """
    given: dict[str, str] = {}
    lists: dict[str, list[str]] = {name: [] for name in _LISTS}
    for name, value in pairs:
        if name in _LISTS:
            lists[name].append(value)
        elif name in _SINGLE:
            given[name] = value
        else:
            raise BadQueryError(f"Unknown parameter: {name}.")
    model = given.get("model", "")
    if model not in MODELS:
        raise BadQueryError("Bad Request: No such model/language/tier combination found.")
    if lists["language_hint"] and model != "flux-general-multi":
        raise BadQueryError("language_hint is only supported by flux-general-multi.")
    if given.get("encoding") != "linear16":
        raise BadQueryError("This simulator hears linear16 only.")
    rate = given.get("sample_rate", "")
    if not rate.isdecimal() or int(rate) not in RATES:
        raise BadQueryError(f"Invalid sample_rate: {rate!r}.")
    query = FluxQuery(model, int(rate))
    named = {name: given[name] for name in _THRESHOLDS if name in given}
    return configured(query, named, lists["keyterm"] or None)


_THRESHOLDS = ("eot_threshold", "eager_eot_threshold", "eot_timeout_ms")
_RANGES = {
    "eot_threshold": (0.5, 1.0),
    "eager_eot_threshold": (0.3, 0.9),
    "eot_timeout_ms": (500, 60_000),
}


def configured(
    query: FluxQuery, thresholds: Mapping[str, Any], keyterms: Iterable[str] | None
) -> FluxQuery:
    """A query with some of it changed.

    Raises:
        BadQueryError: Something is out of its range.
    """
    values: dict[str, float] = {}
    for name, value in thresholds.items():
        if name not in _RANGES:
            raise BadQueryError(f"Unknown threshold: {name}.")
        low, high = _RANGES[name]
        try:
            values[name] = float(value)
        except (TypeError, ValueError):
            raise BadQueryError(f"Invalid {name}: {value!r}.") from None
        if not low <= values[name] <= high:
            raise BadQueryError(f"Invalid {name}: expected {low:g} to {high:g}.")
    if "eot_timeout_ms" in values:
        values["eot_timeout_secs"] = values.pop("eot_timeout_ms") / 1000
    changed = replace(query, **values)  # type: ignore[arg-type]
    eager = changed.eager_eot_threshold
    if eager is not None and eager > changed.eot_threshold:
        raise BadQueryError("eager_eot_threshold must not be above eot_threshold.")
    if keyterms is not None:
        changed = replace(changed, keyterms=tuple(keyterms))
        if keyterm_tokens(changed.keyterms) > KEYTERM_TOKENS:
            raise BadQueryError(
                f"Keyterm limit exceeded. The maximum number of tokens across all keyterms is "
                f"{KEYTERM_TOKENS}."
            )
    return changed


Event = Literal["Update", "StartOfTurn", "EagerEndOfTurn", "TurnResumed", "EndOfTurn"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One ``TurnInfo``, without what only the connection knows."""

    event: Event
    index: int
    start: float
    end: float
    words: tuple[str, ...]
    confidence: float
    trigger: str = ""


class FluxEar:
    """Hears one connection's audio and follows its turns."""

    def __init__(
        self,
        query: FluxQuery,
        *,
        script: Script,
        transcriber: Transcriber | None,
        speech_rms: float,
    ) -> None:
        self.query = query
        self.time = 0.0
        self._script = script
        self._transcriber = transcriber
        self._speech_rms = speech_rms
        self._frame = int(query.sample_rate * _FRAME_SECS)
        self._rest = b""
        self._index = 0
        self._last = 0.0  # when the last message was due
        self._begin_turn()

    def _begin_turn(self) -> None:
        self._state: Literal["initial", "ongoing", "awaiting"] = "initial"
        self._turn_start = self.time
        self._audio = bytearray()
        self._speech_secs = 0.0
        self._silence = 0.0
        self._words: tuple[str, ...] = ()
        self._heard_at = 0.0  # how much speech the transcriber has been given
        self._heard_pause = False

    async def hear(self, audio: bytes) -> list[Turn]:
        """The next audio, and what is to be said about it."""
        told: list[Turn] = []
        data = self._rest + audio
        size = 2 * self._frame
        whole = len(data) // size * size
        self._rest = data[whole:]
        for at in range(0, whole, size):
            told += await self._hear_frame(data[at : at + size])
        return told

    def force_end(self) -> list[Turn]:
        """``ForceEndTurn``: nothing while no turn is active."""
        return [] if self._state == "initial" else self._end("manual")

    def flush(self) -> list[Turn]:
        """What ``CloseStream`` brings: no end of the turn."""
        return [self._tell("Update")] if self._state != "initial" else []

    async def _hear_frame(self, frame: bytes) -> list[Turn]:
        self.time += _FRAME_SECS
        self._audio += frame
        samples = np.frombuffer(frame, "<i2").astype(np.float32)
        if float(np.sqrt(np.mean(samples * samples))) > self._speech_rms:
            gap = self._silence if self._silence < _WORD_GAP_SECS else 0.0
            self._speech_secs += _FRAME_SECS + gap
            self._silence = 0.0
            self._heard_pause = False
        else:
            self._silence += _FRAME_SECS
        await self._listen()
        if told := self._changed():
            return told
        due = self.time - self._last >= UPDATE_SECS - _FRAME_SECS / 2
        return [self._tell("Update")] if due else []

    async def _listen(self) -> None:
        if self._speech_secs <= _LEAST_SPEECH_SECS:
            return
        if self._transcriber is None:
            self._words = tuple(self._script.words(self._speech_secs, ended=self._over))
            return
        pause = self._silence >= _HEAR_AT_SILENCE_SECS and not self._heard_pause
        if pause or self._speech_secs - self._heard_at >= _HEAR_EVERY_SECS:
            self._heard_at, self._heard_pause = self._speech_secs, pause
            heard = await self._transcriber(bytes(self._audio))
            self._words = tuple(str(getattr(heard, "text", heard)).split())

    @property
    def _over(self) -> bool:
        """Whether all of the turn has been said, as a good model would know by its sound."""
        if self._silence < _WORD_GAP_SECS:
            return False
        if self._transcriber is None:
            return self._script.complete(self._speech_secs)
        return not trails_off(" ".join(self._words))

    @property
    def _confidence(self) -> float:
        if self._state == "initial":
            return 0.1
        pace, most = _OVER if self._over else _PAUSE
        return min(most, pace * self._silence)

    def _changed(self) -> list[Turn]:
        query, state = self.query, self._state
        if state == "initial":
            if not self._words:
                return []
            self._state = "ongoing"
            return [self._tell("StartOfTurn")]
        if state == "awaiting" and self._silence == 0.0:
            self._state = "ongoing"
            return [self._tell("TurnResumed")]
        eager = query.eager_eot_threshold
        if self._confidence >= query.eot_threshold:
            return self._end("model")
        if self._silence >= query.eot_timeout_secs:
            return self._end("timeout")
        foretold = eager is not None and self._confidence >= eager
        if state == "ongoing" and foretold and self._words:
            self._state = "awaiting"
            return [self._tell("EagerEndOfTurn")]
        return []

    def _end(self, trigger: str) -> list[Turn]:
        told: list[Turn] = []
        foretells = self.query.eager_eot_threshold is not None and trigger == "model"
        if foretells and self._state == "ongoing" and self._words:
            told.append(self._tell("EagerEndOfTurn"))
        told.append(self._tell("EndOfTurn", trigger))
        self._script.give(len(self._words), ended=True, speech_secs=self._speech_secs)
        self._index += 1
        self._begin_turn()
        return told

    def _tell(self, event: Event, trigger: str = "") -> Turn:
        self._last = self.time
        return Turn(
            event, self._index, self._turn_start, self.time, self._words, self._confidence, trigger
        )


class Vendor(Protocol):
    """What a connection asks of the simulator whose it is."""

    script: Script
    transcriber: Transcriber | None
    speech_rms: float
    timeout_secs: float

    def delay(self) -> float:
        """The next message's latency."""
        ...

    def due(self, *, connection: int) -> list[Fault]:
        """The faults of a connection."""
        ...


class FluxConnection:
    """One WebSocket."""

    def __init__(
        self, vendor: Vendor, number: int, log: Request, query: FluxQuery, request: web.Request
    ) -> None:
        self._vendor = vendor
        self._number = number
        self._log = log
        self._request = request
        self._id = f"00000000-0000-0000-0000-{number + 1:012}"
        self._socket = web.WebSocketResponse(compress=False, autoping=True, timeout=1.0)
        self._ear = FluxEar(
            query,
            script=vendor.script,
            transcriber=vendor.transcriber,
            speech_rms=vendor.speech_rms,
        )
        self._outbox: asyncio.Queue[tuple[float, dict[str, Any]]] = asyncio.Queue()
        self._sequence = 0
        self._struck: set[int] = set()
        self._stalled = False

    async def serve(self) -> web.WebSocketResponse:
        """Serve the connection until either side ends it."""
        self._socket.headers["dg-request-id"] = self._id
        await self._socket.prepare(self._request)
        self._queue({"type": "Connected", "request_id": self._id}, at_once=True)
        sending = asyncio.create_task(self._send())
        try:
            await self._receive()
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        return self._socket

    def abort(self) -> None:
        """Be gone."""
        if self._request.transport is not None:
            self._request.transport.abort()

    async def _receive(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._vendor.timeout_secs):
                    message = await self._socket.receive()
            except TimeoutError:
                await self._close(WSCloseCode.INTERNAL_ERROR, "NET-0001")
                return
            if message.type is WSMsgType.BINARY:
                self._log.audio_bytes += len(message.data)
                self._log.audio_messages += 1
                if not self._stalled:
                    for turn in await self._ear.hear(message.data):
                        self._queue(self._turn_info(turn))
                if await self._strike():
                    return
            elif message.type is WSMsgType.TEXT:
                if await self._control(message.data):
                    return
            else:
                return

    async def _control(self, text: str) -> bool:
        """Obey a text message; whether it was the last."""
        try:
            message = json.loads(text)
            kind = message["type"]
        except (ValueError, KeyError, TypeError):
            message, kind = {"type": "?"}, "?"
        self._log.messages.append((_now(), message))
        if kind == "ForceEndTurn":
            for turn in self._ear.force_end():
                self._queue(self._turn_info(turn))
        elif kind == "Configure":
            self._queue(self._configure(message))
        elif kind == "CloseStream":
            for turn in self._ear.flush():
                self._queue(self._turn_info(turn), at_once=True)
            await self._drain()
            if self._request.transport is not None:
                self._request.transport.write(b"\x88\x00")  # a close frame without a status
            await self._socket.receive()
            return True
        else:
            error = {
                "type": "Error",
                "code": "UNPARSABLE_CLIENT_MESSAGE",
                "description": "The message could not be parsed.",
            }
            self._queue(error, at_once=True)
            await self._drain()
            await self._close(WSCloseCode.POLICY_VIOLATION, "UNPARSABLE_CLIENT_MESSAGE")
            return True
        return False

    def _configure(self, message: Mapping[str, Any]) -> dict[str, Any]:
        about = {"request_id": self._id}
        try:
            query = configured(
                self._ear.query, message.get("thresholds") or {}, message.get("keyterms")
            )
        except BadQueryError as error:
            return {
                "type": "ConfigureFailure",
                "code": "INVALID_CONFIGURATION",
                "description": str(error),
                **about,
            }
        self._ear.query = query
        thresholds = {
            "eot_threshold": query.eot_threshold,
            "eager_eot_threshold": query.eager_eot_threshold,
            "eot_timeout_ms": round(1000 * query.eot_timeout_secs),
        }
        return {
            "type": "ConfigureSuccess",
            "thresholds": thresholds,
            "keyterms": list(query.keyterms),
            **about,
        }

    def _turn_info(self, turn: Turn) -> dict[str, Any]:
        step = (turn.end - turn.start) / max(1, len(turn.words))
        words = [
            {
                "word": word,
                "confidence": 0.98,
                "start": round(turn.start + step * n, 3),
                "end": round(turn.start + step * (n + 1), 3),
            }
            for n, word in enumerate(turn.words)
        ]
        info = {
            "type": "TurnInfo",
            "request_id": self._id,
            "event": turn.event,
            "turn_index": turn.index,
            "audio_window_start": round(turn.start, 3),
            "audio_window_end": round(turn.end, 3),
            "transcript": " ".join(turn.words),
            "words": words,
            "end_of_turn_confidence": round(turn.confidence, 4),
        }
        return info | ({"trigger": turn.trigger} if turn.trigger else {})

    def _queue(self, message: dict[str, Any], *, at_once: bool = False) -> None:
        if self._stalled:
            return
        numbered = {**message, "sequence_id": self._sequence}
        self._sequence += 1
        due = _now() if at_once else _now() + self._vendor.delay()
        self._outbox.put_nowait((due, numbered))

    async def _drain(self) -> None:
        while not self._outbox.empty():
            await asyncio.sleep(0.005)
        await asyncio.sleep(0)

    async def _send(self) -> None:
        while True:
            due, message = await self._outbox.get()
            if (wait := due - _now()) > 0:
                await asyncio.sleep(wait)
            if self._stalled or self._socket.closed:
                continue
            self._log.sent.append((_now(), message))
            try:
                await self._socket.send_str(json.dumps(message))
            except ConnectionError:
                return

    async def _close(self, code: int, reason: str) -> None:
        self._log.closed_with = int(code)
        await self._socket.close(code=code, message=reason.encode())

    async def _strike(self) -> bool:
        """Let the faults whose time has come happen; whether the connection is over."""
        for index, fault in enumerate(self._vendor.due(connection=self._number)):
            if index in self._struck or self._ear.time < fault.at_secs:
                continue
            self._struck.add(index)
            match fault.kind:
                case "drop" | "cut":
                    self.abort()
                    return True
                case "close":
                    error = {
                        "type": "Error",
                        "code": "INTERNAL_SERVER_ERROR",
                        "description": "An internal server error occurred.",
                    }
                    self._queue(error, at_once=True)
                    await self._drain()
                    await self._close(fault.code, fault.reason)
                    return True
                case "stall":
                    self._stalled = True
                case "garbage":
                    await self._socket.send_str("}{ this is no JSON")
                    await self._socket.send_str('{"type": "TurnInfo", "event": null}')
        return False


def _now() -> float:
    return asyncio.get_running_loop().time()
