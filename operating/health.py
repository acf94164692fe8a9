"""Liveness and readiness endpoints."""

from collections.abc import Callable

from aiohttp import web
from loguru import logger

from operating.reading import Reading

DATABASE_TIMEOUT_SECS = 2.0
"""Time limit for the database's response."""

DATABASE_FRESH_SECS = 1.0
"""How long that response is cached, however often ``/readyz`` is requested."""

_NO_STORE = {"Cache-Control": "no-store"}


class Health:
    """``/healthz`` for liveness, ``/readyz`` for readiness.

    Liveness is 200 as long as the process responds at all: restarting it would not mend a database
    that is down.

    Parameters:
        calls: Returns the number of open calls.
        loaded: Whether the models are loaded.
        draining: Whether the server is shutting down.
        database: Queries the database; may block, and raises if it is down. ``None`` if calls
            need no database.
        overload: Why another call would be refused, as text; empty if it would not.
        vendors: Why a call would fail by its vendors, as text; empty if it would not.
        timeout_secs: Time limit for the database.
    """

    def __init__(
        self,
        *,
        calls: Callable[[], int],
        loaded: Callable[[], bool],
        draining: Callable[[], bool] = lambda: False,
        database: Callable[[], object] | None = None,
        overload: Callable[[], str] = lambda: "",
        vendors: Callable[[], str] = lambda: "",
        timeout_secs: float = DATABASE_TIMEOUT_SECS,
    ) -> None:
        self._calls = calls
        self._loaded = loaded
        self._draining = draining
        self._database = database and Reading(
            database, fresh_secs=DATABASE_FRESH_SECS, timeout_secs=timeout_secs
        )
        self._overload = overload
        self._vendors = vendors
        self._database_trouble = ""

    def setup(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)

    async def reasons(self) -> dict[str, str]:
        """Why calls are not accepted, as text by cause; empty if they are."""
        reasons = {}
        if not self._loaded():
            reasons["models"] = "The models are not loaded."
        if self._draining():
            reasons["draining"] = "The server is shutting down."
        if trouble := self._overload():
            reasons["overload"] = trouble
        if trouble := self._vendors():
            reasons["vendors"] = trouble
        if trouble := await self._ask_database():
            reasons["database"] = trouble
        return reasons

    async def _healthz(self, _request: web.Request) -> web.Response:
        alive = {"calls": self._calls(), "ready": self._loaded()}
        return web.json_response(alive, headers=_NO_STORE)

    async def _readyz(self, _request: web.Request) -> web.Response:
        reasons = await self.reasons()
        return web.json_response(
            {"ready": not reasons, "reasons": reasons},
            status=503 if reasons else 200,
            headers=_NO_STORE,
        )

    async def _ask_database(self) -> str:
        """Why the database is unavailable, in public words; the details go to the log."""
        trouble = detail = ""
        if self._database is not None:
            try:
                await self._database.get()
            except TimeoutError:
                trouble = f"The database did not answer within {self._database.timeout_secs:g} s."
            except Exception as error:
                trouble = "The database is unavailable."
                detail = f" {type(error).__name__}: {error}"
        if trouble != self._database_trouble:
            self._database_trouble = trouble
            if trouble:
                logger.error("not ready: {}{}", trouble, detail)
            else:
                logger.info("the database is available again")
        return trouble
