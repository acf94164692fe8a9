"""The page served alone, with the other end of `/call` played by a script.

Run it to work on the page: ``python -m tests.web.server``; it then goes through a whole call.
"""

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np
from aiohttp import WSMsgType, web
from pipecat.processors.frameworks.rtvi import models as rtvi
from pydantic import BaseModel

from tests.web.scene import ABOUT, DOCUMENT
from transports.browser.messages import (
    Admitted,
    Audible,
    ClientMessage,
    ClientReady,
    Clock,
    ClockAsked,
    End,
    Hangup,
    Lead,
    Playback,
    Sentence,
    parse_client_message,
    rtvi_message,
    server_message,
)
from transports.front_page_html import render
from transports.web_files import WebFiles

WEB = Path(__file__).parents[2] / "web"
VOICE_RATE = 24_000
CAPTURE_RATE = 16_000
AHEAD_SECS = 0.4
CHUNK_SECS = 0.04
CSP = "default-src 'self'; connect-src 'self' ws: wss:"


def tone(secs: float, *, hertz: float = 500.0, level: float = 0.5) -> np.ndarray:
    """A voice that can be measured: a sine at 24 kHz, float64 from -1 to 1."""
    return level * np.sin(2 * np.pi * hertz * np.arange(round(secs * VOICE_RATE)) / VOICE_RATE)


class Peer:
    """The other end of one call, as docs/protocol.md has it."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self.socket = socket
        self.epoch = 0
        self.sent = 0
        self.audio = bytearray()
        self.audio_sizes: set[int] = set()
        self.messages: list[ClientMessage] = []  # without what the page asks of the network
        self.clock_ahead = 1000.0
        self.answers = True  # False: as if the network were gone
        self.times: list[float] = []
        self.failures: list[BaseException] = []
        self.closed = asyncio.Event()
        self._news = asyncio.Event()
        self._began: float | None = None

    @property
    def playbacks(self) -> list[Playback]:
        return [message for message in self.messages if isinstance(message, Playback)]

    @property
    def audible(self) -> list[Audible]:
        """What the page reported of answers becoming audible."""
        return [message for message in self.messages if isinstance(message, Audible)]

    @property
    def now(self) -> float:
        """The server's clock, in seconds: not the page's, and not this process's either."""
        return time.monotonic() + self.clock_ahead

    async def tell(self, payload: BaseModel) -> None:
        """Send one of Viva's own messages."""
        await self.socket.send_str(server_message(payload))

    async def rtvi(self, message: BaseModel) -> None:
        """Send one of RTVI's messages."""
        await self.socket.send_str(rtvi_message(message))

    async def event(self, kind: str, **data: Any) -> None:
        """Send a message of RTVI's by name."""
        message = {"label": "rtvi-ai", "type": kind} | ({"data": data} if data else {})
        await self.socket.send_str(json.dumps(message))

    async def say(
        self,
        text: str,
        voice: np.ndarray,
        *,
        turn: int = 0,
        sections: list[str] | None = None,
        lines: list[int] | None = None,
    ) -> None:
        """Say a sentence: its message, then its audio, never more than 400 ms ahead."""
        await self.tell(
            Sentence(
                turn=turn,
                epoch=self.epoch,
                start=self.sent,
                text=text,
                sections=sections or [],
                lines=lines or [],
            )
        )
        now = time.monotonic()
        began = self._began
        if began is None or now - began > self.sent / VOICE_RATE:
            began = self._began = now - self.sent / VOICE_RATE
        pcm = np.round(voice * 32767).astype("<i2")
        for at in range(0, len(pcm), round(CHUNK_SECS * VOICE_RATE)):
            ahead = self.sent / VOICE_RATE - (time.monotonic() - began)
            if ahead > AHEAD_SECS - CHUNK_SECS:
                await asyncio.sleep(ahead - AHEAD_SECS + CHUNK_SECS)
            chunk = pcm[at : at + round(CHUNK_SECS * VOICE_RATE)]
            await self.socket.send_bytes(chunk.tobytes())
            self.sent += len(chunk)

    async def interrupt(self) -> None:
        """Divide old audio from new."""
        await self.rtvi(rtvi.BotInterruptedMessage())
        self.epoch += 1
        self.sent = 0
        self._began = None

    async def until(self, done: Callable[[], bool], *, timeout_secs: float = 60.0) -> None:
        """Wait until what has come from the page makes `done` true."""
        async with asyncio.timeout(timeout_secs):
            while not done():
                self._news.clear()
                await self._news.wait()

    async def played_out(self) -> None:
        """Wait until the page has reported that all of this epoch was played."""
        await self.until(
            lambda: any(p.epoch == self.epoch and p.samples >= self.sent for p in self.playbacks)
        )

    async def hear_out(self, script: "Script") -> None:
        """Read the page's messages, and run the script once it is ready."""
        running: asyncio.Task[None] | None = None
        async for message in self.socket:
            if message.type == WSMsgType.BINARY:
                self.audio += message.data
                self.audio_sizes.add(len(message.data))
            elif message.type == WSMsgType.TEXT:
                parsed = parse_client_message(message.data)
                if not isinstance(parsed, ClockAsked | Lead):
                    self.messages.append(parsed)
                    self.times.append(self.now)
                if isinstance(parsed, ClockAsked) and self.answers:
                    await self.tell(Clock(sent=parsed.sent, now=self.now))
                if isinstance(parsed, ClientReady) and running is None:
                    await self.rtvi(
                        rtvi.BotReady(
                            id=parsed.id,
                            data=rtvi.BotReadyData(version="2.2.0", about={"call": "c-1"}),
                        )
                    )
                    running = asyncio.create_task(script(self))
                if isinstance(parsed, Hangup):
                    break
            self._news.set()
        if running is not None:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running


Script = Callable[[Peer], Coroutine[Any, Any, None]]


async def _silence(peer: Peer) -> None:
    await peer.closed.wait()


async def _at_once() -> None:
    """A line is free."""


class PageServer:
    """Serves web/ and plays scripts on `/call`, in a thread of its own.

    Set ``script`` to what the next call shall be; ``calls`` holds the other ends of all calls.
    """

    def __init__(self) -> None:
        self.script: Script = _silence
        self.before_ready: Script | None = None
        self.calls: list[Peer] = []
        self.failures: list[BaseException] = []
        self.url = ""
        self.accepts = True
        self.signed_in = True
        self.refusal: End | None = None
        self.admission: Callable[[], Awaitable[Any]] = _at_once
        self.about: dict[str, Any] = ABOUT
        self.signed_out_with: list[str] = []
        self._files = WebFiles(WEB)
        self.visitors: list[str] = []
        self.feedback: list[tuple[str, str, Any]] = []
        self.takes_feedback = True
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def reset(self) -> None:
        """Forget earlier calls and their scripts."""
        self.script = _silence
        self.before_ready = None
        self.accepts = True
        self.signed_in = True
        self.refusal = None
        self.admission = _at_once
        self.about = ABOUT
        self.signed_out_with = []
        self.feedback = []
        self.visitors = []
        self.takes_feedback = True
        self.calls = []
        self.failures = []

    @property
    def call(self) -> Peer:
        """The other end of the latest call."""
        return self.calls[-1]

    def run(self, action: Callable[[], object]) -> None:
        """Do something in the server's own thread."""
        self._loop.call_soon_threadsafe(action)

    def __enter__(self) -> "PageServer":
        self._thread.start()
        if not self._started.wait(60):
            raise RuntimeError("the page's server did not start within 60 s")
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        app = web.Application()
        app.add_routes(
            [
                web.get("/", self._index),
                web.get("/about.json", self._about),
                web.get("/document.json", self._document),
                web.get("/account.json", self._account),
                web.get("/sign-in", self._sign_in),
                web.post("/sign-out", self._sign_out),
                web.get("/call", self._call),
                web.route("*", "/check{rest:.*}", self._check),
                web.route("*", "/calls/{call}/{what:.*}", self._feedback),
                web.get("/embed", self._embed),
                web.get("/embed.js", self._embed_script),
            ]
        )
        self._files.setup(app)
        app.on_response_prepare.append(self._secure)
        runner = web.AppRunner(app, shutdown_timeout=0.5)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        self._started.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _secure(self, _request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Content-Security-Policy"] = CSP
        response.headers.setdefault("Cache-Control", "no-cache")

    async def _index(self, _request: web.Request) -> web.FileResponse:
        return web.FileResponse(WEB / "call" / "index.html")

    async def _embed(self, _request: web.Request) -> web.Response:
        template = self._files.page("call/index.html")
        known: dict[str, Any] = {"version": self._files.version(), "visitor": "a-pass"}
        html = render(template, self.about, DOCUMENT, **known)
        return web.Response(text=html, content_type="text/html")

    async def _embed_script(self, _request: web.Request) -> web.Response:
        script = self._files.read("embed.js").content
        headers = {"Access-Control-Allow-Origin": "*"}
        return web.Response(body=script, content_type="text/javascript", headers=headers)

    async def _account(self, _request: web.Request) -> web.Response:
        return web.json_response(self.about["account"] | {"form": "a-token"})

    async def _sign_in(self, _request: web.Request) -> web.Response:
        icon = '<link rel="icon" href="web/icon.svg" type="image/svg+xml">'  # or it is asked for
        return web.Response(text=f"{icon}<h1>Sign in</h1>", content_type="text/html")

    async def _sign_out(self, request: web.Request) -> web.Response:
        self.signed_out_with.append(str((await request.post())["form"]))
        raise web.HTTPSeeOther("/sign-in")

    async def _feedback(self, request: web.Request) -> web.Response:
        """Note what a caller says of their call: how, of what, and what."""
        if not self.takes_feedback:
            return web.json_response({"error": "It could not be kept."}, status=401)
        said = await request.json() if request.can_read_body else None
        self.feedback.append((request.method, request.path, said))
        return web.Response(status=204)

    async def _check(self, request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=bytes(20_000) if request.path.endswith("/down") else b"")

    async def _about(self, _request: web.Request) -> web.Response:
        if not self.signed_in:
            raise web.HTTPUnauthorized
        return web.json_response(self.about)

    async def _document(self, _request: web.Request) -> web.Response:
        return web.json_response(DOCUMENT)

    async def _call(self, request: web.Request) -> web.WebSocketResponse:
        self.visitors.append(request.query.get("visitor", ""))
        if not self.accepts:
            raise web.HTTPServiceUnavailable
        if not self.signed_in:
            raise web.HTTPUnauthorized
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        peer = Peer(socket)
        peer.failures = self.failures  # of its own test, however late
        self.calls.append(peer)
        if self.refusal is not None:
            await peer.tell(self.refusal)
            await socket.close()
            return socket
        await self.admission()
        await peer.tell(Admitted(codecs=["pcm"]))
        if self.before_ready is not None:
            await self.before_ready(peer)
        try:
            await peer.hear_out(self._watched)
        except ConnectionResetError:
            pass  # the page has gone, as its test may have it
        except Exception as error:
            peer.failures.append(error)
        finally:
            peer.closed.set()
            await socket.close()
        return socket

    async def _watched(self, peer: Peer) -> None:
        try:
            await self.script(peer)
        except (asyncio.CancelledError, ConnectionResetError):
            raise
        except Exception as error:
            peer.failures.append(error)
            raise


if __name__ == "__main__":
    from tests.web.scene import whole_call

    with PageServer() as server:
        server.script = whole_call
        print(server.url)  # noqa: T201
        threading.Event().wait()
