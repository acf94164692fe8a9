"""Everybody can place a call: by keyboard, by ear, at any width, and when something is missing."""

import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Playwright, expect

from tests.web.conftest import CHROMIUM, FLAGS, until
from tests.web.scene import greet
from tests.web.server import PageServer, Peer, tone
from transports.browser.messages import End, Hangup

pytestmark = pytest.mark.browser


async def hold(peer: Peer) -> None:
    await greet(peer, secs=0.2)
    await peer.closed.wait()


def listening(page: Page) -> None:
    page.get_by_role("button", name=re.compile("^Call ")).click()
    until(page, "viva.state === 'listening' && viva.samplesPlayed > 0")


def hung_up(page: Page, server: PageServer) -> None:
    """The other end has been told, and not just cut off."""
    for _ in range(60):
        if server.call.closed.is_set():
            break
        page.wait_for_timeout(50)
    assert isinstance(server.call.messages[-1], Hangup)


def test_landing_says_what_it_is(page: Page) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text("Grace Hopper")
    expect(page.get_by_text("talking to an AI, not to a person")).to_be_visible()
    expect(
        page.get_by_text("salary, references, contact details, health, age and family")
    ).to_be_visible()
    for engine in ("Whisper base, embedded engine", "Hibari, embedded engine"):
        expect(page.get_by_text(engine)).to_be_visible()
    expect(page.get_by_text("A call lasts up to two minutes")).to_be_visible()


@pytest.mark.thorough
def test_every_control_and_region_has_a_name(server: PageServer, page: Page) -> None:
    server.script = hold
    landing = page.locator("body").aria_snapshot()
    for line in (
        '- link "To the call"',
        '- heading "Grace Hopper" [level=1]',
        '- region "The call"',
        '- button "Call Viva"',
        '- main "The document"',
        '- heading "Education" [level=2]',
    ):
        assert line in landing
    listening(page)
    page.get_by_text("Devices and keys").click()
    live = page.locator("body").aria_snapshot()
    for line in (
        '- group "State of the call"',
        '- heading "Listening" [level=2]',
        '- timer "Time left"',
        '- list "What was said"',
        '- group "Controls of the call"',
        '- button "Mute"',
        '- button "Hang up"',
        '- combobox "Microphone"',
        '- combobox "Speaker"',
        '- checkbox "Space or M mutes, Esc hangs up"',
    ):
        assert line in live
    page.get_by_role("button", name="Hang up").click()
    expect(page.get_by_role("heading", name="You hung up")).to_be_focused()
    expect(page.get_by_role("button", name="Call again")).to_be_visible()


@pytest.mark.real_time
def test_keyboard(server: PageServer, page: Page) -> None:
    server.script = hold
    call = page.get_by_role("button", name="Call Viva")
    call.focus()
    page.keyboard.press("Enter")
    until(page, "viva.state === 'listening' && viva.samplesPlayed > 0")
    expect(page.locator("#state")).to_be_focused()
    page.keyboard.press("Space")
    assert page.evaluate("viva.muted") is True
    expect(page.get_by_text("You are muted")).to_be_visible()
    expect(page.get_by_role("button", name="Unmute")).to_be_visible()
    quiet = len(server.call.audio)
    deadline = time.monotonic() + 60.0
    while len(server.call.audio) <= quiet + 6400:
        assert time.monotonic() < deadline, "a muted microphone goes on sending"
        page.wait_for_timeout(50)
    assert not any(server.call.audio[quiet + 6400 :]), "digital silence"
    page.keyboard.press("m")
    assert page.evaluate("viva.muted") is False
    mute = page.get_by_role("button", name="Mute")
    mute.focus()
    page.keyboard.press("Space")
    assert page.evaluate("viva.muted") is True, "once, by the button itself"
    page.get_by_text("Devices and keys").click()
    page.get_by_role("checkbox", name="Space or M").uncheck()
    page.locator("#state").focus()
    page.keyboard.press("m")
    page.keyboard.press("Escape")
    assert page.evaluate("[viva.muted, viva.state]") == [True, "listening"]
    page.get_by_role("checkbox", name="Space or M").check()
    page.get_by_role("combobox", name="Microphone").focus()
    page.keyboard.press("m")
    assert page.evaluate("viva.muted") is True, "the select's own key"
    page.locator("#state").focus()
    page.keyboard.press("Escape")
    until(page, "viva.state === 'ended'")
    assert page.evaluate("viva.ended.reason") == "hangup"
    hung_up(page, server)


@pytest.mark.thorough
@pytest.mark.parametrize("told", [False, True], ids=["gone", "told by another worker"])
def test_a_dropped_line_says_so_and_offers_another(
    server: PageServer, page: Page, told: bool
) -> None:
    async def drop(peer: Peer) -> None:
        await peer.say("Hello, I am an", tone(0.3))
        await peer.played_out()
        if told:
            await peer.tell(End(reason="lost", message="The connection was lost."))
            return
        transport = peer.socket._req.transport  # type: ignore[union-attr]
        transport.abort()  # type: ignore[union-attr]

    server.script = drop
    page.get_by_role("button", name="Call Viva").click()
    expect(page.get_by_role("heading", name="The line dropped")).to_be_visible()
    lost = (
        "The connection to Viva was lost. Nothing you did ended the call. "
        "You can call again at once."
    )
    expect(page.locator("#ended-message")).to_have_text(lost)
    expect(page.get_by_role("heading", name="The line dropped")).to_be_focused()
    said = page.get_by_role("status").filter(has_text=lost)
    expect(said).to_have_text(f"The line dropped. {lost}")
    server.script = hold
    page.get_by_role("button", name="Call again").click()
    until(page, "viva.state === 'listening' && viva.samplesPlayed > 0")
    expect(page.get_by_role("list", name="What was said").get_by_role("listitem")).to_have_count(1)


@pytest.mark.thorough
def test_no_answer(server: PageServer, page: Page) -> None:
    server.accepts = False
    page.get_by_role("button", name="Call Viva").click()
    expect(page.get_by_role("alert")).to_contain_text("Viva could not be reached")
    expect(page.get_by_role("button", name="Call Viva")).to_be_focused()


@pytest.mark.thorough
def test_errors_are_told_quietly(server: PageServer, page: Page) -> None:
    async def err(peer: Peer) -> None:
        await peer.event("error", error="the recogniser was slow", fatal=False)
        await peer.closed.wait()

    server.script = err
    page.get_by_role("button", name="Call Viva").click()
    expect(page.get_by_text("Viva reports: the recogniser was slow")).to_be_visible()
    assert page.evaluate("viva.state") == "listening"


def test_leaving_the_page_hangs_up(server: PageServer, page: Page) -> None:
    server.script = hold
    listening(page)
    page.goto("about:blank")
    hung_up(page, server)


@pytest.fixture
def refusing(playwright_: Playwright, server: PageServer) -> Iterator[Page]:
    """A browser whose owner has not allowed the microphone."""
    browser = playwright_.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    page.goto(server.url)
    yield page
    browser.close()


def test_a_refused_microphone_is_explained(server: PageServer, refusing: Page) -> None:
    refusing.get_by_role("button", name="Call Viva").click()
    alert = refusing.get_by_role("alert")
    expect(alert).to_contain_text("microphone")
    expect(alert).to_contain_text(re.compile("switch the microphone on|Allow"))
    expect(refusing.get_by_role("button", name="Call Viva")).to_be_visible()
    hung_up(refusing, server)
    assert server.call.messages == [Hangup()], "the call that was admitted never began"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("NotFoundError", "No microphone was found"),
        *(
            pytest.param(*case, marks=pytest.mark.thorough)
            for case in (
                ("NotAllowedError", "The microphone was refused"),
                ("NotReadableError", "The microphone is in use"),
                ("TypeError", "The microphone could not be opened"),
            )
        ),
    ],
)
def test_what_keeps_a_microphone_from_opening_is_named(page: Page, error: str, told: str) -> None:
    page.evaluate(
        """(name) => {
          navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('why', name));
          navigator.permissions.query = () => Promise.resolve({ state: 'denied' });
        }""",
        error,
    )
    page.get_by_role("button", name="Call Viva").click()
    expect(page.get_by_role("alert")).to_contain_text(told)


def test_what_a_browser_lacks_is_named(blank: Page) -> None:
    kinds = blank.evaluate(
        """async () => {
          const { Trouble } = await import('/web/call/trouble.js');
          const whole = { isSecureContext: true, AudioContext: 1, AudioWorkletNode: 1, WebSocket: 1,
            navigator: { mediaDevices: { getUserMedia: 1 } } };
          const lacking = [{}, { isSecureContext: false }, { navigator: {} },
            { AudioWorkletNode: undefined }, { WebSocket: undefined }];
          return lacking.map((part) => Trouble.ofBrowser({ ...whole, ...part })?.kind ?? null);
        }"""
    )
    assert kinds == [None, "insecure", "insecure", "no-worklet", "no-socket"]


def test_contrast_is_aa_in_both_schemes(page: Page) -> None:
    pairs = [
        ("ink", "paper"),
        ("quiet", "paper"),
        ("accent", "paper"),
        ("warn", "paper"),
        ("ink", "accent-wash"),
        ("accent-ink", "accent"),
        ("stt", "paper"),
        ("brain", "paper"),
        ("tts", "paper"),
    ]
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for text, ground in pairs:
            names = [f"--{text}", f"--{ground}"]
            colours = page.evaluate(
                """(names) => names.map((name) =>
                     getComputedStyle(document.documentElement).getPropertyValue(name).trim())""",
                names,
            )
            least = 3.0 if text in {"stt", "brain", "tts"} else 4.5
            assert contrast(*colours) >= least, (scheme, text, ground, colours)


def contrast(one: str, other: str) -> float:
    """WCAG 2.2's contrast ratio of two colours written as #rrggbb."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
