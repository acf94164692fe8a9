"""A caller's side of the wire, without a socket, a task or a clock (docs/protocol.md).

The interface follows websockets' sans-I/O layer. Pass what the server sent to
:meth:`ClientProtocol.receive`, and get events from :meth:`~ClientProtocol.events_received`. Each
action of the caller (speak, play, hang up) has a method; get the resulting messages from
:meth:`~ClientProtocol.data_to_send`. Methods that need the time take it: seconds on any clock.

It reports playback when the page would, given what the loudspeaker has played.
"""

import json
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pipecat.processors.frameworks.rtvi import models as rtvi
from pydantic import ValidationError

from client.wav import OUTPUT_RATE
from transports.browser.messages import SERVER_PAYLOAD

REPORT_SAMPLES = OUTPUT_RATE // 10
"""Interval of playback reports: 100 ms."""

SILENCE = math.ceil(32_768 * 10 ** (-50 / 20))
"""A sample of less than -50 dBFS cannot be heard; the page counts it the same (audible.js)."""


@dataclass(frozen=True, slots=True)
class Audio:
    """A chunk of the voice.

    Parameters:
        pcm: PCM s16le, mono, 24 kHz.
    """

    pcm: bytes


@dataclass(frozen=True, slots=True)
class Message:
    """A text message.

    Parameters:
        kind: Its RTVI type; of a ``server-message``, the type within.
        data: Its payload; of a ``server-message`` it holds to the model of its kind.
        envelope: The whole message as it came.
    """

    kind: str
    data: dict[str, Any] = field(default_factory=dict)
    envelope: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unusable:
    """An invalid message of the server; it is ignored.

    Parameters:
        why: What is wrong with it.
    """

    why: str


Event = Audio | Message | Unusable


class ClientProtocol:
    """The caller's side of one call.

    Parameters:
        server_ahead_secs: Lead of the server's clock over the caller's, if known. Otherwise
            :meth:`ask_time` measures it, and until then no ``audible`` is reported.

    Attributes:
        call: The call's id; empty until the server is ready.
        ended: Why the call ended; empty while it goes on.
        epoch: Number of ``bot-interrupted`` received.
        received: Samples of the voice received in this epoch.
        server_ahead_secs: As above, by the quickest answer so far.
        token: By what the call is resumed on another socket; empty if it cannot be.
        place: What that socket's address says behind ``resume=``.
    """

    def __init__(self, *, server_ahead_secs: float | None = None) -> None:
        self.call = ""
        self.ended = ""
        self.epoch = 0
        self.received = 0
        self.server_ahead_secs = server_ahead_secs
        self._quickest_secs = math.inf
        self._asked: set[float] = set()
        self.token = ""
        self.place = ""
        self._number = 0
        self._counted = 0  # messages received behind the first `resume`
        self._typed: list[str] = []
        self._out: deque[str | bytes] = deque()
        self._events: list[Event] = []
        self._played = 0
        self._sounding = False
        self._reported = 0
        self._answered_turn = 0  # the last turn whose answer's first audible sample has come
        self._awaited: tuple[int, int] | None = None  # turn, and sample at which its answer begins
        self._onset: int | None = None  # the first audible sample of an answer, not yet played

    # Actions of the caller.

    def ready(self, library: str, *, record: bool = False, resume: bool = False) -> None:
        """Send ``client-ready``: audio can be played, and the call starts.

        Args:
            library: Name of the client.
            record: Whether the call may be recorded.
            resume: Whether the client resumes its call when its socket is lost.
        """
        about = {"library": library}
        data = {"version": rtvi.PROTOCOL_VERSION, "about": about, "record": record}
        self._say("client-ready", data | ({"resume": True} if resume else {}))

    def resume(self) -> None:
        """Send what resumes the call, on a new socket; what waited for the old one is dropped."""
        self._out.clear()
        self.ended = ""
        self._tell("resume", {"call": self.call, "token": self.token, "received": self._counted})

    def ask_time(self, now: float) -> None:
        """Ask for the time on the server's clock, and say how many messages have come."""
        self._asked.add(now)
        self._tell("clock", {"sent": now} | ({"received": self._counted} if self.token else {}))

    def speak(self, pcm: bytes) -> None:
        """Send audio of the microphone: PCM s16le, mono, 16 kHz."""
        if not self.ended:
            self._out.append(pcm)

    def type(self, text: str) -> None:
        """Send a typed question."""
        self._typed.append(text)
        self._say("send-text", {"content": text})

    def played(self, samples: int, now: float, *, playing: bool) -> None:
        """Record how far the voice has been played; call it whenever that changes.

        Args:
            samples: Samples played of this epoch.
            now: When the first of those played since the last time left the loudspeaker.
            playing: Whether the buffer holds more audio.

        Raises:
            ValueError: It is less than before, or more than was received.
        """
        if not self._played <= samples <= self.received:
            raise ValueError(
                f"{samples} samples were played; it must be {self._played} to {self.received}"
            )
        if self._onset is not None and self._onset < samples:
            if self.server_ahead_secs is not None:
                at = now + (self._onset - self._played) / OUTPUT_RATE + self.server_ahead_secs
                self._tell("audible", {"epoch": self.epoch, "sample": self._onset, "at": at})
            self._onset = None
        plays = samples > self._played
        begins = plays and not self._sounding
        self._played, self._sounding = samples, plays and playing
        unreported = samples - self._reported
        if unreported >= REPORT_SAMPLES or (unreported and (begins or not playing)):
            self._report(final=False)

    def hang_up(self) -> None:
        """End the call."""
        self._tell("hangup", {})

    def data_to_send(self) -> Iterator[str | bytes]:
        """Remove and yield the messages for the server, in order."""
        while self._out:
            yield self._out.popleft()

    # Messages from the server.

    def receive(self, message: str | bytes, now: float) -> None:
        """Process a message from the server.

        Args:
            message: Text or audio.
            now: When it came.
        """
        if isinstance(message, bytes):
            self._counted += bool(self.token)
            self._events.append(self._hear(message))
            return
        try:
            told = _read(message)
        except _UnusableError as error:
            self._events.append(Unusable(str(error)))
            return
        if told.kind != "resume":
            self._counted += bool(self.token)
        self._act(told, now)
        self._events.append(told)

    def receive_eof(self) -> None:
        """Note that the socket is closed."""
        self.ended = self.ended or "disconnected"
        self._out.clear()

    def events_received(self) -> list[Event]:
        """Remove and yield the received events, in order."""
        events, self._events = self._events, []
        return events

    def _hear(self, pcm: bytes) -> Event:
        if len(pcm) % 2:
            return Unusable(f"audio of {len(pcm)} bytes; 16-bit samples need an even length")
        start, self.received = self.received, self.received + len(pcm) // 2
        if self._awaited is not None:
            turn, begins = self._awaited
            first = max(0, begins - start)
            heard = np.frombuffer(pcm, "<i2")[first:].astype(np.int32)
            loud = np.flatnonzero(np.abs(heard) >= SILENCE)
            if len(loud):
                self._onset = start + first + int(loud[0])
                self._answered_turn, self._awaited = turn, None
        return Audio(pcm)

    def _act(self, told: Message, now: float) -> None:
        data = told.data
        match told.kind:
            case "bot-ready":
                self.call = data["about"]["call"]
            case "bot-interrupted":
                self._report(final=True)
                self.epoch += 1
                self.received = self._played = self._reported = 0
                self._sounding, self._awaited, self._onset = False, None, None
            case "sentence" if self._awaited is None or self._awaited[0] != data["turn"]:
                # Sentences outside a turn are not answers.
                answers = data["turn"] > self._answered_turn
                self._awaited = (data["turn"], data["start"]) if answers else None
            case "clock" if data["sent"] in self._asked and math.isfinite(data["now"]):
                self._asked.remove(data["sent"])
                took = now - data["sent"]
                if took < self._quickest_secs:
                    self._quickest_secs = took
                    self.server_ahead_secs = data["now"] - (data["sent"] + now) / 2
            case "resume":
                lost = self._typed[data["typed"] :] if self.token else []
                self.token, self.place = data["token"], data["place"]
                for text in lost:
                    self._say("send-text", {"content": text})
            case "end":
                self.ended = data["reason"]
                self._out.clear()

    # What is sent.

    def _report(self, *, final: bool) -> None:
        self._reported = self._played
        self._tell("playback", {"epoch": self.epoch, "samples": self._played, "final": final})

    def _tell(self, kind: str, data: dict[str, Any]) -> None:
        self._say("client-message", {"t": kind, "d": data})

    def _say(self, kind: str, data: dict[str, Any]) -> None:
        if self.ended:
            return
        self._number += 1
        envelope = {"label": rtvi.MESSAGE_LABEL, "type": kind, "id": str(self._number)}
        self._out.append(json.dumps({**envelope, "data": data}))


class _UnusableError(Exception):
    """A message of the server is invalid; the text says why."""


def _read(text: str) -> Message:
    try:
        envelope = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _UnusableError(f"text message is not JSON: {error}") from None
    if not isinstance(envelope, dict) or envelope.get("label") != rtvi.MESSAGE_LABEL:
        raise _UnusableError("text message is not a JSON object with the label 'rtvi-ai'")
    kind, data = envelope.get("type"), envelope.get("data")
    if not isinstance(kind, str):
        raise _UnusableError("the message has no type")
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise _UnusableError(f"{kind}: data is no object")
    if kind == "server-message":
        try:
            SERVER_PAYLOAD.validate_python(data, strict=True)
        except ValidationError as error:
            trouble = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in trouble["loc"]) or "data"
            raise _UnusableError(f"server-message: {where}: {trouble['msg']}") from None
        kind = data["type"]
    elif kind == "bot-ready":
        about = data.get("about")
        if not isinstance(about, dict) or not isinstance(about.get("call"), str):
            raise _UnusableError("bot-ready: data.about.call must be the call's id")
    return Message(kind, data, envelope)
