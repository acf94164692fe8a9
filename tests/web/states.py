"""The states of the page, as callers meet them.

``python -m tests.web.states`` photographs them, or those that it is given the names of.

The pictures of docs/screens that are taken of calls on a real server are those of
``tests.end_to_end.screens``.
"""

import asyncio
import sys
import tempfile
import wave
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from tests.web.call.test_embed import site
from tests.web.conftest import CHROMIUM, FLAGS, until
from tests.web.scene import ABOUT, ask, decision, greet, record, speechlike, whole_call
from tests.web.server import PageServer, Peer, Script
from transports.browser.messages import Duck, End, Resume, Typed

SCREENS = Path(__file__).parents[2] / "docs" / "screens"
SIZES = {"1440": (1440, 900), "390": (390, 844), "844x390": (844, 390)}
COLOURS = 128

State = Callable[[PageServer, Page], Callable[[], None] | None]
"""Brings the page there; returns what ends it, if leaving the page does not."""

_LEFT = "I cannot answer that from this document, so I leave the question for a person."
_MUTE = """() => {
  const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    const stream = await ask(wanted);
    const [track] = stream.getAudioTracks();
    window.muteBySystem = () => {
      Object.defineProperty(track, 'muted', { get: () => true });
      track.dispatchEvent(new Event('mute'));
    };
    return stream;
  };
}"""


def _plays(script: Script, *, button: str = "Call Viva") -> State:
    """A call that follows a script, once it listens."""

    def reach(server: PageServer, page: Page) -> None:
        server.script = script
        page.get_by_role("button", name=button).click()
        until(page, "viva.state === 'listening' && viva.samplesPlayed > 0")

    return reach


async def _greeting(peer: Peer) -> None:
    await greet(peer, secs=0.2)
    await peer.closed.wait()


async def _answers(peer: Peer, *answers: tuple[str, str, dict[str, Any]]) -> None:
    for turn, (question, answer, more) in enumerate(answers, 1):
        await ask(peer, turn, question)
        await peer.tell(decision(turn, question, answer, **more))
        await peer.event("bot-started-speaking")
        cited = {name: more[name] for name in ("sections", "lines") if name in more}
        await peer.say(answer, speechlike(0.3), turn=turn, **cited)
        await peer.played_out()
        await peer.event("bot-stopped-speaking")
        await peer.tell(record(turn, question, answer, **more))


_STUDIED = (
    "Where did she study?",
    "She took her doctorate in mathematics at Yale University in 1934.",
    {"sections": ["education"], "lines": [27]},
)
_DIET = (
    "What did she like to eat?",
    _LEFT,
    {"decision": "escalate", "reason": "unsupported", "confidence": None},
)


async def _two_answers(peer: Peer) -> None:
    await greet(peer, secs=0.2)
    await _answers(peer, _STUDIED, _DIET)
    await peer.closed.wait()


def landing(_server: PageServer, _page: Page) -> None:
    """Before a call, with questions to ask."""


def suggested(_server: PageServer, page: Page) -> None:
    """Questions to ask, where they are below the fold, too."""
    page.locator("#suggestions").scroll_into_view_if_needed()


def checked(_server: PageServer, page: Page) -> None:
    """The sound and the connection are checked."""
    page.get_by_text("Check sound and connection").click()
    page.get_by_role("button", name="Check", exact=True).click()
    expect(page.get_by_text("Checked at")).to_be_visible()


def connecting(server: PageServer, page: Page) -> Callable[[], None]:
    """A call that waits for a line, and can be cancelled."""
    free = asyncio.Event()
    server.admission = free.wait
    page.get_by_role("button", name="Call Viva").click()
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    return lambda: server.run(free.set)


def answered(server: PageServer, page: Page) -> None:
    """Four turns, and the last answer."""
    over = asyncio.Event()

    async def script(peer: Peer) -> None:
        await whole_call(peer, pace=0.3, over=over)

    server.script = script
    page.get_by_role("button", name="Call Viva").click()
    until(page, "viva.turns.length >= 4")


def typed(server: PageServer, page: Page) -> None:
    """A call without a microphone: an answer to a typed question."""

    async def script(peer: Peer) -> None:
        await greet(peer, secs=0.2)
        await peer.until(lambda: any(isinstance(message, Typed) for message in peer.messages))
        await _answers(peer, _STUDIED)
        await peer.closed.wait()

    _plays(script, button="Type, without a microphone")(server, page)
    page.get_by_role("textbox", name="Your question").fill(_STUDIED[0])
    page.keyboard.press("Enter")
    until(page, "viva.turns.length === 1 && viva.state === 'listening'")


def held(server: PageServer, page: Page) -> None:
    """The caller holds the space bar, and is heard."""
    page.get_by_label("Hold Space or a button to talk, where others").check()
    _plays(_two_answers)(server, page)
    until(page, "viva.turns.length === 2 && viva.state === 'listening'")
    page.locator("#state").focus()
    page.keyboard.down(" ")
    expect(page.get_by_role("button", name="You are heard")).to_be_visible()


def offered(server: PageServer, page: Page) -> None:
    """Another voice disturbs the call: holding a button is offered."""

    async def script(peer: Peer) -> None:
        await greet(peer, secs=0.2)
        for on in (True, False) * 3:
            await peer.tell(Duck(on=on))
        await peer.closed.wait()

    _plays(script)(server, page)
    expect(page.get_by_text("Another voice or an echo disturbs the call.")).to_be_visible()


def unheard(server: PageServer, page: Page) -> None:
    """The system has muted the microphone."""
    page.evaluate(_MUTE)
    _plays(_greeting)(server, page)
    page.evaluate("muteBySystem()")
    expect(page.get_by_text("The system has muted the microphone.")).to_be_visible()


def lost(server: PageServer, page: Page) -> None:
    """The network is gone, and the page tries to come back."""

    async def script(peer: Peer) -> None:
        await peer.tell(Resume(token="t", place="0", secs=60.0, typed=0))
        await greet(peer, secs=0.2)
        await peer.closed.wait()

    _plays(script)(server, page)
    page.evaluate("dispatchEvent(new Event('offline'))")
    until(page, "document.getElementById('state').textContent !== 'Listening'")


def devices(server: PageServer, page: Page) -> None:
    """Devices, volume, captions and keys, in a call."""
    _plays(_greeting)(server, page)
    page.get_by_text("Devices and keys").click()


def instruments(server: PageServer, page: Page) -> None:
    """Times, grounds and cost of the answers."""
    answered(server, page)
    page.evaluate("() => { document.getElementById('instruments').open = true; }")


def leaving_an_address(server: PageServer, page: Page) -> None:
    """A question is left for a person, who may write."""
    _plays(_two_answers)(server, page)
    until(page, "viva.turns.length === 2 && viva.state === 'listening'")
    page.get_by_text("A question is left for a person").click()


def ended(server: PageServer, page: Page) -> None:
    """After the call: its transcript, to keep, to hear again and to judge."""
    over = asyncio.Event()

    async def script(peer: Peer) -> None:
        await greet(peer, secs=0.2)
        await _answers(peer, _STUDIED, _DIET)
        await over.wait()
        await peer.tell(End(reason="cap", message="The two minutes of this call are over."))
        await peer.socket.close()

    _plays(script)(server, page)
    until(page, "viva.turns.length === 2 && viva.state === 'listening'")
    server.run(over.set)
    until(page, "viva.state === 'ended'")


def refused(server: PageServer, page: Page) -> None:
    """All lines are busy."""
    server.refusal = End(reason="capacity", message="All lines are busy. Call again in a minute.")
    page.get_by_role("button", name="Call Viva").click()
    until(page, "viva.state === 'ended'")


def unreachable(server: PageServer, page: Page) -> None:
    """There is no answer."""
    server.accepts = False
    page.get_by_role("button", name="Call Viva").click()
    expect(page.get_by_role("alert")).to_contain_text("could not be reached")


def asked_about_recording(server: PageServer, page: Page) -> None:
    """Somebody signed in, who is asked whether the call may be recorded."""
    account = {"email": "ada.lovelace@example.com", "admin": True, "auth": "link"}
    server.about = ABOUT | {"account": account, "record": "calls", "recording_days": 30}
    page.reload()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def embedded(server: PageServer, page: Page) -> None:
    """The page for a frame: the call, and of the document the lines that were cited."""
    page.goto(f"{server.url}embed")
    _plays(_two_answers)(server, page)
    until(page, "viva.turns.length === 2 && viva.state === 'listening'")


def embedded_elsewhere(server: PageServer, page: Page) -> Callable[[], None]:
    """The same in a frame on a page of another site."""
    server.script = _two_answers
    elsewhere = ExitStack()
    page.goto(elsewhere.enter_context(site(lambda: server.url.rstrip("/"))))
    frame = page.frame_locator("iframe")
    frame.get_by_role("button", name="Call Viva").click()
    expect(frame.get_by_text("A question is left for a person")).to_be_visible()
    return elsewhere.close


STATES: Mapping[str, State] = {
    state.__name__.replace("_", "-"): state
    for state in (
        *(landing, checked, connecting, answered, typed, held, offered, unheard, lost, devices),
        *(instruments, leaving_an_address, ended, refused, unreachable, asked_about_recording),
    )
}

PICTURES: Mapping[str, State] = {
    "address": leaving_an_address,
    "check": checked,
    "connecting": connecting,
    "devices": devices,
    "embed": embedded_elsewhere,
    "feedback": ended,
    "hold": held,
    "lost": lost,
    "offer": offered,
    "recording": asked_about_recording,
    "refused": refused,
    "suggestions": suggested,
    "typing": typed,
    "unheard": unheard,
}


@contextmanager
def reached(server: PageServer, page: Page, state: State) -> Iterator[None]:
    """The page, from its beginning, in a state."""
    server.reset()
    page.goto(server.url)
    page.evaluate("localStorage.clear(), sessionStorage.clear()")
    page.goto(server.url)
    page.wait_for_selector("main section")
    end = state(server, page)
    yield
    if end is not None:
        end()
    page.keyboard.up(" ")
    page.evaluate("localStorage.clear(), sessionStorage.clear()")
    page.goto("about:blank")


def _photograph(server: PageServer, page: Page, name: str, state: State) -> None:
    for size, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        with reached(server, page, state):
            for scheme in ("light", "dark") if size == "1440" else ("light",):
                page.emulate_media(
                    color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce"
                )
                page.wait_for_timeout(300)
                picture = Image.open(BytesIO(page.screenshot())).convert("RGB")
                dark = "-dark" if scheme == "dark" else ""
                picture.quantize(COLOURS, dither=Image.Dither.NONE).save(
                    SCREENS / f"{name}-{size}{dark}.png", optimize=True
                )
            page.emulate_media(color_scheme="light")


def main(names: Sequence[str]) -> None:
    """Photograph the states of these names, or all."""
    with tempfile.TemporaryDirectory() as folder:
        heard = Path(folder) / "speech.wav"
        with wave.open(str(heard), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(24_000)
            file.writeframes(np.round(speechlike(8.0) * 32767).astype("<i2").tobytes())
        capture = ["--use-fake-ui-for-media-stream", f"--use-file-for-fake-audio-capture={heard}"]
        with sync_playwright() as playwright, PageServer() as server:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS + capture)
            page = browser.new_page()
            for name in names or PICTURES:
                _photograph(server, page, name, PICTURES[name])
            browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
