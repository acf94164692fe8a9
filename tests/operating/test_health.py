import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError

from ledger.store.database import Database
from operating.health import Health

Ask = Callable[[str], Any]


@asynccontextmanager
async def serving(**given: Any) -> AsyncIterator[Ask]:
    health = Health(**{"calls": lambda: 3, "loaded": lambda: True, **given})
    app = web.Application()
    health.setup(app)
    async with TestClient(TestServer(app)) as client:

        async def ask(path: str) -> tuple[int, Any]:
            async with client.get(path) as answer:
                assert answer.headers["Cache-Control"] == "no-store"
                return answer.status, await answer.json()

        yield ask


async def test_a_live_process_tells_its_calls_and_whether_its_models_are_there() -> None:
    loaded = False
    async with serving(loaded=lambda: loaded) as ask:
        assert await ask("/healthz") == (200, {"calls": 3, "ready": False})
        loaded = True
        assert await ask("/healthz") == (200, {"calls": 3, "ready": True})


async def test_a_process_is_ready_when_its_database_answers(database: Database) -> None:
    def answers() -> None:
        with database.reading() as session:
            session.connection().execute(text("SELECT 1"))

    async with serving(database=answers) as ask:
        assert await ask("/readyz") == (200, {"ready": True, "reasons": {}})


async def test_a_process_whose_database_is_locked_or_full_is_not_ready(database: Database) -> None:
    async with serving(database=database.ping, timeout_secs=0.2) as ask:
        assert await ask("/readyz") == (200, {"ready": True, "reasons": {}})
    async with serving(database=database.ping, timeout_secs=0.2) as ask:
        with database.writing() as session:
            session.connection().execute(text("UPDATE alembic_version SET version_num = 'x'"))
            assert (await ask("/readyz"))[0] == 503
            session.rollback()

    def fill(_connection: Any, cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.startswith("UPDATE"):
            raise OperationalError("", {}, OSError("database or disk is full"))

    event.listen(database.engine, "before_cursor_execute", fill)
    async with serving(database=database.ping) as ask:
        assert await ask("/readyz") == (
            503,
            {"ready": False, "reasons": {"database": "The database is unavailable."}},
        )


async def test_each_thing_that_is_missing_is_named() -> None:
    async with serving(loaded=lambda: False, draining=lambda: True) as ask:
        status, body = await ask("/readyz")
    assert status == 503
    assert body == {
        "ready": False,
        "reasons": {
            "models": "The models are not loaded.",
            "draining": "The server is shutting down.",
        },
    }


async def test_a_database_that_hangs_makes_it_unready_and_not_dead() -> None:
    hang = threading.Event()
    async with serving(database=lambda: hang.wait(10.0), timeout_secs=0.02) as ask:
        status, body = await ask("/readyz")
        assert (status, body["reasons"]) == (
            503,
            {"database": "The database did not answer within 0.02 s."},
        )
        assert (await ask("/healthz"))[0] == 200
        hang.set()
        while (await ask("/readyz"))[0] != 200:
            pass


async def test_what_is_wrong_with_a_database_is_told_to_the_log_alone_and_once(
    log: list[str],
) -> None:
    def refuses() -> None:
        raise OSError("connection to 10.0.0.7 refused for user viva")

    async with serving(database=refuses) as ask:
        for _ in range(5):
            status, body = await ask("/readyz")
            assert status == 503
            assert body["reasons"] == {"database": "The database is unavailable."}
    (line,) = log
    assert "10.0.0.7" in line
