"""A connection whose call is at another worker is handed over to that worker."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from operating.supervisor.handover import Handover
from operating.supervisor.supervisor_client import SupervisorClient, WorkerContext


@dataclass
class Worker:
    """One of several in this process; ``/call?resume=PLACE`` is for the one with that number."""

    number: int
    handover: Handover
    runner: web.AppRunner
    news: list[str]
    url: str = ""


@asynccontextmanager
async def worker(number: int, folder: Path) -> AsyncIterator[Worker]:
    channel, theirs = socket.socketpair()
    context = WorkerContext(
        number=number,
        workers=2,
        channel=theirs.detach(),
        address="",
        folder=str(folder),
        first=number == 0,
    )
    client, handover = SupervisorClient(context), Handover(context)

    async def call(request: web.Request) -> web.StreamResponse:
        if handover.hand_over(request, request.query["resume"]):
            return web.Response()
        answer = web.WebSocketResponse()
        await answer.prepare(request)
        await answer.send_json([number, request.raw_path, request.headers["Cookie"]])
        async for message in answer:
            await answer.send_bytes(message.data)
        return answer

    app = web.Application()
    app.router.add_get("/call", call)
    runner = web.AppRunner(app, shutdown_timeout=0.05)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server = runner.server
    assert server is not None
    news: list[str] = []
    handover.listen(
        lambda connection, request: client.open(server(), connection, request), told=news.append
    )
    try:
        port = runner.addresses[0][1]
        yield Worker(number, handover, runner, news, f"http://127.0.0.1:{port}/call")
    finally:
        handover.close()
        await runner.cleanup()
        channel.close()


async def test_another_worker_answers_and_goes_on_when_the_first_has_gone(tmp_path: Path) -> None:
    headers = {"Cookie": "session=ä%20b; other=1"}
    async with (
        worker(1, tmp_path),
        aiohttp.ClientSession(headers=headers) as session,
    ):
        async with worker(0, tmp_path) as first:
            held = await session.ws_connect(f"{first.url}?resume=1&x=%2F")
            told = await held.receive_json()
            assert told == [1, "/call?resume=1&x=/", headers["Cookie"]]
            own = await session.ws_connect(f"{first.url}?resume=0")
            assert (await own.receive_json())[0] == 0, "its own are not handed over"
            await own.close()
        for size in (1, 40_000):
            await held.send_bytes(bytes(size))
            assert await held.receive_bytes(timeout=5.0) == bytes(size)
        await held.close()


@pytest.mark.parametrize("place", ["2", "1", "", "-1", "../1", "٢", "9" * 400])
async def test_what_nobody_takes_is_answered_where_it_came(tmp_path: Path, place: str) -> None:
    async with worker(0, tmp_path) as first, aiohttp.ClientSession() as session:
        headers = {"Cookie": "none"}
        other = Handover(WorkerContext(1, 2, -1, "", str(tmp_path), first=False))
        other.listen(lambda _connection, _request: None, told=lambda _news: None)
        other.close()  # as a worker that has ended
        held = await session.ws_connect(first.url, params={"resume": place}, headers=headers)
        assert (await held.receive_json())[0] == 0
        await held.close()


async def test_a_worker_that_hangs_keeps_nobody_waiting(tmp_path: Path) -> None:
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stuck,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as others,
    ):
        stuck.bind(str(tmp_path / "1.handover"))
        others.connect(str(tmp_path / "1.handover"))
        others.setblocking(False)
        with suppress(BlockingIOError):  # its queue is full
            while True:
                others.send(bytes(1000))
        async with worker(0, tmp_path) as first, aiohttp.ClientSession() as session:
            held = await session.ws_connect(f"{first.url}?resume=1", headers={"Cookie": "none"})
            assert (await held.receive_json())[0] == 0
            await held.close()


async def test_news_reach_the_other_workers_and_a_dead_one_keeps_nobody_waiting(
    tmp_path: Path,
) -> None:
    async with worker(0, tmp_path) as first:
        first.handover.tell("address-left c-1")  # the other has not begun
        async with worker(1, tmp_path) as second:
            first.handover.tell("address-left c-2")
            second.handover.tell("address-removed c-3")
            async with asyncio.timeout(5.0):
                while not (first.news and second.news):
                    await asyncio.sleep(0.01)
        assert second.news == ["address-left c-2"]
        assert first.news == ["address-removed c-3"]
