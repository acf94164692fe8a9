"""A server with accounts, the post that its mail goes to, and browsers that know nobody."""

import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from http.cookies import Morsel, SimpleCookie
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from accounts import headers, secret
from accounts.accounts import Accounts
from accounts.origin import allowed_origin
from accounts.sign_in import limits, links
from accounts.sign_in.link_mail import SendMail
from ledger.store.database import Database
from settings import Settings

START = 1_764_000_000.0
WEB = Path(__file__).parents[2] / "web"

ADA = "ada@example.com"
GRACE = "grace@example.com"
ADMIN = "root@example.com"
STRANGER = "mallory@example.net"


class Clock:
    """Unix seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Sent:
    """A mail with a link."""

    recipient: str
    subject: str
    text: str
    html: str
    lasts_secs: float

    @property
    def link(self) -> str:
        """The address in it."""
        (found,) = re.findall(r"https?://\S+", self.text)
        return str(found)

    @property
    def token(self) -> str:
        """What is behind the link's ``#``."""
        return self.link.partition("#")[2]


class Post:
    """Who sends mail, and keeps it by its key."""

    def __init__(self) -> None:
        self.sent: dict[str, Sent] = {}

    async def put(
        self, key: str, recipient: str, subject: str, text: str, html: str, *, lasts_secs: float
    ) -> None:
        assert key not in self.sent
        self.sent[key] = Sent(recipient, subject, text, html, lasts_secs)

    @property
    def last(self) -> Sent:
        return list(self.sent.values())[-1]


@dataclass
class Answer:
    """What a server answers.

    Parameters:
        cookies: Those that it sets.
    """

    status: int
    text: str
    headers: Mapping[str, str]
    cookies: Mapping[str, "Morsel[str]"]

    @property
    def form(self) -> str:
        """The token of the page's form."""
        found = re.search(r'name="form" value="([0-9a-f]{64})"', self.text)
        assert found is not None, self.text
        return found[1]

    @property
    def heading(self) -> str:
        found = re.search(r"<h1>(.*)</h1>", self.text)
        assert found is not None, self.text
        return found[1]


@dataclass
class Browser:
    """A browser: it keeps cookies, follows nothing, and sends what headers it is told to."""

    http: aiohttp.ClientSession
    base: str
    headers: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)

    async def get(self, path: str, *, method: str = "GET") -> Answer:
        return await self._send(method, path, None)

    async def post(self, path: str, **fields: str) -> Answer:
        return await self._send("POST", path, fields)

    async def ask(self, email: str) -> Answer:
        """Ask for a link, as the page does."""
        page = await self.get("/sign-in")
        return await self.post("/sign-in", form=page.form, email=email)

    async def press(self, token: str) -> Answer:
        """Open a link, and press its button."""
        page = await self.get("/sign-in/link")
        return await self.post("/sign-in/link", form=page.form, token=token)

    async def who(self) -> str:
        """Whom the server takes this browser for."""
        return (await self.get("/who")).text

    async def key(self) -> str:
        """By what the server counts this browser's calls."""
        return (await self.get("/key")).text

    def sending(self) -> dict[str, str]:
        held = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        return {**(held if self.cookies else {}), **self.headers}

    async def _send(self, method: str, path: str, data: Mapping[str, str] | None) -> Answer:
        async with self.http.request(
            method, self.base + path, data=data, headers=self.sending(), allow_redirects=False
        ) as response:
            set_cookies: SimpleCookie = SimpleCookie()
            for header in response.headers.getall("Set-Cookie", []):
                set_cookies.load(header)
            for name, morsel in set_cookies.items():
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value
            text = await response.text()
            return Answer(response.status, text, response.headers, set_cookies)


class House:
    """A server on loopback, whose ``/who`` says whom it takes one for, and whose ``/call`` is a
    socket for whoever may call."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        send: SendMail | None = None,
        *,
        delay: Callable[[], float] | None = lambda: 0.0,
    ) -> None:
        self.database = database
        self.settings = settings
        self.clock = Clock()
        self.post = Post()
        self.told: list[str] = []
        self.accounts = Accounts(
            database,
            settings,
            send or self.post.put,
            tell=self.told.append,
            clock=self.clock,
            delay=delay,
        )
        self.base = ""
        self._http: aiohttp.ClientSession | None = None

    def browser(self, **headers: str) -> Browser:
        """A browser that was never here."""
        assert self._http is not None
        return Browser(self._http, self.base, headers)

    async def signed_in(self, email: str = ADA, **headers: str) -> Browser:
        """A browser that has signed in."""
        browser = self.browser(**headers)
        await browser.press(await self.token(browser, email))
        return browser

    async def token(self, browser: Browser, email: str = ADA) -> str:
        """The token of a link that a browser has asked for, from the mail."""
        before = len(self.post.sent)
        await browser.ask(email)
        await self.accounts.close()
        assert len(self.post.sent) == before + 1
        return self.post.last.token

    async def call(self, **headers: str) -> str:
        """Open a socket; what it says first, or the status by which it was refused."""
        assert self._http is not None
        try:
            async with self._http.ws_connect(self.base + "/call", headers=headers) as socket:
                message = await socket.receive(timeout=5)
                assert message.type is WSMsgType.TEXT
                return str(message.data)
        except aiohttp.WSServerHandshakeError as error:
            return str(error.status)

    @contextmanager
    def statements(self) -> Iterator[list[str]]:
        """Every statement that the database is sent meanwhile."""
        said: list[str] = []

        def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            said.append(statement)

        event.listen(self.database.engine, "before_cursor_execute", note)
        try:
            yield said
        finally:
            event.remove(self.database.engine, "before_cursor_execute", note)

    @contextmanager
    def without_database(self) -> Iterator[None]:
        """No statement is answered meanwhile."""

        def fail(*_given: object) -> None:
            raise OperationalError("", {}, ConnectionError("the database is away"))

        event.listen(self.database.engine, "before_cursor_execute", fail)
        try:
            yield
        finally:
            event.remove(self.database.engine, "before_cursor_execute", fail)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator["House"]:
        app = web.Application()
        headers.setup(app, self.settings)
        self.accounts.setup(app)
        app.router.add_get("/who", self._who)
        app.router.add_get("/key", self._key)
        app.router.add_get("/call", self._call)
        app.router.add_get("/", self._home)
        app.router.add_static("/web/", WEB)
        async with (
            TestServer(app) as server,
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http,
        ):
            self.base = f"http://127.0.0.1:{server.port}"
            self._http = http
            yield self

    async def _home(self, _request: web.Request) -> web.Response:
        return web.Response(
            text="<!doctype html><link rel='icon' href='data:,'><title>Call</title>",
            content_type="text/html",
        )

    async def _who(self, request: web.Request) -> web.Response:
        caller = await self.accounts.identify(request)
        if caller is None:
            return web.Response(text="nobody", status=401)
        return web.Response(text=f"{caller.email or caller.key}{' (admin)' * caller.admin}")

    async def _key(self, request: web.Request) -> web.Response:
        caller = await self.accounts.identify(request)
        return web.Response(text=caller.key if caller else "")

    async def _call(self, request: web.Request) -> web.StreamResponse:
        caller = await self.accounts.identify(request)
        if caller is None:
            raise web.HTTPUnauthorized
        keyed = "Authorization" in request.headers and "Origin" not in request.headers
        if not keyed and not allowed_origin(request, self.settings):
            raise web.HTTPForbidden
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str(f"you are {caller.email}")
        await socket.close()
        return socket


def ask_for_links(
    house: House, count: int, *, email: str = STRANGER, network: str = "", each: str = ""
) -> None:
    """What that many wishes for links leave behind, each of another browser.

    Args:
        house: The server that was asked.
        count: Number of wishes.
        email: Whom the links are for.
        network: Where all come from; by default each comes from a network of its own.
        each: A pattern of networks with ``{}``, from 0 on, instead.
    """
    with house.database.writing() as db:
        for number in range(count):
            own = each.format(number) or f"10.{number // 250}.{number % 250}.0/24"
            links.create_link(
                db,
                email,
                now=house.clock.now,
                browser=secret.new_secret(),
                network=limits.stored_network(network or own),
            )


OpenHouse = Callable[..., Any]
"""Called with settings; an asynchronous context manager of a :class:`House`."""
