"""The log of calls and the page of one, in real Chromium, over a ledger of made-up calls."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from conversation.records import CallerIdentity
from ledger.log.filter import DECISIONS, WHYS
from tests.lateness import in_time
from tests.web.axe import violations
from tests.web.calls.call_log import CallLogServer
from tests.web.calls.made_up_calls import MARKUP, RECORDED, RECORDED_SECS
from tests.web.conftest import heeded, measure_lateness, until

pytestmark = pytest.mark.browser

WIDTHS = {320: 700, 390: 844, 768: 1024, 1280: 900}
Visit = Callable[[str], Page]


@pytest.fixture(scope="module")
def log_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CallLogServer]:
    with CallLogServer(tmp_path_factory.mktemp("log")) as server:
        yield server


@pytest.fixture
def server(log_server: CallLogServer) -> CallLogServer:
    log_server.reset()
    return log_server


@pytest.fixture
def visit(tab: Page, server: CallLogServer) -> Iterator[Visit]:
    """Opens a page of the log, which must not complain."""

    def open_page(path: str) -> Page:
        tab.goto(server.url + path)
        return tab

    with heeded(tab) as complaints:
        yield open_page
    # What the server refused is told on the page; the browser notes it besides.
    assert [text for text in complaints if not text.startswith("Failed to load resource")] == []


def settled(page: Page) -> None:
    """Until the page has what it asked for."""
    until(page, "document.querySelector('#main:not(.busy):not([aria-busy=true])') !== null")


def arrived(page: Page, address: str) -> None:
    """Until another page has been opened, and has what it asked for."""
    expect(page).to_have_url(re.compile(address))
    settled(page)


def rows(page: Page) -> Locator:
    return page.locator("#log tr.call")


def query_of(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def figure(page: Page, name: str) -> Locator:
    return page.locator(".figure").filter(has=page.get_by_role("heading", name=name, exact=True))


@pytest.mark.thorough
@pytest.mark.parametrize("path", ["calls", f"calls/{RECORDED}"])
def test_it_breaks_no_rule_of_accessibility(visit: Visit, path: str) -> None:
    page = visit(path)
    settled(page)
    for width in (1280, 320):
        page.set_viewport_size({"width": width, "height": 568})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            assert violations(page) == []


# The log.


def test_the_log_shows_calls_day_by_day(visit: Visit) -> None:
    page = visit("calls")
    expect(rows(page)).to_have_count(50)
    expect(page.locator("#range")).to_have_text(
        "26 October \N{EN DASH} 24 November 2026. Days and times are UTC."
    )
    first = page.locator("#log tbody").first
    expect(first.locator(".day")).to_contain_text("Tuesday 24 November 2026")
    expect(first.locator(".day")).to_contain_text(re.compile(r"\d+ calls, [\d.]+ min, \$0\.\d{4}"))
    eventful = rows(page).filter(has=page.locator(f'a[href="calls/{RECORDED}"]'))
    for text in (
        *("17:00", "Where did she study?", "joe@example.com", "1 to a person", "1 interrupted"),
        *("hung up", "0:16", "0.91 s", "$0.0188"),
    ):
        expect(eventful).to_contain_text(text)
    expect(rows(page).first).to_contain_text("goes on")


@pytest.mark.thorough
def test_the_totals_are_those_of_the_whole_range(visit: Visit) -> None:
    page = visit("calls")
    settled(page)
    told = page.evaluate("fetch('calls.json').then((found) => found.json())")["totals"]
    assert told["calls"] > 130
    expect(figure(page, "Calls").locator(".value")).to_have_text(str(told["calls"]))
    expect(figure(page, "Cost").locator(".value")).to_have_text(f"${told['cost'] / 1e6:.2f}")
    for stage in ("hearing", "deciding", "speaking"):
        expect(figure(page, "Cost")).to_contain_text(re.compile(stage + r" \$\d\.\d\d"))
    latency = figure(page, "Last word to first sound")
    expect(latency.locator(".value")).to_have_text(f"{told['e2e_p50']:.2f} s")
    expect(latency).to_contain_text(f"p95 {told['e2e_p95']:.2f} s")
    expect(figure(page, "Handed to a person")).to_contain_text(str(told["escalations"]))
    heights = page.evaluate(
        """() => [...document.querySelectorAll('.figure:first-child rect.deciding')]
             .map((bar) => bar.getBoundingClientRect().height)"""
    )
    counts = [day["calls"] for day in told["days"]]
    assert len(heights) == len(counts)
    assert max(heights) > 30, "they can be seen"
    for height, count in zip(heights, counts, strict=True):
        assert height / max(heights) == pytest.approx(count / max(counts), abs=0.02)


@pytest.mark.thorough
def test_filters_stand_in_the_address(visit: Visit) -> None:
    page = visit("calls")
    settled(page)
    page.get_by_label("Decided").select_option("handed to a person")
    until(page, "location.search.includes('decision=escalate')")
    settled(page)
    for text in rows(page).all_inner_texts():
        assert "to a person" in text
    page.get_by_label("Caller").fill("joe@")
    page.get_by_label("Caller").press("Enter")
    until(page, "location.search.includes('caller=joe')")
    settled(page)
    narrowed = rows(page).count()
    assert 0 < narrowed < 50
    page.reload()
    settled(page)
    assert rows(page).count() == narrowed
    expect(page.get_by_label("Caller")).to_have_value("joe@")
    page.go_back()
    settled(page)
    expect(page.get_by_label("Caller")).to_have_value("")
    expect(page.get_by_label("Decided")).to_have_value("escalate")
    csv = page.get_by_role("link", name="Download as CSV").get_attribute("href") or ""
    assert parse_qs(urlsplit(csv).query) == query_of(page)
    page.get_by_role("link", name="Clear").click()
    settled(page)
    assert query_of(page) == {}
    expect(rows(page)).to_have_count(50)
    expect(page.get_by_role("link", name="Clear")).to_be_hidden()


def test_every_reason_and_decision_can_be_chosen(visit: Visit) -> None:
    page = visit("calls")
    values = "(select) => [...select.options].map((option) => option.value)"
    assert {"", *WHYS} <= set(page.locator("#why").evaluate(values))
    assert {"", *DECISIONS} == set(page.locator("#decision").evaluate(values))


@pytest.mark.thorough
def test_one_press_of_enter_asks_once(server: CallLogServer, visit: Visit) -> None:
    page = visit("calls")
    settled(page)
    page.get_by_label("Words said").fill("yale")
    page.get_by_label("Words said").press("Enter")
    until(page, "location.search.includes('q=yale')")
    settled(page)
    assert len([path for path in server.asked if "q=yale" in path]) == 1


@pytest.mark.thorough
def test_words_that_were_looked_for_lead_to_their_turn(visit: Visit) -> None:
    page = visit("calls?q=compiler+certain&caller=joe")
    settled(page)
    [row] = rows(page).all()
    expect(row).to_contain_text("When did she write the first compiler?")
    row.get_by_role("link").click()
    arrived(page, f"/calls/{RECORDED}#turn-4$")
    expect(page.locator("#turn-4")).to_be_in_viewport()


@pytest.mark.thorough
def test_older_calls_come_below_until_there_are_no_more(visit: Visit) -> None:
    page = visit("calls")
    settled(page)
    whole = int(figure(page, "Calls").locator(".value").inner_text())
    older = page.get_by_role("button", name="Older calls")
    older.click()
    expect(rows(page)).to_have_count(100)
    focused = page.evaluate("document.activeElement.getAttribute('href')")
    assert focused == rows(page).nth(50).locator("a").get_attribute("href")
    older.click()
    expect(rows(page)).to_have_count(whole)
    expect(older).to_be_hidden()
    hrefs = rows(page).locator("a").evaluate_all("(all) => all.map((each) => each.href)")
    assert len(set(hrefs)) == whole
    days = page.locator("#log tr.day span:first-child").all_inner_texts()
    assert len(set(days)) == len(days), "a day has one heading"


@pytest.mark.thorough
def test_pointing_at_a_bar_tells_its_day_and_pressing_it_chooses_it(visit: Visit) -> None:
    page = visit("calls")
    settled(page)
    value = figure(page, "Calls").locator(".value")
    whole = value.inner_text()
    bar = figure(page, "Calls").locator('rect.point[data-key="2026-11-20"]')
    bar.hover()
    expect(page.locator("#pointed")).to_have_text("Friday 20 November 2026")
    of_day = value.inner_text()
    assert int(of_day) < int(whole)
    page.get_by_role("heading", name="The log").hover()
    expect(value).to_have_text(whole)
    bar.click()
    settled(page)
    assert query_of(page) == {"since": ["2026-11-20"], "until": ["2026-11-20"]}
    expect(page.locator("#range")).to_have_text("20 November 2026. Days and times are UTC.")
    expect(rows(page)).to_have_count(int(of_day))


def test_the_bars_are_a_table_for_those_who_do_not_see_them(visit: Visit) -> None:
    page = visit("calls")
    settled(page)
    page.get_by_text("Day by day").press("Enter")
    table = page.get_by_role("region", name="Totals day by day").get_by_role("table")
    told = page.evaluate("fetch('calls.json').then((found) => found.json())")["totals"]["days"]
    expect(table.get_by_role("row")).to_have_count(len(told) + 1)
    newest = table.get_by_role("row").nth(1)
    expect(newest.get_by_role("cell").first).to_have_text(str(told[-1]["calls"]))
    newest.get_by_role("link").press("Enter")
    settled(page)
    assert query_of(page)["since"] == ["2026-11-24"]


MOVED = """() => {
  window.moved = 0;
  new PerformanceObserver((list) => {
    for (const { value } of list.getEntries()) moved += value;
  }).observe({ type: 'layout-shift', buffered: true });
}"""


@pytest.mark.thorough
@pytest.mark.parametrize("size", [(412, 823), (1350, 940)])
def test_while_the_ledger_is_slow_the_page_says_that_it_waits_and_nothing_moves(
    server: CallLogServer, tab: Page, visit: Visit, size: tuple[int, int]
) -> None:
    tab.set_viewport_size({"width": size[0], "height": size[1]})
    server.database.free.clear()
    page = visit("calls")
    expect(page.get_by_text("Loading calls…")).to_be_visible()
    page.evaluate(MOVED)
    server.database.free.set()
    expect(rows(page)).to_have_count(50)
    expect(page.get_by_text("Loading calls…")).to_be_hidden()
    expect(page.get_by_role("status")).to_have_text(re.compile(r"\d+ calls"))
    page.wait_for_timeout(200)
    assert page.evaluate("moved") < 0.01


def test_where_nothing_matches_the_page_says_what_to_do(visit: Visit) -> None:
    page = visit("calls?q=zeppelin")
    expect(page.get_by_text("No call on these days matches.")).to_be_visible()
    expect(page.locator("#log")).to_be_hidden()
    expect(page.locator("#totals")).to_be_hidden()
    page = visit("calls?since=2026-01-01&until=2026-01-02")
    expect(page.get_by_text("No calls on these days.")).to_be_visible()


@pytest.mark.thorough
def test_a_broken_ledger_is_told_and_can_be_tried_again(
    server: CallLogServer, visit: Visit
) -> None:
    server.database.broken = True
    page = visit("calls")
    expect(page.get_by_role("alert")).to_contain_text("The ledger is temporarily unavailable")
    server.database.broken = False
    page.get_by_role("button", name="Try again").click()
    expect(rows(page)).to_have_count(50)
    expect(page.get_by_role("alert")).to_be_empty()


def test_a_wrong_address_is_told_in_the_servers_words(visit: Visit) -> None:
    page = visit("calls?why=bored")
    expect(page.get_by_role("alert")).to_contain_text("why is 'bored'; allowed: hangup, ")
    page.get_by_role("link", name="Clear all filters").click()
    arrived(page, "/calls$")
    expect(rows(page)).to_have_count(50)


def test_whoever_was_signed_out_is_shown_the_way_in(server: CallLogServer, visit: Visit) -> None:
    page = visit("calls")
    settled(page)
    server.caller = None
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("alert")).to_contain_text("not signed in")
    page.get_by_role("link", name="Sign in").click()
    expect(page).to_have_url(re.compile("/sign-in$"))


def test_whoever_is_no_admin_reads_why(server: CallLogServer, visit: Visit) -> None:
    server.caller = CallerIdentity(email="joe@example.com", key="joe@example.com")
    for path in ("calls", f"calls/{RECORDED}"):
        page = visit(path)
        expect(page.get_by_role("heading", level=1)).to_have_text("The log is for admins")
        assert page.evaluate("getComputedStyle(document.body).maxWidth") != "none", "styled"
    page.get_by_role("link", name="the document").click()
    expect(page).to_have_url(server.url)


@pytest.mark.thorough
def test_a_year_that_is_being_typed_is_not_asked_for(server: CallLogServer, visit: Visit) -> None:
    page = visit("calls")
    settled(page)
    page.get_by_label("From").focus()
    page.keyboard.type("1120202")
    page.wait_for_timeout(100)
    assert not any("since=0" in path for path in server.asked)
    page.keyboard.type("6")
    until(page, "location.search.includes('since=2026-11-20')")


@pytest.mark.thorough
def test_the_log_can_be_walked_by_keyboard(visit: Visit) -> None:
    page = visit("calls?decision=escalate")
    settled(page)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="To the calls")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    link = rows(page).first.get_by_role("link")
    expect(link).to_be_focused()
    outline = link.evaluate("(link) => getComputedStyle(link, '::after').outlineStyle")
    assert outline == "solid", "the whole row shows where the focus is"
    page.keyboard.press("Enter")
    arrived(page, "/calls/c-")
    page.get_by_role("link", name="Calls", exact=True).click()
    arrived(page, r"/calls\?")
    assert query_of(page) == {"decision": ["escalate"]}, "back to the filters that were set"


def test_the_log_has_names_for_those_who_listen(visit: Visit) -> None:
    page = visit("calls")
    settled(page)
    snapshot = page.locator("body").aria_snapshot()
    for line in (
        '- heading "Calls" [level=1]',
        '- search "Filters"',
        '- textbox "From"',
        '- searchbox "Caller"',
        '- combobox "Ended"',
        '- region "Totals"',
        '- table "The log"',
        '- columnheader "Latency"',
        '- rowheader "Tuesday 24 November 2026',
    ):
        assert line in snapshot
    page.set_viewport_size({"width": 390, "height": 844})
    snapshot = page.locator("#log").aria_snapshot()
    assert '- columnheader "Latency"' in snapshot
    assert '- cell "4 turns"' in snapshot, "as a list it is still a table"


# One call.


def test_a_call_says_who_called_and_how_it_went(visit: Visit) -> None:
    page = visit(f"calls/{RECORDED}")
    settled(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("joe@example.com")
    expect(page.locator("#when")).to_have_text(
        "Tuesday 24 November 2026, 17:00 UTC. It lasted 16 s and ended: hung up."
    )
    expect(page.get_by_text(RECORDED)).to_be_visible()
    assert page.title() == "joe@example.com, 2026-11-24 \N{EN DASH} Viva"
    expect(figure(page, "Cost")).to_contain_text("$0.0188")
    expect(figure(page, "Last word to first sound")).to_contain_text("slowest 1.90 s, turn 4")
    expect(figure(page, "Turns")).to_contain_text("1 to a person, 1 interrupted")
    expect(figure(page, "Answered from")).to_contain_text("Grace Hopper")
    expect(figure(page, "Answered from")).to_contain_text("deepgram, claude, elevenlabs")


def test_what_was_heard_stands_apart_from_what_was_not(visit: Visit) -> None:
    page = visit(f"calls/{RECORDED}")
    voice = page.locator("#turn-1 .voice")
    expect(voice.locator("del")).to_have_text(
        " that she took a bachelor of arts at Vassar College."
    )
    expect(voice).to_have_text(
        "Viva: She took her doctorate in mathematics at Yale University in 1934. Before "
        "Not heard: that she took a bachelor of arts at Vassar College. — interrupted"
    )
    assert voice.locator("del").evaluate(
        "(del) => getComputedStyle(del).textDecorationLine === 'line-through'"
    )
    expect(page.locator("#turn-3 del")).to_have_count(0)


def test_a_turn_says_why_it_was_answered_as_it_was(visit: Visit) -> None:
    page = visit(f"calls/{RECORDED}")
    one, two, three, four = (page.locator(f"#turn-{number}") for number in range(1, 5))
    expect(one).to_contain_text("Answered with high confidence, from Education.")
    expect(one).to_contain_text(
        "Bachelor of arts in mathematics and physics, Vassar College, 1928."
    )
    expect(one).to_contain_text("Passed: sections, support, sensitive")
    expect(two).to_contain_text("The caller went on before a word of an answer was heard; turn 3")
    expect(three).to_contain_text("Handed to a person: it does not speak of this.")
    expect(three).to_contain_text("Refused: the question is about salary")
    expect(three).not_to_contain_text("Did not pass")
    expect(four).to_contain_text(
        "from Eckert-Mauchly, later Remington Rand and Sperry, gone/since, List of programmes."
    )
    expect(four.locator(".lines li").last).to_have_text("B-0: 1958.")
    expect(four).to_contain_text("whisper took over hearing from deepgram")
    expect(four).to_contain_text("deepgram: the connection was closed (1011)")


def test_lines_of_a_document_that_has_changed_are_not_put_into_its_mouth(
    server: CallLogServer, visit: Visit
) -> None:
    before = server.document
    try:
        server.document = before | {"sha256": "00" * 32}
        page = visit(f"calls/{RECORDED}")
        expect(page.locator("#turn-1")).to_contain_text("from Education.")
        expect(page.locator(".lines li")).to_have_text(["A-0: 1952.", "B-0: 1958."])  # a tool's
    finally:
        server.document = before


def test_the_waterfall_is_drawn_to_scale(visit: Visit) -> None:
    page = visit(f"calls/{RECORDED}")
    settled(page)
    steps: list[dict[str, Any]] = page.locator("#turn-1 .waterfall > div:not(.scale)").evaluate_all(
        """(rows) => rows.map((row) => {
          const [track, bar] = [row.querySelector('.track'), row.querySelector('.track i')]
            .map((part) => part.getBoundingClientRect());
          return {
            name: row.querySelector('dt').textContent,
            told: row.querySelector('dd').textContent,
            from: (bar.left - track.left) / track.width,
            to: (bar.right - track.left) / track.width,
          };
        })"""
    )
    ends = [0.212, 0.334, 0.334 + 0.291, 0.334 + 0.377, 0.334 + 0.377 + 0.093, 0.861]
    names = ["transcript", "end of turn", "first token", "first sentence", "first audio", "audible"]
    assert [step["name"] for step in steps] == names
    before = 0.0
    for step, end in zip(steps, ends, strict=True):
        assert step["told"] == f"{end - before:.2f} s"
        assert step["from"] * 1.9 == pytest.approx(before, abs=0.02), "the scale of all turns"
        assert step["to"] * 1.9 == pytest.approx(end, abs=0.02)
        before = end
    expect(page.locator("#turn-2 .waterfall > div:not(.scale)")).to_have_count(2)


def test_every_micro_dollar_is_shown(visit: Visit) -> None:
    page = visit(f"calls/{RECORDED}")
    settled(page)
    exactly = figure(page, "Cost").locator(".value span").get_attribute("title")
    shown = page.locator(".costs dd.cost").all_inner_texts()
    assert sum(round(float(cost.strip("$")) * 1e6) for cost in shown) == 18_760
    assert exactly == "$0.018760"
    expect(page.locator("#turn-1 .sums")).to_contain_text("$0.006984")
    expect(page.locator("#turn-1 .costs")).to_contain_text("deepgram nova-3")
    expect(page.locator("#turn-1 .costs")).to_contain_text("61 tokens in, 58 out, 2,140 from cache")
    expect(page.locator("#turn-2 .costs")).to_contain_text("82 of them wasted")
    expect(page.locator("#turn-3 .costs")).to_contain_text("310 to cache")
    expect(page.locator("#turn-3 .costs")).to_contain_text("113 characters")


def test_a_call_that_goes_on_and_one_that_is_forgotten(visit: Visit) -> None:
    page = visit("calls/c-open")
    expect(page.locator("#when")).to_contain_text("It goes on; load the page again for more.")
    expect(page.get_by_text("Nothing has been asked yet.")).to_be_visible()
    page = visit("calls/c-gone")
    expect(page.get_by_text("The transcript has been deleted.")).to_be_visible()
    expect(page.locator("#turn-1 .costs")).to_contain_text("deepgram nova-3")


@pytest.mark.thorough
def test_a_call_that_is_not_there_is_told_of(visit: Visit) -> None:
    for id in ("c-none", "NO_ID"):
        page = visit(f"calls/{id}")
        expect(page.get_by_role("heading", level=1)).to_have_text("No such call")
        page.get_by_role("link", name="To all calls").click()
        arrived(page, "/calls$")


def test_what_callers_say_is_never_markup(visit: Visit) -> None:
    page = visit("calls?q=onerror")
    expect(rows(page).get_by_role("link")).to_have_text(MARKUP)
    rows(page).get_by_role("link").click()
    expect(page.locator("#turn-1 .voice")).to_contain_text(MARKUP)
    expect(page.get_by_role("heading", level=1)).to_have_text(f"{MARKUP}@example.com")
    assert page.locator("main img").count() == 0


# Its recording.


def now(page: Page) -> float:
    return float(page.evaluate("document.getElementById('audio').currentTime"))


def current(page: Page) -> str | None:
    found = page.locator(".turn[aria-current=true]")
    return found.get_attribute("id") if found.count() else None


@pytest.mark.thorough
@pytest.mark.real_time
def test_the_turn_is_marked_as_its_recording_plays(visit: Visit) -> None:
    page = visit(f"calls/{RECORDED}")
    measure_lateness(page)
    until(page, f"document.getElementById('place').max === '{RECORDED_SECS:g}'")
    assert current(page) is None
    page.get_by_label("Speed").select_option("2")
    page.get_by_role("button", name="Play", exact=True).click()
    seen = page.evaluate(
        """() => new Promise((resolve) => {
          const audio = document.getElementById('audio');
          const seen = [];
          const look = () => {
            const item = document.querySelector('.turn[aria-current=true]');
            const at = item && `${item.id} ${item.dataset.part}`;
            if (at && seen.at(-1)?.[0] !== at) seen.push([at, audio.currentTime]);
            if (audio.ended) resolve(seen);
            else requestAnimationFrame(look);
          };
          look();
        })"""
    )
    assert [at for at, _ in seen] == [
        *("turn-1 question", "turn-1 answer", "turn-2 question", "turn-3 question"),
        *("turn-3 answer", "turn-4 question", "turn-4 answer"),
    ]
    times = dict(seen)
    # A turn's `at` is when the caller's speech ended; its answer is heard e2e_latency later.
    with in_time():
        assert times["turn-1 question"] < 3.0 < times["turn-1 answer"]
        for turn, at, latency in ((1, 3.0, 0.861), (3, 8.0, 0.913), (4, 13.5, 1.9)):
            assert times[f"turn-{turn} answer"] == pytest.approx(at + latency, abs=0.5)
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()


@pytest.mark.thorough
@pytest.mark.real_time
def test_the_recording_can_be_played_from_any_turn(visit: Visit) -> None:
    page = visit(f"calls/{RECORDED}")
    until(page, "document.getElementById('audio').readyState >= 1")
    page.get_by_role("button", name="Play turn 3, from 0:06").click()
    until(page, "document.querySelector('#turn-3[aria-current=true]') !== null")
    with in_time():
        assert 6.5 <= now(page) < 8.0
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    page.locator("#turn-1 .caller").click()
    until(page, "document.querySelector('#turn-1[aria-current=true]') !== null")
    with in_time():
        assert now(page) < 3.0
    page.get_by_role("button", name="Pause").click()
    assert page.evaluate("document.getElementById('audio').paused")
    place = page.get_by_role("slider", name="Place in the recording")
    place.focus()
    at = now(page)
    page.keyboard.press("ArrowRight")
    assert now(page) == pytest.approx(at + 5, abs=0.01)
    page.keyboard.press("Home")
    until(page, "document.getElementById('audio').currentTime === 0")
    assert current(page) is None
    place.evaluate("(place) => { place.value = 11.5; place.dispatchEvent(new Event('input')); }")
    until(page, "document.querySelector('#turn-4[aria-current=true]') !== null")
    expect(place).to_have_attribute("aria-valuetext", "0:11 of 0:16, turn 4")


@pytest.mark.thorough
def test_words_can_be_marked_without_playing_them(visit: Visit) -> None:
    page = visit(f"calls/{RECORDED}")
    until(page, "document.getElementById('audio').readyState >= 1")
    page.locator("#turn-1 .voice").dblclick()
    page.evaluate("document.getElementById('audio').pause()")
    page.locator("#turn-3").scroll_into_view_if_needed()
    box = page.locator("#turn-3 .voice").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 5, box["y"] + 10)
    page.mouse.down()
    page.mouse.move(box["x"] + 150, box["y"] + 12, steps=4)
    page.mouse.up()
    assert page.evaluate("getSelection().toString()") != ""
    assert page.evaluate("document.getElementById('audio').paused")


def test_a_call_without_a_recording_has_no_player(visit: Visit) -> None:
    page = visit("calls/c-crafted")
    settled(page)
    expect(page.locator("#player")).to_be_hidden()
    expect(page.locator("#turn-1 p.place")).to_have_text("0:09")
    expect(page.locator("#turn-1").get_by_role("button")).to_have_count(0)


def test_a_recording_that_is_damaged_is_told_of(server: CallLogServer, visit: Visit) -> None:
    damaged = server.recordings / "c-gone.mcap"
    damaged.write_bytes(b"MCAP and nothing else")
    try:
        page = visit("calls/c-gone")
        expect(page.get_by_role("alert").last).to_contain_text("The recording cannot be played.")
    finally:
        damaged.unlink()


# Every screen.


@pytest.mark.parametrize("drawn", [False, pytest.param(True, marks=pytest.mark.thorough)])
@pytest.mark.parametrize("path", ["calls", f"calls/{RECORDED}"])
def test_screens(visit: Visit, tmp_path: Path, path: str, drawn: bool) -> None:
    page = visit(path)
    settled(page)
    if path == "calls":
        page.get_by_text("Day by day").click()
    for width, height in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": height})
        over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert over <= 0, f"{path} is {over} px too wide at {width} px"
        for scheme in ("light", "dark") if drawn else ():
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            page.screenshot(path=tmp_path / f"{width}-{scheme}.png")
    assert len(list(tmp_path.glob("*.png"))) == (2 * len(WIDTHS) if drawn else 0)


@pytest.mark.thorough
def test_in_forced_colours_the_bars_can_still_be_seen(tab: Page, server: CallLogServer) -> None:
    page = tab
    page.emulate_media(forced_colors="active")
    page.goto(f"{server.url}calls/{RECORDED}")
    settled(page)
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    for bar in page.locator("#turn-1 .track i").all():
        colours = bar.evaluate(
            "(bar) => [getComputedStyle(bar).backgroundColor, getComputedStyle(bar).borderTopColor,"
            " getComputedStyle(bar).borderTopStyle]"
        )
        assert colours[0] != paper or (colours[1] != paper and colours[2] == "solid")
    page.goto(f"{server.url}calls")
    settled(page)
    fills = page.locator("svg.bars rect.deciding").first.evaluate(
        "(rect) => getComputedStyle(rect).fill"
    )
    assert fills != paper


# What has no page.


def test_stretches_of_turns_lie_side_by_side(visit: Visit) -> None:
    page = visit("calls")
    course = page.evaluate(
        """async () => {
          const { courseOf, stretchAt } = await import('/web/calls/course.js');
          const call = { started_at: 100, ended_at: 130 };
          const turn = (number, at, question) => ({ number, at, question, e2e_latency: 0.5 });
          const course = courseOf(call, [
            turn(0, 99, ''), turn(1, 101, 'A long question, longer than the call is old by now'),
            turn(2, 110, 'Fourteen chars'), turn(3, 110.2, 'Right after that'),
          ]);
          const numbers = [0, 5, 8.6, 10.1, 29, 30]
            .map((secs) => stretchAt(course, secs)?.number);
          const rounded = course.map(({ number, start, asked, answered, end }) =>
            [number, start, asked, answered, end].map((one) => Math.round(one * 100) / 100));
          return [rounded, numbers];
        }"""
    )
    assert course == [
        [[1, 0, 1, 1.5, 8.6], [2, 8.6, 10, 10.5, 10.5], [3, 10.5, 10.5, 11, 30]],
        [1, 1, 2, 2, 3, None],
    ]


def test_money_is_told_as_exactly_as_it_has_to_be(visit: Visit) -> None:
    page = visit("calls")
    told = page.evaluate(
        """async () => {
          const { usd, usdExactly } = await import('/web/calls/words.js');
          return [usd(0), usd(3), usd(50), usd(12345), usd(1999999), usd(1234567890), usd(30, 2e6),
            usd(250000, 2e6), usdExactly(7)];
        }"""
    )
    assert told == [
        *("$0", "<$0.0001", "$0.0001", "$0.0123", "$2.00", "$1,234.57", "<$0.01", "$0.25"),
        "$0.000007",
    ]
