"""Photographs the page for docs/screens: ``python -m tests.end_to_end.screens``.

Each is taken of a call on the real server, by the caller of the tests.
"""

import asyncio
import email
import io
import tempfile
from email.policy import default
from pathlib import Path

from PIL import Image
from playwright.async_api import Page

from tests.end_to_end.running import Viva, chromium, microphone, opened, until
from tests.engines import run_in

SCREENS = Path(__file__).parents[2] / "docs" / "screens"
SIZES = {
    "1440": (1440, 900),
    "1280": (1280, 800),
    "390": (390, 844),
    "844x390": (844, 390),
}
COLOURS = 128
ADMIN = "ada@example.com"


async def main() -> None:
    """Take every picture anew."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as run:
        run_in(Path(run))
        await _photograph()


async def _photograph() -> None:
    patient = {"ADMINS": ADMIN, "SILENCE_PROMPT_SECS": "600"}
    with tempfile.TemporaryDirectory() as folder, Viva(DATA_DIR=folder, **patient) as viva:
        viva.loaded()
        speech = microphone(
            Path(folder) / "speech.wav", 12.0, "where-studied.wav", 14.0, "first-compiler.wav"
        )
        for size in SIZES:
            await _photograph_call(viva, speech, size)
        await _photograph_log(viva, speech)
        await _photograph_report(Path(folder) / "outbox", speech)
    with Viva(AUTH="link") as viva, tempfile.TemporaryDirectory() as folder:
        silence = microphone(Path(folder) / "silence.wav", 1.0)
        async with chromium(silence) as browser:
            page = await browser.new_page(viewport={"width": 1280, "height": 800})
            await page.goto(viva.url)
            await _shoot(page, "sign-in-1280")


async def _photograph_call(viva: Viva, speech: Path, size: str) -> None:
    """A landing page, a second answer in the middle, and the end of the call."""
    wide, high = SIZES[size]
    async with chromium(speech) as browser:
        page = await opened(browser, viva.url, viewport={"width": wide, "height": high})
        await _shoot(page, f"landing-{size}")
        await page.get_by_role("button", name="Call Viva").click()
        await until(page, "viva.sentencesLit.some((line) => line.turn === 2)", secs=90)
        await page.wait_for_timeout(1500)
        await _shoot(page, f"call-{size}")
        await until(page, "viva.transcript.some((entry) => entry.turn === 2 && entry.record)")
        await page.get_by_role("button", name="Hang up").click()
        await until(page, "viva.state === 'ended'")
        await page.wait_for_timeout(600)
        await _shoot(page, f"ended-{size}")


async def _photograph_log(viva: Viva, speech: Path) -> None:
    """The log of those calls, and one of them."""
    wide, high = SIZES["1280"]
    async with chromium(speech) as browser:
        page = await browser.new_page(viewport={"width": wide, "height": high})
        await page.goto(f"{viva.url}/calls")
        await page.get_by_role("row").nth(1).wait_for()
        await _shoot(page, "calls-1280")
        found = await page.evaluate("fetch('/calls.json').then((answer) => answer.json())")
        await page.goto(f"{viva.url}/calls/{found['calls'][0]['id']}")
        await page.get_by_text("Where did she study mathematics?").first.wait_for()
        await _shoot(page, "one-call-1280")


def _latest(outbox: Path) -> str:
    """The HTML of the last letter in a folder."""
    letter = email.message_from_bytes(max(outbox.glob("*.eml")).read_bytes(), policy=default)
    body = letter.get_body(("html",))
    assert body is not None
    return str(body.get_content())


async def _photograph_report(outbox: Path, speech: Path) -> None:
    """The mail about the last of those calls."""
    html = _latest(outbox)
    async with chromium(speech) as browser:
        page = await browser.new_page(viewport={"width": 640, "height": 900})
        await page.set_content(html)
        await _shoot(page, "report-640")


async def _shoot(page: Page, name: str) -> None:
    schemes = ("light", "dark") if name.endswith(("1280", "1440")) else ("light",)
    for scheme in schemes:
        await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        await page.wait_for_timeout(150)
        picture = Image.open(io.BytesIO(await page.screenshot()))
        path = SCREENS / f"{name}{'-dark' if scheme == 'dark' else ''}.png"
        picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    await page.emulate_media(color_scheme="light")


if __name__ == "__main__":
    asyncio.run(main())
