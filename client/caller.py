"""A caller without a browser: calls a server over its wire, in real time, with WAV files or text.

It plays what it hears the way the page does — 24 kHz, from a small buffer, dropped at an
interruption — and reports it, so that latencies are those of a caller's ears.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp

from client.connection import CHUNK_SECS, Connection, Wire, connect
from client.loudspeaker import Loudspeaker
from client.protocol import Audio, ClientProtocol, Event, Unusable
from client.wav import INPUT_RATE, read_wav, speech_secs

CLOCK_QUESTIONS = 3
"""How often the server is asked for its time; the quickest answer counts."""

BROKEN_OFF = ("fault", "protocol", "stalled", "shutdown")
"""Reasons of ends that make a call a failure, even if all that was asked has been answered."""

_CHUNK_BYTES = 2 * round(CHUNK_SECS * INPUT_RATE)


class CallerError(Exception):
    """The call could not be made; the text says why."""


@dataclass
class HeardTurn:
    """One turn as its caller heard it.

    Parameters:
        said: The file that was spoken, or the question that was typed.
        transcript: What Viva understood.
        decision: ``respond`` or ``escalate``; ``None`` without a decision.
        confidence: Of an answer.
        sections: Ids of the cited sections.
        answer: The answer as decided.
        e2e_latency_ms: End of the caller's last word → first audible sample; ``None`` if none.
        interrupted: Whether the caller spoke over the answer and stopped it.
        heard_text: The part of the answer that was played.
        stages_ms: The server's measurements of the turn's stages.
        spoken: From its first word to its last, in seconds of the call; ``None`` if it was typed or
            not said.
        over_agent: Whether it was begun while the agent was heard.
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
    spoken: tuple[float, float] | None = None
    over_agent: bool = False


@dataclass
class HeardCall:
    """A call as its caller heard it.

    Parameters:
        turns: One a file, then one a typed question.
        call: The call's id; empty if it never began.
        ended: Why it ended.
        recorded: Whether the server said that it records the call.
        audio: All audio played, PCM s16le, mono, 24 kHz.
        messages: Every text message received, with seconds since the start of the call.
    """

    turns: list[HeardTurn]
    call: str = ""
    ended: str = ""
    recorded: bool = False
    audio: bytes = b""
    messages: list[tuple[float, dict[str, Any]]] = field(default_factory=list)

    @property
    def succeeded(self) -> bool:
        """Whether every turn was answered, or handed to a person, and nothing broke it off."""
        answered = all(turn.decision and turn.e2e_latency_ms is not None for turn in self.turns)
        return answered and self.ended not in BROKEN_OFF

    def as_dict(self) -> dict[str, Any]:
        """What ``viva call --json`` prints."""
        turns = [asdict(turn) for turn in self.turns]
        return {"call": self.call, "turns": turns, "ended": self.ended}


@asynccontextmanager
async def open_socket(
    url: str, wire: Wire, take: Callable[[Event], None], *, key: str = ""
) -> AsyncIterator[Connection]:
    """Open a call, and close its socket at the end of the block.

    Args:
        url: The socket, ``ws://HOST:PORT/call``.
        wire: The sans-I/O protocol.
        take: Called with each event.
        key: The server's operator key, if it needs one.

    Raises:
        CallerError: No server answers at the address, or it does not take the call.
    """
    headers = {"Authorization": f"Bearer {key}"} if key else None
    async with AsyncExitStack() as stack:
        try:
            line = await stack.enter_async_context(connect(url, wire, take, headers=headers))
        except aiohttp.WSServerHandshakeError as error:
            if error.status != HTTPStatus.UNAUTHORIZED:
                raise CallerError(
                    f"{url} answered with status {error.status}. Is it the address of a call, "
                    "which ends in /call?"
                ) from None
            raise CallerError(f"{url} answers, and {_wanted(key)}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise CallerError(
                f"nobody answers at {url} ({_why(error)}). Is `viva serve` running?"
            ) from None
        yield line


class Caller:
    """Calls a server and speaks WAV files to it, or types to it, one a turn.

    Parameters:
        url: The socket, ``ws://HOST:PORT/call``.
        wavs: The files.
        texts: What to type after them, a turn each.
        barge_in_secs: Ask each question after the first this long into the answer to the one
            before, rather than after it.
        turn_timeout_secs: Maximum wait for an answer to begin.
        key: The server's operator key, if it needs one.
        progress: Called with progress messages.
        record: Whether the call may be recorded.
    """

    def __init__(
        self,
        url: str,
        wavs: Sequence[Path] = (),
        *,
        texts: Sequence[str] = (),
        barge_in_secs: float | None = None,
        turn_timeout_secs: float = 15.0,
        gap_secs: float = 0.3,
        key: str = "",
        progress: Callable[[str], None] = lambda _text: None,
        record: bool = False,
    ) -> None:
        self._url = url
        self._questions: list[bytes | str] = [*(read_wav(path) for path in wavs), *texts]
        self._barge_in_secs = barge_in_secs
        self._turn_timeout_secs = turn_timeout_secs
        self._gap_secs = gap_secs
        self._key = key
        self._progress = progress
        self._record = record
        self._outgoing = bytearray()
        self._result = HeardCall([HeardTurn(said) for said in (*(p.name for p in wavs), *texts)])
        self._turn = -1  # index of the question being asked or answered
        self._of_turn: dict[int, int] = {}  # Viva's number of a turn → index of the question
        self._words_end: float | None = None
        self._audible = False
        self._call_began: float | None = None  # when the server began to count the call's time
        self._protocol = ClientProtocol()
        self._player = Loudspeaker()

    async def call(self) -> HeardCall:
        """Make the call.

        Raises:
            CallerError: No server answers at the address.
        """
        self._now = asyncio.get_running_loop().time
        self._began = self._now()
        async with open_socket(self._url, self._protocol, self._take, key=self._key) as line:
            line.tick(self._speak_and_listen)
            try:
                await self._converse(line)
            finally:
                await line.hang_up()
        self._result.ended = self._protocol.ended or "disconnected"
        self._result.audio = bytes(self._player.heard)
        return self._result

    # The conversation.

    async def _converse(self, line: Connection) -> None:
        self._protocol.ready("viva-call", record=self._record)
        await line.send()
        await self._until(line, lambda: bool(self._protocol.call), 90.0)
        self._result.call = self._protocol.call
        for _ in range(CLOCK_QUESTIONS):
            self._protocol.ask_time(self._now())
            await line.send()
        # Listen to the greeting to its end, as a caller would.
        await self._until(line, lambda: self._heard("bot-stopped-speaking"), 30.0)
        for index, question in enumerate(self._questions):
            if self._over:
                return
            said = self._result.turns[index].said
            self._progress(f"turn {index + 1} of {len(self._questions)}: {said}")
            await asyncio.sleep(self._gap_secs)
            self._turn = index
            self._audible = False
            if isinstance(question, str):
                self._words_end = self._now()
                self._protocol.type(question)
                await line.send()
            else:
                self._say(question)
                await self._until(line, lambda: self._spoken, len(question) / 2 / INPUT_RATE + 5.0)
            await self._until(line, lambda: self._audible, self._turn_timeout_secs)
            last = index == len(self._questions) - 1
            if self._barge_in_secs is not None and self._audible and not last:
                await asyncio.sleep(self._barge_in_secs)
                continue
            await self._until(line, self._answer_over, 60.0)

    def _say(self, speech: bytes) -> None:
        self._outgoing += speech
        first, last = speech_secs(speech)
        now = self._now()
        self._words_end = now + last
        turn = self._result.turns[self._turn]
        turn.over_agent = self._player.playing
        if self._call_began is not None and last > first:
            at = now - self._call_began
            turn.spoken = (at + first, at + last)

    @property
    def _over(self) -> bool:
        return bool(self._protocol.ended)

    @property
    def _spoken(self) -> bool:
        """Whether the whole file has been spoken."""
        return not self._outgoing

    def _answering(self) -> bool:
        """Whether the audio now playing answers the file spoken last."""
        return self._spoken and self._turn in self._of_turn.values()

    def _answer_over(self) -> bool:
        return bool(self._result.turns[self._turn].stages_ms) and not self._player.playing

    def _heard(self, kind: str) -> bool:
        return any(message["type"] == kind for _, message in self._result.messages)

    async def _until(
        self, line: Connection, condition: Callable[[], bool], timeout_secs: float
    ) -> None:
        if not await line.until(lambda: self._over or condition(), timeout_secs):
            self._progress("timed out")

    # Every 20 ms, the microphone and the loudspeaker advance by 20 ms.

    def _speak_and_listen(self, _due: float) -> None:
        chunk = bytes(self._outgoing[:_CHUNK_BYTES])
        del self._outgoing[:_CHUNK_BYTES]
        self._protocol.speak(chunk.ljust(_CHUNK_BYTES, b"\0"))
        now = self._now()
        first = self._player.play(CHUNK_SECS, now)
        self._protocol.played(self._player.samples, now, playing=self._player.playing)
        if first is not None:
            self._note_audible(first)

    def _note_audible(self, at: float) -> None:
        if not self._answering():
            return
        self._audible = True
        turn = self._result.turns[self._turn]
        if turn.e2e_latency_ms is None and self._words_end is not None:
            turn.e2e_latency_ms = round((at - self._words_end) * 1000, 1)

    # Received events.

    def _take(self, event: Event) -> None:
        if isinstance(event, Audio):
            self._player.receive(event.pcm, self._now())
            return
        if isinstance(event, Unusable):
            self._progress(f"the server sent what cannot be used: {event.why}")
            return
        self._result.messages.append((round(self._now() - self._began, 4), event.envelope))
        data = event.data
        match event.kind:
            case "bot-ready":
                self._call_began = self._now()
            case "bot-interrupted":
                self._player.flush()
            case "duck":
                self._player.duck(data["on"])
            case "recorded":
                self._result.recorded = data["on"]
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

    def _turn_of(self, number: int) -> HeardTurn:
        index = self._of_turn.setdefault(number, self._turn)
        return self._result.turns[max(0, index)]


def _wanted(key: str) -> str:
    """What a server misses that wants to know who calls."""
    missed = "does not know this operator key" if key else "only the operator key is missing"
    return (
        f"{missed}: it is in operator-key of the server's DATA_DIR. Run this with that DATA_DIR, "
        "or set VIVA_OPERATOR_KEY to what the file holds."
    )


def _why(error: Exception) -> str:
    """Why a connection failed, without the client library's details."""
    cause = getattr(error, "os_error", error)
    return str(getattr(cause, "strerror", None) or type(error).__name__)
