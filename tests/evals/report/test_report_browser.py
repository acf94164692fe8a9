"""The report in a browser, from a file, as whoever gets it by mail opens it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, async_playwright

from evals.report import report_file
from evals.scoring.intervals import Interval
from evals.scoring.truth import Truth
from tests.end_to_end.running import CHROMIUM, FLAGS
from tests.evals.report import made
from tests.web import axe

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

CALL = {"barge-in": made.CALLS["barge-in"]}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = made.run(tmp_path_factory.mktemp("runs") / "today", CALL)
    report_file.write([run], out := run / "report.html")
    return out


Opened = Callable[..., AbstractAsyncContextManager[Page]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(file: Path) -> AsyncIterator[Opened]:
    """Opens the report in a page, of one browser, that must have no trouble with it."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))

        @asynccontextmanager
        async def opened(anchor: str = "", of: Path = file, **options: Any) -> AsyncIterator[Page]:
            troubles: list[str] = []
            page = await browser.new_page(**options)
            page.set_default_timeout(60_000)
            page.on("console", lambda message: troubles.append(message.text))
            page.on("pageerror", lambda error: troubles.append(str(error)))
            page.on("request", lambda request: _local(request.url, troubles))
            await page.goto(of.as_uri() + anchor)
            yield page
            await page.close()
            assert troubles == []

        yield opened
        await browser.close()


def _local(url: str, troubles: list[str]) -> None:
    if not url.startswith(("file:", "data:")):
        troubles.append(f"asked for {url}")


@pytest.mark.thorough
async def test_it_breaks_no_rule_of_accessibility(opened: Opened) -> None:
    """Links are no part of images, and headers of tables say something."""
    if not axe.SCRIPT.exists():
        pytest.skip(axe.MISSING)
    async with opened() as page:
        await page.evaluate(axe.SCRIPT.read_text(encoding="utf-8"))
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            assert await page.evaluate(axe.RUN, axe.RULES) == []


@pytest.mark.thorough
async def test_truth_is_corrected_by_keyboard_and_saved(
    opened: Opened, file: Path, tmp_path: Path
) -> None:
    """A draft becomes a truth file without a mouse, and what is wrong is told at its field."""
    report_file.write([file.parent], editor := tmp_path / "editor.html", edit_truth=True)
    async with opened(of=editor) as page:
        keys = page.keyboard
        truth = page.locator("#c1 .truth")
        await truth.locator("summary").focus()
        await keys.press("Enter")
        first = truth.locator("fieldset").first
        assert await truth.get_by_role("group", name="question").first.is_visible()
        await first.get_by_label("What it is").focus()
        await keys.type("inter")
        await keys.press("Tab")
        await keys.press("Control+A")
        await keys.type('Where "did" she study?')
        assert await truth.get_by_role("group", name="interruption").first.is_visible()
        await keys.press("Tab")  # to when it begins
        begins = await first.get_by_label("From, s").input_value()
        await keys.press("Control+A")
        await keys.type("99")
        save = page.get_by_role("button", name="Save truth.toml")
        await save.focus()
        await keys.press("Enter")
        assert await page.evaluate("document.activeElement.name") == "start"
        assert "must end after it starts" in await first.get_by_role("alert").inner_text()
        await keys.press("Control+A")
        await keys.type(begins)
        for name in ("Pauses, s", "A right answer says, by ;"):
            await first.get_by_label(name).focus()
            await keys.press("Control+A")
            await keys.type("1.5-1.8" if name == "Pauses, s" else "Vassar; Yale")
        if axe.SCRIPT.exists():
            await page.evaluate(axe.SCRIPT.read_text(encoding="utf-8"))
            assert await page.evaluate(axe.RUN, axe.RULES) == []
        assert await page.evaluate("document.documentElement.scrollWidth") == 1280
        await save.focus()
        async with page.expect_download() as saving:
            await keys.press("Enter")
        saved = tmp_path / "truth.toml"
        await (await saving.value).save_as(saved)
        assert "Saved 1 calls" in await page.get_by_role("status").inner_text()
    (call,) = Truth.load(saved).calls.values()
    (known,) = Truth.load(file.parent / "truth.toml").calls.values()
    said, *others = call.utterances
    assert (said.kind, said.text, said.says) == (
        "bargein", 'Where "did" she study?', ("Vassar", "Yale"),
    )  # fmt: skip
    assert said.pauses == (Interval(1.5, 1.8),)
    assert (said.start, said.decision) == (known.utterances[0].start, known.utterances[0].decision)
    assert tuple(others) == known.utterances[1:], "what nobody touched is as it was"


async def test_a_turn_is_heard_and_seen_where_it_is(opened: Opened) -> None:
    async with opened() as page:
        audio = page.locator("#c1-t2 audio")
        await audio.evaluate("(audio) => { audio.muted = true; return audio.play(); }")
        told = await page.wait_for_function(_PLAYED)
        played, head = await told.evaluate("(told) => [told.played, told.head]")
        # From 0.4 s before the barge-in at 5.35 s, to 0.6 s after the last word.
        assert 7 < await audio.evaluate("(audio) => audio.duration") < 9
        at = float(head[1:].split(" ")[0]) / 57
        start = float(await audio.get_attribute("data-start") or 0)
        assert start < at < start + played + 0.5
        await audio.evaluate("(audio) => audio.pause()")
        await page.wait_for_function(
            "() => !document.querySelector('#c1 .playhead').getAttribute('d')"
        )


@pytest.mark.thorough
async def test_one_turn_is_heard_at_a_time(opened: Opened) -> None:
    async with opened() as page:
        for turn in ("1", "2"):
            audio = page.locator(f"#c1-t{turn} audio")
            await audio.evaluate("(audio) => { audio.muted = true; return audio.play(); }")
        await page.wait_for_function(
            "() => [...document.querySelectorAll('audio')].map((one) => one.paused).join() "
            "=== 'true,false'"
        )


@pytest.mark.thorough
async def test_a_figure_that_is_linked_to_opens_what_is_behind_it(opened: Opened) -> None:
    async with opened("#m-stop_time") as page:
        evidence = page.locator("#m-stop_time details.evidence")
        assert await evidence.get_attribute("open") is not None
        await evidence.get_by_role("link").first.click()
        turn = page.locator(page.url[page.url.index("#") :])
        assert await turn.is_visible()
        assert await turn.evaluate("(turn) => turn.matches(':target')")


@pytest.mark.thorough
@pytest.mark.parametrize("width", [390, 768, 1280])
async def test_nothing_sticks_out_of_a_page(opened: Opened, width: int) -> None:
    async with opened(viewport={"width": width, "height": 844}) as page:
        assert await page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.thorough
async def test_light_and_dark_are_both_readable(opened: Opened) -> None:
    async with opened() as page:
        seen = {}
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme)
            seen[scheme] = await page.evaluate(_CONTRASTS)
        for scheme, contrasts in seen.items():
            poor = {what: ratio for what, ratio in contrasts.items() if ratio < 4.5}
            assert not poor, f"{scheme}: {poor}"


@pytest.mark.thorough
async def test_without_a_script_there_is_still_everything_to_read_and_hear(opened: Opened) -> None:
    async with opened(java_script_enabled=False) as page:
        assert await page.get_by_role("heading", name="Targets").is_visible()
        assert await page.locator("audio").count() == 2


@pytest.mark.thorough
async def test_those_who_do_not_see_it_are_told(opened: Opened) -> None:
    async with opened() as page:
        assert await page.get_by_role("img", name="Time line from 0 to 20 s.").is_visible()
        assert await page.get_by_role("img", name="Steps to the first sound").first.is_visible()
        levels = await page.evaluate(
            "[...document.querySelectorAll('h1, h2, h3, h4')].map((head) => +head.tagName[1])"
        )
        assert levels[0] == 1
        assert all(after - before <= 1 for before, after in pairwise(levels))


@pytest.mark.thorough
async def test_on_paper_it_is_light_and_without_what_paper_cannot_do(opened: Opened) -> None:
    async with opened() as page:
        await page.emulate_media(media="print", color_scheme="dark")
        assert await page.evaluate("getComputedStyle(document.body).backgroundColor") == (
            "rgb(255, 255, 255)"
        )
        assert not await page.locator("audio").first.is_visible()
        assert await page.locator(".timeline-row svg").first.is_visible()


# How much of a turn has been played, and where the playhead is; nothing before a fifth of a second.
_PLAYED = """() => {
  const played = document.querySelector('#c1-t2 audio').currentTime;
  const head = document.querySelector('#c1 .playhead').getAttribute('d');
  return played > 0.2 && head ? { played, head } : null;
}"""

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
