"""No state of the page breaks a rule of WCAG 2.2 AA, light or dark, on a desk or a telephone."""

import pytest
from playwright.sync_api import Page

from tests.web.axe import violations
from tests.web.call.test_accessibility import SHOWN
from tests.web.server import PageServer
from tests.web.states import SIZES, STATES, embedded, reached

pytestmark = [pytest.mark.browser, pytest.mark.thorough]


@pytest.mark.parametrize("name", STATES)
def test_no_state_breaks_a_rule(server: PageServer, tab: Page, name: str) -> None:
    found = []
    with reached(server, tab, STATES[name]):
        for size, (width, height) in SIZES.items():
            tab.set_viewport_size({"width": width, "height": height})
            for scheme in ("light", "dark"):
                tab.emulate_media(
                    color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce"
                )
                tab.wait_for_timeout(100)
                found += [f"{size}, {scheme}: {violation}" for violation in violations(tab)]
            for control in ("talk", "mute", "hangup"):
                if tab.locator(f"#{control}").is_visible() and not tab.evaluate(SHOWN, control):
                    found.append(f"{size}: {control} is covered")
            wide = tab.evaluate("document.documentElement.scrollWidth - innerWidth")
            found += [f"{size}: {wide} px too wide"] if wide > 0 else []
    assert found == []


def test_no_frame_on_another_sites_page_breaks_a_rule(server: PageServer, tab: Page) -> None:
    """Frames are 44 rem high and as wide as their place."""
    found = []
    with reached(server, tab, embedded):
        for width in (320, 390, 844, 1280):
            tab.set_viewport_size({"width": width, "height": 704})
            for scheme in ("light", "dark"):
                tab.emulate_media(
                    color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce"
                )
                tab.wait_for_timeout(100)
                found += [f"{width}, {scheme}: {violation}" for violation in violations(tab)]
            for control in ("mute", "hangup"):
                if not tab.evaluate(SHOWN, control):
                    found.append(f"{width}: {control} is covered")
            wide = tab.evaluate("document.documentElement.scrollWidth - innerWidth")
            found += [f"{width}: {wide} px too wide"] if wide > 0 else []
    assert found == []
