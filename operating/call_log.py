"""The call log's pages for admins, and the JSON and CSV behind them."""

import asyncio
import csv
import io
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import web
from loguru import logger
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from conversation.records import CallerIdentity
from ledger.log.cells import inert
from ledger.log.entries import Entries, NoSuchCallError, list_entries, read_entry
from ledger.log.filter import Filter, FilterError, Position, call_id, whole_number
from ledger.log.sound import Sound, SoundError
from ledger.log.totals import compute_totals
from ledger.store.database import Database, DatabaseError

WEB = Path(__file__).parents[1] / "web"

DEFAULT_LIMIT = 50
"""Default page size of the log."""

MAX_LIMIT = 200
"""Largest page size of the log."""

QUERIES_AT_ONCE = 2
"""Threads that read the log; the other threads of the pool belong to writers."""

SIGN_IN = "/sign-in"

FILTER_FIELDS = ("since", "until", "caller", "decision", "why", "q")
PAGE_FIELDS = (*FILTER_FIELDS, "limit", "before")

CSV_COLUMNS = (
    *("id", "day", "started_at", "ended_at", "caller", "why", "document", "turns"),
    *("escalations", "interruptions", "e2e_p50", "stt", "brain", "tts"),
    *("stt_cost", "brain_cost", "tts_cost", "cost"),
)
"""Columns of ``/calls.csv``: named as in the tables; times ISO 8601 UTC, costs in micro-dollars."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Found = TypeVar("Found")


class CallLog:
    """``/calls``: who called when, what was said, how fast, and what it cost.

    Parameters:
        database: The ledger.
        caller: Identifies who makes a request; ``None`` if they must sign in first.
        recordings: Directory of recordings.
        root: Returns the path below which a browser finds the pages; empty for none.
        clock: Returns Unix seconds; the system clock by default.
    """

    def __init__(
        self,
        database: Database,
        *,
        caller: Callable[[web.Request], Awaitable[CallerIdentity | None]],
        recordings: Path,
        root: Callable[[web.Request], str] = lambda _request: "",
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._database = database
        self._caller = caller
        self._root = root
        self._sound = Sound(recordings)
        self._clock = clock or time.time
        self._turnstile = asyncio.Semaphore(QUERIES_AT_ONCE)

    def setup(self, app: web.Application) -> None:
        """Add the routes."""
        router = app.router
        router.add_get("/calls", self._page(self._log))
        router.add_get("/calls.json", self._data(self._log_json))
        router.add_get("/calls.csv", self._data(self._log_csv))
        router.add_get("/calls/{id}.json", self._data(self._call_json))
        router.add_get("/calls/{id}/audio", self._data(self._audio))
        router.add_get("/calls/{id}", self._page(self._call))

    # Access.

    def _page(self, handler: Handler) -> Handler:
        async def for_admins(request: web.Request) -> web.StreamResponse:
            try:
                caller = await self._caller(request)
                if caller is None:
                    return web.Response(status=303, headers={"Location": SIGN_IN})
                if not caller.admin:
                    return await self._no_admin(request)
                return await handler(request)
            except (SQLAlchemyError, DatabaseError) as error:
                return web.Response(status=503, text=_unreadable(error))

        return for_admins

    async def _no_admin(self, request: web.Request) -> web.Response:
        """The page that says who may read the log; it is the same for each path."""
        page = await asyncio.to_thread((WEB / "calls" / "refused.html").read_text, "utf-8")
        page = page.replace('="/', f'="{self._root(request)}/')
        return web.Response(text=page, content_type="text/html", status=403)

    def _data(self, handler: Handler) -> Handler:
        async def for_admins(request: web.Request) -> web.StreamResponse:
            try:
                caller = await self._caller(request)
                if caller is None:
                    return _error(401, f"You are not signed in; sign in at {SIGN_IN}.")
                if not caller.admin:
                    return _error(403, "The call log is for admins, the addresses in ADMINS.")
                return await handler(request)
            except FilterError as error:
                return _error(400, str(error))
            except NoSuchCallError as error:
                return _error(404, str(error))
            except SoundError as error:
                return _error(500, str(error))
            except (SQLAlchemyError, DatabaseError) as error:
                return _error(503, _unreadable(error))

        return for_admins

    # The log.

    async def _log(self, _request: web.Request) -> web.StreamResponse:
        return web.FileResponse(WEB / "calls" / "log.html")

    async def _log_json(self, request: web.Request) -> web.StreamResponse:
        query = _fields(request, PAGE_FIELDS)
        chosen = Filter.from_query(query, today=self._today())
        limit = whole_number(query, "limit", default=DEFAULT_LIMIT, most=MAX_LIMIT)
        before = Position.parse(query["before"]) if query.get("before") else None

        def read(session: Session) -> dict[str, Any]:
            page = list_entries(session, chosen, limit=limit, before=before)
            found = {
                "filter": chosen.as_dict(),
                "calls": page.calls,
                "next": str(page.next) if page.next else None,
            }
            if before is None:
                whole, days = compute_totals(session, chosen)
                by_day = [{"day": day} | totals.as_dict() for day, totals in days.items()]
                found["totals"] = whole.as_dict() | {"days": by_day}
            return found

        return _json(await self._read(read))

    async def _log_csv(self, request: web.Request) -> web.StreamResponse:
        chosen = Filter.from_query(_fields(request, FILTER_FIELDS), today=self._today())

        def read(session: Session, before: Position | None = None) -> Entries:
            return list_entries(session, chosen, limit=MAX_LIMIT, before=before)

        page = await self._read(read)
        name = f"calls-{chosen.since}-{chosen.until}.csv"
        response = web.StreamResponse(
            headers={
                "Content-Type": "text/csv; charset=utf-8",
                "Content-Disposition": f'attachment; filename="{name}"',
                "Cache-Control": "no-store",
            }
        )
        await response.prepare(request)
        await response.write(_csv([CSV_COLUMNS]))
        await response.write(_csv(map(_csv_row, page.calls)))
        while page.next is not None:
            page = await self._read(partial(read, before=page.next))
            await response.write(_csv(map(_csv_row, page.calls)))
        await response.write_eof()
        return response

    # One call.

    async def _call(self, request: web.Request) -> web.StreamResponse:
        """The page itself explains an invalid id; programs get the status."""
        status = 200
        try:
            id = call_id(request.match_info["id"])
            await self._read(lambda session: read_entry(session, id))
        except (FilterError, NoSuchCallError):
            status = 404
        return web.FileResponse(WEB / "calls" / "one.html", status=status)

    async def _call_json(self, request: web.Request) -> web.StreamResponse:
        id = call_id(request.match_info["id"])
        call, turns = await self._read(lambda session: read_entry(session, id))
        return _json({"call": call, "turns": turns, "recording": await self._sound.exists(id)})

    async def _audio(self, request: web.Request) -> web.StreamResponse:
        id = call_id(request.match_info["id"])
        sound = await self._sound.respond(request, id)
        return sound or _error(404, f"There is no recording of call {id}.")

    async def _read(self, query: Callable[[Session], Found]) -> Found:
        def read() -> Found:
            with self._database.reading() as session:
                return query(session)

        async with self._turnstile:
            return await asyncio.to_thread(read)

    def _today(self) -> date:
        return datetime.fromtimestamp(self._clock(), UTC).date()


def _fields(request: web.Request, allowed: tuple[str, ...]) -> dict[str, str]:
    query = request.query
    for name in query:
        if name not in allowed:
            raise FilterError(f"{name[:40]!r} is not a field; allowed: {', '.join(allowed)}.")
        if len(query.getall(name)) > 1:
            raise FilterError(f"{name} is given {len(query.getall(name))} times; allowed: once.")
    return dict(query)


def _json(found: dict[str, Any]) -> web.Response:
    return web.json_response(found, headers={"Cache-Control": "no-store"})


def _error(status: int, text: str) -> web.Response:
    return web.json_response({"error": text}, status=status, headers={"Cache-Control": "no-store"})


def _unreadable(error: Exception) -> str:
    logger.opt(exception=error).error("cannot read the call log")
    return "The ledger is temporarily unavailable; see the server's log. Try again in a minute."


def _csv(rows: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _csv_row(call: dict[str, Any]) -> list[Any]:
    for name in ("started_at", "ended_at"):
        if call[name] is not None:
            moment = datetime.fromtimestamp(call[name], UTC)
            call = call | {name: moment.isoformat(timespec="milliseconds")}
    return [inert(call[name]) for name in CSV_COLUMNS]
