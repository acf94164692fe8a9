"""No state of the page breaks a rule of WCAG 2.2 AA, light or dark, on a desk or a telephone."""

import pytest
from playwright.sync_api import Page

from tests.web.axe import violations
from tests.web.call.test_accessibility import SHOWN
from tests.web.server import PageServer
from tests.web.states import SIZES, STATES, reached

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
