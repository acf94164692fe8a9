"""Before a call the page asks, or says, whether it is recorded; in the call it shows it."""

import asyncio

import pytest
from playwright.sync_api import Page, expect

from tests.web.conftest import until
from tests.web.scene import ABOUT, greet
from tests.web.server import PageServer, Peer
from transports.browser.messages import ClientReady, Recorded

pytestmark = pytest.mark.browser


async def recorded(peer: Peer) -> None:
    """A call whose recording ends before it does."""
    await peer.tell(Recorded(on=True))
    await greet(peer, secs=0.2)
    await asyncio.sleep(1.0)
    await peer.tell(Recorded(on=False))
    await peer.closed.wait()


async def not_recorded(peer: Peer) -> None:
    await greet(peer, secs=0.2)
    await peer.closed.wait()


def visit(server: PageServer, page: Page, record: str) -> None:
    server.about = ABOUT | {"record": record, "recording_days": 30}
    page.reload()
    expect(page.get_by_role("button", name="Call Viva")).to_be_visible()


def agreed(server: PageServer, page: Page) -> bool:
    """What the page said to Viva of the caller's choice."""
    until(page, "viva.state === 'listening'")
    ready = server.call.messages[0]
    assert isinstance(ready, ClientReady)
    return ready.data.record


def test_a_caller_who_is_asked_can_agree_with_the_keyboard_alone(
    server: PageServer, page: Page
) -> None:
    visit(server, page, "calls")
    server.script = recorded
    choice = page.get_by_role("group", name="May this call be recorded?")
    expect(choice).to_be_visible()
    expect(choice).to_contain_text("both voices and what was said are kept for 30 days")
    expect(choice).to_have_accessible_description(
        "If it is, both voices and what was said are kept for 30 days."
    )
    no = choice.get_by_role("radio", name="No")
    expect(no).to_be_checked()
    no.focus()
    page.keyboard.press("ArrowUp")
    expect(choice.get_by_role("radio", name="Yes")).to_be_checked()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert agreed(server, page)
    expect(page.get_by_role("status").get_by_text("This call is being recorded.")).to_be_visible()
    assert page.evaluate("viva.recorded") is True
    expect(choice).to_be_hidden()
    expect(page.get_by_role("status").get_by_text("The recording has ended.")).to_be_visible()
    assert page.evaluate("viva.recorded") is False


@pytest.mark.thorough
def test_a_caller_who_says_nothing_does_not_agree(server: PageServer, page: Page) -> None:
    visit(server, page, "calls")
    server.script = not_recorded
    page.get_by_role("button", name="Call Viva").click()
    assert not agreed(server, page)
    assert page.evaluate("viva.recorded") is None
    expect(page.locator("#recorded")).to_be_hidden()


@pytest.mark.thorough
def test_where_every_call_is_recorded_it_is_said_before_it(server: PageServer, page: Page) -> None:
    visit(server, page, "all")
    server.script = recorded
    expect(page.get_by_text("Calls are recorded: both voices and what was said")).to_be_visible()
    expect(page.get_by_role("radio")).to_have_count(0)
    page.get_by_role("button", name="Call Viva").click()
    assert agreed(server, page)


@pytest.mark.thorough
def test_where_no_call_is_recorded_nothing_is_said_of_it(server: PageServer, page: Page) -> None:
    visit(server, page, "off")
    server.script = not_recorded
    expect(page.get_by_text("recorded").filter(visible=True)).to_have_count(0)
    page.get_by_role("button", name="Call Viva").click()
    assert not agreed(server, page)
