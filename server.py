"""The aiohttp application: it wires the rooms of the house together, and does nothing else."""

import asyncio
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aiohttp import web
from loguru import logger

from knowledge.document import Document
from pipeline.call import REASONS, Call
from pipeline.engines import Engines
from pipeline.escalations import Escalations
from pipeline.settings import Settings
from pipeline.vendors import STAGES, Choice, Progress, Stage
from transports.browser import BrowserLine
from transports.messages import Stage as StageMessage
from transports.page import Page, PageClosedError, PageProtocolError, PageStalledError
from transports.rtvi import RtviPage

WEB = Path(__file__).parent / "web"

READY_TIMEOUT_SECS = 60.0
"""Longest wait for a page to send ``client-ready``."""

LOADING_NEWS_SECS = 0.5
"""How often a waiting page is told how far the models are."""

HEARTBEAT_SECS = 20.0
"""How often a silent page is asked whether it is there."""

MAX_MESSAGE_BYTES = 1_000_000
"""A longer message closes the socket before it is read; shorter ones are answered in words."""

SEND_BUFFER_BYTES = 65_536
"""What the system may hold for a page that does not read: 1.4 s of voice, not megabytes of it."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; "
        "media-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "Permissions-Policy": "microphone=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}

_STAGE_NAMES: Mapping[str, Stage] = {
    "transcribing": "stt",
    "thinking": "brain",
    "speaking": "tts",
    "listening": "vad",
}


class Server:
    """One process: its engines, its open calls and its pages.

    Parameters:
        settings: The settings.
        document: What calls are answered from.
        choices: The vendor of each stage.
        engines: Engines that are loaded already; ``None`` to load them once the server listens.
        progress: Told how far the models are loaded.
    """

    def __init__(
        self,
        settings: Settings,
        document: Document,
        choices: Mapping[Stage, Choice],
        *,
        engines: Engines | None = None,
        progress: Progress = lambda _label, _share: None,
    ) -> None:
        self.settings = settings
        self.document = document
        self.choices = choices
        self.calls: set[Call] = set()
        self._escalations = Escalations(settings.data_dir / "escalations.jsonl")
        self._given = engines
        self._progress = progress
        self._loading: asyncio.Task[Engines] | None = None
        self._loaded = ("starting", 0.0)
        self._waiting = 0
        self._closing = False

    def app(self) -> web.Application:
        """The application, which loads its engines once it has started."""
        app = web.Application(middlewares=[_headers])
        app.router.add_get("/", self._index)
        app.router.add_get("/call", self._call)
        app.router.add_get("/rtvi", self._rtvi)
        app.router.add_get("/about.json", self._about)
        app.router.add_get("/document.json", self._document)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_static("/web/", WEB)
        app.on_startup.append(self._start)
        app.on_shutdown.append(self._end_calls)
        app.on_cleanup.append(self._close)
        return app

    async def engines(self) -> Engines:
        """The engines, once loaded."""
        assert self._loading is not None, "the application has not been started"
        return await asyncio.shield(self._loading)

    # Its life.

    async def _start(self, _app: web.Application) -> None:
        self._loading = asyncio.create_task(self._load())
        self._loading.add_done_callback(_log_failure)

    async def _load(self) -> Engines:
        if self._given is not None:
            return self._given
        return await Engines.load(self.settings, self.document, self.choices, self._news)

    def _news(self, label: str, share: float) -> None:
        self._loaded = (label, share)
        self._progress(label, share)

    async def _end_calls(self, _app: web.Application) -> None:
        self._closing = True
        for call in self.calls:
            call.end("shutdown")
        deadline = asyncio.get_running_loop().time() + self.settings.shutdown_secs
        while self.calls and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.02)

    async def _close(self, _app: web.Application) -> None:
        if self._ready and self._given is None:
            await (await self.engines()).close()
        elif self._loading is not None:
            self._loading.cancel()

    # Its pages.

    async def _index(self, _request: web.Request) -> web.FileResponse:
        return web.FileResponse(WEB / "index.html")

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.json_response({"calls": len(self.calls), "ready": self._ready})

    async def _about(self, _request: web.Request) -> web.Response:
        document = self.document
        return web.json_response(
            {
                "title": document.title,
                "subtitle": document.subtitle,
                "persona": {"name": document.persona.name, "greeting": document.persona.greeting},
                "refuses": [topic.name for topic in document.sensitive],
                "engines": [
                    {
                        "stage": stage,
                        "vendor": (vendor := self.choices[stage].vendor).name,
                        "kind": vendor.kind,
                        "label": vendor.label,
                        "detail": vendor.detail,
                    }
                    for stage in STAGES
                ],
                "limits": {"call_secs": self.settings.call_secs},
                "ready": self._ready,
            }
        )

    async def _document(self, _request: web.Request) -> web.Response:
        document = self.document
        return web.json_response(
            {
                "title": document.title,
                "subtitle": document.subtitle,
                "language": document.language,
                "sources": list(document.sources),
                "sections": [
                    {
                        "id": section.id,
                        "title": section.title,
                        "level": section.level,
                        "lines": [
                            {"number": line.number, "kind": line.kind, "text": line.text}
                            for line in section.lines
                        ],
                    }
                    for section in document.sections
                ],
            }
        )

    @property
    def _ready(self) -> bool:
        loading = self._loading
        return (
            loading is not None
            and loading.done()
            and not loading.cancelled()
            and loading.exception() is None
        )

    # Its calls.

    async def _call(self, request: web.Request) -> web.StreamResponse:
        _refuse_other_origins(request)
        return await self._answer(request, Page)

    async def _rtvi(self, request: web.Request) -> web.StreamResponse:
        _refuse_other_origins(
            request, allowed=self.settings.rtvi_origins.replace(" ", "").split(",")
        )
        return await self._answer(request, RtviPage)

    async def _answer(self, request: web.Request, kind: type[Page]) -> web.StreamResponse:
        if request.transport is not None:
            raw = request.transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        page_socket = web.WebSocketResponse(
            compress=False, heartbeat=HEARTBEAT_SECS, max_msg_size=MAX_MESSAGE_BYTES
        )
        await page_socket.prepare(request)
        page = kind(page_socket, send_timeout_secs=self.settings.page_timeout_secs)
        reason = await self._hold(page)
        if reason:
            await page.finish(reason, REASONS[reason])
        return page_socket

    async def _hold(self, page: Page) -> str:
        """Hold a page's call to its end; why there was none, if there was none."""
        if self._closing:
            return "shutdown"
        if len(self.calls) + self._waiting >= self.settings.max_calls:
            return "capacity"
        self._waiting += 1
        try:
            async with asyncio.timeout(READY_TIMEOUT_SECS):
                engines = await self._engines_for(page)
                ready = await page.ready()
        except PageClosedError:
            return "disconnected"
        except PageProtocolError:
            return "protocol"
        except (PageStalledError, TimeoutError):
            return "stalled"
        except Exception:
            logger.exception("no engines")
            return "fault"
        finally:
            self._waiting -= 1
        vendors = {name: self.choices[stage].vendor.name for name, stage in _STAGE_NAMES.items()}
        call = Call(BrowserLine(page, ready, stage_vendors=vendors), engines, self._escalations)
        self.calls.add(call)
        try:
            await call.run()
        finally:
            self.calls.discard(call)
        return ""

    async def _engines_for(self, page: Page) -> Engines:
        while not self._ready:
            label, share = self._loaded
            await page.send(StageMessage(stage="loading", detail=label, progress=share))
            loading = self._loading
            assert loading is not None
            await asyncio.wait([loading], timeout=LOADING_NEWS_SECS)
            if loading.done():
                loading.result()
        return await self.engines()


@web.middleware
async def _headers(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    response = await handler(request)
    if not response.prepared:
        response.headers.update(HEADERS)
    return response


def _refuse_other_origins(request: web.Request, *, allowed: Sequence[str] = ()) -> None:
    """A page of another site must not hold calls here in its visitors' names."""
    origin = request.headers.get("Origin")
    if origin is None or origin in allowed or "*" in allowed:
        return
    if origin.partition("://")[2] != request.host:
        raise web.HTTPForbidden(text=f"calls from {origin} are not taken here")


def _log_failure(loading: "asyncio.Task[Any]") -> None:
    if not loading.cancelled() and (error := loading.exception()):
        logger.opt(exception=error).error("models could not be loaded: {}", error)


async def serve(server: Server, *, listening: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; then end open calls politely.

    Args:
        server: What to serve.
        listening: Called with the address to open, once there is somebody to open it to.

    Raises:
        OSError: The address cannot be listened on.
    """
    settings = server.settings
    runner = web.AppRunner(server.app(), access_log=None, shutdown_timeout=1.0)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    if sys.platform != "win32":
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.host, settings.port)
        await site.start()
        host, port = runner.addresses[0][:2]
        shown = f"[{host}]" if ":" in host else host
        listening(f"http://{shown}:{port}")
        await stop.wait()
    finally:
        await runner.cleanup()
