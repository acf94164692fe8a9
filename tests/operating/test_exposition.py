import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from ledger.money.budget import DayMoney
from operating.exposition import Exposition
from operating.gauges import Gauges
from operating.lag import EventLoopLag
from operating.metrics import Metrics
from tests.operating.calls import call, over, turn

TOKEN = "mt-2f7d9a1c4e6b8035"


def application(token: str | None = TOKEN, **given: Any) -> web.Application:
    metrics = Metrics()
    metrics.begun(call())
    metrics.turn(turn())
    metrics.ended(over(call()))
    gauges = Gauges(metrics.registry, **given)
    app = web.Application()
    Exposition(metrics.registry, gauges, token=SecretStr(token) if token else None).setup(app)
    return app


@asynccontextmanager
async def serving(**given: Any) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    async with TestClient(TestServer(application(**given))) as client:
        yield client


async def scraped(client: TestClient[web.Request, web.Application]) -> dict[str, float]:
    async with client.get("/metrics") as answer:
        assert answer.status == 200
        text = await answer.text()
    return {
        ",".join([sample.name.removeprefix("viva_"), *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_prometheus_reads_what_calls_came_to() -> None:
    async with serving() as client:
        seen = await scraped(client)
    assert seen["calls_total,hangup"] == 1
    assert seen["turns_total,respond"] == 1
    assert seen["e2e_latency_seconds_sum"] == 0.9
    assert seen["process_resident_memory_bytes"] > 1e6


async def test_openmetrics_is_given_to_whoever_asks_for_it() -> None:
    accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
    async with (
        serving() as client,
        client.get("/metrics", headers={"Accept": accept}) as answer,
    ):
        assert answer.content_type == "application/openmetrics-text"
        families = {family.name: family for family in openmetrics_families(await answer.text())}
    assert families["viva_e2e_latency_seconds"].type == "histogram"
    assert families["viva_spend_dollars"].type == "counter"


# The present moment.


async def test_the_days_money_the_queues_and_the_loop_are_told() -> None:
    given = {
        "lag": EventLoopLag(),
        "money": lambda: DayMoney("2026-11-24", 1_250_000, 300_000, 5_000_000, 1),
        "queues": {"outbox": lambda: 4, "ledger": lambda: 0},
    }
    async with serving(**given) as client:
        seen = await scraped(client)
    assert seen["day_spent_dollars"] == 1.25
    assert seen["day_held_dollars"] == 0.3
    assert seen["day_cap_dollars"] == 5.0
    assert seen["queue_depth,outbox"] == 4
    assert seen["queue_depth,ledger"] == 0
    assert seen["event_loop_lag_seconds_bucket,0.005"] == 0
    assert seen["event_loop_lag_seconds_count"] == seen["event_loop_lag_seconds_bucket,+Inf"] == 0
    assert {seen[f"reading_up,{name}"] for name in ("money", "outbox", "ledger")} == {1.0}


async def test_without_a_cap_there_is_none() -> None:
    async with serving(money=lambda: DayMoney("2026-11-24", 0, 0, None, 1)) as client:
        assert "day_cap_dollars" not in await scraped(client)


async def test_what_cannot_be_read_is_left_out_and_said_so(log: list[str]) -> None:
    hang = threading.Event()

    def refuses() -> int:
        raise OSError("disk gone")

    def hangs() -> DayMoney:
        hang.wait(10.0)
        return DayMoney("2026-11-24", 1, 1, None, 1)

    app = application(
        money=hangs, queues={"outbox": refuses, "ledger": lambda: 2}, timeout_secs=0.5
    )
    async with TestClient(TestServer(app)) as client:
        seen = await scraped(client)
        hang.set()
    assert seen["reading_up,money"] == seen["reading_up,outbox"] == 0
    assert not {"day_spent_dollars", "queue_depth,outbox"} & set(seen)
    assert seen["queue_depth,ledger"] == 2
    assert seen["calls_total,hangup"] == 1
    assert sum("disk gone" in line for line in log) == 1


async def test_a_database_is_asked_once_however_often_metrics_are(log: list[str]) -> None:
    asked: list[int] = []

    def money() -> DayMoney:
        asked.append(1)
        return DayMoney("2026-11-24", 0, 0, None, 1)

    async with serving(money=money) as client:
        for _ in range(5):
            await scraped(client)
    assert len(asked) == 1
    assert not log


# Who may read them.

Headers = dict[str, str]


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"X-Forwarded-For": "203.0.113.9"}, id="a proxy's client"),
        pytest.param({"Forwarded": "for=203.0.113.9"}, id="a proxy's client, RFC 7239"),
        pytest.param({"X-Real-IP": "203.0.113.9"}, id="a proxy's client, nginx"),
        pytest.param({"Via": "1.1 proxy"}, id="a proxy"),
        pytest.param({"Host": "viva.example.com"}, id="a proxy that hides whom it asks for"),
        pytest.param({"Host": "localhost.example.com"}, id="a name that looks local"),
        pytest.param({"Host": "[::"}, id="no name at all"),
    ],
)
async def test_who_is_not_here_needs_the_token(headers: Headers) -> None:
    async with serving() as client:

        async def status(**more: str) -> int:
            async with client.get("/metrics", headers={**headers, **more}) as answer:
                text = await answer.text()
                assert ("viva_" in text) == (answer.status == 200)
                if answer.status == 401:
                    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
                return answer.status

        assert await status() == 401
        assert await status(Authorization=f"Bearer {TOKEN}") == 200
        assert await status(Authorization=f"bearer  {TOKEN}") == 200
        for wrong in (f"Bearer {TOKEN[:-1]}", "Bearer ", f"Basic {TOKEN}", TOKEN, "Bearer \xff"):
            assert await status(Authorization=wrong) == 401


@pytest.mark.parametrize("host", ["localhost:7860", "127.0.0.1", "[::1]:7860", "127.9.9.9"])
async def test_who_is_here_needs_none(host: str) -> None:
    async with (
        serving() as client,
        client.get("/metrics", headers={"Host": host}) as answer,
    ):
        assert answer.status == 200


async def test_without_a_token_nobody_reads_them_from_elsewhere() -> None:
    async with serving(token=None) as client:
        for sent in ({}, {"Authorization": "Bearer "}, {"Authorization": "Bearer None"}):
            headers = {"X-Forwarded-For": "127.0.0.1", **sent}
            async with client.get("/metrics", headers=headers) as answer:
                assert answer.status == 403
                assert "METRICS_TOKEN" in await answer.text()


async def test_a_peer_without_an_address_is_not_this_machine(tmp_path: Path) -> None:
    runner = web.AppRunner(application())
    await runner.setup()
    path = str(tmp_path / "viva.sock")
    await web.UnixSite(runner, path).start()
    try:
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(path)) as session:
            ask: Callable[..., Any] = session.get
            async with ask("http://localhost/metrics") as answer:
                assert answer.status == 401
            headers = {"Authorization": f"Bearer {TOKEN}"}
            async with ask("http://localhost/metrics", headers=headers) as answer:
                assert answer.status == 200
    finally:
        await runner.cleanup()
