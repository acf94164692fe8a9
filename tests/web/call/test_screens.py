"""Landing, call and ended, telephone to desk, light and dark: nothing overflows."""

import asyncio
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.web.conftest import until
from tests.web.scene import whole_call
from tests.web.server import PageServer, Peer

pytestmark = pytest.mark.browser

WIDTHS = {320: 640, 390: 844, 768: 1024, 1280: 800, 1440: 900}


def fits(page: Page, folder: Path, name: str, *, drawn: bool) -> None:
    for width, height in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": height})
        for scheme in ("light", "dark") if drawn else ():
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            page.screenshot(path=folder / f"{name}-{width}-{scheme}.png")
        over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert over <= 0, f"{name} is {over} px too wide at {width} px"


@pytest.mark.parametrize("drawn", [False, pytest.param(True, marks=pytest.mark.thorough)])
@pytest.mark.thorough
def test_screens(server: PageServer, page: Page, tmp_path: Path, drawn: bool) -> None:
    shot = asyncio.Event()

    async def script(peer: Peer) -> None:
        await whole_call(peer, pace=0.6, over=shot)

    server.script = script
    fits(page, tmp_path, "landing", drawn=drawn)
    page.get_by_role("button", name="Call Viva").click()
    until(page, "viva.state === 'speaking' && viva.litLines.length")
    fits(page, tmp_path, "call", drawn=drawn)
    for name in ("Mute", "Hang up"):
        assert page.get_by_role("button", name=name).is_visible()
    server.run(shot.set)
    until(page, "viva.state === 'ended'")
    fits(page, tmp_path, "ended", drawn=drawn)
    assert len(list(tmp_path.glob("*.png"))) == (3 * len(WIDTHS) * 2 if drawn else 0)
