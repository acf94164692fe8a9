"""A microphone that is not heard: the page says why, offers another, and stops when it is heard."""

import asyncio
import re

import pytest
from playwright.sync_api import Page, expect

from tests.web.axe import violations
from tests.web.conftest import until
from tests.web.scene import greet
from tests.web.server import PageServer, Peer
from transports.browser.messages import End

pytestmark = pytest.mark.browser

TAKE_THE_TRACK = """() => {
  const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    const stream = await ask(wanted);
    [window.track] = stream.getAudioTracks();
    return stream;
  };
  window.muteBySystem = (muted) => {
    Object.defineProperty(track, 'muted', { value: muted, configurable: true });
    track.dispatchEvent(new Event(muted ? 'mute' : 'unmute'));
  };
  window.goAway = (state) => {
    navigator.permissions.query = async () => ({ state });
    track.stop();
    track.dispatchEvent(new Event('ended'));
  };
}"""


async def hold(peer: Peer) -> None:
    await greet(peer, secs=0.2)
    await peer.closed.wait()


def call(page: Page) -> None:
    page.evaluate(TAKE_THE_TRACK)
    page.get_by_role("button", name="Call Viva").click()
    until(page, "viva.state === 'listening' && viva.samplesPlayed > 0")


def test_silence_to_the_last_bit_for_three_seconds_is_no_room(blank: Page) -> None:
    """But a caller's own mute is none, and one loud sample begins it anew."""
    causes = blank.evaluate(
        """async () => {
          const { InputWatch } = await import('/web/call/input-watch.js');
          const watch = new InputWatch();
          const after = (level, secs) => { watch.hear(level, secs); return watch.cause; };
          const causes = [after(0, 2.9), after(1e-5, 0.1), after(0, 2.9), after(0, 0.2)];
          watch.pause();
          causes.push(watch.cause, after(0, 1));
          watch.systemMuted = true;
          causes.push(watch.cause);
          watch.end('unplugged');
          causes.push(watch.cause);
          watch.begin(false);
          return [...causes, watch.cause];
        }"""
    )
    assert causes == ["", "", "", "silent", "", "", "system-muted", "unplugged", ""]


@pytest.mark.thorough
def test_the_systems_mute_is_told_until_it_is_undone(server: PageServer, page: Page) -> None:
    server.script = hold
    call(page)
    page.evaluate("muteBySystem(true)")
    told = page.get_by_role("status").filter(has_text="The system has muted the microphone.")
    expect(told).to_be_visible()
    expect(page.get_by_text("Viva does not hear you.")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("button", name="Choose a microphone").click()
    expect(page.get_by_role("combobox", name="Microphone")).to_be_focused()
    page.evaluate("muteBySystem(false)")
    expect(told).to_have_count(0)
    expect(page.get_by_role("button", name="Choose a microphone")).to_be_hidden()
    page.get_by_role("button", name="Hang up").click()
    expect(page.locator("#ended-message")).to_have_text("")


@pytest.mark.thorough
def test_the_end_says_that_the_browser_withdrew_it(server: PageServer, page: Page) -> None:
    """Whoever allows it again goes on; at the end, the cause stands."""

    async def script(peer: Peer) -> None:
        await greet(peer, secs=0.2)
        await ended.wait()
        await peer.tell(End(reason="silence", message="Nothing was said for a while."))

    ended = asyncio.Event()
    server.script = script
    call(page)
    page.evaluate("goAway('denied')")
    told = page.get_by_text("The browser no longer lets this page use the microphone.")
    expect(told).to_be_visible()
    page.get_by_role("button", name="Speak").click()
    expect(told).to_have_count(0)
    page.evaluate("goAway('prompt')")
    expect(told).to_be_visible()
    server.run(ended.set)
    expect(page.locator("#ended-message")).to_have_text(
        "Nothing was said for a while. The browser no longer let this page use the microphone."
    )


@pytest.mark.thorough
def test_another_microphone_takes_the_place_of_one_that_is_unplugged(
    server: PageServer, page: Page
) -> None:
    server.script = hold
    call(page)
    page.evaluate("() => { window.first = track; goAway('granted'); }")
    until(page, "track !== first")
    expect(page.get_by_role("button", name="Mute", exact=True)).to_be_visible()
    expect(page.get_by_text("was disconnected")).to_have_count(0)
    page.evaluate(
        "() => { navigator.mediaDevices.getUserMedia = () => Promise.reject("
        "new DOMException('', 'NotFoundError')); goAway('granted'); }"
    )
    expect(page.get_by_text(re.compile("^The microphone was disconnected"))).to_be_visible()
    page.get_by_role("button", name="Hang up").click()
    expect(page.locator("#ended-message")).to_have_text("The microphone was disconnected.")


@pytest.mark.thorough
def test_a_microphone_that_gives_nothing_is_told_of(server: PageServer, page: Page) -> None:
    server.script = hold
    page.evaluate(
        """() => {
          navigator.mediaDevices.getUserMedia = async () => {
            const context = new AudioContext();
            const silence = new ConstantSourceNode(context, { offset: 0 });
            const target = new MediaStreamAudioDestinationNode(context);
            silence.connect(target);
            silence.start();
            window.speak = () => { silence.offset.value = 0.1; };
            return target.stream;
          };
        }"""
    )
    page.get_by_role("button", name="Call Viva").click()
    told = page.get_by_text("No sound comes from the microphone.")
    expect(told).to_be_visible()
    page.evaluate("speak()")
    expect(told).to_have_count(0)
