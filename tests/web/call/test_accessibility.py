"""The page by eye, hand, ear and braille display: WCAG 2.2 AA, at any size."""

import asyncio

import pytest
from playwright.sync_api import Page, expect

from accounts.templating import render
from tests.web.axe import violations
from tests.web.conftest import until
from tests.web.scene import ABOUT, DOCUMENT, ask, decision, greet, whole_call
from tests.web.server import PageServer, Peer, tone
from transports.browser.messages import Cap, End

pytestmark = pytest.mark.browser

SIDEWAYS = (844, 390)
SIZES = {
    "desk": (1440, 900),
    "desk at 150 %": (1100, 480),
    "telephone": (390, 844),
    "telephone on its side": SIDEWAYS,
    "200 %": (640, 400),
    "400 %": (320, 256),
    "small telephone": (320, 568),
}
CONTROLS = ("mute", "hangup")
LOG_PIXELS = 60
"""Two lines of what was said."""

SHOWN = """(id) => {
  const element = document.getElementById(id);
  const { top, bottom, left, right } = element.getBoundingClientRect();
  const on = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
  return top >= 0 && left >= 0 && bottom <= innerHeight && right <= innerWidth
    && (on === element || element.contains(on));
}"""
_SEEN = """(element) => {
  const { top, bottom, left, right } = element.getClientRects()[0];
  const on = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
  return on === element || element.contains(on);
}"""
_BESIDE_FIELD = """() => document.getElementById('typed').getBoundingClientRect().left
  - Math.max(0, ...['call', 'panel'].map((name) => document.querySelector(`.${name}`))
    .filter((part) => getComputedStyle(part).overflowX !== 'visible')
    .map((part) => part.getBoundingClientRect().left))"""
_TOO_WIDE = """() => [...document.querySelectorAll('#document .head > *')]
  .filter((part) => part.getBoundingClientRect().right
    > document.getElementById('document').getBoundingClientRect().right + 1)
  .map((part) => part.textContent)"""
_SMALL = """() => [...document.querySelectorAll('button, select, summary, input')]
  .filter((element) => element.checkVisibility())
  .map((element) => [element, element.getBoundingClientRect()])
  .filter(([element, { height, width }]) =>
    Math.min(height, width) < (element.type === 'checkbox' ? 24 : 44))
  .map(([element, { height, width }]) => `${element.id || element.textContent} ${width}x${height}`)
"""


def in_reach(page: Page) -> list[str]:
    """What of a running call is covered, cut off or too small to be hit or read."""
    missed = [f"{id} is covered" for id in CONTROLS if not page.evaluate(SHOWN, id)]
    height = page.locator("#log").evaluate("(log) => log.clientHeight")
    if height < LOG_PIXELS:
        missed.append(f"{height} px for what was said")
    if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
        missed.append("it is too wide")
    return missed + [f"{size} is too small" for size in page.evaluate(_SMALL)]


@pytest.mark.thorough
def test_a_telephone_on_its_side_shows_words_and_controls(server: PageServer, page: Page) -> None:
    async def script(peer: Peer) -> None:
        await greet(peer, secs=0.2)
        await peer.closed.wait()

    server.script = script
    width, height = SIDEWAYS
    page.set_viewport_size({"width": width, "height": height})
    page.get_by_role("button", name="Call Viva").click()
    expect(page.get_by_role("list", name="What was said").get_by_role("listitem")).to_have_count(1)
    until(page, "viva.state === 'listening'")
    assert in_reach(page) == []
    assert violations(page) == []
    page.get_by_text("Devices and keys").click()
    assert in_reach(page) == []
    last = page.get_by_role("checkbox", name="braille")
    last.scroll_into_view_if_needed()
    last.check()
    page.get_by_role("button", name="Hang up").click()


def test_the_call_and_the_document_do_not_lie_over_each_other(
    server: PageServer, page: Page
) -> None:
    """With all devices open, a heading of one long word, and the focus in the document."""

    async def script(peer: Peer) -> None:
        await greet(peer, secs=0.2)
        await peer.closed.wait()

    server.script = script
    long = {**DOCUMENT["sections"][1], "title": "Pneumonoultramicroscopicsilico" * 4}
    told = {**DOCUMENT, "sections": [DOCUMENT["sections"][0], long, *DOCUMENT["sections"][2:]]}
    page.route("**/document.json", lambda route: route.fulfill(json=told))
    page.reload()
    page.get_by_role("button", name="Call Viva").click()
    until(page, "viva.state === 'listening' && viva.samplesPlayed > 0")
    page.unroute("**/document.json")  # the next test has the same page
    for name, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate(_TOO_WIDE) == [], name
        link = page.locator("#document footer a").first
        for way in (0, 10_000):
            page.evaluate("(y) => scrollTo(0, y)", way)
            link.evaluate("(link) => { link.blur(); link.focus(); }")
            assert link.evaluate(_SEEN), f"{name}: the focus is behind the call"
        beside = page.evaluate(_BESIDE_FIELD)
        assert beside >= 5, f"{name}: {beside} px for the outline of the focus"
    page.get_by_text("Devices and keys").click()
    page.set_viewport_size({"width": 320, "height": 256})
    below = page.locator(".masthead").evaluate("(head) => head.getBoundingClientRect().top")
    last = page.get_by_role("checkbox", name="braille")
    assert last.evaluate("(box) => box.getBoundingClientRect().bottom") <= below
    page.keyboard.press("Escape")


def test_nobody_talks_over_the_voice(server: PageServer, page: Page) -> None:
    """A screen reader says what cannot be heard; what is spoken, only to who asks for it."""
    asked = asyncio.Event()

    async def script(peer: Peer) -> None:
        await greet(peer, secs=0.2)
        await asked.wait()
        await peer.tell(Cap(limit_secs=120.0, left_secs=30.0))
        await ask(peer, 1, "Where did she study?")
        await peer.tell(decision(1, "Where did she study?", "At Yale.", sections=["education"]))
        await peer.say("At Yale.", tone(0.2), turn=1, sections=["education"])
        await peer.played_out()
        await peer.event("bot-stopped-speaking")
        await peer.closed.wait()

    server.script = script
    page.evaluate(
        """() => {
          window.told = [];
          const note = (changes) => changes.forEach(({ target }) => {
            const place = target.nodeType === Node.TEXT_NODE ? target.parentElement : target;
            const live = place?.closest(
              '[aria-live]:not([aria-live=off]), [role=status], [role=alert], [role=log]');
            const text = live?.textContent;
            if (text && told.at(-1) !== text) told.push(text);
          });
          new MutationObserver(note).observe(document.body,
            { childList: true, characterData: true, subtree: true });
        }"""
    )
    page.get_by_role("button", name="Call Viva").click()
    until(page, "viva.state === 'listening' && viva.samplesPlayed > 0")
    page.keyboard.press("m")
    page.keyboard.press("m")
    assert page.evaluate("told") == ["One moment", "Connecting", "Muted", "Unmuted"]
    page.get_by_text("Devices and keys").click()
    page.get_by_role("checkbox", name="braille").check()
    server.run(asked.set)
    until(page, "viva.transcript.length === 2 && viva.state === 'listening'")
    assert page.evaluate("told.slice(4)") == ["You: Where did she study?", "Viva: At Yale."]
    page.reload()
    assert page.locator("#braille").is_checked(), "it is remembered"


@pytest.mark.thorough
def test_every_state_of_a_call_at_every_size(server: PageServer, page: Page) -> None:
    shot = asyncio.Event()

    async def script(peer: Peer) -> None:
        await whole_call(peer, pace=0.6, over=shot)

    def breaks(state: str, *, live: bool) -> list[str]:
        found = []
        for name, (width, height) in SIZES.items():
            page.set_viewport_size({"width": width, "height": height})
            page.evaluate("scrollTo(0, 0)")
            page.wait_for_timeout(50)
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                found += [
                    f"{state}, {name}, {scheme}: {violation}" for violation in violations(page)
                ]
            if live:
                found += [f"{state}, {name}: {trouble}" for trouble in in_reach(page)]
        return found

    server.script = script
    found = breaks("landing", live=False)
    server.accepts = False
    page.get_by_role("button", name="Call Viva").click()
    expect(page.get_by_role("alert")).to_contain_text("could not be reached")
    found += breaks("trouble", live=False)
    server.accepts = True
    page.get_by_role("button", name="Call Viva").click()
    until(page, "viva.turns.length >= 4")
    found += breaks("call", live=True)
    for part in ("devices", "instruments"):
        page.evaluate("(id) => { document.getElementById(id).open = true; }", part)
        found += breaks(part, live=True)
        page.evaluate("(id) => { document.getElementById(id).open = false; }", part)
    server.run(shot.set)
    until(page, "viva.state === 'ended'")
    found += breaks("ended", live=False)
    assert found == []


@pytest.mark.thorough
@pytest.mark.parametrize("record", ["calls", "all"])
def test_who_is_signed_in_and_asked_about_recording(
    server: PageServer, page: Page, record: str
) -> None:
    account = {"email": "ada.lovelace@example.com", "admin": True, "auth": "link"}
    server.about = ABOUT | {"account": account, "record": record, "recording_days": 30}
    page.reload()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    for width, height in SIZES.values():
        page.set_viewport_size({"width": width, "height": height})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.thorough
def test_a_refused_call_breaks_no_rule(server: PageServer, page: Page) -> None:
    server.refusal = End(reason="capacity", message="All lines are busy. Call again in a minute.")
    page.get_by_role("button", name="Call Viva").click()
    until(page, "viva.state === 'ended'")
    assert violations(page) == []


SIGN_IN: dict[str, dict[str, object]] = {
    "sign_in.html.j2": {"form": "f", "email": "ada", "trouble": "This is no address."},
    "sign_in_link.html.j2": {"form": "f"},
    "sign_in_sent.html.j2": {
        **{"email": "ada@example.com", "minutes": 15, "most": 3},
        **{"in_terminal": False, "busy": False},
    },
    "sign_in_refused.html.j2": {
        **{"heading": "Too many links", "said": ["Wait an hour."], "again": "Ask for another"},
        "signed_in": "",
    },
    "sign_out.html.j2": {"form": "f", "email": "ada@example.com"},
}


@pytest.mark.thorough
@pytest.mark.parametrize("template", SIGN_IN)
def test_signing_in_breaks_no_rule(server: PageServer, tab: Page, template: str) -> None:
    html = render(template, root="", **SIGN_IN[template])
    place = f"{server.url}rendered"
    tab.route(place, lambda route: route.fulfill(body=html, content_type="text/html"))
    for token in ("", "#token"):
        tab.goto("about:blank")
        tab.goto(place + token)
        for width in (1280, 320):
            tab.set_viewport_size({"width": width, "height": 568})
            for scheme in ("light", "dark"):
                tab.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
                assert violations(tab) == []
            assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert tab.evaluate(_SMALL) == []
    tab.unroute(place)
