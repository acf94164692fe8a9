"""Before the microphone: who is signed in, whether a line is free, and what is told if not."""

import asyncio

import pytest
from playwright.sync_api import Page, expect

from tests.web.cloud import CLOUD
from tests.web.conftest import until
from tests.web.scene import greet
from tests.web.server import PageServer, Peer
from transports.browser.messages import ClientReady, End, Hangup

pytestmark = pytest.mark.browser

WATCH = """() => {
  window.asked = [];
  const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = (wanted) => {
    asked.push(viva.state);
    return ask(wanted);
  };
  window.contexts = [];
  window.AudioContext = class extends AudioContext {
    constructor(...given) {
      super(...given);
      contexts.push(this);
      this.pressed = navigator.userActivation.isActive;
    }
  };
}"""


def press(page: Page, name: str = "Call Viva") -> None:
    page.get_by_role("button", name=name).click()


async def hold(peer: Peer) -> None:
    await greet(peer, secs=0.2)
    await peer.closed.wait()


def test_the_microphone_is_opened_once_a_line_is_free(server: PageServer, page: Page) -> None:
    """Sound is started by the press itself, where browsers allow it; the microphone waits."""
    free = asyncio.Event()
    server.admission = free.wait
    server.script = hold
    page.evaluate(WATCH)
    press(page)
    until(page, "viva.state === 'admitting' && contexts.length === 1")
    page.wait_for_timeout(150)
    assert page.evaluate("asked") == []
    assert page.evaluate("contexts.every((context) => context.pressed)")
    expect(page.get_by_text("Checking for a free line.")).to_be_visible()
    server.run(free.set)
    until(page, "viva.state === 'listening' && viva.samplesPlayed > 0")
    assert page.evaluate("asked") == ["asking"]
    assert isinstance(server.call.messages[0], ClientReady)


@pytest.mark.parametrize(
    ("reason", "title", "message"),
    [
        ("capacity", "All lines are busy", "Please try again in a minute."),
        pytest.param(
            "budget",
            "No more calls today",
            "Today's money for calls is used up.",
            marks=pytest.mark.thorough,
        ),
        pytest.param(
            "daily_calls",
            "No more calls today",
            "You have made as many calls as one may in a day.",
            marks=pytest.mark.thorough,
        ),
        pytest.param(
            "shutdown",
            "Viva is closing",
            "The server is being stopped.",
            marks=pytest.mark.thorough,
        ),
    ],
)
def test_a_refused_call_says_why_and_does_not_ask_for_the_microphone(
    server: PageServer, page: Page, reason: str, title: str, message: str
) -> None:
    server.refusal = End.model_validate({"reason": reason, "message": message})
    page.evaluate(WATCH)
    press(page)
    expect(page.get_by_role("heading", name=title)).to_be_focused()
    expect(page.locator("#ended-message")).to_have_text(message)
    expect(page.get_by_role("list", name="What was said")).to_be_hidden()
    assert page.evaluate("[viva.ended.reason, asked]") == [reason, []]
    until(page, "contexts.every((context) => context.state === 'closed')")
    assert server.call.messages == []
    server.refusal, server.script = None, hold
    press(page, "Call again")
    until(page, "viva.state === 'listening'")


def test_a_microphone_that_is_refused_gives_the_line_back(server: PageServer, page: Page) -> None:
    page.evaluate(
        """() => {
          navigator.mediaDevices.getUserMedia = () =>
            Promise.reject(new DOMException('no', 'NotFoundError'));
        }"""
    )
    press(page)
    expect(page.get_by_role("alert")).to_contain_text("No microphone was found")
    expect(page.get_by_role("button", name="Call Viva")).to_be_focused()
    hung_up(page, server)
    assert server.call.messages == [Hangup()], "no client-ready: the call never began"


def hung_up(page: Page, server: PageServer) -> None:
    for _ in range(60):
        if server.call.closed.is_set():
            return
        page.wait_for_timeout(50)
    raise AssertionError("the page keeps its socket open")


@pytest.fixture
def undecided(page: Page) -> Page:
    """The page of somebody who does not answer the question about the microphone."""
    page.evaluate(
        """() => {
          navigator.mediaDevices.getUserMedia = () =>
            new Promise((resolve) => { window.allow = resolve; });
        }"""
    )
    return page


def test_a_line_that_is_lost_while_the_browser_asks(server: PageServer, undecided: Page) -> None:
    """Its microphone is let go again, if it comes after all, and another call can be placed."""

    async def give_up(peer: Peer) -> None:
        await asyncio.sleep(0.1)
        await peer.tell(End(reason="stalled", message="The page stopped taking in what was sent."))
        await peer.socket.close()

    server.before_ready = give_up
    press(undecided)
    alert = undecided.get_by_role("alert")
    expect(alert).to_contain_text("The microphone prompt was not answered")
    assert undecided.evaluate("viva.state") == "landing"
    undecided.evaluate(
        """() => {
          window.track = { stop() { this.stopped = true; }, stopped: false };
          allow({ getTracks: () => [track], getAudioTracks: () => [track] });
        }"""
    )
    until(undecided, "track.stopped")
    assert undecided.evaluate("viva.state") == "landing"
    server.before_ready = None
    press(undecided)
    until(undecided, "viva.state === 'asking'")


@pytest.mark.thorough
def test_signed_out_meanwhile(server: PageServer, page: Page) -> None:
    page.evaluate(WATCH)
    server.signed_in = False
    press(page)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("You are signed out")
    assert page.evaluate("asked") == []
    alert.get_by_role("link", name="Sign in").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


@pytest.mark.thorough
def test_who_is_signed_in_stands_above_with_the_way_out(server: PageServer, page: Page) -> None:
    account = page.get_by_text("ada@example.com")
    expect(account).to_be_hidden()
    server.about = CLOUD
    page.goto(server.url)
    expect(account).to_be_visible()
    expect(page.get_by_role("link", name="Call log")).to_have_attribute("href", "calls")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert server.signed_out_with == ["a-token"]


@pytest.mark.thorough
def test_a_caller_who_is_no_admin_sees_no_log(server: PageServer, page: Page) -> None:
    server.about = CLOUD | {"account": {"email": "bo@example.com", "admin": False, "auth": "link"}}
    page.goto(server.url)
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    expect(page.get_by_role("link", name="Call log")).to_be_hidden()
