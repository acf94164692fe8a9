"""Photographs the page for docs/screens: ``python -m tests.end_to_end.screens``.

Each is taken of a call on the real server, by the caller of the tests.
"""

import asyncio
import io
import tempfile
from pathlib import Path

from PIL import Image
from playwright.async_api import Page

from tests.end_to_end.running import Viva, chromium, microphone, opened, until

SCREENS = Path(__file__).parents[2] / "docs" / "screens"
SIZES = {1280: (1280, 800), 390: (390, 844)}
COLOURS = 128


async def main() -> None:
    """Take every picture anew."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    with Viva() as viva, tempfile.TemporaryDirectory() as folder:
        viva.loaded()
        speech = microphone(
            Path(folder) / "speech.wav", 7.0, "where-studied.wav", 2.0, "first-compiler.wav"
        )
        for width in SIZES:
            await _photograph_call(viva, speech, width)


async def _photograph_call(viva: Viva, speech: Path, width: int) -> None:
    """A landing page, a second answer in the middle, and the end of the call."""
    wide, high = SIZES[width]
    async with chromium(speech) as browser:
        page = await opened(browser, viva.url, viewport={"width": wide, "height": high})
        await _shoot(page, f"landing-{width}")
        await page.get_by_role("button", name="Call Viva").click()
        await until(page, "viva.sentencesLit.some((line) => line.turn === 2)", secs=45)
        await page.wait_for_timeout(1500)
        await _shoot(page, f"call-{width}")
        await until(page, "viva.transcript.some((entry) => entry.turn === 2 && entry.record)")
        await page.get_by_role("button", name="Hang up").click()
        await until(page, "viva.state === 'ended'")
        await page.wait_for_timeout(600)
        await _shoot(page, f"ended-{width}")


async def _shoot(page: Page, name: str) -> None:
    schemes = ("light", "dark") if name.endswith("1280") else ("light",)
    for scheme in schemes:
        await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        await page.wait_for_timeout(150)
        picture = Image.open(io.BytesIO(await page.screenshot()))
        path = SCREENS / f"{name}{'-dark' if scheme == 'dark' else ''}.png"
        picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    await page.emulate_media(color_scheme="light")


if __name__ == "__main__":
    asyncio.run(main())
