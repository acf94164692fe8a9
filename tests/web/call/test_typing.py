"""A call held by typing: without a microphone, by keyboard alone, and with the microphone later."""

import pytest
from playwright.sync_api import Page, expect

from tests.web.axe import violations
from tests.web.conftest import until
from tests.web.scene import ask, decision, greet
from tests.web.server import PageServer, Peer, tone
from transports.browser.messages import Typed, Typing

pytestmark = pytest.mark.browser

QUESTION = "Where did she study?"


def typed(peer: Peer) -> list[str]:
    return [message.content for message in peer.messages if isinstance(message, Typed)]


async def answer_what_is_typed(peer: Peer) -> None:
    await greet(peer, secs=0.2)
    await peer.until(lambda: bool(typed(peer)))
    await ask(peer, 1, typed(peer)[0])
    await peer.tell(decision(1, typed(peer)[0], "At Yale.", sections=["education"], lines=[27]))
    await peer.say("At Yale.", tone(0.2), turn=1, sections=["education"], lines=[27])
    await peer.played_out()
    await peer.event("bot-stopped-speaking")
    await peer.closed.wait()


def test_a_call_can_be_held_without_a_microphone(server: PageServer, page: Page) -> None:
    server.script = answer_what_is_typed
    page.evaluate(
        "() => { navigator.mediaDevices.getUserMedia = () => { throw new Error('asked'); }; }"
    )
    page.get_by_role("button", name="Type, without a microphone").focus()
    page.keyboard.press("Enter")
    field = page.get_by_role("textbox", name="Your question")
    expect(field).to_be_focused()
    page.keyboard.type(f" {QUESTION} ")
    page.keyboard.press("Enter")
    expect(field).to_have_value("")
    until(page, "viva.transcript.length === 2 && viva.state === 'listening'")
    peer = server.call
    assert typed(peer) == [QUESTION]
    assert sum(isinstance(message, Typing) for message in peer.messages) == 1
    assert set(peer.audio) == {0}, "digital silence"
    turn = page.get_by_role("list", name="What was said").get_by_role("listitem").nth(1)
    expect(turn).to_contain_text(f"You: {QUESTION}")
    expect(turn).to_contain_text("Viva: At Yale.")
    page.keyboard.press("Enter")
    page.keyboard.type("m ")
    page.keyboard.press("Escape")
    assert (typed(peer), page.evaluate("viva.state")) == ([QUESTION], "listening")
    assert violations(page) == []
    page.get_by_role("button", name="Hang up").click()


@pytest.mark.thorough
def test_who_types_can_speak_after_all(server: PageServer, page: Page) -> None:
    server.script = answer_what_is_typed
    page.get_by_role("button", name="Type, without a microphone").click()
    until(page, "viva.state === 'listening' && viva.samplesPlayed > 0")
    page.get_by_role("button", name="Speak").click()
    expect(page.get_by_role("button", name="Mute", exact=True)).to_be_visible()
    expect(page.get_by_text("Ask away.", exact=True)).to_be_visible()
    for _ in range(60):
        if any(server.call.audio):
            break
        page.wait_for_timeout(50)
    assert any(server.call.audio), "the microphone is heard"
    page.get_by_role("textbox", name="Your question").fill(QUESTION)
    page.get_by_role("button", name="Ask").click()
    until(page, "viva.transcript.length === 2")
    assert typed(server.call) == [QUESTION]
    page.get_by_role("button", name="Hang up").click()
