"""Five seconds before a call: level, loudspeaker, echo and connection, in words."""

from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.web.axe import violations
from tests.web.server import PageServer

pytestmark = pytest.mark.browser

VERDICT = """async (measured) => {
  const { verdictOf } = await import('/web/call/check-verdict.js');
  for (const phase of ['quiet', 'played', 'spoken']) {
    measured[phase] = measured[phase].map((frame) => Int16Array.from(frame));
  }
  return verdictOf(measured);
}"""
AT = np.arange(512) / 16_000


def frames(level: float, *, note: float = 0.0, count: int = 6) -> list[list[int]]:
    """A room, or a voice, of that level, with a note in it; amplitudes of 1."""
    noise = np.random.default_rng(1).normal(0, level, (count, 512))
    sound = noise + note * np.sin(2 * np.pi * 880 * AT)
    made: list[list[int]] = np.round(np.clip(sound, -1, 1) * 32767).astype(int).tolist()
    return made


GOOD: dict[str, Any] = {
    **{"quiet": frames(1e-4), "played": frames(1e-4, note=5e-4), "spoken": frames(0.05)},
    **{"rate": 16_000, "trips": [40, 46, 42], "up": 1200.0, "down": 5000.0},
}
SILENT = [[0] * 512] * 6


@pytest.mark.parametrize(
    ("odd", "kind", "text"),
    [
        ({}, "good", "You are heard well."),
        ({}, "good", "plays, and little of it comes back, 54 dB below"),
        ({}, "good", "42 ms, ± 5 ms, 5.0 Mbit/s down, 1.2 Mbit/s up"),
        ({"quiet": SILENT, "spoken": SILENT}, "bad", "No sound comes from the microphone."),
        ({"spoken": frames(1e-4)}, "bad", "not heard above the room"),
        ({"quiet": frames(1e-5), "spoken": frames(8e-4)}, "warn", "heard faintly"),
        ({"spoken": frames(0.9)}, "warn", "too loud for the microphone"),
        ({"quiet": frames(0.02), "spoken": frames(0.2)}, "warn", "loud around you"),
        ({"played": frames(1e-4, note=0.025)}, "warn", "comes back into the microphone, 20 dB"),
        ({"played": frames(1e-4)}, "good", "as with headphones"),
        ({"trips": []}, "bad", "could not be reached"),
        ({"up": None}, "warn", "slow: 42 ms, ± 5 ms, 5.0 Mbit/s down, too little up"),
        ({"down": 300.0}, "warn", "slow"),
        ({"trips": [400, 410, 405]}, "warn", "is long"),
        ({"trips": [40, 240, 60]}, "warn", "unsteady"),
    ],
)
def test_what_is_measured_is_told(blank: Page, odd: dict[str, Any], kind: str, text: str) -> None:
    verdict = blank.evaluate(VERDICT, GOOD | odd)
    assert [each["kind"] for each in verdict["said"] if text in each["text"]] == [kind], verdict
    assert verdict["hold"] == ("loud around" in text or "comes back into" in text)


@pytest.mark.thorough
def test_a_check_is_remembered_for_a_day(server: PageServer, page: Page) -> None:
    page.get_by_text("Check sound and connection").click()
    page.get_by_role("button", name="Check", exact=True).click()
    expect(page.get_by_text("Be quiet for a second.")).to_be_visible()
    expect(page.get_by_text("Now say a few words.")).to_be_visible()
    expect(page.get_by_text("Checked at")).to_be_visible()
    said = page.locator("#check-said li").all_text_contents()
    assert any("loud around you" in text for text in said), "a tone is in the room"
    assert any("The connection" in text for text in said)
    assert violations(page) == []
    page.reload()
    page.get_by_text("Check sound and connection").click()
    assert page.locator("#check-said li").all_text_contents() == said
    page.clock.install(time="2100-01-01")
    page.reload()
    assert page.locator("#check-said li").count() == 0


def test_a_damaged_memory_of_a_check_does_not_keep_the_page_from_starting(
    server: PageServer, page: Page
) -> None:
    page.evaluate("localStorage.setItem('check', '{\"at\":')")
    page.reload()
    page.wait_for_selector("main section")
    expect(page.get_by_role("button", name="Call Viva")).to_be_enabled()
    page.evaluate("localStorage.removeItem('check')")
