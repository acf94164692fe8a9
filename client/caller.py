"""A caller without a browser: calls a server over its wire, in real time, with WAV files.

It plays what it hears the way the page does — 24 kHz, from a small buffer, dropped at an
interruption — and reports it, so that latencies are those of a caller's ears.
"""

import asyncio
import contextlib
import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from pipecat.processors.frameworks.rtvi import models as rtvi

from client.loudspeaker import Loudspeaker
from client.wav import INPUT_RATE, read_wav, speech_end_secs

CLOCK_QUESTIONS = 3
"""How often the server is asked for its time; the quickest answer counts."""

CHUNK_SECS = 0.02
REPORT_SECS = 0.1

_Socket = aiohttp.ClientWebSocketResponse


class CallerError(Exception):
    """The call could not be made; the text says why."""


@dataclass
class HeardTurn:
    """One turn as its caller heard it.

    Parameters:
        said: The file that was spoken.
        transcript: What Viva understood.
        decision: ``respond`` or ``escalate``; ``None`` when there was none.
        confidence: Of an answer.
        sections: Ids of the cited sections.
        answer: What Viva said or meant to say.
        e2e_latency_ms: End of the caller's last word → first audible sample; ``None`` if none.
        interrupted: Whether the caller spoke over the answer and stopped it.
        heard_text: The part of the answer that was played.
        stages_ms: The server's own times for the stages of the turn.
    """

    said: str
    transcript: str = ""
    decision: str | None = None
    confidence: str | None = None
    sections: list[str] = field(default_factory=list)
    answer: str = ""
    e2e_latency_ms: float | None = None
    interrupted: bool = False
    heard_text: str = ""
    stages_ms: dict[str, float | None] = field(default_factory=dict)


@dataclass
class HeardCall:
    """A call as its caller heard it.

    Parameters:
        turns: One a file.
        ended: Why it ended.
        audio: Everything that was played, PCM s16le, mono, 24 kHz.
        messages: Every text message that came, with the seconds since the call began.
    """

    turns: list[HeardTurn]
    ended: str = ""
    audio: bytes = b""
    messages: list[tuple[float, dict[str, Any]]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """What ``viva call --json`` prints."""
        return {"turns": [asdict(turn) for turn in self.turns], "ended": self.ended}


class Caller:
    """Calls a server and speaks WAV files to it, one a turn.

    Parameters:
        url: The socket, ``ws://HOST:PORT/call``.
        wavs: The files.
        barge_in_secs: Speak each file after the first this long into the answer to the one before,
            rather than after it.
        turn_timeout_secs: Longest wait for an answer to begin.
        key: The server's operator key, where it wants one.
        progress: Told what is happening, in words.
        record: Whether the call may be recorded.
    """

    def __init__(
        self,
        url: str,
        wavs: Sequence[Path],
        *,
        barge_in_secs: float | None = None,
        turn_timeout_secs: float = 15.0,
        gap_secs: float = 0.3,
        key: str = "",
        progress: Callable[[str], None] = lambda _text: None,
        record: bool = False,
    ) -> None:
        self._url = url
        self._wavs = wavs
        self._speech = [read_wav(path) for path in wavs]
        self._barge_in_secs = barge_in_secs
        self._turn_timeout_secs = turn_timeout_secs
        self._gap_secs = gap_secs
        self._key = key
        self._progress = progress
        self._record = record
        self._ids = itertools.count(1)
        self._outgoing = bytearray()
        self._result = HeardCall([HeardTurn(path.name) for path in wavs])
        self._turn = -1  # index of the file being spoken or answered
        self._of_turn: dict[int, int] = {}  # Viva's number of a turn → index of the file
        self._words_end: float | None = None
        self._spoken = asyncio.Event()
        self._changed = asyncio.Event()
        self._audible = False
        self._over = False
        self._ahead: tuple[float, float] | None = None  # shortest round trip; server's clock - ours

    async def call(self) -> HeardCall:
        """Make the call.

        Raises:
            CallerError: Nobody answers at the address.
        """
        self._now = asyncio.get_running_loop().time
        self._began = self._now()
        self._player = Loudspeaker(self._now)
        async with aiohttp.ClientSession() as session:
            try:
                headers = {"Authorization": f"Bearer {self._key}"} if self._key else None
                socket = await session.ws_connect(self._url, max_msg_size=0, headers=headers)
            except (aiohttp.ClientError, OSError) as error:
                raise CallerError(
                    f"nobody answers at {self._url} ({_why(error)}). Is `viva serve` running?"
                ) from None
            async with socket:
                listening = asyncio.create_task(self._listen(socket))
                ticking = asyncio.create_task(self._tick(socket))
                try:
                    await self._converse(socket)
                finally:
                    ticking.cancel()
                    await asyncio.gather(ticking, return_exceptions=True)
                    await self._hang_up(socket)
                    await asyncio.wait([listening], timeout=3.0)
                    listening.cancel()
                    await asyncio.gather(listening, return_exceptions=True)
        self._result.audio = bytes(self._player.heard)
        return self._result

    # The conversation.

    async def _converse(self, socket: _Socket) -> None:
        about = {"library": "viva-call"}
        ready = {"version": rtvi.PROTOCOL_VERSION, "about": about, "record": self._record}
        await self._send(socket, "client-ready", ready)
        await self._until(lambda: self._heard("bot-ready"), 90.0)
        with contextlib.suppress(ConnectionError):  # what ended the call is on its way
            for _ in range(CLOCK_QUESTIONS):
                asked = {"sent": self._now()}
                await self._send(socket, "client-message", {"t": "clock", "d": asked})
        # Listen to the greeting to its end, as a caller would.
        await self._until(lambda: self._heard("bot-stopped-speaking"), 30.0)
        for index, speech in enumerate(self._speech):
            if self._over:
                return
            self._progress(f"turn {index + 1} of {len(self._speech)}: {self._wavs[index].name}")
            await asyncio.sleep(self._gap_secs)
            self._turn = index
            self._audible = False
            self._say(speech)
            speech_secs = len(speech) / 2 / INPUT_RATE
            await self._until(lambda: self._spoken.is_set() or self._over, speech_secs + 5.0)
            await self._until(lambda: self._audible or self._over, self._turn_timeout_secs)
            last = index == len(self._speech) - 1
            if self._barge_in_secs is not None and self._audible and not last:
                await asyncio.sleep(self._barge_in_secs)
                continue
            await self._until(self._answer_over, 60.0)

    def _answer_over(self) -> bool:
        told = bool(self._result.turns[self._turn].stages_ms)
        return self._over or (told and not self._player.playing)

    def _say(self, speech: bytes) -> None:
        self._outgoing += speech
        self._words_end = self._now() + speech_end_secs(speech)
        self._spoken.clear()

    def _heard(self, kind: str) -> bool:
        return self._over or any(message["type"] == kind for _, message in self._result.messages)

    async def _until(self, condition: Callable[[], bool], timeout_secs: float) -> None:
        try:
            async with asyncio.timeout(timeout_secs):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            self._progress("timed out")

    # The clock: 20 ms of microphone up, 20 ms of loudspeaker down.

    async def _tick(self, socket: _Socket) -> None:
        try:
            await self._speak_and_listen(socket)
        except ConnectionError:
            pass  # the call has ended; what says so is on its way
        finally:
            self._spoken.set()  # nothing more will be said

    async def _speak_and_listen(self, socket: _Socket) -> None:
        size = int(CHUNK_SECS * INPUT_RATE) * 2
        start = self._now()
        reported = (0, 0)
        for tick in itertools.count():
            chunk = bytes(self._outgoing[:size])
            del self._outgoing[:size]
            if not self._outgoing and not self._spoken.is_set():
                self._spoken.set()
            if socket.closed:
                return
            await socket.send_bytes(chunk + bytes(size - len(chunk)))
            was_playing = self._player.playing
            first = self._player.play(CHUNK_SECS)
            if first is not None and self._note_audible(first[0]):
                await self._report_audible(socket, *first)
            progress = (self._player.epoch, self._player.samples)
            due = tick % round(REPORT_SECS / CHUNK_SECS) == 0
            ran_dry = was_playing and not self._player.playing
            if progress != reported and (due or ran_dry or reported[1] == 0):
                await self._report(socket, *progress)
                reported = progress
            self._changed.set()
            await asyncio.sleep(max(0.0, start + (tick + 1) * CHUNK_SECS - self._now()))

    def _note_audible(self, first: float) -> bool:
        """Note when something was heard; whether it begins an answer."""
        if self._turn < 0 or not self._answering():
            return False
        self._audible = True
        turn = self._result.turns[self._turn]
        begins = turn.e2e_latency_ms is None and self._words_end is not None
        if begins and self._words_end is not None:
            turn.e2e_latency_ms = round((first - self._words_end) * 1000, 1)
        return begins

    async def _report_audible(self, socket: _Socket, at: float, sample: int) -> None:
        if self._ahead is not None:
            heard = {"epoch": self._player.epoch, "sample": sample, "at": at + self._ahead[1]}
            await self._send(socket, "client-message", {"t": "audible", "d": heard})

    def _answering(self) -> bool:
        """Whether what is heard now answers the file spoken last."""
        return self._turn in self._of_turn.values() and self._spoken.is_set()

    async def _report(
        self, socket: _Socket, epoch: int, samples: int, *, final: bool = False
    ) -> None:
        played = {"epoch": epoch, "samples": samples, "final": final}
        await self._send(socket, "client-message", {"t": "playback", "d": played})

    async def _hang_up(self, socket: _Socket) -> None:
        if not self._over and not socket.closed:
            await self._send(socket, "client-message", {"t": "hangup", "d": {}})

    async def _send(self, socket: _Socket, kind: str, data: dict[str, Any]) -> None:
        message = {"label": "rtvi-ai", "type": kind, "id": str(next(self._ids)), "data": data}
        await socket.send_str(json.dumps(message))

    # What comes.

    async def _listen(self, socket: _Socket) -> None:
        async for message in socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                self._player.take(message.data)
            elif message.type is aiohttp.WSMsgType.TEXT:
                await self._take(socket, json.loads(message.data))
            self._changed.set()
        self._over = True
        self._result.ended = self._result.ended or "disconnected"
        self._changed.set()

    async def _take(self, socket: _Socket, message: dict[str, Any]) -> None:
        self._result.messages.append((round(self._now() - self._began, 4), message))
        kind, data = message["type"], message.get("data") or {}
        if kind == "bot-interrupted":
            epoch, samples = self._player.flush()
            await self._report(socket, epoch, samples, final=True)
        elif kind == "server-message":
            self._take_own(data)

    def _take_own(self, data: dict[str, Any]) -> None:
        match data["type"]:
            case "duck":
                self._player.duck(data["on"])
            case "sentence" if data["turn"]:
                self._of_turn.setdefault(data["turn"], self._turn)
            case "decision":
                turn = self._turn_of(data["turn"])
                turn.transcript = data["question"]
                turn.decision, turn.confidence = data["decision"], data["confidence"]
                turn.sections, turn.answer = data["sections"], data["answer"]
            case "turn":
                turn = self._turn_of(data["turn"])
                turn.transcript, turn.heard_text = data["question"], data["heard_text"]
                turn.interrupted = data["interrupted"]
                turn.stages_ms = {
                    name: None if data[name] is None else round(data[name] * 1000, 1)
                    for name in (
                        "transcription_delay",
                        "end_of_turn_delay",
                        "llm_ttft",
                        "llm_ttfs",
                        "tts_ttfb",
                        "e2e_latency",
                    )
                }
            case "clock":
                now, sent = self._now(), data["sent"]
                measured = (now - sent, data["now"] - (sent + now) / 2)
                self._ahead = min(self._ahead or measured, measured)
            case "end":
                self._over = True
                self._result.ended = data["reason"]

    def _turn_of(self, number: int) -> HeardTurn:
        index = self._of_turn.setdefault(number, self._turn)
        return self._result.turns[max(0, index)]


def _why(error: Exception) -> str:
    """What kept a connection from being made, without the client's own detail."""
    if isinstance(error, aiohttp.WSServerHandshakeError) and error.status == 401:
        return "it wants to know who calls: run this on its own machine with its DATA_DIR"
    if isinstance(error, aiohttp.WSServerHandshakeError):
        return f"it answered with status {error.status}"
    cause = getattr(error, "os_error", error)
    return str(getattr(cause, "strerror", None) or type(error).__name__)
