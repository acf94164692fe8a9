"""Whoever signs in with one worker is known to all of them."""

import asyncio
import re
import signal

import pytest
from aiohttp import ClientSession, CookieJar

from tests.end_to_end.running import Viva
from tests.operating.many_calls import simulated_clouds

NEW = {"Connection": "close"}
"""Each request comes to whichever worker has most room."""


@pytest.mark.thorough
async def test_one_link_is_printed_and_signs_in_with_every_worker() -> None:
    async with simulated_clouds() as clouds:  # nobody calls, so no models need be loaded
        await signs_in(await asyncio.to_thread(lambda: Viva(**clouds, WORKERS="2", AUTH="link")))


async def signs_in(viva: Viva) -> None:
    try:
        assert viva.process.stdout is not None
        said = [await asyncio.to_thread(viva.process.stdout.readline) for _ in range(3)]
        assert "once, within 15 minutes" in said[0]
        assert said[2] == "Press Ctrl-C to stop.\n"
        address, _, token = said[1].strip().partition("#")
        assert address == f"{viva.url}/sign-in/link"
        await asyncio.to_thread(viva.loaded)
        while "in all 2 workers" not in viva.stderr:
            await asyncio.sleep(0.1)
        async with ClientSession(cookie_jar=CookieJar(unsafe=True), headers=NEW) as session:
            async with session.get(f"{viva.url}/account.json") as answer:
                assert answer.status == 401
            async with session.get(address) as page:
                form = re.search(r'name="form" value="([^"]+)"', await page.text())
            assert form is not None
            fields = {"form": form[1], "token": token}
            async with session.post(address, data=fields) as entered:
                assert entered.status == 200
            answers = []
            for _ in range(6):
                async with session.get(f"{viva.url}/account.json") as answer:
                    answers.append(answer.status)
            assert answers == [200] * 6
            again = ClientSession(cookie_jar=CookieJar(unsafe=True), headers=NEW)
            async with again, again.post(address, data=fields) as refused:
                assert refused.status >= 400, "it works once, with whichever worker"
        assert viva.stop(signal.SIGINT, timeout_secs=60.0) == 0
        assert viva.left == []
    finally:
        viva.kill()
