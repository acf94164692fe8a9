"""A caller who types, and goes on over another connection when one is lost."""

import asyncio
import contextlib

import aiohttp
from aiohttp import WSMsgType
from yarl import URL

from client.protocol import Audio, ClientProtocol, Message

WAIT_SECS = 30.0


class ResumingCaller:
    """One call.

    Parameters:
        url: The socket, ``ws://HOST:PORT/call``.
        session: Opens the connections.
    """

    def __init__(self, url: URL, session: aiohttp.ClientSession) -> None:
        self.wire = ClientProtocol()
        self.samples = 0
        self.said: list[str] = []
        self._url = url
        self.session = session
        self._kinds: list[str] = []
        self._talking: asyncio.Task[None] | None = None

    async def call(self) -> None:
        """Call, and hear the greeting to its end."""
        socket = await self.session.ws_connect(self._url)
        self.wire.ready("visitor", resume=True)
        self._talking = asyncio.create_task(self._converse(socket))
        await self.until("bot-stopped-speaking")

    def lose(self) -> None:
        """The network is gone: nothing is read or sent any more."""
        assert self._talking is not None
        self._talking.cancel()

    async def come_back(self) -> None:
        """Go on over another connection."""
        url = self._url.update_query(resume=self.wire.place)
        socket = await self.session.ws_connect(url)
        self.wire.resume()
        self._talking = asyncio.create_task(self._converse(socket))

    async def until(self, kind: str) -> None:
        """Wait for a message that comes from now on, or has come since the last wait."""
        async with asyncio.timeout(WAIT_SECS):
            while kind not in self._kinds:
                await asyncio.sleep(0.01)
        self._kinds.clear()

    async def _converse(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        wire = self.wire
        while True:
            with contextlib.suppress(TimeoutError):
                message = await socket.receive(timeout=0.02)
                if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                    return
                wire.receive(message.data, 0.0)
            for event in wire.events_received():
                if isinstance(event, Audio):
                    self.samples += len(event.pcm) // 2
                elif isinstance(event, Message):
                    self._kinds.append(event.kind)
                    if event.kind == "sentence":
                        self.said.append(event.data["text"])
            wire.played(wire.received, 0.0, playing=False)
            wire.speak(bytes(640))
            for said in wire.data_to_send():
                await (socket.send_str(said) if isinstance(said, str) else socket.send_bytes(said))
