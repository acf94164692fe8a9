"""Serves the page that callers open, and the data it shows before a call."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from aiohttp import web

from conversation.records import CallerIdentity, in_micros
from knowledge.loading.document import Document
from knowledge.suggestions import suggestions
from pipeline.choice import Choice
from pipeline.vendors import STAGES, Stage
from settings import Settings
from transports.front_page_html import render
from transports.web_files import WebFile, WebFiles, as_file, respond

WEB = Path(__file__).parents[1] / "web"

_HOST = re.compile(r"[a-z0-9.:\[\]-]+", re.IGNORECASE | re.ASCII)
_EMBEDDED = (
    "default-src 'self'; connect-src {connect}; img-src 'self' data:; media-src 'self' blob:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors {ancestors}"
)

WhoAsks = Callable[[web.Request], Awaitable[CallerIdentity | None]]


class FrontPage:
    """Serves ``/``, the files of ``/web/``, ``/about.json`` and ``/document.json``.

    Parameters:
        settings: The settings.
        document: What calls are answered from.
        choices: The vendor of each stage.
        caller: Identifies the caller of a request; ``None`` if they must sign in first.
        loaded: Whether the models are loaded.
        mailable: Whether an answer can be mailed to a caller's address.
        embedding: Origins of the sites whose pages may embed the call.
        visitor_pass: Issues the pass by which a visitor of such a site calls.
    """

    def __init__(
        self,
        settings: Settings,
        document: Document,
        choices: Mapping[Stage, Choice],
        *,
        caller: WhoAsks,
        loaded: Callable[[], bool],
        mailable: Callable[[str], bool] = lambda _email: False,
        embedding: Sequence[str] = (),
        visitor_pass: Callable[[web.Request], str] = lambda _request: "",
    ) -> None:
        self._settings = settings
        self._document = document
        self._choices = choices
        self._caller = caller
        self._loaded = loaded
        self._mailable = mailable
        self._embedding = tuple(embedding)
        self._visitor_pass = visitor_pass
        self._suggestions = list(suggestions(document))
        self._files = WebFiles(WEB)

    def setup(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_get("/", self._index)
        app.router.add_get("/about.json", self._about)
        app.router.add_get("/document.json", self._sections)
        self._files.setup(app)
        if self._embedding:
            app.router.add_get("/embed", self._embed)
            app.router.add_get("/embed.js", self._embed_script)

    async def _index(self, request: web.Request) -> web.StreamResponse:
        caller = await self._caller(request)
        if caller is None:
            raise web.HTTPSeeOther("/sign-in")
        file = await asyncio.to_thread(self._rendered, self._told(caller))
        return respond(request, file, cache="private, no-cache")

    async def _embed(self, request: web.Request) -> web.StreamResponse:
        """The page for a frame on a page of another site."""
        about = self._told(CallerIdentity())
        visitor = self._visitor_pass(request)
        file = await asyncio.to_thread(self._rendered, about, visitor=visitor)
        response = respond(request, file, cache="no-store")
        host = request.host
        response.headers["Content-Security-Policy"] = _EMBEDDED.format(
            connect=f"'self' ws://{host} wss://{host}" if _HOST.fullmatch(host) else "'self'",
            ancestors=" ".join(self._embedding),
        )
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        return response

    async def _embed_script(self, request: web.Request) -> web.StreamResponse:
        file = await asyncio.to_thread(self._files.read, "embed.js")
        response = respond(request, file, cache="no-cache")
        # A module of another origin is fetched by the rules of CORS.
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        return response

    def _rendered(self, about: Mapping[str, Any], *, visitor: str = "") -> WebFile:
        files = self._files
        page = render(
            files.page("call/index.html"),
            about,
            self._document_told,
            version=files.version(),
            visitor=visitor,
        )
        return as_file(page.encode(), "text/html; charset=utf-8")

    async def _about(self, request: web.Request) -> web.Response:
        return web.json_response(self._told(await self._known(request)))

    def _told(self, caller: CallerIdentity) -> dict[str, Any]:
        """What a caller is told before a call."""
        document, settings = self._document, self._settings
        return {
            "title": document.title,
            "subtitle": document.subtitle,
            "persona": {"name": document.persona.name, "greeting": document.persona.greeting},
            "suggestions": self._suggestions,
            "refuses": [topic.name for topic in document.sensitive],
            "engines": [self._engine(stage) for stage in STAGES],
            "limits": {
                "call_secs": settings.call_secs,
                "call_spend_cap": in_micros(settings.call_spend_cap_usd),
                "daily_spend_cap": in_micros(settings.daily_spend_cap_usd),
            },
            "account": {
                "email": caller.email,
                "admin": caller.admin,
                "auth": settings.auth,
            },
            "follow_up": {
                "address": not self._mailable(caller.email),
                "days": settings.transcript_days,
                "contact": document.persona.contact,
            },
            "record": settings.record,
            "recording_days": settings.recording_days,
            "ready": self._loaded(),
        }

    def _engine(self, stage: Stage) -> dict[str, Any]:
        choice = self._choices[stage]
        vendor = choice.vendor
        return {
            "stage": stage,
            "vendor": vendor.name,
            "kind": vendor.kind,
            "label": vendor.label,
            "detail": vendor.detail,
            "spares": [
                {"vendor": spare.name, "kind": spare.kind, "label": spare.label}
                for spare in choice.reserves
            ],
        }

    async def _sections(self, request: web.Request) -> web.Response:
        await self._known(request)
        return web.json_response(self._document_told)

    @cached_property
    def _document_told(self) -> dict[str, Any]:
        document = self._document
        return {
            "title": document.title,
            "subtitle": document.subtitle,
            "language": document.language,
            "sources": list(document.sources),
            "sha256": document.sha256,
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

    async def _known(self, request: web.Request) -> CallerIdentity:
        caller = await self._caller(request)
        if caller is None:
            raise web.HTTPUnauthorized(text="Please sign in at /sign-in.")
        return caller
