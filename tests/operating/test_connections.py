"""Connections that ask nothing are closed, and keep nobody else from being answered."""

import asyncio
import resource
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from evals.replay import virtual_time
from operating.connections import (
    MOST_CONNECTIONS,
    RESERVED_FILES,
    Connections,
    GuardedSite,
    allowed_connections,
)


def by_port(address: str) -> str | None:
    """A network of its own for each of loopback's addresses."""
    return address or None


@asynccontextmanager
async def listening(connections: Connections) -> AsyncIterator[int]:
    """A server whose ``/`` answers at once and whose ``/hold`` answers never; its port."""

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text="hello")

    async def hold(_request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    app = web.Application(middlewares=[connections.note_request])
    app.router.add_get("/", answer)
    app.router.add_get("/hold", hold)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01, keepalive_timeout=30.0)
    await runner.setup()
    await GuardedSite(runner, "127.0.0.1", 0, connections).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def connect(
    port: int, says: bytes = b"", *, source: str = "127.0.0.1"
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    writer.write(says)
    await asyncio.sleep(0.001)
    return reader, writer


async def until_busy(connections: Connections, count: int) -> None:
    """Wait until so many connections are open and all have asked something."""
    async with asyncio.timeout(20):
        while (len(connections), connections.idle) != (count, 0):
            await asyncio.sleep(0.001)


async def get(port: int) -> str:
    async with (
        asyncio.timeout(5),
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/") as answer,
    ):
        return await answer.text()


async def is_closed(reader: asyncio.StreamReader) -> bool:
    try:
        async with asyncio.timeout(0.05):
            return not await reader.read(1000)
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def guarded(*, most: int = 100, of_network: int = 0, secs: float = 10.0) -> Connections:
    return Connections(most=most, most_of_network=of_network, network_of=by_port, request_secs=secs)


@pytest.mark.parametrize("says", [b"", b"GET /", b"GET / HTTP/1.1\r\nHost: x\r\nX: "])
def test_a_connection_that_asks_nothing_is_closed(says: bytes, log: list[str]) -> None:
    async def story() -> None:
        connections = guarded()
        async with listening(connections) as port:
            reader, writer = await connect(port, says)
            for _ in range(9):
                await asyncio.sleep(1.0)
                writer.write(b"a" if says else b"")
            assert not await is_closed(reader)
            assert len(connections) == 1
            await asyncio.sleep(1.5)
            assert await is_closed(reader)
            assert len(connections) == 0
            writer.close()

    virtual_time.run(story())
    assert log == ["connections: 1 closed because no request came within 10 s. 0 are open, of 100"]


def test_a_connection_that_has_asked_is_kept_for_the_next_request(log: list[str]) -> None:
    async def story() -> None:
        async with listening(guarded()) as port:
            reader, writer = await connect(port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await asyncio.sleep(25.0)
            assert (await reader.read(1000)).endswith(b"hello")
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await asyncio.sleep(1.0)
            assert (await reader.read(1000)).endswith(b"hello")
            await asyncio.sleep(31.0)
            assert await is_closed(reader)
            writer.close()

    virtual_time.run(story())
    assert log == []


async def test_the_longest_idle_makes_room_and_a_request_that_is_answered_does_not(
    log: list[str],
) -> None:
    connections = guarded(most=4)
    async with listening(connections) as port:
        busy = [await connect(port, b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n") for _ in range(2)]
        await until_busy(connections, 2)
        idle = [await connect(port) for _ in range(20)]
        assert await get(port) == "hello"
        assert [await is_closed(reader) for reader, _ in busy] == [False, False]
        assert len(connections) <= 4
        assert all([await is_closed(reader) for reader, _ in idle[:-2]])

        more = [await connect(port, b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n") for _ in range(2)]
        await until_busy(connections, 4)
        reader, refused = await connect(port)
        assert await is_closed(reader), "all that there is room for are busy"
        for _, writer in (*busy, *idle, *more):
            writer.close()
        refused.close()
    assert len(log) == 1, "one line a minute"


async def test_a_network_with_many_connections_displaces_its_own_only() -> None:
    connections = guarded(most=12, of_network=5)
    async with listening(connections) as port:
        others = [await connect(port, source="127.0.0.2") for _ in range(4)]
        many = [await connect(port) for _ in range(20)]
        assert len(connections) == 9
        assert not any([await is_closed(reader) for reader, _ in others])
        assert sum([await is_closed(reader) for reader, _ in many]) == 15
        # A third network's connections find room among those of the network with the most.
        third = [await connect(port, source="127.0.0.3") for _ in range(4)]
        assert len(connections) == 12
        assert not any([await is_closed(reader) for reader, _ in (*others, *third)])
        for _, writer in (*others, *many, *third):
            writer.close()


async def test_three_hundred_idle_connections_leave_room_under_a_limit_of_256_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (256, 256))
    connections = guarded(most=allowed_connections())
    async with listening(connections) as port:
        raw = []
        for number in range(300):
            raw.append(socket.create_connection(("127.0.0.1", port), timeout=5))
            if number % 2:
                raw[-1].send(b"GET / HTTP/1.1\r\nHost: x\r\nX: ")
            if number % 32 == 0:
                await asyncio.sleep(0)
        assert await get(port) == "hello"
        assert len(connections) <= 256 - RESERVED_FILES
        for connection in raw:
            connection.close()


@pytest.mark.parametrize(
    ("files", "most"),
    [
        (256, 128),
        (1024, 896),
        (100, 1),
        (1_048_576, MOST_CONNECTIONS),
        (resource.RLIM_INFINITY, MOST_CONNECTIONS),
    ],
)
def test_the_limit_of_files_says_how_many_connections_there_may_be(
    monkeypatch: pytest.MonkeyPatch, files: int, most: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (files, files))
    assert allowed_connections() == most


def test_a_connection_lost_twice_is_counted_once() -> None:
    async def story() -> None:
        connections = guarded()
        handler: Any = object()
        connection = connections.guard(handler)
        assert len(connections) == 0
        connections.lost(connection)  # type: ignore[arg-type] # it was never opened
        assert len(connections) == 0

    virtual_time.run(story())
