"""Callers who cost next to nothing: they are silent, listen, and note how their call ends."""

import asyncio
from dataclasses import dataclass, field

import aiohttp

from client.connection import connect
from client.protocol import Audio, ClientProtocol, Event, Message

SILENCE = bytes(3200)
SILENCE_SECS = 0.1


@dataclass
class QuietCaller:
    """One call.

    Parameters:
        url: The socket, ``ws://HOST:PORT/call``.
        speaks: Whether silence is sent, as a microphone would.
    """

    url: str
    speaks: bool = True
    ended: str = ""
    heard_bytes: int = 0
    began: asyncio.Event = field(default_factory=asyncio.Event)
    _leaves: bool = False
    _protocol: ClientProtocol = field(default_factory=ClientProtocol)

    @property
    def call(self) -> str:
        """The call's id, once it goes on."""
        return self._protocol.call

    @property
    def open(self) -> bool:
        """Whether the call goes on."""
        return bool(self.call) and not self.ended

    async def run(self) -> "QuietCaller":
        """Call, until the call is over."""
        try:
            async with connect(self.url, self._protocol, self._take) as connection:
                self._protocol.ready("quiet")
                await connection.send()
                connection.tick(self._speak, SILENCE_SECS)
                await asyncio.wait([connection.listening])
        except aiohttp.ClientError as error:
            self.ended = self.ended or f"unreachable: {error}"
        self.ended = self.ended or "dropped"  # what the page says of a socket that just closes
        self.began.set()
        return self

    def hang_up(self) -> None:
        """End the call as a caller does."""
        self._leaves = True

    def _speak(self, _due: float) -> None:
        if self._leaves:
            self._leaves = self.speaks = False
            self._protocol.hang_up()
        elif self.speaks and self.call:
            self._protocol.speak(SILENCE)

    def _take(self, event: Event) -> None:
        match event:
            case Audio(pcm):
                self.heard_bytes += len(pcm)
            case Message("bot-ready"):
                self.began.set()
            case Message("end", data):
                self.ended = data["reason"]
                self.began.set()
