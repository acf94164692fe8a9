"""Pipecat's official client, unchanged, in real Chromium, calls Viva from another site."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Page, expect

from client.wav import OUTPUT_RATE
from tests.conftest import ServerFactory
from tests.end_to_end.running import chromium, microphone, recognised

pytestmark = pytest.mark.browser

GREETING_SECS = 7.0
"""The caller's silence while they are greeted."""

PAGE = """<!doctype html><meta charset="utf-8"><title>An RTVI client</title>
<p id="state"></p><p id="audio"></p><ol id="transcript"></ol><ol id="output"></ol>
<ol id="said"></ol><ol id="interrupted"></ol><ol id="refused"></ol><ol id="errors"></ol>
<script type="module" src="page.js"></script>"""

_AUDIO = """async () => {
  const bytes = new Uint8Array(await new Blob(rtvi.audio).arrayBuffer());
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}"""


@pytest.fixture
async def site(bundle: str) -> AsyncIterator[str]:
    """The origin of a site that is not Viva's, with a page that calls Viva."""
    app = web.Application()
    for path, kind, text in (("/", "text/html", PAGE), ("/page.js", "text/javascript", bundle)):
        app.router.add_get(path, partial(_answer, kind, text))
    async with TestServer(app) as server:
        yield str(server.make_url("/")).rstrip("/")


async def _answer(kind: str, text: str, _request: web.Request) -> web.Response:
    return web.Response(content_type=kind, text=text)


@asynccontextmanager
async def opened(site: str, speech: Path) -> AsyncIterator[Page]:
    """The site's page, in a browser whose microphone hears a file."""
    async with chromium(speech) as browser:
        page = await browser.new_page()
        page.set_default_timeout(60_000)
        await page.goto(site)
        await page.wait_for_function("Boolean(window.rtvi?.call)")
        yield page


def address(listening: Any) -> str:
    return str(listening.make_url("/rtvi")).replace("http", "ws", 1)


@pytest.mark.thorough
@pytest.mark.real_time
async def test_the_official_client_holds_a_call(
    site: str, serving: ServerFactory, engines: Any, tmp_path: Path
) -> None:
    speech = microphone(
        tmp_path / "speech.wav",
        GREETING_SECS,
        "first-compiler.wav",
        1.5,
        "where-studied.wav",
        20.0,
    )
    async with serving(rtvi_origins=site) as (server, listening), opened(site, speech) as page:
        ready = await page.evaluate("(url) => rtvi.call(url)", address(listening))
        assert ready["version"].startswith("2.")
        assert ready["about"]["library"] == "viva"
        await expect(page.locator("#state")).to_have_text("ready")
        await expect(page.locator("#output li").first).to_contain_text("Viva")

        # What Viva has no answer for is refused in RTVI's words, and the call goes on.
        assert "dance" in await page.evaluate("rtvi.ask('dance')")
        for _ in range(4):
            await page.evaluate("rtvi.tell('typed')")
        await expect(page.locator("#refused li")).to_have_count(5)

        await page.wait_for_function(
            "rtvi.messages.filter((one) => one.type === 'turn').length === 2", timeout=120_000
        )
        first, second = await page.evaluate("rtvi.messages.filter((one) => one.type === 'turn')")
        said = await page.locator("#said li").all_inner_texts()
        samples = np.frombuffer(base64.b64decode(await page.evaluate(_AUDIO)), "<i2") / 32768
        happened = await page.evaluate("rtvi.events")

        await expect(page.locator("#transcript")).to_contain_text("compiler")
        await expect(page.locator("#transcript")).to_contain_text("study")
        output = await page.locator("#output li").all_inner_texts()
        assert second["answer"] in " ".join(output)
        assert second["answer"] in " ".join(said)
        await expect(page.locator("#interrupted li")).to_have_text([first["heard_text"]])
        assert await page.locator("#errors li").all_inner_texts() == []

        await page.evaluate("rtvi.hangup()")
        await expect(page.locator("#state")).to_have_text("disconnected")
        async with asyncio.timeout(60):
            while server.calls:
                await asyncio.sleep(0.02)

    assert first["interrupted"]
    assert len(first["heard_text"]) < len(first["answer"])
    assert second["heard_text"] == second["answer"]
    names = [event["event"] for event in happened]
    assert names[0] == "ready"
    assert names.count("bot-started") == names.count("bot-stopped") == 3
    assert names.count("llm-started") == names.count("llm-stopped") == 2
    assert names.count("metrics") == 2

    assert len(samples) > 4 * OUTPUT_RATE
    last = [event["samples"] for event in happened if event["event"] == "tts-started"][-1]
    heard = await recognised(engines, samples[last:], OUTPUT_RATE)
    assert "vassar" in heard or "yale" in heard
    assert "compiler" not in heard, "nothing of the first answer follows the interruption"


@pytest.mark.thorough
async def test_a_site_that_is_not_named_is_refused(
    site: str, serving: ServerFactory, tmp_path: Path
) -> None:
    async with (
        serving() as (server, listening),
        opened(site, microphone(tmp_path / "silence.wav", 5.0)) as page,
    ):
        refused = await page.evaluate(
            "(url) => rtvi.call(url).catch((error) => error.message)", address(listening)
        )
        assert "Failed to connect" in refused
        assert not server.calls
