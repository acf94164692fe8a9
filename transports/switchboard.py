"""Admits calls, and holds those that are open."""

import asyncio
import math
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Protocol

from aiohttp import web
from loguru import logger

from conversation.records import CallerIdentity
from pipeline.call import REASONS, Call, Terms
from pipeline.engines import Engines
from pipeline.escalations import Escalations
from pipeline.loading import Loading
from pipeline.vendors import Stage
from recording.recorder import RecordingTarget
from recording.writer import Recordings
from settings import Settings
from transports.browser.messages import Admitted, ClientReady, Resumed
from transports.browser.messages import Stage as StageMessage
from transports.browser.page import Page, PageClosedError, PageProtocolError, PageStalledError
from transports.browser.resumption import Resumption
from transports.browser.transport import BrowserConnection
from transports.flood import Allowance, ByteGuard
from transports.rtvi.page import RtviPage

READY_TIMEOUT_SECS = 60.0
"""Maximum wait for a page's ``client-ready``: people are asked for their microphone meanwhile."""

HELD_SECS = 10.0
"""How long a line and money are held for a page that is not ready. After that they are anybody's,
and the page has to find some when it is ready."""

RESUME_TIMEOUT_SECS = 5.0
"""Maximum wait for a page that comes back to its call to say which one it is."""

RESUMING_AT_ONCE = 4
"""Sockets of one caller on which pages may come back at once."""

LOADING_NEWS_SECS = 0.5
"""Interval at which a waiting page gets the progress of loading."""

HEARTBEAT_SECS = 20.0
"""Interval of WebSocket pings to a page."""

MAX_MESSAGE_BYTES = 1_000_000
"""A larger message closes the socket unread; smaller invalid ones get an ``error``."""

SEND_BUFFER_BYTES = 65_536
"""Size of the kernel's send buffer: 1.4 s of voice, not megabytes, for a page that stalls."""

_STAGE_NAMES: Mapping[str, Stage] = {
    "transcribing": "stt",
    "thinking": "brain",
    "speaking": "tts",
    "listening": "vad",
}


class Admissions(Protocol):
    """Decides who may call, and on what terms."""

    async def identify(self, request: web.Request, *, resuming: bool = False) -> CallerIdentity:
        """Identify who calls, or comes back to a call of which a token has to prove it theirs.

        Raises:
            web.HTTPException: The client may not even open a socket.
        """
        ...

    def may_be(self, caller: CallerIdentity, key: str) -> bool:
        """Whether somebody who resumes a call may be the caller with this key."""
        ...

    async def admit(self, caller: CallerIdentity, *, counted: bool = False) -> Terms | str:
        """Admit a call and set its money aside, or say why not.

        Returns:
            The terms of the call, or a key of :data:`pipeline.call.REASONS`.
        """
        ...

    async def release(self, terms: Terms) -> None:
        """Release the money set aside: the call is over or never started."""
        ...


class Switchboard:
    """Accepts calls on ``/call`` and ``/rtvi``.

    Parameters:
        settings: The settings.
        loading: Loads the engines.
        admissions: Decides who may call.
        escalations: Queue of the questions handed to a human.
        refused: Called with the reason for refusing a call, a key of :data:`pipeline.call.REASONS`.
        room: Whether the process has capacity for another call.
        broken: Whether a call would only fail, as those before it.
        recordings: Writes recordings, if ``RECORD`` asks for them.
        place: This process's name among those that share the port.
        hand_over: Hands the connection of a request over to the process of a name; returns
            whether it was.
    """

    def __init__(
        self,
        settings: Settings,
        loading: Loading,
        admissions: Admissions,
        escalations: Escalations,
        *,
        refused: Callable[[str], None] = lambda _why: None,
        room: Callable[[], bool] = lambda: True,
        broken: Callable[[], bool] = lambda: False,
        recordings: Recordings | None = None,
        place: str = "0",
        hand_over: Callable[[web.Request, str], bool] | None = None,
    ) -> None:
        self.calls: set[Call] = set()
        self.draining = False
        self._settings = settings
        self._loading = loading
        self.admissions = admissions
        self._escalations = escalations
        self._refused = refused
        self._room = room
        self.broken = broken
        self._recordings = recordings
        self._place = place
        self._hand_over = hand_over
        self._of_caller: Counter[str] = Counter()  # open sockets by caller
        self._resuming: Counter[str] = Counter()  # those on which a page wants to come back
        self._pages: dict[str, tuple[str, Page]] = {}  # by call: the caller's key, and the page
        self.lines = 0
        """Number of lines in use: open calls, and admitted ones that have not started yet."""

    def setup(self, app: web.Application) -> None:
        """Add the sockets' routes."""
        app.router.add_get("/call", self._answers(Page))
        app.router.add_get("/rtvi", self._answers(RtviPage))

    @property
    def full(self) -> bool:
        """Whether another call would be refused; a process without calls always accepts one."""
        most = self._settings.max_calls or math.inf
        return self.lines >= most or (self.lines > 0 and not self._room())

    async def let_finish(self) -> None:
        """Accept no more calls, and wait until the open ones have ended by themselves."""
        self.draining = True
        while self.lines:
            await asyncio.sleep(0.02)

    async def drain(self, timeout_secs: float, now: asyncio.Event | None = None) -> None:
        """Accept no more calls, and end the open ones politely.

        Args:
            timeout_secs: Maximum wait for them to end.
            now: Set it to stop waiting.
        """
        self.draining = True
        deadline = asyncio.get_running_loop().time() + timeout_secs
        while self.calls and asyncio.get_running_loop().time() < deadline:
            for call in self.calls:  # an admitted call may have started since
                call.end("shutdown")
            await asyncio.sleep(0.02)
            if now is not None and now.is_set():
                return

    def _answers(self, kind: type[Page]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answer(request: web.Request) -> web.StreamResponse:
            if kind is Page and "resume" in request.query:
                return await self._resume(request)
            if self.draining:
                return await self._refuse(request, kind, "shutdown")
            caller = await self.admissions.identify(request)  # a stranger takes no line
            if self._has_too_many(caller):
                return await self._refuse(request, kind, "open_calls")
            self._of_caller[caller.key] += 1
            try:
                return await self._take(request, kind, _Line(self, caller))
            finally:
                self._of_caller -= Counter({caller.key: 1})

        return answer

    def _has_too_many(self, caller: CallerIdentity) -> bool:
        most = 0 if self._settings.auth == "off" else self._settings.open_calls_per_caller
        return 0 < most <= self._of_caller[caller.key]

    def _resumes_too_many(self, caller: CallerIdentity) -> bool:
        return self._settings.auth != "off" and self._resuming[caller.key] >= RESUMING_AT_ONCE

    async def _take(
        self, request: web.Request, kind: type[Page], line: "_Line"
    ) -> web.StreamResponse:
        try:
            if reason := await line.take():
                return await self._refuse(request, kind, reason)
            page = await self._open(request, kind)
            socket = page.socket  # the page may go on with another one
            if reason := await self._hold(page, line):
                await page.finish(reason, REASONS[reason])
        finally:
            await asyncio.shield(line.let_go())
        return socket

    async def _resume(self, request: web.Request) -> web.StreamResponse:
        """Let a page come back to its call, of which its network was gone."""
        place = request.query["resume"]
        if self._hand_over is not None and self._hand_over(request, place):
            return web.Response()  # which is not sent: another process answers
        caller = await self.admissions.identify(request, resuming=True)
        if self._resumes_too_many(caller):
            raise web.HTTPTooManyRequests(text="too many pages come back to calls at once")
        newcomer = await self._open(request, Page)
        socket = newcomer.socket
        asked = await self._asked_to_resume(newcomer, caller)
        key, page = self._pages.get(asked.call, ("", None)) if asked is not None else ("", None)
        theirs = self.admissions.may_be(caller, key)
        if asked is not None and page is not None and theirs and page.resumes(asked):
            await page.take_over(newcomer, asked.received)
        else:
            await newcomer.finish("lost", REASONS["disconnected"])
        return socket

    async def _asked_to_resume(self, newcomer: Page, caller: CallerIdentity) -> Resumed | None:
        self._resuming[caller.key] += 1
        try:
            async with asyncio.timeout(RESUME_TIMEOUT_SECS):
                return await newcomer.asked_to_resume()
        except (PageClosedError, PageProtocolError, PageStalledError, TimeoutError):
            return None
        finally:
            self._resuming -= Counter({caller.key: 1})

    async def _refuse(
        self, request: web.Request, kind: type[Page], reason: str
    ) -> web.StreamResponse:
        self._refused(reason)
        page = await self._open(request, kind)
        await page.finish(reason, REASONS[reason])
        return page.socket

    async def _open(self, request: web.Request, kind: type[Page]) -> Page:
        page_socket = web.WebSocketResponse(
            compress=False,
            heartbeat=HEARTBEAT_SECS,
            max_msg_size=MAX_MESSAGE_BYTES,
            autoping=False,  # the page answers pings, and counts them
        )
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the client has gone")
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        await page_socket.prepare(request)
        allowance = Allowance(kind.bytes_per_sec, kind.bytes_at_once, time.monotonic)
        guard = ByteGuard(transport, allowance)
        return kind(page_socket, send_timeout_secs=self._settings.page_timeout_secs, guard=guard)

    async def _ready(self, page: Page) -> tuple[Engines, ClientReady]:
        """Wait for the engines and for the page."""
        async with asyncio.timeout(READY_TIMEOUT_SECS):
            await page.send(Admitted())
            engines = await self._engines_for(page)
            return engines, await page.ready()

    async def _hold(self, page: Page, line: "_Line") -> str:
        """Run a page's call to its end; returns the reason if none could start."""
        waiting = asyncio.create_task(self._ready(page))
        try:
            await asyncio.wait([waiting], timeout=HELD_SECS)
            if not waiting.done():
                await line.let_go()
            engines, ready = await waiting
        except PageClosedError:
            return "disconnected"
        except PageProtocolError:
            return "protocol"
        except (PageStalledError, TimeoutError):
            return "stalled"
        except Exception:
            logger.exception("loading the engines failed")
            return "fault"
        finally:
            waiting.cancel()
        if reason := await line.take():
            self._refused(reason)
            return reason
        assert line.terms is not None, "it is taken"
        terms = line.terms
        if terms.follow_up == "address" and not ready.data.address:
            terms = replace(terms, follow_up="nobody")
        choices = engines.choices
        vendors = {name: choices[stage].vendor.name for name, stage in _STAGE_NAMES.items()}
        resumption = Resumption(self._place) if ready.data.resume and type(page) is Page else None
        call = Call(
            BrowserConnection(page, ready, stage_vendors=vendors, resumption=resumption),
            engines,
            self._escalations,
            terms,
            self._target(ready),
        )
        self.calls.add(call)
        self._pages[call.id] = line.caller.key, page
        try:
            await call.run()
        finally:
            self.calls.discard(call)
            del self._pages[call.id]
        return ""

    def _target(self, ready: ClientReady) -> RecordingTarget | None:
        """Where to write a call's recording, if it is to be recorded."""
        record = self._settings.record
        if self._recordings is None or record == "off":
            return None
        if record == "calls" and not ready.data.record:
            return None
        folder = self._settings.data_dir / "recordings"
        return RecordingTarget(self._recordings, folder, "asked" if record == "calls" else "told")

    async def _engines_for(self, page: Page) -> Engines:
        while (engines := await self._loading.ready(LOADING_NEWS_SECS)) is None:
            label, share = self._loading.news
            await page.send(StageMessage(stage="loading", detail=label, progress=share))
        return engines


class _Line:
    """A line of the switchboard and the money of its call, while they are held.

    Parameters:
        switchboard: Counts the lines.
        caller: Who calls.
    """

    def __init__(self, switchboard: Switchboard, caller: CallerIdentity) -> None:
        self.terms: Terms | None = None
        self.caller = caller
        self._switchboard = switchboard
        self._counted = False  # among the caller's calls of the day

    async def take(self) -> str:
        """Take a line and set the money aside, unless that is done; returns why not."""
        if self.terms is not None:
            return ""
        switchboard = self._switchboard
        if switchboard.draining:
            return "shutdown"
        if switchboard.broken():
            return "fault"
        if switchboard.full:
            return "capacity"
        switchboard.lines += 1
        try:
            terms = await switchboard.admissions.admit(self.caller, counted=self._counted)
        except BaseException:
            switchboard.lines -= 1
            raise
        if isinstance(terms, str):
            switchboard.lines -= 1
            return terms
        self.terms, self._counted = terms, True
        return ""

    async def let_go(self) -> None:
        """Let go of both."""
        terms, self.terms = self.terms, None
        if terms is not None:
            self._switchboard.lines -= 1
            await self._switchboard.admissions.release(terms)
