"""What callers say of their calls: where to answer them, and whether an answer was right.

They may say so during the call or after it; the ledger keeps it.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, cast

from aiohttp import web
from loguru import logger
from sqlalchemy import CursorResult, exists, update
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col

from accounts.access import normalize_address
from accounts.origin import allowed_origin
from conversation.records import CallerIdentity
from ledger.log.filter import FilterError, call_id
from ledger.store.database import Database
from ledger.store.tables import Call, Turn
from settings import Settings

MAX_BODY_BYTES = 1024
BODY_TIMEOUT_SECS = 10.0
"""Time limit for a body to arrive."""

MAX_TURN = 10_000
"""Greatest turn number that is looked up."""

UPDATES_AT_ONCE = 2
"""Threads that write feedback; the other threads of the pool belong to calls."""


class Feedback:
    """``PUT`` and ``DELETE /calls/{id}/address``, and ``PUT /calls/{id}/turns/{number}/right``.

    Callers give feedback on their own calls only: those counted by the same key. Nothing is mailed
    to an address that is left, since it may be anybody's; the admins' report has it.

    Parameters:
        database: The ledger.
        settings: The settings.
        caller: Identifies who makes a request; ``None`` if they must sign in first.
        address_left: Called with the id of a call for which an address was left.
        address_removed: Called with the id of a call whose address was taken back.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        *,
        caller: Callable[[web.Request], Awaitable[CallerIdentity | None]],
        address_left: Callable[[str], Awaitable[None]],
        address_removed: Callable[[str], None] = lambda _id: None,
    ) -> None:
        self._database = database
        self._settings = settings
        self._caller = caller
        self._address_left = address_left
        self._address_removed = address_removed
        self._turnstile = asyncio.Semaphore(UPDATES_AT_ONCE)

    def setup(self, app: web.Application) -> None:
        """Add the routes."""
        router = app.router
        router.add_put("/calls/{id}/address", self._leave_address)
        router.add_delete("/calls/{id}/address", self._take_address_back)
        router.add_put("/calls/{id}/turns/{number}/right", self._judge)

    async def _leave_address(self, request: web.Request) -> web.Response:
        caller, id = await self._asked(request)
        given = (await _body(request)).get("address")
        try:
            address = normalize_address(given.strip() if isinstance(given, str) else "")
            if "." not in address.rpartition("@")[2]:
                raise ValueError("half an address, such as ada@gmail, to which nobody can write")
        except ValueError:
            raise _error(
                web.HTTPBadRequest, "That is not an address such as name@example.com."
            ) from None
        await self._update_call(caller, id, address)
        await self._address_left(id)
        return web.Response(status=204)

    async def _take_address_back(self, request: web.Request) -> web.Response:
        caller, id = await self._asked(request)
        await self._update_call(caller, id, None)
        self._address_removed(id)
        return web.Response(status=204)

    async def _judge(self, request: web.Request) -> web.Response:
        caller, id = await self._asked(request)
        number = request.match_info["number"]
        if not (number.isascii() and number.isdigit() and 0 < int(number[:9]) <= MAX_TURN):
            raise _error(web.HTTPNotFound, f"There is no turn {number[:40]!r}.")
        body = await _body(request)
        right = body.get("right", "missing")
        if right is not None and not isinstance(right, bool):
            raise _error(web.HTTPBadRequest, "right must be true, false or null.")
        theirs = exists().where(col(Call.id) == id, col(Call.caller_key) == caller.key)
        statement = (
            update(Turn)
            .where(col(Turn.call) == id, col(Turn.number) == int(number), theirs)
            .values(was_right=right)
        )
        await self._write(statement, f"You have no turn {number} of call {id}.")
        return web.Response(status=204)

    async def _asked(self, request: web.Request) -> tuple[CallerIdentity, str]:
        caller = await self._caller(request)
        if caller is None:
            raise _error(web.HTTPUnauthorized, "You are not signed in.")
        if "Authorization" not in request.headers and not allowed_origin(request, self._settings):
            raise _error(web.HTTPForbidden, "This is for Viva's own page.")
        try:
            return caller, call_id(request.match_info["id"])
        except FilterError as error:
            raise _error(web.HTTPNotFound, str(error)) from None

    async def _update_call(self, caller: CallerIdentity, id: str, address: str | None) -> None:
        statement = (
            update(Call)
            .where(col(Call.id) == id, col(Call.caller_key) == caller.key)
            .values(reply_to=address)
        )
        await self._write(statement, f"You have no call {id}.")

    async def _write(self, statement: Any, missing: str) -> None:
        def write() -> int:
            with self._database.writing() as session:
                return cast(CursorResult[Any], session.connection().execute(statement)).rowcount

        try:
            async with self._turnstile:
                found = await asyncio.to_thread(write)
        except SQLAlchemyError as error:
            logger.error("feedback could not be kept: {}", type(error).__name__)
            raise _error(
                web.HTTPServiceUnavailable, "It could not be kept. Please try again in a minute."
            ) from None
        if not found:
            raise _error(web.HTTPNotFound, missing)


async def _body(request: web.Request) -> dict[str, Any]:
    if request.content_type != "application/json":  # which no form of another site can send
        raise _error(web.HTTPUnsupportedMediaType, "Send it as application/json.")
    try:
        async with asyncio.timeout(BODY_TIMEOUT_SECS):
            sent = await request.clone(client_max_size=MAX_BODY_BYTES).read()
        body = json.loads(sent)
    except TimeoutError:
        raise _error(web.HTTPRequestTimeout, "It took too long to arrive.") from None
    except (ValueError, RecursionError, web.RequestPayloadError):
        raise _error(web.HTTPBadRequest, "It is not JSON.") from None
    if not isinstance(body, dict):
        raise _error(web.HTTPBadRequest, "It must be a JSON object.")
    return body


def _error(kind: type[web.HTTPException], text: str) -> web.HTTPException:
    return kind(text=json.dumps({"error": text}), content_type="application/json")
