"""The report in a browser, from a file, as whoever gets it by mail opens it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright

from evals import report
from tests.end_to_end.running import CHROMIUM, FLAGS
from tests.evals import made

pytestmark = pytest.mark.browser

CALL = {"barge-in": made.CALLS["barge-in"]}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = made.run(tmp_path_factory.mktemp("runs") / "today", CALL)
    report.write([run], out := run / "report.html")
    return out


@asynccontextmanager
async def opened(file: Path, anchor: str = "", **options: Any) -> AsyncIterator[Page]:
    """The report in a page that must have no trouble with it."""
    troubles: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        page = await browser.new_page(**options)
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda request: _local(request.url, troubles))
        await page.goto(file.as_uri() + anchor)
        yield page
        await browser.close()
    assert troubles == []


def _local(url: str, troubles: list[str]) -> None:
    if not url.startswith(("file:", "data:")):
        troubles.append(f"asked for {url}")


async def test_a_turn_is_heard_and_seen_where_it_is(file: Path) -> None:
    async with opened(file) as page:
        audio = page.locator("#c1-t2 audio")
        await audio.evaluate("(audio) => { audio.muted = true; return audio.play(); }")
        await page.wait_for_timeout(600)
        played = await audio.evaluate("(audio) => [audio.duration, audio.currentTime]")
        # From 0.4 s before the barge-in at 5.35 s, to 0.6 s after the last word.
        assert 7 < played[0] < 9
        assert played[1] > 0.2
        head = await page.locator("#c1 .playhead").first.get_attribute("d")
        assert head
        at = float(head[1:].split(" ")[0]) / 57
        start = float(await audio.get_attribute("data-start") or 0)
        assert start < at < start + 1.5
        await audio.evaluate("(audio) => audio.pause()")
        await page.wait_for_timeout(100)
        assert not await page.locator("#c1 .playhead").first.get_attribute("d")


async def test_one_turn_is_heard_at_a_time(file: Path) -> None:
    async with opened(file) as page:
        for turn in ("1", "2"):
            audio = page.locator(f"#c1-t{turn} audio")
            await audio.evaluate("(audio) => { audio.muted = true; return audio.play(); }")
        await page.wait_for_timeout(100)
        paused = await page.evaluate(
            "[...document.querySelectorAll('audio')].map((audio) => audio.paused)"
        )
        assert paused == [True, False]


async def test_a_figure_that_is_linked_to_opens_what_is_behind_it(file: Path) -> None:
    async with opened(file, "#m-stop_time") as page:
        evidence = page.locator("#m-stop_time details.evidence")
        assert await evidence.get_attribute("open") is not None
        await evidence.get_by_role("link").first.click()
        turn = page.locator(page.url[page.url.index("#") :])
        assert await turn.is_visible()
        assert await turn.evaluate("(turn) => turn.matches(':target')")


@pytest.mark.parametrize("width", [390, 768, 1280])
async def test_nothing_sticks_out_of_a_page(file: Path, width: int) -> None:
    async with opened(file, viewport={"width": width, "height": 844}) as page:
        assert await page.evaluate("document.documentElement.scrollWidth") == width


async def test_light_and_dark_are_both_readable(file: Path) -> None:
    async with opened(file) as page:
        seen = {}
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme)
            seen[scheme] = await page.evaluate(_CONTRASTS)
        for scheme, contrasts in seen.items():
            poor = {what: ratio for what, ratio in contrasts.items() if ratio < 4.5}
            assert not poor, f"{scheme}: {poor}"


async def test_without_a_script_there_is_still_everything_to_read_and_hear(file: Path) -> None:
    async with opened(file, java_script_enabled=False) as page:
        assert await page.get_by_role("heading", name="Against the targets").is_visible()
        assert await page.locator("audio").count() == 2


async def test_those_who_do_not_see_it_are_told(file: Path) -> None:
    async with opened(file) as page:
        assert await page.get_by_role("img", name="Time line from 0 to 20 s.").is_visible()
        assert await page.get_by_role("img", name="Steps to the first sound").first.is_visible()
        levels = await page.evaluate(
            "[...document.querySelectorAll('h1, h2, h3, h4')].map((head) => +head.tagName[1])"
        )
        assert levels[0] == 1
        assert all(after - before <= 1 for before, after in pairwise(levels))


async def test_on_paper_it_is_light_and_without_what_paper_cannot_do(file: Path) -> None:
    async with opened(file) as page:
        await page.emulate_media(media="print", color_scheme="dark")
        assert await page.evaluate("getComputedStyle(document.body).backgroundColor") == (
            "rgb(255, 255, 255)"
        )
        assert not await page.locator("audio").first.is_visible()
        assert await page.locator(".stave svg").first.is_visible()


# Contrast (WCAG 2.2) of what is written, by what it is, against the paper.
_CONTRASTS = """() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const light = (colour) => {
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = light(getComputedStyle(document.body).backgroundColor);
  const ratio = (colour) => {
    const [low, high] = [light(colour), paper].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const found = {};
  for (const what of ['body', '.quiet', '.more', '.verdict.met', '.verdict.missed', '.grounds',
    '.against', 'code', '.at', 'svg text', 'text.agent', 'text.said', '.unheard, del']) {
    const element = document.querySelector(what);
    if (!element) continue;
    const style = getComputedStyle(element);
    found[what] = ratio(element.closest('svg') ? style.fill : style.color);
  }
  return found;
}"""
