"""The protocols of the compared systems, for the callers of a comparison."""

import json
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from benchmarks.side import EMBEDDED
from client.connection import Wire
from client.protocol import Audio, ClientProtocol, Event, Message
from client.wav import INPUT_RATE


class BenchWire(Wire, Protocol):
    """A system's protocol, as far as a benchmark's caller needs it.

    Events are audio, ``bot-ready``, ``bot-interrupted`` and ``duck``; others are ignored.

    Attributes:
        message_secs: Length of the audio in a message.
        greets: Whether the system announces that it is ready.
    """

    message_secs: float
    greets: bool

    def ready(self, library: str) -> None:
        """Announce that the client is ready."""
        ...

    def speak(self, pcm: bytes) -> None:
        """Send audio of the microphone."""
        ...

    def played(self, samples: int, now: float, *, playing: bool) -> None:
        """Report how far the voice has been played."""
        ...


class VivaWire(ClientProtocol):
    """Viva's protocol (docs/protocol.md)."""

    message_secs = 0.032  # the same as in the page's capture-worklet.js
    greets = True


class _OtherWire:
    """Common part of the other systems' protocols, which have no playback reports."""

    message_secs = 0.02  # pipecat's own browser client sends shorter ones: 512 bytes, 16 ms

    def __init__(self) -> None:
        self._out: deque[str | bytes] = deque()
        self._events: list[Event] = []

    def played(self, samples: int, now: float, *, playing: bool) -> None:
        """Do nothing."""

    def hang_up(self) -> None:
        """Do nothing: closing the socket ends the call."""

    def receive_eof(self) -> None:
        """Do nothing."""

    def data_to_send(self) -> Iterator[str | bytes]:
        """Return the messages to send."""
        while self._out:
            yield self._out.popleft()

    def events_received(self) -> list[Event]:
        """Return the events received."""
        events, self._events = self._events, []
        return events


class PipecatWire(_OtherWire):
    """pipecat's protobuf messages, as its client SDKs send them."""

    greets = True

    def __init__(self) -> None:
        from pipecat.frames.protobufs import frames_pb2

        super().__init__()
        self._frame: Any = frames_pb2.Frame  # type: ignore[attr-defined]

    def ready(self, library: str) -> None:
        """Send ``client-ready``, the same as Viva's client."""
        protocol = ClientProtocol()
        protocol.ready(library)
        frame = self._frame()
        (frame.message.data,) = protocol.data_to_send()
        self._out.append(bytes(frame.SerializeToString()))

    def speak(self, pcm: bytes) -> None:
        """Send an audio frame."""
        frame = self._frame()
        frame.audio.audio = pcm
        frame.audio.sample_rate = INPUT_RATE
        frame.audio.num_channels = 1
        self._out.append(bytes(frame.SerializeToString()))

    def receive(self, message: str | bytes, now: float) -> None:
        """Parse one frame."""
        frame = self._frame.FromString(message)
        match frame.WhichOneof("frame"):
            case "audio":
                self._events.append(Audio(frame.audio.audio))
            case "interruption":
                self._events.append(Message("bot-interrupted"))
            case "message":
                self._events.append(Message(json.loads(frame.message.data).get("type", "")))


class QuietPipecatWire(PipecatWire):
    """The same without RTVI messages, so that nothing says when the call is ready."""

    greets = False


class PlainWire(_OtherWire):
    """PCM in both directions and one text message, for LiveKit's session."""

    greets = False

    def ready(self, library: str) -> None:
        """Do nothing."""

    def speak(self, pcm: bytes) -> None:
        """Send the audio unchanged."""
        self._out.append(pcm)

    def receive(self, message: str | bytes, now: float) -> None:
        """Binary messages are audio; the text message is an interruption."""
        if isinstance(message, bytes):
            self._events.append(Audio(message))
        elif message == "interrupted":
            self._events.append(Message("bot-interrupted"))


WIRES: dict[str, Callable[[], BenchWire]] = {
    "viva": VivaWire,
    "viva-turn-model": VivaWire,
    EMBEDDED: VivaWire,
    "pipecat": PipecatWire,
    "pipecat-lean": QuietPipecatWire,
    "livekit": PlainWire,
    "livekit-vad": PlainWire,
}
