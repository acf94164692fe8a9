"""Photographs reports for docs/screens: ``python -m tests.evals.report.screens RUN OTHER``.

Both are runs of the same calls, scored by ``viva score``; the other is held against the run.
"""

import asyncio
import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.async_api import Browser, Page, async_playwright

from evals.report import report_file
from tests.end_to_end.running import CHROMIUM, FLAGS
from tests.end_to_end.screens import COLOURS, SCREENS, SIZES

Shot = tuple[str, str, int]
"""A picture's name, the element at its top, and how wide the page is."""

REPORT: tuple[Shot, ...] = (
    ("report-1280", "body", 1280),
    ("report-390", "body", 390),
    ("report-latency-1280", "#latency", 1280),
    ("report-call-1280", "article.call:has(path.cut)", 1280),
    ("report-call-390", "article.call:has(path.cut)", 390),
)
PAIR: tuple[Shot, ...] = (
    ("report-compare-1280", "#differences", 1280),
    ("report-pair-1280", "#only .changed_turn", 1280),
    ("report-pair-390", "#only .changed_turn", 390),
)


async def main(run: Path, other: Path) -> None:
    """Take every picture anew."""
    with tempfile.TemporaryDirectory() as folder:
        report_file.write([run], one := Path(folder) / "report.html")
        report_file.write([run, other], two := Path(folder) / "pair.html", truth=run / "truth.toml")
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
            for file, shots in ((one, REPORT), (two, PAIR)):
                for shot in shots:
                    await _shoot(browser, file, shot)
            await browser.close()


async def _shoot(browser: Browser, file: Path, shot: Shot) -> None:
    name, element, width = shot
    wide, high = SIZES[str(width)]
    page = await browser.new_page(viewport={"width": wide, "height": high})
    await page.goto(file.as_uri())
    await _show(page, element)
    for scheme in ("light", "dark") if width == 1280 else ("light",):
        await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        await page.wait_for_timeout(150)
        picture = Image.open(io.BytesIO(await page.screenshot()))
        path = SCREENS / f"{name}{'-dark' if scheme == 'dark' else ''}.png"
        picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    await page.close()


async def _show(page: Page, element: str) -> None:
    """Bring an element to the top, with a little of the page above it."""
    found = page.locator(element).first
    await found.evaluate("(element) => window.scrollTo(0, element.offsetTop - 24)")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
