"""How the callers of a comparison speak to each system: its own messages, read and written."""

import json
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from client.connection import Wire
from client.protocol import Audio, ClientProtocol, Event, Message
from client.wav import INPUT_RATE


class BenchWire(Wire, Protocol):
    """A system's wire, for a caller that is only measured.

    What came is audio, ``bot-ready``, ``bot-interrupted`` or ``duck``, or of no interest.

    Attributes:
        message_secs: Length of a message of the microphone.
        greets: Whether the system says when it is ready.
    """

    message_secs: float
    greets: bool

    def ready(self, library: str) -> None:
        """Say that the call can begin."""
        ...

    def speak(self, pcm: bytes) -> None:
        """Send what the microphone picked up."""
        ...

    def played(self, samples: int, now: float, *, playing: bool) -> None:
        """Say how far the voice has been played."""
        ...


class VivaWire(ClientProtocol):
    """docs/protocol.md."""

    message_secs = 0.032  # as the page's capture-worklet.js
    greets = True


class _OtherWire:
    """What the wires of the other systems have in common: nobody asks what was played."""

    message_secs = 0.02  # pipecat's own browser client sends shorter ones: 512 bytes, 16 ms

    def __init__(self) -> None:
        self._out: deque[str | bytes] = deque()
        self._events: list[Event] = []

    def played(self, samples: int, now: float, *, playing: bool) -> None:
        """Nobody asks."""

    def hang_up(self) -> None:
        """The socket closes; nothing is said before."""

    def receive_eof(self) -> None:
        """Nothing is left to do."""

    def data_to_send(self) -> Iterator[str | bytes]:
        """What has been said."""
        while self._out:
            yield self._out.popleft()

    def events_received(self) -> list[Event]:
        """What came."""
        events, self._events = self._events, []
        return events


class PipecatWire(_OtherWire):
    """pipecat's protobuf serializer, as its client SDKs speak it."""

    greets = True

    def __init__(self) -> None:
        from pipecat.frames.protobufs import frames_pb2

        super().__init__()
        self._frame: Any = frames_pb2.Frame  # type: ignore[attr-defined]

    def ready(self, library: str) -> None:
        """``client-ready``, as Viva's caller writes it."""
        protocol = ClientProtocol()
        protocol.ready(library)
        frame = self._frame()
        (frame.message.data,) = protocol.data_to_send()
        self._out.append(bytes(frame.SerializeToString()))

    def speak(self, pcm: bytes) -> None:
        """An audio frame."""
        frame = self._frame()
        frame.audio.audio = pcm
        frame.audio.sample_rate = INPUT_RATE
        frame.audio.num_channels = 1
        self._out.append(bytes(frame.SerializeToString()))

    def receive(self, message: str | bytes, now: float) -> None:
        """One frame."""
        frame = self._frame.FromString(message)
        match frame.WhichOneof("frame"):
            case "audio":
                self._events.append(Audio(frame.audio.audio))
            case "interruption":
                self._events.append(Message("bot-interrupted"))
            case "message":
                self._events.append(Message(json.loads(frame.message.data).get("type", "")))


class PlainWire(_OtherWire):
    """PCM both ways, and a word of text; what LiveKit's session is given here."""

    greets = False

    def ready(self, library: str) -> None:
        """Nothing."""

    def speak(self, pcm: bytes) -> None:
        """As it is."""
        self._out.append(pcm)

    def receive(self, message: str | bytes, now: float) -> None:
        """Binary is audio, and the one word is that the voice was cut."""
        if isinstance(message, bytes):
            self._events.append(Audio(message))
        elif message == "interrupted":
            self._events.append(Message("bot-interrupted"))


WIRES: dict[str, Callable[[], BenchWire]] = {
    "viva": VivaWire,
    "viva-turn-model": VivaWire,
    "pipecat": PipecatWire,
    "livekit": PlainWire,
}
