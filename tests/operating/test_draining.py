"""A server that stops, and one that has as many calls as it can carry."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientSession

from server import Server
from tests.conftest import ServerFactory
from tests.operating.callers import QuietCaller


class Scene:
    """A server and those who call it."""

    def __init__(self, server: Server, listening: Any) -> None:
        self.server = server
        self.listening = listening
        self._calls: list[asyncio.Task[QuietCaller]] = []

    async def call(self) -> QuietCaller:
        """Somebody who calls, once their call has begun or been refused."""
        caller = QuietCaller(str(self.listening.make_url("/call")).replace("http", "ws", 1))
        self._calls.append(asyncio.create_task(caller.run()))
        await asyncio.wait_for(caller.began.wait(), 60.0)
        return caller

    async def get(self, path: str) -> tuple[int, str]:
        async with ClientSession() as session, session.get(self.listening.make_url(path)) as answer:
            return answer.status, await answer.text()

    async def over(self) -> None:
        """Wait until every caller's call is over."""
        await asyncio.wait_for(asyncio.gather(*self._calls), 60.0)


@asynccontextmanager
async def scene(serving: ServerFactory, **settings: Any) -> AsyncIterator[Scene]:
    async with serving(**settings) as (server, listening):
        await server.loading.ready()
        yield Scene(server, listening)


async def test_a_draining_server_turns_callers_away_in_words_and_lets_open_calls_finish(
    serving: ServerFactory,
) -> None:
    async with scene(serving) as at:
        early = await at.call()
        finishing = asyncio.create_task(at.server.let_finish())
        await asyncio.sleep(0.1)
        late = await at.call()
        assert late.ended == "shutdown"
        status, body = await at.get("/readyz")
        assert status == 503
        assert "The server is shutting down." in body
        heard = early.heard_bytes
        async with asyncio.timeout(60.0):
            while early.heard_bytes == heard:  # the greeting goes on
                await asyncio.sleep(0.02)
        assert early.open
        assert not finishing.done()
        early.hang_up()
        await asyncio.wait_for(finishing, 60.0)
        await at.over()
        assert early.ended == "hangup"


async def test_calls_that_do_not_finish_are_ended_politely(serving: ServerFactory) -> None:
    async with scene(serving) as at:
        callers = [await at.call() for _ in range(3)]
        await at.server._drain(at.listening.app)
        await at.over()
        assert [caller.ended for caller in callers] == ["shutdown"] * 3


async def test_a_late_event_loop_refuses_further_calls_but_not_the_first(
    serving: ServerFactory,
) -> None:
    async with scene(serving, max_lag_secs=0.05) as at:
        for _ in range(4):
            time.sleep(0.3)  # noqa: ASYNC251  # that is what holds a loop up
            await asyncio.sleep(0.4)
        status, body = await at.get("/readyz")
        assert status == 503
        assert "ms late; calls are accepted again below 25 ms." in body
        first = await at.call()
        assert first.open, "a process without calls is late for another reason"
        _, metrics = await at.get("/metrics")
        assert "viva_taking_calls 0.0" in metrics
        second = await at.call()
        assert second.ended == "capacity"
        _, metrics = await at.get("/metrics")
        assert 'viva_calls_refused_total{why="capacity"} 1.0' in metrics
        first.hang_up()
        await at.over()
