"""A simulator of Deepgram's Flux: ``GET /v2/listen`` and the state machine of its turns.

Messages follow the vendor's documentation:

* ``Connected``, ``TurnInfo``, ``Error``: https://developers.deepgram.com/reference/speech-to-text/
  listen-flux; the SDK's ``deepgram.listen.v2.types`` are generated from the same specification.
* the order of events, and ``Update`` every 0.25 s: https://developers.deepgram.com/docs/flux/state
* thresholds and their ranges: https://developers.deepgram.com/docs/flux/configuration
* ``Configure`` and its two answers: https://developers.deepgram.com/docs/flux/configure
* ``ForceEndTurn`` and ``trigger``: https://developers.deepgram.com/docs/flux/force-end-turn
* ``CloseStream`` ends no turn, and the socket closes without a status:
  https://developers.deepgram.com/docs/flux/close-stream
* Nova's parameters that Flux refuses, and turns that end about 260 ms after their last word, at the
  median: https://developers.deepgram.com/docs/flux/nova-3-migration
* an eager threshold of 0.3 to 0.5 foretells the end 150 to 250 ms sooner, and half as many model
  calls again, or more, are made: https://developers.telnyx.com/docs/voice/stt/websocket-streaming/
  parameters/end-of-turn; 150 ms sooner at the median of Telnyx' own calls:
  https://telnyx.com/release-notes/automatic-eager-end-of-turn-deepgram-flux
* the transcript ends with a full stop or a question mark only once the sentence is whole: the
  example in https://developers.deepgram.com/docs/flux/state
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from aiohttp import WSCloseCode, web

from conversation.utterance import trails_off
from simulators.deepgram_connection import DeepgramConnection, Simulator, now
from simulators.deepgram_faults import Request
from simulators.deepgram_query import KEYTERM_TOKENS, BadQueryError, keyterm_tokens
from simulators.deepgram_recogniser import Script, Transcriber, TurnJudge

MODELS = frozenset({"flux-general-en", "flux-general-multi"})
RATES = frozenset({8000, 16_000, 24_000, 44_100, 48_000})
UPDATE_SECS = 0.25
"""Interval of updates within a turn."""
_FRAME_SECS = 0.01
_WORD_GAP_SECS = 0.15  # a longer silence is a pause, not one within a word
_LEAST_SPEECH_SECS = 0.05  # a shorter sound is a click, and begins no turn
_TRANSCRIBE_EVERY_SECS = 1.0  # an embedded recogniser shares the machine: no more often
_TRANSCRIBE_AT_SILENCE_SECS = 0.12

# How end-of-turn confidence grows with silence: (initial confidence, growth per second, maximum).
# After a finished turn it passes 0.7 at 0.18 s, which makes the published median of about 260 ms
# with the latency and the time that a message of 80 ms takes to fill; thresholds up to 0.5 are
# passed 150 ms sooner, as published. In a pause it stays at or below 0.6, which can still exceed an
# eager threshold. The curve's shape is an assumption: Deepgram publishes none.
_FINISHED = (0.46, 1.34, 0.97)
_PAUSE = (0.0, 0.8, 0.6)
_SOUNDS_OVER = 0.5  # probability from which a turn that is heard counts as over
_LONG_PAUSE_SECS = 1.5  # from here on, only its words can tell that it is not
_FINISHED_SECS = 0.03  # the silence after which a turn can be finished

_LISTS = frozenset({"keyterm", "language_hint", "tag"})
_SINGLE = frozenset(
    {
        "model", "encoding", "sample_rate", "eot_threshold", "eager_eot_threshold",
        "eot_timeout_ms", "mip_opt_out", "numerals", "profanity_filter", "redact",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FluxQuery:
    """A request's parsed parameters.

    Parameters:
        model: The model.
        sample_rate: The audio's sample rate, in Hz.
        eot_threshold: The confidence at which ``EndOfTurn`` is sent.
        eager_eot_threshold: The confidence at which ``EagerEndOfTurn`` is sent; ``None`` for
            never.
        eot_timeout_secs: Seconds of silence that end a turn at any confidence.
        keyterms: Words that the model should favour.
    """

    model: str
    sample_rate: int
    eot_threshold: float = 0.7
    eager_eot_threshold: float | None = None
    eot_timeout_secs: float = 5.0
    keyterms: tuple[str, ...] = ()


def parse(pairs: Iterable[tuple[str, str]]) -> FluxQuery:
    """Parse a query string.

    Raises:
        BadQueryError: Flux refuses it with 400: a value, or a parameter that Flux does not have.
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
    """Apply a ``Configure`` message to a query.

    Raises:
        BadQueryError: A value is out of its range.
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
class TurnInfo:
    """A ``TurnInfo`` message without its connection's fields; times in seconds of audio."""

    event: Event
    index: int
    start: float
    end: float
    words: tuple[str, ...]
    confidence: float
    trigger: str = ""


class FluxRecogniser:
    """Turns one connection's audio into the events of its turns."""

    def __init__(
        self,
        query: FluxQuery,
        *,
        script: Script,
        transcriber: Transcriber | None,
        judge: TurnJudge | None = None,
        speech_rms: float,
    ) -> None:
        self.query = query
        self.time = 0.0
        self._judge = judge
        self._script = script
        self._transcriber = transcriber
        self._speech_rms = speech_rms
        self._frame = int(query.sample_rate * _FRAME_SECS)
        self._rest = b""
        self._index = 0
        self._last = 0.0  # when the last message was due, in seconds of audio
        self._begin_turn()

    def _begin_turn(self) -> None:
        self._state: Literal["initial", "ongoing", "awaiting"] = "initial"
        self._turn_start = self.time
        self._audio = bytearray()
        self._speech_secs = 0.0
        self._silence = 0.0
        self._words: tuple[str, ...] = ()
        self._transcribed_secs = 0.0  # seconds of speech that the transcriber has been given
        self._transcribed_pause = False
        self._sounds_over = True

    async def add_audio(self, audio: bytes) -> list[TurnInfo]:
        """Process the next audio; return the messages that it causes."""
        infos: list[TurnInfo] = []
        data = self._rest + audio
        size = 2 * self._frame
        whole = len(data) // size * size
        self._rest = data[whole:]
        for at in range(0, whole, size):
            infos += await self._hear_frame(data[at : at + size])
        return infos

    def force_end(self) -> list[TurnInfo]:
        """Handle ``ForceEndTurn``: no messages while no turn is active."""
        return [] if self._state == "initial" else self._end("manual")

    def flush(self) -> list[TurnInfo]:
        """Handle ``CloseStream``: a last ``Update``, but no end of the turn."""
        return [self._info("Update")] if self._state != "initial" else []

    async def _hear_frame(self, frame: bytes) -> list[TurnInfo]:
        self.time += _FRAME_SECS
        self._audio += frame
        samples = np.frombuffer(frame, "<i2").astype(np.float32)
        if float(np.sqrt(np.mean(samples * samples))) > self._speech_rms:
            gap = self._silence if self._silence < _WORD_GAP_SECS else 0.0
            self._speech_secs += _FRAME_SECS + gap
            self._silence = 0.0
            self._transcribed_pause = False
        else:
            self._silence += _FRAME_SECS
        await self._transcribe()
        if infos := self._changed():
            return infos
        due = self.time - self._last >= UPDATE_SECS - _FRAME_SECS / 2
        return [self._info("Update")] if due else []

    async def _transcribe(self) -> None:
        if self._speech_secs <= _LEAST_SPEECH_SECS:
            return
        if self._transcriber is None:
            words = self._script.words(self._speech_secs, ended=self._finished)
            if words and not self._script.complete(self._speech_secs):
                words[-1] = words[-1].rstrip(".?!")
            self._words = tuple(words)
            return
        pause = self._silence >= _TRANSCRIBE_AT_SILENCE_SECS and not self._transcribed_pause
        if pause or self._speech_secs - self._transcribed_secs >= _TRANSCRIBE_EVERY_SECS:
            self._transcribed_secs, self._transcribed_pause = self._speech_secs, pause
            heard = await self._transcriber(bytes(self._audio))
            self._words = tuple(str(getattr(heard, "text", heard)).split())
            if pause and self._judge is not None:
                self._sounds_over = await self._judge(bytes(self._audio)) >= _SOUNDS_OVER

    @property
    def _finished(self) -> bool:
        """Whether the caller has said all of the turn, as far as the simulator can tell.

        Of a script it knows; of what it hears, the words and the turn model tell.
        """
        knows_all = self._transcriber is None and self._script.pauses
        if self._silence < (_FINISHED_SECS if knows_all else _WORD_GAP_SECS):
            return False
        if self._transcriber is None:
            return self._script.complete(self._speech_secs)
        over = self._sounds_over or self._silence >= _LONG_PAUSE_SECS
        return over and not trails_off(" ".join(self._words))

    @property
    def _confidence(self) -> float:
        if self._state == "initial":
            return 0.1
        least, pace, most = _FINISHED if self._finished else _PAUSE
        return min(most, least + pace * self._silence)

    def _changed(self) -> list[TurnInfo]:
        query, state = self.query, self._state
        if state == "initial":
            if not self._words:
                return []
            self._state = "ongoing"
            return [self._info("StartOfTurn")]
        if state == "awaiting" and self._silence == 0.0:
            self._state = "ongoing"
            return [self._info("TurnResumed")]
        eager = query.eager_eot_threshold
        if self._confidence >= query.eot_threshold:
            return self._end("model")
        if self._silence >= query.eot_timeout_secs:
            return self._end("timeout")
        foretold = eager is not None and self._confidence >= eager
        if state == "ongoing" and foretold and self._words:
            self._state = "awaiting"
            return [self._info("EagerEndOfTurn")]
        return []

    def _end(self, trigger: str) -> list[TurnInfo]:
        infos: list[TurnInfo] = []
        foretells = self.query.eager_eot_threshold is not None and trigger == "model"
        if foretells and self._state == "ongoing" and self._words:
            infos.append(self._info("EagerEndOfTurn"))
        infos.append(self._info("EndOfTurn", trigger))
        self._script.mark_final(len(self._words), ended=True, speech_secs=self._speech_secs)
        self._index += 1
        self._begin_turn()
        return infos

    def _info(self, event: Event, trigger: str = "") -> TurnInfo:
        self._last = self.time
        return TurnInfo(
            event, self._index, self._turn_start, self.time, self._words, self._confidence, trigger
        )


class FluxConnection(DeepgramConnection):
    """One WebSocket of ``/v2/listen``."""

    CUT = b'{"type":"TurnI'
    GARBAGE = '{"type": "TurnInfo", "event": null}'

    def __init__(
        self,
        simulator: Simulator,
        number: int,
        log: Request,
        query: FluxQuery,
        request: web.Request,
    ) -> None:
        self._recogniser = FluxRecogniser(
            query,
            script=simulator.script,
            transcriber=simulator.transcriber,
            judge=simulator.judge,
            speech_rms=simulator.speech_rms,
        )
        super().__init__(simulator, number, log, request, self._recogniser)
        self._sequence = 0

    def _opened(self) -> None:
        self._queue({"type": "Connected", "request_id": self._id}, at_once=True)

    async def _hear(self, audio: bytes) -> None:
        for turn in await self._recogniser.add_audio(audio):
            self._queue(self._turn_info(turn))

    async def _obey(self, kind: str, message: dict[str, Any], text: str) -> bool:
        if kind == "ForceEndTurn":
            for turn in self._recogniser.force_end():
                self._queue(self._turn_info(turn))
        elif kind == "Configure":
            self._queue(self._configure(message))
        elif kind == "CloseStream":
            for turn in self._recogniser.flush():
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

    async def _before_close(self) -> None:
        error = {
            "type": "Error",
            "code": "INTERNAL_SERVER_ERROR",
            "description": "An internal server error occurred.",
        }
        self._queue(error, at_once=True)
        await self._drain()

    def _configure(self, message: Mapping[str, Any]) -> dict[str, Any]:
        about = {"request_id": self._id}
        try:
            query = configured(
                self._recogniser.query, message.get("thresholds") or {}, message.get("keyterms")
            )
        except BadQueryError as error:
            return {
                "type": "ConfigureFailure",
                "code": "INVALID_CONFIGURATION",
                "description": str(error),
                **about,
            }
        self._recogniser.query = query
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

    def _turn_info(self, turn: TurnInfo) -> dict[str, Any]:
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
        due = now() if at_once else now() + self._simulator.flux_delay()
        self._outbox.put_nowait((due, numbered))
