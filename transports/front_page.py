"""Serves the page that callers open, and the data it shows before a call."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from conversation.records import CallerIdentity, in_micros
from knowledge.loading.document import Document
from knowledge.suggestions import suggestions
from pipeline.choice import Choice
from pipeline.vendors import STAGES, Stage
from settings import Settings

WEB = Path(__file__).parents[1] / "web"

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
    ) -> None:
        self._settings = settings
        self._document = document
        self._choices = choices
        self._caller = caller
        self._loaded = loaded
        self._mailable = mailable
        self._suggestions = list(suggestions(document))

    def setup(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_get("/", self._index)
        app.router.add_get("/about.json", self._about)
        app.router.add_get("/document.json", self._sections)
        app.router.add_static("/web/", WEB)

    async def _index(self, request: web.Request) -> web.StreamResponse:
        if await self._caller(request) is None:
            raise web.HTTPSeeOther("/sign-in")
        return web.FileResponse(WEB / "call" / "index.html")

    async def _about(self, request: web.Request) -> web.Response:
        caller = await self._known(request)
        document, settings = self._document, self._settings
        return web.json_response(
            {
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
        )

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
        document = self._document
        return web.json_response(
            {
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
        )

    async def _known(self, request: web.Request) -> CallerIdentity:
        caller = await self._caller(request)
        if caller is None:
            raise web.HTTPUnauthorized(text="Please sign in at /sign-in.")
        return caller
