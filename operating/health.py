"""Whether the process is alive, and whether it can take calls."""

from collections.abc import Callable

from aiohttp import web
from loguru import logger

from operating.reading import Reading

DATABASE_TIMEOUT_SECS = 2.0
"""Longest that the database may take to answer."""

DATABASE_FRESH_SECS = 1.0
"""How long its answer is good for, however often ``/readyz`` is asked."""

_NO_STORE = {"Cache-Control": "no-store"}


class Health:
    """``/healthz`` for whoever restarts processes, ``/readyz`` for whoever sends them callers.

    The first answers 200 as long as the process can answer at all: a process whose database is away
    is of no use to callers, and no better for being restarted.

    Parameters:
        calls: How many calls are open.
        loaded: Whether the models are loaded.
        draining: Whether the server is being stopped.
        database: Asks the database anything; it may block, and raises if there is no answer.
            ``None`` if calls need none.
        overload: Why the process has no room for a further call, in words; empty if it has.
        timeout_secs: Longest that the database may take.
    """

    def __init__(
        self,
        *,
        calls: Callable[[], int],
        loaded: Callable[[], bool],
        draining: Callable[[], bool] = lambda: False,
        database: Callable[[], object] | None = None,
        overload: Callable[[], str] = lambda: "",
        timeout_secs: float = DATABASE_TIMEOUT_SECS,
    ) -> None:
        self._calls = calls
        self._loaded = loaded
        self._draining = draining
        self._database = database and Reading(
            database, fresh_secs=DATABASE_FRESH_SECS, timeout_secs=timeout_secs
        )
        self._overload = overload
        self._database_trouble = ""

    def setup(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)

    async def reasons(self) -> dict[str, str]:
        """What keeps calls from being taken: in words, by what it is; empty if nothing does."""
        reasons = {}
        if not self._loaded():
            reasons["models"] = "The models are not loaded."
        if self._draining():
            reasons["draining"] = "The server is being stopped."
        if trouble := self._overload():
            reasons["overload"] = trouble
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
        """Why the database is of no use; the log alone is told more than anybody may know."""
        trouble = detail = ""
        if self._database is not None:
            try:
                await self._database.get()
            except TimeoutError:
                trouble = f"The database did not answer within {self._database.timeout_secs:g} s."
            except Exception as error:
                trouble = "The database cannot be used."
                detail = f" {type(error).__name__}: {error}"
        if trouble != self._database_trouble:
            self._database_trouble = trouble
            if trouble:
                logger.error("no calls are taken: {}{}", trouble, detail)
            else:
                logger.info("the database answers again")
        return trouble
