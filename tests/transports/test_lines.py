"""Lines and money are held for callers who call, and for nobody else."""

import asyncio
import json
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from operating.breaker import MOST_FAILURES
from server import Server
from tests.conftest import ServerFactory, in_virtual_time
from tests.operating.test_breaker import fails
from transports.switchboard import HELD_SECS, READY_TIMEOUT_SECS

READY = {
    "label": "rtvi-ai",
    "type": "client-ready",
    "id": "1",
    "data": {"version": "2.2.0", "about": {"library": "x"}},
}


def url_of(listening: Any) -> str:
    return str(listening.make_url("/call")).replace("http", "ws", 1)


def key_of(server: Server) -> dict[str, str]:
    key = (server.settings.data_dir / "operator-key").read_text().strip()
    return {"Authorization": f"Bearer {key}"}


@asynccontextmanager
async def socket(listening: Any, **headers: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url_of(listening), headers=headers) as opened,
    ):
        yield opened


async def told(opened: aiohttp.ClientWebSocketResponse) -> str:
    """The next of Viva's messages: its type, or the reason of an end."""
    async with asyncio.timeout(READY_TIMEOUT_SECS + 10):
        while True:
            message = json.loads((await opened.receive()).data)
            if message["type"] == "server-message":
                data = message["data"]
                return str(data.get("reason") or data["type"])


async def test_strangers_cost_nobody_a_line(serving: ServerFactory) -> None:
    async def knock(session: aiohttp.ClientSession) -> None:
        upgrade = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
        url = listening.make_url("/call")
        while not over.is_set():
            cookie = {"Cookie": f"viva_session={secrets.token_hex(32)}"}
            async with session.get(url, headers=upgrade | cookie) as answer:
                answers[answer.status] += 1

    answers, over = Counter[int](), asyncio.Event()
    async with (
        serving(auth="link", max_calls=1) as (server, listening),
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as strangers,
    ):
        knocking = [asyncio.create_task(knock(strangers)) for _ in range(20)]
        outcomes = []
        for _ in range(5):
            async with socket(listening, **key_of(server)) as known:
                outcomes.append(await told(known))
            while server.state["calls"]:
                await asyncio.sleep(0.001)
        over.set()
        await asyncio.gather(*knocking)
    assert outcomes == ["admitted"] * 5
    assert set(answers) == {401}


@in_virtual_time
async def test_a_line_is_held_for_ten_seconds_for_a_page_that_is_not_ready(
    serving: ServerFactory,
) -> None:
    async with serving(max_calls=1) as (server, listening), socket(listening) as silent:
        assert await told(silent) == "admitted"
        async with socket(listening) as second:
            assert await told(second) == "capacity"
        await asyncio.sleep(HELD_SECS + 0.1)
        assert server.state["calls"] == 0
        async with socket(listening) as third:
            assert await told(third) == "admitted"
            # Whoever takes long to find the microphone asks for a line when it is found.
            await silent.send_json(READY)
            assert await told(silent) == "capacity"


@in_virtual_time
async def test_a_page_that_is_ready_late_is_called_if_there_is_a_line_and_counts_once(
    serving: ServerFactory,
) -> None:
    async with serving(max_calls=1, calls_per_caller_per_day=2) as (server, listening):
        async with socket(listening) as late:
            assert await told(late) == "admitted"
            await asyncio.sleep(2 * HELD_SECS)
            await late.send_json(READY)
            assert await told(late) == "cap"
            assert server.state["calls"] == 1
        while server.state["calls"]:
            await asyncio.sleep(0.01)
        async with socket(listening) as never:
            assert await told(never) == "admitted"
            assert await told(never) == "stalled"
        async with socket(listening) as third:
            assert await told(third) == "daily_calls"


async def test_no_line_is_held_for_a_call_that_would_fail_as_those_before_it(
    serving: ServerFactory,
) -> None:
    async with serving() as (server, listening):
        fails(server._breaker, MOST_FAILURES, errors=("DeepgramSTT: HTTP 401",))
        async with socket(listening) as caller:
            assert await told(caller) == "fault"
        assert server.state["calls"] == 0
        async with aiohttp.ClientSession(listening.make_url("/")) as session:
            ready = await session.get("/readyz")
            why = (await ready.json())["reasons"]["vendors"]
            metrics = await (await session.get("/metrics")).text()
        assert ready.status == 503
        assert why.startswith("Speech recognition (deepgram) failed 3 calls")
        assert 'viva_calls_refused_total{why="fault"} 1.0' in metrics


@pytest.mark.parametrize("auth", ["link", "off"])
async def test_one_caller_has_so_many_calls_open_and_no_more(
    serving: ServerFactory, auth: str
) -> None:
    async with serving(auth=auth, open_calls_per_caller=2) as (server, listening):
        key = key_of(server)
        async with socket(listening, **key) as first, socket(listening, **key) as second:
            assert [await told(first), await told(second)] == ["admitted"] * 2
            async with socket(listening, **key) as third:
                assert await told(third) == ("open_calls" if auth == "link" else "admitted")
            await second.close()
            async with asyncio.timeout(10):
                while server.state["calls"] > 1:
                    await asyncio.sleep(0.001)
            async with socket(listening, **key) as again:
                assert await told(again) == "admitted"
