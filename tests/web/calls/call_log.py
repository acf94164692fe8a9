"""The call log served alone, over a ledger of made-up calls.

Run it to work on the pages: ``python -m tests.web.calls.call_log``.
"""

import asyncio
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from conversation.records import CallerIdentity
from ledger.store.database import Database
from operating.call_log import CallLog
from tests.web.calls.made_up_calls import HASH, NOW, RECORDED, fill, record
from tests.web.scene import ABOUT, DOCUMENT

WEB = Path(__file__).parents[3] / "web"
CSP = "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; media-src 'self'"
ADMIN = CallerIdentity(email="ada@example.com", admin=True, key="ada@example.com")


class TroubledDatabase:
    """A database that can be broken, and held up."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.broken = False
        self.free = threading.Event()
        self.free.set()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """As the database's own, or not at all."""
        assert self.free.wait(20)
        if self.broken:
            raise OperationalError("SELECT", {}, Exception("disk I/O error"))
        with self._database.reading() as session:
            yield session


class CallLogServer:
    """Serves web/ and the call log over made-up calls, in a thread of its own.

    Set ``caller`` to whoever shall be asking; ``database`` can be broken and held up.
    """

    def __init__(self, folder: Path) -> None:
        self._opened = Database.from_url(f"sqlite:///{folder / 'viva.db'}")
        self.database = TroubledDatabase(self._opened)
        self.recordings = folder / "recordings"
        self.caller: CallerIdentity | None = ADMIN
        self.document: dict[str, Any] = DOCUMENT | {"sha256": HASH}
        self.asked: list[str] = []
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        fill(self._opened)
        record(self.recordings / f"{RECORDED}.mcap")

    def reset(self) -> None:
        """Somebody who may, and a database that works."""
        self.caller = ADMIN
        self.database.broken = False
        self.database.free.set()
        self.asked = []

    def __enter__(self) -> "CallLogServer":
        self._thread.start()
        if not self._started.wait(60):
            raise RuntimeError("the call log's server did not start within 60 s")
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        self._opened.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        app = web.Application()
        log = CallLog(
            self.database,  # type: ignore[arg-type]  # it reads as one
            caller=self._asks,
            recordings=self.recordings,
            clock=lambda: NOW,
        )
        log.setup(app)
        app.add_routes(
            [
                web.get("/", self._index),
                web.get("/sign-in", self._sign_in),
                web.get("/about.json", self._about),
                web.get("/document.json", self._document),
                web.static("/web", WEB),
            ]
        )
        app.on_response_prepare.append(self._secure)
        runner = web.AppRunner(app, shutdown_timeout=0.5)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        self._started.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _asks(self, request: web.Request) -> CallerIdentity | None:
        self.asked.append(str(request.rel_url))
        return self.caller

    async def _secure(self, _request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Content-Security-Policy"] = CSP
        response.headers.setdefault("Cache-Control", "no-cache")
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["X-Content-Type-Options"] = "nosniff"

    async def _index(self, _request: web.Request) -> web.FileResponse:
        return web.FileResponse(WEB / "call" / "index.html")

    async def _sign_in(self, _request: web.Request) -> web.Response:
        return web.Response(text="Sign in", content_type="text/html")

    async def _about(self, _request: web.Request) -> web.Response:
        return web.json_response(ABOUT)

    async def _document(self, _request: web.Request) -> web.Response:
        return web.json_response(self.document)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, CallLogServer(Path(folder)) as server:
        print(f"{server.url}calls")  # noqa: T201
        threading.Event().wait()
