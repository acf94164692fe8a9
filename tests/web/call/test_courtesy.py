"""What a caller expects of a page: to be let out, to be told where to look, to lose nothing."""

import asyncio
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.web.conftest import until
from tests.web.scene import DOCUMENT, decision, greet, record, speechlike
from tests.web.server import PageServer, Peer
from transports.browser.messages import DecisionCheck

pytestmark = pytest.mark.browser


async def hold(peer: Peer) -> None:
    await greet(peer, secs=0.2)
    await peer.closed.wait()


def call(page: Page) -> None:
    page.get_by_role("button", name="Call Viva").click()
    until(page, "viva.state === 'listening' && viva.samplesPlayed > 0")


@pytest.mark.parametrize("way", ["button", pytest.param("key", marks=pytest.mark.thorough)])
def test_a_call_that_has_not_begun_can_be_taken_back(
    server: PageServer, page: Page, way: str
) -> None:
    free = asyncio.Event()
    server.admission = free.wait
    server.script = hold
    page.get_by_role("button", name="Call Viva").click()
    until(page, "viva.state === 'admitting'")
    if way == "button":
        page.get_by_role("button", name="Cancel").click()
    else:
        page.keyboard.press("Escape")
    assert page.evaluate("viva.state") == "landing"
    expect(page.get_by_role("button", name="Call Viva")).to_be_focused()
    expect(page.get_by_role("alert")).to_be_empty()
    server.run(free.set)
    call(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("heading", name="You hung up")).to_be_visible()


def test_a_question_of_the_browsers_that_is_overlooked_is_pointed_out(blank: Page) -> None:
    hints = blank.evaluate(
        """async () => {
          const { Call } = await import('/web/call/call.js');
          const { Page } = await import('/web/call/page.js');
          const html = await (await fetch('/')).text();
          const page = new Page(new DOMParser().parseFromString(html, 'text/html'));
          const call = new Call();
          const hint = (now) => {
            page.show(call, { muted: false, silent: false, now });
            return ['hint', 'announcer'].map((id) =>
              page.body.querySelector(`#${id}`).textContent.split('.')[0]);
          };
          call.press();
          hint(100);
          call.admit();
          return [hint(120), hint(127.9), hint(128.1)];
        }"""
    )
    asking = ["Please allow this page to use your microphone", "One moment"]
    waiting = "The browser is waiting for your answer"
    assert hints == [asking, asking, [waiting, waiting]]


@pytest.mark.thorough
def test_two_tabs_do_not_call_at_once(server: PageServer, page: Page) -> None:
    """They would hear each other. A tab that hangs up lets the other call."""
    server.script = hold
    page.evaluate(
        """() => new Promise((held) => {
          navigator.locks.request('viva-call', () => new Promise((release) => {
            window.hangUpThere = release;
            held();
          }));
        })"""
    )
    page.get_by_role("button", name="Call Viva").click()
    expect(page.get_by_role("alert")).to_contain_text("This browser is in a call already")
    assert server.calls == []
    page.evaluate("hangUpThere()")
    call(page)
    page.get_by_role("button", name="Hang up").click()
    page.get_by_role("button", name="Call again").click()
    until(page, "viva.state === 'listening'")


@pytest.mark.thorough
def test_a_link_does_not_take_the_call_along(server: PageServer, page: Page) -> None:
    server.script = hold
    page.evaluate(
        """() => {
          window.opened = [];
          addEventListener('click', (event) => {
            if (!event.target.closest('a')) return;
            opened.push([event.target.getAttribute('href').slice(0, 1), event.target.target]);
            event.preventDefault();
          });
        }"""
    )
    source = page.get_by_role("link", name="history.navy.mil")
    source.click()
    call(page)
    source.click()
    page.evaluate("document.querySelector('.skip').click()")
    page.keyboard.press("Escape")
    source.click()
    assert page.evaluate("opened") == [["h", ""], ["h", "_blank"], ["#", ""], ["h", ""]]


@pytest.mark.thorough
def test_the_end_shows_what_was_said_from_its_beginning(server: PageServer, page: Page) -> None:
    async def script(peer: Peer) -> None:
        await greet(peer, secs=0.2)
        for turn in range(1, 12):
            await peer.say(f"Answer {turn}. " + "And so on. " * 12, speechlike(0.03), turn=turn)
        await peer.played_out()
        await peer.closed.wait()

    server.script = script
    page.get_by_role("button", name="Call Viva").click()
    log = page.get_by_role("list", name="What was said")
    expect(log.get_by_role("listitem")).to_have_count(12)
    assert log.evaluate("(log) => log.scrollTop") > 0
    page.get_by_role("button", name="Hang up").click()
    expect(page.get_by_role("heading", name="You hung up")).to_be_visible()
    page.wait_for_timeout(100)
    assert log.evaluate("(log) => [log.scrollTop, log.scrollHeight > log.clientHeight]") == [
        0,
        True,
    ]


@pytest.mark.thorough
def test_a_section_cited_often_stays_within_its_column(server: PageServer, page: Page) -> None:
    turns = range(1, 25)

    async def script(peer: Peer) -> None:
        await greet(peer, secs=0.2)
        for turn in turns:
            await peer.say("Yes.", speechlike(0.03), turn=turn, sections=["employment/univac"])
        await peer.played_out()
        await peer.event("bot-stopped-speaking")
        await peer.closed.wait()

    server.script = script
    page.set_viewport_size({"width": 320, "height": 640})
    page.get_by_role("button", name="Call Viva").click()
    mark = page.locator("#section-employment-univac .mark")
    expect(mark).to_have_text(f"cited in turns {', '.join(map(str, turns))}")
    assert mark.evaluate("(mark) => mark.getBoundingClientRect().right <= innerWidth")
    page.keyboard.press("Escape")


@pytest.mark.thorough
def test_a_document_is_written_as_its_language_is(server: PageServer, page: Page) -> None:
    def hebrew(route: Route) -> None:
        route.fulfill(json=DOCUMENT | {"language": "he"})

    page.route("**/document.json", hebrew)
    page.reload()
    page.wait_for_selector("main section")
    server.script = hold
    call(page)
    places = ["#document", "#title", "#subtitle", "#suggested", "#interim", ".caller", ".voice"]
    told: Any = page.evaluate(
        "(places) => places.map((place) => document.querySelector(place)).map("
        "({ lang, dir }) => `${lang} ${dir}`)",
        places,
    )
    assert told == ["he rtl"] * len(places)
    said = page.evaluate("[...document.querySelectorAll('.voice > span[dir]')].map((e) => e.dir)")
    assert set(said) == {"auto"}, "each sentence, whose language may be another"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.keyboard.press("Escape")
    page.unroute("**/document.json")


@pytest.mark.thorough
def test_a_question_that_is_refused_is_no_failed_check(server: PageServer, page: Page) -> None:
    refused = DecisionCheck(name="sensitive", passed=False, detail="the question is about salary")

    async def script(peer: Peer) -> None:
        await greet(peer, secs=0.2)
        outcome: dict[str, Any] = {
            "decision": "escalate",
            "confidence": None,
            "reason": "sensitive",
        }
        outcome["checks"] = [DecisionCheck(name="question", passed=True), refused]
        await peer.tell(decision(1, "What was her salary?", "No.", **outcome))
        await peer.tell(record(1, "What was her salary?", "No.", **outcome))
        await peer.closed.wait()

    server.script = script
    page.set_viewport_size({"width": 1440, "height": 900})
    call(page)
    expect(page.locator("#last-checks")).to_have_text("The question is about salary: refused.")
    expect(page.locator("#last-checks.warn")).to_have_count(0)
    expect(page.locator("#checks-failed")).to_have_text("0 of 2")
    expect(page.get_by_text("check failed")).to_have_count(0)
    page.keyboard.press("Escape")
