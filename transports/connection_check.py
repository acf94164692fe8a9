"""What a page measures its connection against, before a call: round trips, and bytes both ways."""

import asyncio
import os
from collections.abc import Awaitable, Callable

from aiohttp import web

from conversation.records import CallerIdentity

DOWN_BYTES = 65_536
"""What is sent: incompressible, and 1.4 s of the voice."""

MAX_UP_BYTES = 65_536
"""What is taken in at most."""

UP_TIMEOUT_SECS = 5.0
"""Time limit for it to arrive."""


class ConnectionCheck:
    """``GET /check``, ``GET /check/down`` and ``POST /check/up``, for callers.

    Parameters:
        caller: Identifies the caller of a request; ``None`` if they must sign in first.
    """

    def __init__(
        self, *, caller: Callable[[web.Request], Awaitable[CallerIdentity | None]]
    ) -> None:
        self._caller = caller
        self._down = os.urandom(DOWN_BYTES)

    def setup(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_get("/check", self._round_trip)
        app.router.add_get("/check/down", self._send)
        app.router.add_post("/check/up", self._take)

    async def _round_trip(self, request: web.Request) -> web.Response:
        await self._admit(request)
        return _answer()

    async def _send(self, request: web.Request) -> web.Response:
        await self._admit(request)
        return _answer(self._down)

    async def _take(self, request: web.Request) -> web.Response:
        await self._admit(request)
        try:
            async with asyncio.timeout(UP_TIMEOUT_SECS):
                await request.clone(client_max_size=MAX_UP_BYTES).read()
        except TimeoutError:
            raise web.HTTPRequestTimeout(text="It took too long to arrive.") from None
        return _answer()

    async def _admit(self, request: web.Request) -> None:
        if await self._caller(request) is None:
            raise web.HTTPUnauthorized(text="Please sign in at /sign-in.")


def _answer(body: bytes = b"") -> web.Response:
    headers = {"Cache-Control": "no-store"}
    if not body:
        return web.Response(status=204, headers=headers)
    return web.Response(body=body, content_type="application/octet-stream", headers=headers)
