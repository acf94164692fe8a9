"""Holding a button to talk: heard while it is held, by finger, space bar and switch."""

import pytest
from playwright.sync_api import Page, expect

from tests.web.axe import violations
from tests.web.conftest import until
from tests.web.scene import greet
from tests.web.server import PageServer, Peer
from transports.browser.messages import Duck, Talk

pytestmark = pytest.mark.browser

DISTURBED = """async (events) => {
  const { Disturbance } = await import('/web/call/disturbance.js');
  const disturbance = new Disturbance();
  return events.map(([type, on, at, text]) => disturbance.receive({ type, on, text }, at));
}"""


def talks(server: PageServer) -> list[bool]:
    return [message.on for message in server.call.messages if isinstance(message, Talk)]


def test_noise_that_is_no_turn_disturbs_a_call(blank: Page) -> None:
    noise = [("duck", on, at) for at in (1, 11, 21) for on in (True, False)]
    assert blank.evaluate(DISTURBED, noise) == [False] * 5 + [True]
    seldom = [("duck", False, at) for at in (1, 31, 61, 91)]
    assert blank.evaluate(DISTURBED, seldom) == [False] * 4
    answered = [*noise[:4], ("decision", None, 15), *noise[4:]]
    assert blank.evaluate(DISTURBED, answered) == [False] * 7, "it interrupts all the same"
    begins, ends = "user-started-speaking", "user-stopped-speaking"
    coughs = [(kind, None, at) for at in (1, 4, 7, 10) for kind in (begins, ends)]
    assert blank.evaluate(DISTURBED, coughs) == [False] * 6 + [True] * 2
    words = [
        (kind, None, at, "yes") for at in (1, 4, 7, 10) for kind in (begins, "user-transcription")
    ]
    assert blank.evaluate(DISTURBED, words) == [False] * 8, "a caller who pauses disturbs nobody"
    assert blank.evaluate(DISTURBED, [("second-voice", None, 0)]) == [True]


@pytest.mark.thorough
def test_a_disturbed_caller_holds_the_button(server: PageServer, page: Page) -> None:
    async def script(peer: Peer) -> None:
        await greet(peer, secs=0.2)
        for on in (True, False) * 3:
            await peer.tell(Duck(on=on))
        await peer.closed.wait()

    server.script = script
    page.get_by_role("button", name="Call Viva").click()
    expect(page.get_by_text("Another voice or an echo disturbs the call.")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("button", name="Hold a button to talk").click()
    button = page.get_by_role("button", name="Hold to talk")
    expect(button).to_be_focused()
    expect(page.get_by_text("Hold the space bar or the button while you speak.")).to_be_visible()
    page.wait_for_timeout(200)
    silent = len(server.call.audio)
    page.wait_for_timeout(200)
    assert not any(server.call.audio[silent:]), "nobody is heard"
    page.keyboard.down(" ")
    expect(page.get_by_role("button", name="You are heard")).to_be_visible()
    page.wait_for_timeout(200)
    assert any(server.call.audio[silent:])
    page.keyboard.up(" ")
    expect(button).to_be_visible()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.down(" ")
    expect(page.get_by_role("button", name="You are heard")).to_be_visible()
    page.get_by_label("Your question").focus()
    page.keyboard.down(" ")
    page.keyboard.up(" ")
    expect(button).to_be_visible()
    expect(page.get_by_label("Your question")).to_have_value("")
    page.keyboard.type("a b")
    expect(page.get_by_label("Your question")).to_have_value("a b")
    button.hover()
    page.mouse.down()
    expect(page.get_by_role("button", name="You are heard")).to_be_visible()
    page.mouse.up()
    expect(button).to_be_visible()
    button.dispatch_event("click")
    expect(page.get_by_role("button", name="You are heard")).to_be_visible()
    page.get_by_role("button", name="You are heard").dispatch_event("click")
    expect(button).to_be_visible()
    until(page, "viva.state === 'listening'")
    assert talks(server) == [True, False] * 4
    assert violations(page) == []
    page.get_by_text("Devices and keys").click()
    page.locator("#hold-live").uncheck()
    expect(page.get_by_role("button", name="Mute", exact=True)).to_be_visible()
    page.get_by_role("button", name="Hang up").click()
