"""What stands beside a call: who is at work, the last answer, times, costs, and what went wrong."""

import asyncio
from functools import partial
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.web.cloud import CLOUD, cloud_call
from tests.web.conftest import until
from tests.web.scene import amount, ask, decision, greet, record, speechlike
from tests.web.server import PageServer, Peer
from transports.browser.messages import Cost, DecisionCheck, End, Stage

pytestmark = pytest.mark.browser

WIDE = {"width": 1440, "height": 900}


def call(page: Page) -> None:
    page.get_by_role("button", name="Call Viva").click()


def rows(page: Page, of: str) -> list[list[str]]:
    """What a table says, cell by cell, empty cells left out."""
    said = page.locator(of).evaluate(
        """(table) => [...table.querySelectorAll('tr')].map((row) =>
             [...row.cells].map((cell) => cell.textContent).filter(Boolean))"""
    )
    return [row for row in said if row]


@pytest.fixture
def cloud(server: PageServer, page: Page) -> Page:
    """A wide page over cloud services."""
    server.about = CLOUD
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto(server.url)
    page.wait_for_selector("#services li")
    return page


@pytest.mark.thorough
def test_before_a_call_it_says_who_will_be_at_work_and_the_caps(cloud: Page) -> None:
    services = cloud.locator("#services li")
    expect(services).to_have_count(4)
    expect(services.nth(1)).to_contain_text("Deepgram")
    expect(services.nth(1)).to_contain_text("your voice is sent there")
    expect(cloud.get_by_text("appear here during a call")).to_be_visible()
    expect(cloud.locator("#call-spent")).to_have_text("up to $0.06")
    expect(cloud.locator("#day-spent")).to_have_text("up to $5.00")
    expect(cloud.locator("#last")).to_be_hidden()
    assert cloud.locator("#engines-of").is_hidden(), "it is not said twice"


@pytest.mark.thorough
def test_a_whole_call_over_cloud_services(server: PageServer, cloud: Page) -> None:
    server.script = partial(cloud_call, answer_secs=0.3)
    call(cloud)
    until(cloud, "viva.turns.length === 6 && viva.turns[5].type === 'turn'")
    expect(cloud.locator("#services [aria-current]")).to_contain_text("Hibari, voice heart")
    expect(cloud.locator("#services")).to_contain_text("Claude haiku-4-5")
    expect(cloud.locator("#failovers")).to_have_text("ElevenLabs failed. Hibari took over.")
    expect(cloud.get_by_role("heading", name="Answer to turn 6")).to_be_visible()
    expect(cloud.locator("#last-total")).to_have_text("0.66 s")
    assert rows(cloud, ".waterfall tbody") == [
        ["transcript", "140 ms"],
        ["end of turn", "50 ms"],
        ["first token", "110 ms"],
        ["first sentence", "60 ms"],
        ["first audio", "70 ms"],
        ["audible", "230 ms"],
    ]
    grounds = cloud.locator("#last-grounds")
    expect(grounds).to_have_text("High confidence, from Honours, Grace Hopper.")
    expect(grounds.get_by_role("link", name="Honours")).to_have_attribute(
        "href", "#section-honours"
    )
    expect(cloud.locator("#last-checks")).to_have_text("All 6 checks passed.")
    expect(cloud.locator("#p50")).to_have_text("0.65 s")
    expect(cloud.locator("#p95")).to_have_text("1.24 s")
    expect(
        cloud.get_by_role("img", name="Seconds to each answer: 0.58, 0.71, 0.49, 0.63, 1.42, 0.66")
    ).to_be_visible()
    expect(cloud.locator("#call-spent")).to_have_text("$0.017 of $0.06, 28 %")
    expect(cloud.locator("#day-spent")).to_have_text("$3.14 of $5.00, 62 %")
    assert cloud.locator("#stages").inner_text().split("\n") == [
        *("Hearing", "$0.002"),
        *("Answering", "$0.007"),
        *("Speaking", "$0.008"),
    ]
    assert rows(cloud, "#turn-rows") == [
        ["6", "0.66 s", "high", "$0.0018"],
        ["5", "1.42 s", "high", "$0.0023"],
        ["Hibari took over; elevenlabs: no audio for 0.8 s."],
        ["4", "0.63 s", "medium", "$0.0040"],
        ["Interrupted."],
        ["3", "0.49 s", "$0.0017"],
        ["Left for a person."],
        ["2", "0.71 s", "high", "$0.0038"],
        ["1", "0.58 s", "high", "$0.0034"],
    ]
    counts = dict(
        zip(
            cloud.locator("#counts dt").all_inner_texts(),
            cloud.locator("#counts dd").all_inner_texts(),
            strict=True,
        )
    )
    assert counts == {
        "left for a person": "1",
        "interrupted": "1",
        "checks failed": "0 of 32",
        "failovers": "1",
        "errors": "1",
    }
    expect(cloud.locator("#notice")).to_contain_text(
        "ElevenLabs failed, and Hibari has taken over."
    )
    cloud.keyboard.press("Escape")
    expect(cloud.locator("#services [aria-current]")).to_have_count(0)
    expect(cloud.locator("#call-spent")).to_be_visible()


@pytest.mark.thorough
def test_bars_are_as_long_as_their_numbers(server: PageServer, cloud: Page) -> None:
    """One after another on the waterfall's scale of 1 s; of the cap, what has been spent."""

    async def script(peer: Peer) -> None:
        times = {"transcription_delay": 0.2, "end_of_turn_delay": 0.3, "llm_ttft": 0.1}
        rest = {"llm_ttfs": 0.2, "tts_ttfb": None, "e2e_latency": 0.8}
        cost = amount(10_000, 0, 30_000)
        await peer.tell(record(1, "Where?", "At Yale.", **times, **rest, cost=cost))
        await peer.tell(Cost(call=cost, call_cap=50_000, day=None, day_cap=None))
        await peer.closed.wait()

    server.script = script
    call(cloud)
    until(cloud, "viva.turns.length === 1")
    spans = """(picture) => [...picture.querySelectorAll('rect:not(.tick)')].map((bar) =>
        [bar.getAttribute('class'), +bar.getAttribute('x'), +bar.getAttribute('width')])"""
    expect(cloud.locator(".waterfall svg")).to_have_count(6)  # drawn with the next frame
    drawn = [bar.evaluate(spans) for bar in cloud.locator(".waterfall svg").all()]
    assert drawn == [
        [["stt", 0, 200]],
        [["turn", 200, 100]],
        [["brain", 300, 100]],
        [["check", 400, 100]],
        [],
        [["way", 500, 300]],
    ]
    assert cloud.locator("#call-gauge svg").evaluate(spans) == [["stt", 0, 200], ["tts", 200, 600]]
    expect(cloud.locator("#call-gauge")).to_have_class("gauge near")
    expect(cloud.locator("#day")).to_be_hidden()


@pytest.mark.thorough
def test_what_runs_here_is_said_to_be_free(server: PageServer, page: Page) -> None:
    async def script(peer: Peer) -> None:
        await greet(peer, secs=0.2)
        await peer.tell(record(1, "Where?", "At Yale."))
        await peer.tell(Cost(call=amount(), call_cap=None, day=None, day_cap=None))
        await peer.closed.wait()

    server.script = script
    page.set_viewport_size({"width": 1440, "height": 900})
    expect(page.locator("#call-spent")).to_have_text("free, runs here")
    call(page)
    until(page, "viva.turns.length === 1")
    expect(page.locator("#call-spent")).to_have_text("free, runs here")
    expect(page.locator("#call-gauge")).to_be_hidden()
    expect(page.locator("#day")).to_be_hidden()


@pytest.mark.thorough
def test_one_embedded_stage_among_services_is_said_to_be_free(
    server: PageServer, cloud: Page
) -> None:
    async def script(peer: Peer) -> None:
        vendors = {"stt": "whisper", "brain": "claude", "tts": "elevenlabs"}
        await peer.tell(record(1, "Where?", "At Yale.", vendors=vendors, cost=amount(0, 1500, 900)))
        await peer.tell(Cost(call=amount(0, 1500, 900), call_cap=None, day=9_000, day_cap=None))
        await peer.closed.wait()

    server.script = script
    call(cloud)
    until(cloud, "viva.turns.length === 1")
    expect(cloud.locator("#call-spent")).to_have_text("$0.0024")
    expect(cloud.locator("#stages div").nth(0)).to_have_text("Hearingfree, runs here")
    expect(cloud.locator("#day-spent")).to_have_text("$0.009")
    expect(cloud.locator("#day-gauge")).to_be_hidden()


def test_a_failed_check_and_an_unheard_answer_are_told(server: PageServer, cloud: Page) -> None:
    async def script(peer: Peer) -> None:
        failed = DecisionCheck(name="support", passed=False, detail="'1953' in the answer")
        passed = DecisionCheck(name="sections", passed=True)
        unheard: dict[str, Any] = {"e2e_latency": None, "llm_ttft": None, "tts_ttfb": None}
        unsupported: dict[str, Any] = {
            "decision": "escalate",
            "reason": "unsupported",
            "confidence": None,
        }
        checks = [passed, failed]
        await peer.tell(record(1, "When?", "", checks=checks, **unsupported, **unheard))
        await peer.tell(decision(2, "And?", "Yes."))
        await peer.closed.wait()

    server.script = script
    call(cloud)
    until(cloud, "viva.turns.length === 2")
    expect(cloud.locator("#last-total")).to_have_text("not heard")
    expect(cloud.locator("#last-grounds")).to_have_text(
        "The document does not say. Left for a person."
    )
    expect(cloud.locator("#last-checks")).to_have_text(
        "1 of 2 checks failed: support: '1953' in the answer."
    )
    assert rows(cloud, "#turn-rows")[0] == ["2", "—", "high", "…"], "the turn that goes on"
    expect(cloud.locator("#times")).to_be_hidden()


@pytest.mark.thorough
def test_an_answer_in_the_documents_words_is_told(server: PageServer, cloud: Page) -> None:
    async def script(peer: Peer) -> None:
        failed = DecisionCheck(name="support", passed=False, detail="'1953' in the answer")
        worded = DecisionCheck(name="wording", passed=True)
        more: dict[str, Any] = {"checks": [failed, worded], "confidence": "medium"}
        await peer.tell(record(1, "When?", "In 1952.", **more))
        await peer.closed.wait()

    server.script = script
    call(cloud)
    until(cloud, "viva.turns.length === 1")
    expect(cloud.locator("#last-grounds")).to_contain_text("Answered in the document's own words.")
    expect(cloud.locator("#last-checks")).to_have_text(
        "1 of 2 checks failed: support: '1953' in the answer."
    )
    expect(cloud.locator("#turn-rows .remarks")).to_have_text(
        "Answered in the document's own words; check failed: support."
    )


@pytest.mark.thorough
def test_a_new_call_begins_with_nothing(server: PageServer, cloud: Page) -> None:
    async def short(peer: Peer) -> None:
        await greet(peer, secs=0.2)
        await peer.tell(record(1, "Where?", "At Yale.", cost=amount(1, 2, 3)))
        await peer.tell(End(reason="silence", message="Nothing was said for a while."))

    async def hold(peer: Peer) -> None:
        await peer.closed.wait()

    server.script = short
    call(cloud)
    until(cloud, "viva.state === 'ended'")
    expect(cloud.locator("#turn-rows tr")).to_have_count(1)
    server.script = hold
    cloud.get_by_role("button", name="Call again").click()
    until(cloud, "viva.state === 'listening'")
    expect(cloud.locator("#turns")).to_be_hidden()
    expect(cloud.locator("#last")).to_be_hidden()
    expect(cloud.locator("#call-spent")).to_have_text("up to $0.06")


@pytest.mark.thorough
def test_it_draws_at_most_once_a_frame_and_only_what_has_changed(
    server: PageServer, cloud: Page
) -> None:
    burst = 400

    async def script(peer: Peer) -> None:
        await peer.tell(record(1, "Where?", "At Yale."))
        await asyncio.sleep(0.2)
        for _ in range(burst // 2):
            await peer.tell(Stage(stage="thinking", turn=1, vendor="claude"))
            await peer.tell(Stage(stage="speaking", turn=1, vendor="elevenlabs"))
        await peer.tell(End(reason="hangup", message="Goodbye."))

    server.script = script
    cloud.evaluate(
        """() => {
          window.drawn = 0;
          window.frames = 0;
          new MutationObserver(() => { drawn += 1; })
            .observe(document.getElementById('services'), { childList: true });
          const frame = () => { frames += 1; requestAnimationFrame(frame); };
          frame();
        }"""
    )
    call(cloud)
    until(cloud, "viva.turns.length === 1 && document.querySelector('.waterfall') !== null")
    cloud.evaluate("() => { window.table = document.querySelector('.waterfall'); frames = 0; }")
    until(cloud, "viva.state === 'ended'")
    cloud.wait_for_timeout(100)
    drawn, frames = cloud.evaluate("[drawn, frames]")
    assert drawn <= frames + 3
    assert cloud.evaluate("table === document.querySelector('.waterfall')")


@pytest.mark.thorough
def test_it_speaks_to_nobody_who_has_not_asked(cloud: Page) -> None:
    """A screen reader reads of the instruments what it goes to."""
    live = cloud.locator("#instruments").evaluate(
        """(root) => [root, ...root.querySelectorAll('*')].filter(({ ariaLive, role }) =>
             ariaLive || ['alert', 'status', 'log', 'timer'].includes(role)).length"""
    )
    assert live == 0


def test_opening_them_keeps_the_latest_words_in_sight(server: PageServer, page: Page) -> None:
    """But whoever has gone back to read is left where they are."""
    go_on = asyncio.Event()

    async def script(peer: Peer) -> None:
        await greet(peer, secs=0.2)
        for turn in range(1, 8):
            await peer.say(f"Answer {turn}. " + "And so on. " * 8, speechlike(0.05), turn=turn)
        await peer.played_out()
        await go_on.wait()
        await peer.say("One more.", speechlike(0.05), turn=8)
        await peer.closed.wait()

    server.script = script
    call(page)
    log = page.get_by_role("list", name="What was said")
    expect(log.get_by_role("listitem")).to_have_count(8)
    page.locator("#instruments > summary").click()
    page.wait_for_timeout(100)
    below = "(log) => log.scrollHeight - log.scrollTop - log.clientHeight"
    assert log.evaluate(below) < 2
    log.evaluate("(log) => { log.scrollTop = 0; }")
    page.wait_for_timeout(100)
    server.run(go_on.set)
    expect(log.get_by_role("listitem")).to_have_count(9)
    page.locator("#instruments > summary").click()
    page.wait_for_timeout(100)
    assert log.evaluate("(log) => log.scrollTop") == 0


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
@pytest.mark.thorough
def test_it_folds_away_where_there_is_no_room(server: PageServer, page: Page, width: int) -> None:
    async def script(peer: Peer) -> None:
        await greet(peer, secs=0.2)
        await ask(peer, 1, "Where did she study?")
        failed = DecisionCheck(name="support", passed=False, detail="'1953' in " + "a" * 90)
        cost = amount(1_234_567, 2_345_678, 3_456_789)
        more: dict[str, Any] = {"cost": cost, "checks": [failed], "errors": ["e" * 70]}
        await peer.tell(record(1, "Where did she study?", "At Yale.", **more))
        await peer.tell(
            Cost(call=cost, call_cap=90_000_000, day=1_234_567_890, day_cap=5_000_000_000)
        )
        await peer.say("At Yale.", speechlike(20.0), turn=1)

    server.script = script
    page.set_viewport_size({"width": width, "height": 640})
    expect(page.locator("#instruments")).to_be_hidden()
    call(page)
    until(page, "viva.turns.length === 1 && viva.state === 'speaking'")
    summary = page.locator("#instruments > summary")
    expect(summary).to_contain_text("0.45 s, $7.04")
    assert page.locator(".waterfall").is_hidden()
    summary.focus()
    page.keyboard.press("Enter")
    assert page.evaluate("viva.muted") is False
    expect(page.locator(".waterfall")).to_be_visible()
    for name in ("Mute", "Hang up"):
        expect(page.get_by_role("button", name=name)).to_be_in_viewport(ratio=1)
    for inner in ("document.documentElement", "document.querySelector('.figures')"):
        over = page.evaluate(f"{inner}.scrollWidth - {inner}.clientWidth")
        assert over <= 0, f"{inner} is {over} px too wide"
    page.locator("#turns").scroll_into_view_if_needed()
    expect(page.locator("#turn-rows tr").last).to_be_in_viewport(ratio=1)
    page.keyboard.press("Escape")
    until(page, "viva.state === 'ended'")
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
