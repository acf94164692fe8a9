"""An RTVI client without a browser: protobuf frames by pipecat's own serializer, in real time."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    InputTransportMessageFrame,
    OutputAudioRawFrame,
    OutputTransportMessageUrgentFrame,
)
from pipecat.serializers.protobuf import ProtobufFrameSerializer

CHUNK_SECS = 0.016
"""What the official client sends at a time: 512 bytes at 16 kHz."""

ABOUT = {"library": "@pipecat-ai/client-js", "library_version": "1.13.1"}


def message(kind: str, data: Any = None, *, number: str = "1") -> dict[str, Any]:
    """An RTVI message."""
    return {"label": "rtvi-ai", "id": number, "type": kind, "data": data}


READY = message("client-ready", {"version": "2.1.0", "about": ABOUT})


class RtviClient:
    """One call: what was said to it and what came back, in the order in which it came.

    Parameters:
        socket: The open WebSocket.
        sample_rate: Rate of what the microphone hears, in Hz.
    """

    def __init__(
        self, socket: aiohttp.ClientWebSocketResponse, *, sample_rate: int = 16_000
    ) -> None:
        self.socket = socket
        self.heard: list[dict[str, Any] | bytes] = []
        self.arrived: list[float] = []
        self._rate = sample_rate
        self._serializer = ProtobufFrameSerializer()
        self._speech = bytearray()
        self._changed = asyncio.Event()

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages, without the audio."""
        return [item for item in self.heard if isinstance(item, dict)]

    @property
    def kinds(self) -> list[str]:
        """Each message by its type, audio once a run."""
        names = ["audio" if isinstance(item, bytes) else str(item["type"]) for item in self.heard]
        return [name for name, _ in itertools.groupby(names)]

    @property
    def audio(self) -> bytes:
        """All audio that came."""
        return b"".join(item for item in self.heard if isinstance(item, bytes))

    def data(self, kind: str) -> list[Any]:
        """The data of every message of a type."""
        return [message.get("data") for message in self.messages if message["type"] == kind]

    def own(self, kind: str) -> list[Any]:
        """Every ``server-message`` of a kind."""
        return [data for data in self.data("server-message") if data["type"] == kind]

    def say(self, speech: bytes) -> None:
        """Speak into the microphone: PCM s16le, mono, at its rate."""
        self._speech += speech

    async def send(self, frame: Frame) -> None:
        data = await self._serializer.serialize(frame)
        assert isinstance(data, bytes)
        await self.socket.send_bytes(data)

    async def tell(self, text: dict[str, Any]) -> None:
        """Send an RTVI message."""
        await self.send(OutputTransportMessageUrgentFrame(message=text))

    async def until(self, come: Callable[[], Any], *, secs: float = 20.0) -> None:
        """Wait until something has come."""
        async with asyncio.timeout(secs):
            while not come():
                self._changed.clear()
                await self._changed.wait()

    async def speak(self) -> None:
        """What the microphone hears, sent for as long as the call lasts."""
        loop = asyncio.get_running_loop()
        size = round(CHUNK_SECS * self._rate) * 2
        due = loop.time()
        while not self.socket.closed:
            chunk = bytes(self._speech[:size]).ljust(size, b"\0")
            del self._speech[:size]
            await self.send(OutputAudioRawFrame(chunk, self._rate, 1))
            due += CHUNK_SECS
            await asyncio.sleep(max(0.0, due - loop.time()))

    async def listen(self) -> None:
        """Take what comes until the call is over."""
        async for received in self.socket:
            match await self._serializer.deserialize(received.data):
                case InputAudioRawFrame(audio=audio, sample_rate=24_000, num_channels=1):
                    self.heard.append(audio)
                case InputTransportMessageFrame(message=text):
                    self.heard.append(text)
                case other:
                    raise AssertionError(f"no RTVI client takes {other}")
            self.arrived.append(asyncio.get_running_loop().time())
            self._changed.set()


@asynccontextmanager
async def calling(listening: Any, *, sample_rate: int = 16_000) -> AsyncIterator[RtviClient]:
    """A client on the line, its microphone open, greeted."""
    url = str(listening.make_url("/rtvi")).replace("http", "ws", 1)
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
        client = RtviClient(socket, sample_rate=sample_rate)
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(client.listen())]
            try:
                await client.tell(READY)
                await client.until(lambda: client.data("bot-ready"))
                running.append(tasks.create_task(client.speak()))
                yield client
            finally:
                for task in running:
                    task.cancel()
