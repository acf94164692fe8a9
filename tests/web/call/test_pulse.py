"""A network that goes without a word: the page notices, and says that the line dropped."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.web.conftest import until
from tests.web.scene import greet
from tests.web.server import PageServer, Peer

pytestmark = pytest.mark.browser

BEATS = """async (heardAfter) => {
  const { Pulse } = await import('/web/call/pulse.js');
  let now = 0;
  let beat = null;
  const asked = [];
  const lost = [];
  const time = { now: () => now, every: (run) => { beat = run; } };
  const pulse = new Pulse((sent) => asked.push(sent), () => lost.push(now), time);
  pulse.start();
  for (const secs of heardAfter) {
    now += 1;
    beat();
    if (secs !== null) {
      now += secs;
      pulse.heard();
    }
  }
  return { asked, lost };
}"""


def test_an_answer_however_slow_is_a_sign_of_life(blank: Page) -> None:
    found: dict[str, Any] = blank.evaluate(BEATS, [0.1, 2.4, None, None, 0.5, 60.0, 0.1])
    assert found["lost"] == []
    assert len(found["asked"]) == 7


def test_what_answers_nothing_for_seven_seconds_is_gone(blank: Page) -> None:
    found: dict[str, Any] = blank.evaluate(BEATS, [0.0, *[None] * 8])
    assert found["asked"] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert found["lost"] == [9], "7 s after the first question without an answer"


async def hold(peer: Peer) -> None:
    await greet(peer, secs=0.2)
    await peer.closed.wait()


@pytest.mark.thorough
def test_a_browser_that_is_offline_says_so_until_it_is_not(server: PageServer, page: Page) -> None:
    server.script = hold
    page.get_by_role("button", name="Call Viva").click()
    until(page, "viva.state === 'listening' && viva.samplesPlayed > 0")
    page.evaluate("dispatchEvent(new Event('offline'))")
    told = page.get_by_role("status").filter(has_text="There is no network.")
    expect(told).to_be_visible()
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(told).to_have_count(0)
    page.keyboard.press("Escape")


@pytest.mark.thorough
def test_a_dead_network_ends_the_call_within_ten_seconds(server: PageServer, page: Page) -> None:
    async def script(peer: Peer) -> None:
        await greet(peer, secs=0.2)
        peer.answers = False
        await peer.closed.wait()

    server.script = script
    page.get_by_role("button", name="Call Viva").click()
    until(page, "viva.state === 'listening' && viva.samplesPlayed > 0")
    until(page, "viva.state === 'ended'", secs=12.0)
    expect(page.get_by_role("heading", name="The line dropped")).to_be_visible()
