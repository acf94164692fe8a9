"""How the callers of a comparison speak to each system: its own messages, read and written."""

import json
from collections.abc import Callable
from typing import Any, Protocol

import aiohttp

from client.wav import INPUT_RATE


class Wire(Protocol):
    """How a system's messages are written and read.

    Attributes:
        message_secs: Length of a message of the microphone.
        reports: Whether a page says what it has played.
        greets: Whether the system says when it is ready.
    """

    message_secs: float
    reports: bool
    greets: bool

    def hello(self) -> str | bytes | None:
        """What the page says first."""
        ...

    def audio(self, pcm: bytes) -> bytes:
        """Microphone audio."""
        ...

    def played(self, epoch: int, samples: int, *, final: bool) -> str:
        """A report of what was played."""
        ...

    def read(self, message: aiohttp.WSMessage) -> tuple[str, Any]:
        """What came: ``audio``, ``interrupted``, ``duck``, ``ready`` or nothing."""
        ...


def _rtvi(kind: str, data: dict[str, Any]) -> str:
    return json.dumps({"label": "rtvi-ai", "type": kind, "id": "1", "data": data})


_READY = {"version": "2.0.0", "about": {"library": "bench"}}


class VivaWire:
    """docs/protocol.md."""

    message_secs = 0.032  # as the page's capture-worklet.js
    reports = True
    greets = True

    def hello(self) -> str:
        """``client-ready``."""
        return _rtvi("client-ready", _READY)

    def audio(self, pcm: bytes) -> bytes:
        """As it is."""
        return pcm

    def played(self, epoch: int, samples: int, *, final: bool) -> str:
        """``playback``."""
        data = {"epoch": epoch, "samples": samples, "final": final}
        return _rtvi("client-message", {"t": "playback", "d": data})

    def read(self, message: aiohttp.WSMessage) -> tuple[str, Any]:
        """Binary is audio; of the text, what a page acts on at once."""
        if message.type is aiohttp.WSMsgType.BINARY:
            return "audio", message.data
        told = json.loads(message.data)
        match told["type"]:
            case "bot-interrupted":
                return "interrupted", None
            case "bot-ready":
                return "ready", None
            case "server-message" if told["data"]["type"] == "duck" and told["data"]["on"]:
                return "duck", None
        return "", None


class PipecatWire:
    """pipecat's protobuf serializer, as its client SDKs speak it."""

    message_secs = 0.02  # its own browser client sends shorter ones: 512 bytes, 16 ms
    reports = False
    greets = True

    def __init__(self) -> None:
        from pipecat.frames.protobufs import frames_pb2

        self._frame: Any = frames_pb2.Frame  # type: ignore[attr-defined]

    def hello(self) -> bytes:
        """``client-ready``."""
        frame = self._frame()
        frame.message.data = _rtvi("client-ready", _READY)
        return bytes(frame.SerializeToString())

    def audio(self, pcm: bytes) -> bytes:
        """An audio frame."""
        frame = self._frame()
        frame.audio.audio = pcm
        frame.audio.sample_rate = INPUT_RATE
        frame.audio.num_channels = 1
        return bytes(frame.SerializeToString())

    def played(self, epoch: int, samples: int, *, final: bool) -> str:
        """Nobody asks."""
        raise NotImplementedError

    def read(self, message: aiohttp.WSMessage) -> tuple[str, Any]:
        """One frame."""
        frame = self._frame.FromString(message.data)
        match frame.WhichOneof("frame"):
            case "audio":
                return "audio", frame.audio.audio
            case "interruption":
                return "interrupted", None
            case "message" if json.loads(frame.message.data).get("type") == "bot-ready":
                return "ready", None
        return "", None


class PlainWire:
    """PCM both ways, and a word of text; what LiveKit's session is given here."""

    message_secs = 0.02
    reports = False
    greets = False

    def hello(self) -> None:
        """Nothing."""

    def audio(self, pcm: bytes) -> bytes:
        """As it is."""
        return pcm

    def played(self, epoch: int, samples: int, *, final: bool) -> str:
        """Nobody asks."""
        raise NotImplementedError

    def read(self, message: aiohttp.WSMessage) -> tuple[str, Any]:
        """Binary is audio, text the kind."""
        if message.type is aiohttp.WSMsgType.BINARY:
            return "audio", message.data
        return str(message.data), None


WIRES: dict[str, Callable[[], Wire]] = {
    "viva": VivaWire,
    "viva-turn-model": VivaWire,
    "pipecat": PipecatWire,
    "livekit": PlainWire,
}
