"""Calls on a real server by those who type, and on a page of another site, in Chromium."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.end_to_end.conftest import Servers
from tests.end_to_end.running import CHROMIUM, Viva, chromium, microphone, opened, until
from tests.web.call.test_embed import site

pytestmark = [
    pytest.mark.real_time,
    pytest.mark.thorough,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="calls on the page need Debian's chromium"),
]


async def test_a_whole_call_by_typing(servers: Servers, tmp_path: Path) -> None:
    """By keyboard alone, without a microphone, from the first question to the transcript."""
    async with chromium(microphone(tmp_path / "silence.wav", 1.0)) as browser:
        page = await opened(browser, servers("").url, viewport={"width": 1280, "height": 800})
        await page.get_by_role("button", name="Type, without a microphone").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("textbox", name="Your question")).to_be_focused()
        await until(page, "viva.state === 'listening' && viva.samplesPlayed > 0")
        asked = ("Where did she study mathematics?", "And what was her salary?", "goodbye")
        for turn, question in enumerate(asked, 1):
            await page.keyboard.type(question)
            await page.keyboard.press("Enter")
            if turn < len(asked):
                await until(page, f"viva.turns.length >= {turn} && viva.state === 'listening'")
        await until(page, "viva.state === 'ended'")
        assert await page.evaluate("microphones.length") == 0
        studied, salary, *_ = await page.evaluate("viva.turns")
        assert (studied["question"], studied["sections"]) == (asked[0], ["education"])
        assert studied["heard_text"] == studied["answer"]
        assert (salary["decision"], salary["reason"]) == ("escalate", "sensitive")
        said = page.get_by_role("list", name="What was said").get_by_role("listitem")
        await expect(said.nth(1)).to_contain_text(f"You: {asked[0]}")
        await expect(page.get_by_role("button", name="Call again")).to_be_visible()


async def test_a_whole_call_on_another_sites_page(tmp_path: Path) -> None:
    """Which is of another origin, and forbids everything but Viva's script and frame."""
    speech = microphone(tmp_path / "speech.wav", 9.0, "where-studied.wav", 30.0)
    port = 0
    with site(lambda: f"http://127.0.0.1:{port}") as address:
        origin = address.rstrip("/")
        with Viva(EMBED_ORIGINS=origin, AUTH="link") as viva:
            viva.loaded()
            port = int(viva.url.rpartition(":")[2])
            async with chromium(speech) as browser:
                page = await browser.new_page(viewport={"width": 1280, "height": 800})
                complaints: list[str] = []
                page.on(
                    "console",
                    lambda said: complaints.append(said.text) if said.type == "error" else None,
                )
                await page.goto(address)
                frame = page.frame_locator("iframe")
                await frame.get_by_role("button", name="Call Viva").click()
                said = frame.get_by_role("list", name="What was said")
                await expect(said).to_contain_text("Where did she study", timeout=60_000)
                await expect(said).to_contain_text("Yale", timeout=60_000)
                await expect(
                    frame.locator("#document .line").filter(has_text="Yale").first
                ).to_be_visible()
                await frame.get_by_role("button", name="Hang up").click()
                await expect(frame.get_by_role("button", name="Call again")).to_be_visible()
            assert complaints == []
