"""A report tells a call truly, whoever reads it and whatever was said."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.report.page import Report, render_report
from accounts.report.words import COLUMNS, WHY, percentile_95
from conversation.wording import NONE
from ledger.store.tables import Call, Turn
from pipeline.call import REASONS

NOT_BEGUN = {"capacity", "daily_calls", "open_calls", "sign_in"}
"""Why calls end before they have begun, of which there is no report."""

GMAIL_CLIPS_BYTES = 102 * 1024

TITLES = {"education": "Education", "navy": "Navy"}


def a_call(**more: Any) -> Call:
    known: dict[str, Any] = {
        "id": "c-9f31c2d4a0b1e7f5",
        "caller": "ada@example.com",
        "day": "2026-11-24",
        "started_at": 1_795_500_000.0,
        "ended_at": 1_795_500_084.0,
        "why": "hangup",
        "document": "Grace Hopper",
    }
    return Call(**(known | more))


def a_turn(number: int, question: str, answer: str, **more: Any) -> Turn:
    known: dict[str, Any] = {
        "call": "c-9f31c2d4a0b1e7f5",
        "number": number,
        "at": 1_795_500_000.0 + 10 * number,
        "question": question,
        "answer": answer,
        "heard_text": answer,
        "decision": "respond",
        "confidence": "high",
        "sections": ["education"],
        "checks": [{"name": "support", "passed": True, "detail": ""}],
        "transcription_delay": 0.212,
        "end_of_turn_delay": 0.262,
        "llm_ttft": 0.318,
        "llm_ttfs": 0.433,
        "tts_ttfb": 0.094,
        "e2e_latency": 0.981,
        "stt": "deepgram",
        "brain": "claude",
        "tts": "elevenlabs",
        "stt_model": "nova-3",
        "brain_model": "claude-haiku-4-5",
        "tts_model": "eleven_flash_v2_5",
        "stt_cost": 410,
        "brain_cost": 1_181,
        "tts_cost": 3_150,
        "cost": 4_741,
    }
    return Turn(**(known | more))


def turns() -> list[Turn]:
    return [
        a_turn(1, "Where did she study?", "She studied at Vassar College, and then at Yale."),
        a_turn(2, "And what did she", "She", heard_text="", withdrawn=True, decision="escalate",
               e2e_latency=None, tts_ttfb=None),
        a_turn(3, "And what did she do in the navy?", "She joined in 1943 and retired in 1986.",
               heard_text="She joined in 1943", interrupted=True, sections=["navy", "no/title"],
               confidence="medium", e2e_latency=1.204),
        a_turn(4, "What was she paid?", "I'll pass that on.", decision="escalate",
               reason="sensitive", confidence=None, sections=[], llm_ttft=None,
               checks=[{"name": "sensitive", "passed": False, "detail": "it is about salary"}],
               errors=["Claude answered HTTP 529"], e2e_latency=3.9,
               failovers=[{"stage": "brain", "failed": "claude", "vendor": "extractive"}]),
    ]  # fmt: skip


def report(*, admin: bool = False, **more: Any) -> Report:
    return render_report(
        a_call(**more),
        turns(),
        public_url="https://viva.example.com/",
        admin=admin,
        sections=TITLES,
    )


def test_what_was_not_understood_is_for_nobody_to_answer() -> None:
    rubbish = a_turn(1, "Blorp the", "I didn't understand.", decision="escalate", reason="unclear")
    for admin in (True, False):
        told = render_report(
            a_call(), [rubbish], public_url="https://viva.example.com/", admin=admin, sections={}
        )
        assert "for a person" not in told.subject
        assert "Not understood, and asked for again." in told.text
        assert "For you to answer" not in told.text
        assert "Handed to a person" not in told.text


class Page(HTMLParser):
    """What is in a report: its elements, its words, the rows of its tables of figures."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.tables: list[list[list[str]]] = []
        self.words = ""
        self._among_figures = False
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.elements.append((tag, attributes))
        if tag != "meta":
            self._open.append(tag)
        if attributes.get("class") == "figures":
            self.tables.append([])
            self._among_figures = True
        if self._among_figures and tag == "tr":
            self.tables[-1].append([])
        if self._among_figures and tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        self._among_figures = self._among_figures and tag != "table"

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            return
        self.words += data
        if self._among_figures and self._open[-1] in ("td", "th"):
            self.tables[-1][-1][-1] += data

    @property
    def text(self) -> str:
        return " ".join(self.words.split())


def both() -> Iterator[tuple[bool, Report]]:
    return ((admin, report(admin=admin)) for admin in (False, True))


# What it tells.


def test_questions_for_a_person_come_first() -> None:
    for admin, told in both():
        heading = "For you to answer" if admin else "Handed to a person"
        page = Page(told.html).text
        assert (
            page.index(heading) < page.index("“What was she paid?”") < page.index("What was said")
        )
        plain = told.text
        assert plain.index(heading.upper()) < plain.index('"What was she paid?"')
        assert plain.index('"What was she paid?"') < plain.index("WHAT WAS SAID")
        assert "1 question for a person, 2 answers" in told.subject
    told = render_report(a_call(), turns()[:1])
    assert "Handed" not in told.html + told.text
    assert told.subject == "Your call about Grace Hopper: 1 answer"


def test_an_interrupted_answer_shows_where_it_was_cut() -> None:
    for _, told in both():
        page = Page(told.html).text
        assert "She joined in 1943 [interrupted here] and retired in 1986. [not heard]" in page
        assert re.search(r"<s [^>]*>and retired in 1986\.</s>", told.html)
        assert (
            "She joined in 1943 [interrupted here] [not heard: and retired in 1986.]"
            in " ".join(told.text.split())
        )


def test_an_answer_that_was_heard_otherwise_than_it_was_written_is_told_as_heard() -> None:
    odd = a_turn(1, "When?", "In 1943, she said.", heard_text="In nineteen forty-three")
    told = render_report(a_call(), [odd])
    assert "In nineteen forty-three" in Page(told.html).text
    assert "she said" not in told.html + told.text


def test_a_turn_that_a_later_one_took_up_is_no_question_of_its_own() -> None:
    for _, told in both():
        assert Page(told.html).text.count("And what did she ") == 2
        assert "Continued in turn 3" in told.html
        assert "Continued in turn 3" in told.text
    last = render_report(a_call(), turns()[:2])
    assert "“And what did she”" in Page(last.html).text


def test_a_decision_is_told_with_its_confidence_and_sections() -> None:
    for _, told in both():
        for text in (Page(told.html).text, told.text):
            assert "Answered with high confidence, from Education." in text
            assert "Answered with medium confidence, from Navy, no/title." in text
            assert "Handed to a person: this is not talked about." in text
    undecided = render_report(a_call(), [a_turn(1, "And", "", decision=None)])
    assert "Ended before a decision." in undecided.text
    hours = {"section": "tool/hours", "title": "Opening hours", "text": "Monday: 9 to 17."}
    asked = a_turn(1, "When?", "Nine to five.", sections=["tool/hours"], looked_up=[hours])
    called = render_report(a_call(), [asked])
    for text in (Page(called.html).text, called.text):
        assert "from Opening hours." in text
        assert "Looked up: Monday: 9 to 17." in text
    chat = render_report(a_call(), [a_turn(1, "Hello", "Hello!", sections=[])])
    assert "Answered with high confidence, without a source." in chat.text


def test_each_stage_of_each_turn_is_in_the_table_of_delays() -> None:
    for _, told in both():
        heads, *rows = Page(told.html).tables[0]
        assert heads == ["turn", "transcript", "end of turn", "first token", "first sentence",
                         "first audio", "first sound"]  # fmt: skip
        assert rows == [
            ["1", "212", "262", "318", "433", "94", "981"],
            ["2", "212", "262", "318", "433", NONE, NONE],
            ["3", "212", "262", "318", "433", "94", "1,204"],
            ["4", "212", "262", NONE, "433", "94", "3,900"],
            ["median", "212", "262", "318", "433", "94", "1,204"],
            ["p95", "212", "262", "318", "433", "94", "3,900"],
        ]
        assert all(row in [line.split() for line in told.text.splitlines()] for row in rows)


def test_the_costs_of_turns_and_stages_add_up_to_the_micro_dollar() -> None:
    outside = a_turn(0, "", "", stt_cost=7, brain_cost=0, tts_cost=90_001, cost=90_008)
    told = render_report(a_call(), [outside, *turns()])
    heads, *rows = Page(told.html).tables[1]
    assert heads == ["turn", "hearing", "deciding", "speaking", "together"]
    micros = [[round(float(cell[1:]) * 1e6) for cell in row[1:]] for row in rows]
    assert [row[0] for row in rows] == [NONE, "1", "2", "3", "4", "call"]
    assert micros[-1] == [sum(column) for column in zip(*micros[:-1], strict=True)]
    assert all(sum(row[:3]) == row[3] for row in micros)
    assert micros[-1][3] == 90_008 + 4 * 4_741
    assert "It cost its host $0.108972." in told.text
    assert all(row in [line.split() for line in told.text.splitlines()] for row in rows)


def test_a_call_that_costs_nothing_has_no_table_of_it() -> None:
    free = a_turn(1, "Hello", "Hello!", stt_cost=0, brain_cost=0, tts_cost=0, cost=0)
    told = render_report(a_call(), [free])
    assert len(Page(told.html).tables) == 1
    assert "It cost its host nothing." in told.text
    assert "WHAT IT COST" not in told.text


def test_vendors_and_models_are_named_in_the_order_in_which_they_served() -> None:
    later = a_turn(2, "And then?", "Then.", brain="extractive", brain_model="")
    told = render_report(a_call(), [*turns()[:1], later])
    assert (
        "Hearing by deepgram nova-3, deciding by claude-haiku-4-5, then extractive, speaking by "
        "elevenlabs eleven_flash_v2_5." in Page(told.html).text
    )


def test_only_admins_are_told_what_failed_and_where_the_log_is() -> None:
    yours, theirs = (Page(told.html).text + told.text for _, told in both())
    for secret in ("HTTP 529", "extractive took over deciding from claude", "it is about salary",
                   "/calls/", "ADMINS"):  # fmt: skip
        assert secret in theirs
        assert secret not in yours
    assert "https://viva.example.com/calls/c-9f31c2d4a0b1e7f5" in report(admin=True).text.split()
    assert "/calls/" not in render_report(a_call(), turns(), admin=True).html
    for text in (yours, theirs):
        assert "c-9f31c2d4a0b1e7f5" in text


def test_admins_can_write_to_the_caller() -> None:
    sly = "a?bcc=b%26@example.com"
    told = render_report(a_call(caller=sly), turns(), admin=True)
    (link,) = [attributes["href"] for tag, attributes in Page(told.html).elements if tag == "a"]
    assert link == "mailto:a%3Fbcc%3Db%2526@example.com"
    assert (
        "somebody who did not sign in" in render_report(a_call(caller=""), turns(), admin=True).text
    )


@pytest.mark.parametrize("why", sorted(set(REASONS) - NOT_BEGUN))
def test_why_it_ended_is_told_in_words(why: str) -> None:
    for admin in (False, True):
        said = WHY[why].format(who="the caller" if admin else "you")
        told = render_report(a_call(why=why), turns(), admin=admin)
        assert f"It ended because {said}." in Page(told.html).text
        assert f"It ended because {said}." in " ".join(told.text.split())


def test_when_and_how_long_are_told() -> None:
    for _, told in both():
        assert "Tuesday 24 November 2026, 06:00 UTC, for 1 min 24 s." in Page(told.html).text
    died = render_report(a_call(ended_at=None, why=""), turns(), admin=True)
    assert (
        "for at least 40 s. It ended because the server died during the call."
        in Page(died.html).text
    )


def test_a_call_without_a_word_can_be_told() -> None:
    nothing = a_turn(0, "", "", errors=["Deepgram cannot be reached"], cost=0)
    for told in (
        render_report(a_call(), [], admin=True),
        render_report(a_call(), [nothing], admin=True),
    ):
        assert told.subject == "Call from ada@example.com: nothing was said"
        assert "Nothing." in told.text
    assert "Outside the turns: Deepgram cannot be reached" in told.text


@given(st.lists(st.floats(0, 100), min_size=1, max_size=50))
def test_the_95th_percentile_is_a_value_that_occurred(values: list[float]) -> None:
    p95 = percentile_95(values)
    assert p95 in values
    assert sum(value <= p95 for value in values) >= 0.95 * len(values)
    assert sum(value < p95 for value in values) < 0.95 * len(values)


# Whatever was said.

HOSTILE = [
    "<script>alert(1)</script>",
    "</td></tr></table><h1>Pay here</h1>",
    '"><img src=x onerror=alert(1)>',
    "<!--[if mso]><a href=https://evil.example>click</a><![endif]-->",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt; & co; '",
    "WHAT IT COST\n\n1   $0.00\r\nBcc: all@example.com",
    "right to left \u202e\u2066 isolated\u2069 \u200b\x00\x1b[31m\ud800",
    "w" * 500,
]


def said(text: str) -> list[Turn]:
    """Turns in which the same words are everywhere that somebody or a vendor has a word."""
    everywhere: dict[str, Any] = {
        "reason": text,
        "sections": [text],
        "errors": [text],
        "checks": [{"name": text, "passed": False, "detail": text}],
        "failovers": [{"stage": text, "failed": text, "vendor": text}],
        "stt": text,
    }
    cut = a_turn(1, text, f"{text} and more", heard_text=text, interrupted=True, **everywhere)
    return [cut, a_turn(2, text, text, decision="escalate", **everywhere)]


def headings(text: str) -> list[str]:
    """The lines of a report's text that look like its headings."""
    return [line for line in text.splitlines() if line.isupper() and not line.startswith(" ")]


def shape(html: str) -> list[tuple[str, tuple[str, ...]]]:
    """The elements of a page, and the names of their attributes."""
    return [(tag, tuple(attributes)) for tag, attributes in Page(html).elements]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_was_said_is_words_and_nothing_else(text: str) -> None:
    for admin in (False, True):
        call = a_call(caller="ada@example.com", document=text, why=text, id="c-1")
        hostile = render_report(call, said(text), admin=admin)
        harmless = render_report(a_call(document="word", why="word"), said("word"), admin=admin)
        assert shape(hostile.html) == shape(harmless.html)
        page = Page(hostile.html).text
        shown = " ".join("".join(c for c in text if c.isprintable() or c.isspace()).split())
        assert page.count(shown) >= 6
        assert "\n" not in hostile.subject
        assert [
            line for line in hostile.text.splitlines() if line.isupper() and line.isascii()
        ] == [line for line in harmless.text.splitlines() if line.isupper()]
        for odd in "\u202e\u2066\x00\x1b\ud800":
            assert odd not in hostile.html + hostile.text + hostile.subject


@given(st.text(max_size=200), st.booleans())
def test_a_report_can_be_made_of_any_words(text: str, admin: bool) -> None:
    told = render_report(a_call(document=text, caller=text), said(text), text, text, admin=admin)
    (told.subject + told.text + told.html).encode()
    words = [
        line for line in told.text.splitlines() if not line.endswith("/calls/c-9f31c2d4a0b1e7f5")
    ]
    assert max(map(len, words)) <= COLUMNS


# As mail programs want it.


def test_the_text_is_at_most_72_columns_wide() -> None:
    long = a_turn(9, "w" * 300 + " and so on" * 40, "long-winded " * 60, sections=["s" * 90])
    for admin in (False, True):
        told = render_report(
            a_call(), [*turns(), long], public_url="https://viva.example.com", admin=admin
        )
        lines = [line for line in told.text.splitlines() if not line.startswith("https://")]
        assert max(map(len, lines)) == COLUMNS
        assert told.text == told.text.rstrip() + "\n"
        assert "\n\n\n" not in told.text
        assert not any(line.endswith(" ") for line in lines)


def test_the_page_asks_nobody_for_anything_and_runs_nothing() -> None:
    for _, told in both():
        page = Page(told.html)
        tags = [tag for tag, _ in page.elements]
        assert not {"script", "img", "link", "iframe", "form", "svg", "object"} & set(tags)
        assert tags.count("style") == 1
        assert "url(" not in told.html
        assert "@import" not in told.html
        names = {name for _, attributes in page.elements for name in attributes}
        assert not {name for name in names if name.startswith("on")} | ({"src"} & names)


def test_the_page_has_a_language_a_title_and_both_schemes() -> None:
    for _, told in both():
        elements = Page(told.html).elements
        assert ("html", {"lang": "en"}) in elements
        assert re.search(r"<title>[^<]+</title>", told.html)
        assert ("meta", {"name": "color-scheme", "content": "light dark"}) in elements
        assert "@media (prefers-color-scheme: dark)" in told.html


def test_every_element_that_is_seen_is_styled_where_it_stands() -> None:
    for _, told in both():
        for tag, attributes in Page(told.html).elements:
            if (
                tag in ("h1", "h2", "p", "a", "s", "span", "body")
                or attributes.get("class") == "figures"
            ):
                assert attributes.get("style"), tag


def test_tables_for_layout_say_so_and_tables_of_figures_have_headings() -> None:
    for _, told in both():
        tables = [attributes for tag, attributes in Page(told.html).elements if tag == "table"]
        figures = [attributes for attributes in tables if attributes.get("class") == "figures"]
        assert len(figures) == 2
        assert all(
            attributes.get("role") == "presentation"
            for attributes in tables
            if attributes not in figures
        )
        scopes = [
            attributes["scope"] for tag, attributes in Page(told.html).elements if tag == "th"
        ]
        assert scopes.count("col") == 7 + 5


def test_gmail_does_not_clip_a_long_call() -> None:
    many = [a_turn(n, "A question of usual length?", "An answer. " * 12) for n in range(1, 31)]
    told = render_report(a_call(), many, public_url="https://viva.example.com", admin=True)
    assert len(told.html.encode()) < GMAIL_CLIPS_BYTES


LIGHT = {"paper": "#fcfcfa", "wash": "#f8ece5", "ink": "#1c1e1c", "quiet": "#5a5f5b",
         "warn": "#8f3b1b", "accent": "#0b6e5f"}  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_can_be_read_in_both_schemes(scheme: str) -> None:
    html = report(admin=True).html
    colours = dict(LIGHT)
    assert all(colour in html for colour in LIGHT.values())
    if scheme == "dark":
        for names, colour in re.findall(r"\n  (\.[^{]+) \{ (?:background-)?color: (#\w+)", html):
            colours |= dict.fromkeys(re.findall(r"\.(\w+)", names), colour)
        assert not {colours[name] for name in LIGHT} & set(LIGHT.values())
    pairs = [(text, "paper") for text in ("ink", "quiet", "warn", "accent")]
    for text, ground in [*pairs, ("ink", "wash"), ("warn", "wash"), ("accent", "wash")]:
        assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, as WCAG 2 counts it."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
