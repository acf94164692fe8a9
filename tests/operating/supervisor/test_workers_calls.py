"""Calls over two workers that share a database, its money, and a port."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families
from yarl import URL

from processors.brain.guardrails import promises
from tests.databases import preferably
from tests.end_to_end.running import Viva
from tests.operating.many_calls import play, simulated_clouds
from tests.transports.resuming import ResumingCaller


@asynccontextmanager
async def on_two_workers() -> AsyncIterator[tuple[Viva, aiohttp.ClientSession, ResumingCaller]]:
    """A server of two workers and a call at one of them, which is hung up at the end."""
    async with simulated_clouds() as clouds, aiohttp.ClientSession() as session:
        viva = await asyncio.to_thread(lambda: Viva(**clouds, WORKERS="2"))
        try:
            async with asyncio.timeout(120):
                while "loaded in all 2 workers" not in viva.stderr:
                    await asyncio.sleep(0.1)
            caller = ResumingCaller(URL(viva.socket_url), session)
            await caller.call()
            yield viva, session, caller
            caller.wire.hang_up()
            await caller.until("end")
            caller.lose()
            assert await asyncio.to_thread(viva.stop, signal.SIGINT, timeout_secs=60.0) == 0
        finally:
            viva.kill()


@pytest.mark.thorough
@pytest.mark.real_time
@preferably("postgresql")
async def test_calls_are_spread_the_cap_holds_and_a_dead_worker_takes_only_its_own_with_it(
    database_url: str,
) -> None:
    outcome = await play(4, database_url=database_url, workers=2, beyond=1)
    assert outcome.faults() == []
    assert outcome.written["hangup"] == outcome.went_on + 1


@pytest.mark.thorough
@pytest.mark.real_time
async def test_an_answer_goes_on_whichever_worker_the_page_comes_back_to() -> None:
    """The supervisor gives a new connection to the worker without a call: always the other one."""

    async def taken(session: aiohttp.ClientSession) -> dict[str, float]:
        async with session.get(f"{viva.url}/metrics") as answer:
            return {
                sample.labels["worker"]: sample.value
                for family in text_string_to_metric_families(await answer.text())
                for sample in family.samples
                if sample.name == "viva_calls_open"
            }

    async with on_two_workers() as (viva, session, caller):
        before = await taken(session)
        caller.wire.type("Where did she study?")
        await caller.until("bot-started-speaking")
        caller.lose()
        await asyncio.sleep(10.0)
        heard = caller.samples
        await caller.come_back()
        await caller.until("turn")
        assert caller.samples > heard, "the answer went on"
        assert caller.wire.received == caller.samples, "each sample came once"
        assert await taken(session) == before
        assert sorted(before.values()) == [0.0, 1.0]


@pytest.mark.thorough
@pytest.mark.real_time
async def test_an_address_left_at_one_worker_is_known_to_the_call_at_another() -> None:
    """The supervisor gives the page's request to the worker without a call: the other one."""
    async with on_two_workers() as (viva, session, caller):

        async def asked() -> str:
            caller.said.clear()
            caller.wire.type("What is her favourite film?")
            await caller.until("turn")
            return " ".join(caller.said)

        assert not promises(await asked())
        url, origin = f"{viva.url}/calls/{caller.wire.call}/address", {"Origin": viva.url}
        left = {"address": "jo@example.com"}
        async with session.put(url, json=left, headers=origin) as answer:
            assert answer.status == 204
        assert promises(await asked())
        async with session.delete(url, headers=origin) as answer:
            assert answer.status == 204
        assert not promises(await asked())
