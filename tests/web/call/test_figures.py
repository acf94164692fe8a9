"""What a call measures and costs, reckoned from its messages, and how it is written."""

import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Page

from tests.web.cloud import CLOUD
from tests.web.scene import amount, decision, record
from transports.browser.messages import Cost, DecisionCheck, Failover, Stage, TakenOver

pytestmark = pytest.mark.browser

QUICK: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.function_scoped_fixture],
}
GATHER = """async ([about, messages]) => {
  const { Figures } = await import('/web/call/figures.js');
  const figures = new Figures();
  if (about) figures.about(about);
  for (const message of messages) figures.receive(message);
  const { working, services, turns, last, latencies, counts, money, failovers } = figures;
  return { working, services, turns, last, latencies, counts, money, failovers };
}"""
MICROS = st.integers(0, 5_000_000_000)


def gathered(page: Page, *messages: Any, about: dict[str, Any] | None = None) -> Any:
    return page.evaluate(GATHER, [about, [message.model_dump() for message in messages]])


def evaluated(page: Page, module: str, name: str, *given: Any) -> Any:
    call = f"""async (given) => (await import('/web/call/{module}')).{name}(...given)"""
    return page.evaluate(call, list(given))


@settings(**QUICK)
@given(values=st.lists(st.floats(0, 60), min_size=1, max_size=80), percent=st.integers(0, 100))
def test_percentiles_are_numpys(blank: Page, values: list[float], percent: int) -> None:
    reckoned = evaluated(blank, "figures.js", "percentile", values, percent)
    assert reckoned == pytest.approx(np.percentile(values, percent), abs=1e-9)


@pytest.mark.parametrize(
    ("micros", "written"),
    [
        (0, "$0"),
        (1, "$0.000001"),
        (31, "$0.000031"),
        (2_615, "$0.0026"),
        (9_999, "$0.01"),
        (10_000, "$0.01"),
        (13_149, "$0.013"),
        (125_000, "$0.125"),
        (250_000, "$0.25"),
        (999_900, "$1.00"),
        (5_000_000, "$5.00"),
        (1_234_500_000, "$1,234.50"),
    ],
)
def test_money_has_the_digits_that_say_something(blank: Page, micros: int, written: str) -> None:
    assert evaluated(blank, "money.js", "dollars", micros) == written


def worth(written: str) -> float:
    assert re.fullmatch(r"<?\$[\d,]+(\.\d{2,6})?", written), written
    return float(written.lstrip("<$").replace(",", ""))


@settings(**QUICK)
@given(one=MICROS, other=MICROS)
def test_money_is_written_near_its_worth_and_in_order(blank: Page, one: int, other: int) -> None:
    less, more = sorted((one, other))
    written = [worth(evaluated(blank, "money.js", "dollars", micros)) for micros in (less, more)]
    assert written[0] <= written[1]
    for micros, value in zip((less, more), written, strict=True):
        assert value == pytest.approx(micros / 1e6, rel=0.06)


@settings(**QUICK)
@given(parts=st.lists(MICROS, min_size=1, max_size=4))
def test_amounts_in_a_column_have_as_many_decimals(blank: Page, parts: list[int]) -> None:
    largest = max(parts)
    written = [evaluated(blank, "money.js", "inColumn", part, largest) for part in parts]
    places = {len(amount.partition(".")[2]) for amount in written if amount != "$0"}
    assert len(places) <= 1
    for part, amount_ in zip(parts, written, strict=True):
        step = 10.0 ** -places.copy().pop() if places else 0.0
        assert abs(worth(amount_) - part / 1e6) <= step


@settings(**QUICK)
@given(
    delays=st.fixed_dictionaries(
        {
            name: st.none() | st.floats(0, 20)
            for name in (
                "transcription_delay",
                "end_of_turn_delay",
                "llm_ttft",
                "llm_ttfs",
                "tts_ttfb",
                "e2e_latency",
            )
        }
    )
)
def test_the_steps_of_an_answer_follow_one_another(
    blank: Page, delays: dict[str, float | None]
) -> None:
    """Whatever is missing or was begun early: no gap, no overlap, each where it was measured."""
    turn = record(1, "", "", **delays).model_dump()
    steps = evaluated(blank, "waterfall.js", "stepsOf", turn)
    assert [step["name"] for step in steps] == [
        "transcript",
        "end of turn",
        "first token",
        "first sentence",
        "first audio",
        "audible",
    ]
    known = [step for step in steps if step["to"] is not None]
    reached = 0.0
    for step in known:
        assert step["from"] == reached
        assert step["to"] >= step["from"]
        reached = step["to"]
    ends = {step["name"]: step["to"] for step in known}
    for name, field in (("transcript", "transcription_delay"), ("audible", "e2e_latency")):
        assert (name in ends) == (delays[field] is not None)
    if delays["transcription_delay"] is not None:
        assert ends["transcript"] == delays["transcription_delay"]


def test_the_last_record_of_a_turn_stands(blank: Page) -> None:
    seen = gathered(
        blank,
        decision(1, "When?", "In 1952."),
        record(1, "When?", "In 1952.", e2e_latency=None, cost=amount(1, 2, 3)),
        decision(2, "Where?", "At Yale."),
        record(1, "When?", "In 1952.", e2e_latency=0.5, cost=amount(1, 2, 4)),
        record(0, "", "", cost=amount(9, 9, 9)),
    )
    assert [turn["turn"] for turn in seen["turns"]] == [1, 2]
    assert seen["turns"][0]["cost"]["total"] == 7
    assert seen["turns"][1]["type"] == "decision"
    assert seen["last"]["turn"] == 1
    assert seen["latencies"] == [0.5]


def test_what_happened_is_counted_once(blank: Page) -> None:
    failed = DecisionCheck(name="support", passed=False, detail="'1953'")
    over = {"stage": "tts", "failed": "elevenlabs", "vendor": "hibari"}
    escalated: dict[str, Any] = {"decision": "escalate", "confidence": None, "checks": [failed]}
    turns = [
        record(1, "", "", interrupted=True, checks=[]),
        record(2, "", "", **escalated, errors=["one", "two"]),
        record(3, "", "", **escalated, withdrawn=True),
        record(4, "", "", failovers=[TakenOver(**over)], checks=[]),
    ]
    counted = {
        "escalated": 1,
        "interrupted": 1,
        "checks": 2,
        "failed": 2,
        "failovers": 1,
        "errors": 2,
    }
    seen = gathered(blank, *turns[:3], Failover.model_validate(over), turns[3], turns[3])
    assert seen["counts"] == counted
    assert seen["last"]["turn"] == 4
    # The message of a failover runs ahead of the record.
    assert gathered(blank, *turns[:3], Failover.model_validate(over))["counts"] == counted


def test_a_long_call_is_not_kept_whole_but_counted_whole(blank: Page) -> None:
    checks = [DecisionCheck(name="support", passed=True)]
    turns = [record(n, "", "", checks=checks, interrupted=True) for n in range(1, 251)]
    seen = gathered(blank, *turns, record(3, "", "", checks=checks, interrupted=True))
    assert [turn["turn"] for turn in seen["turns"]] == list(range(51, 251))
    assert seen["counts"]["interrupted"] == 250
    assert seen["counts"]["checks"] == 250


def test_who_is_at_work_follows_the_call(blank: Page) -> None:
    tts = {"stage": "tts", "failed": "elevenlabs", "vendor": "hibari"}
    idle = gathered(blank, about=CLOUD)
    names = lambda seen: [service["label"] for service in seen["services"]]  # noqa: E731
    assert names(idle) == ["Silero", "Deepgram", "Claude", "ElevenLabs"]
    assert idle["working"] == ""
    assert idle["money"] == {"call": None, "callCap": 60_000, "day": None, "dayCap": 5_000_000}
    vendors = {"stt": "deepgram", "brain": "groq", "tts": "hibari"}
    models = {"stt": "nova-3", "brain": "llama-3.3-70b"}
    seen = gathered(
        blank,
        Stage(stage="transcribing", vendor="deepgram"),
        Failover.model_validate(tts),
        record(1, "", "", vendors=vendors, models=models),
        Stage(stage="speaking", vendor="hibari"),
        Cost(call=amount(1, 2, 3), call_cap=None, day=7, day_cap=None),
        about=CLOUD,
    )
    assert seen["working"] == "tts"
    assert names(seen) == ["Silero", "Deepgram", "Groq", "Hibari, voice heart"]
    assert [service["model"] for service in seen["services"]] == ["", "nova-3", "llama-3.3-70b", ""]
    assert [service["kind"] for service in seen["services"]] == [
        "embedded",
        "cloud",
        "",
        "embedded",
    ]
    assert seen["money"]["call"]["total"] == 6
    assert seen["money"]["callCap"] is None
    assert [over["vendor"] for over in seen["failovers"]] == ["hibari"]


@settings(**QUICK)
@given(secs=st.floats(0.001, 500))
def test_a_scale_holds_its_largest_value(blank: Page, secs: float) -> None:
    end = evaluated(blank, "pictures.js", "scaleOf", secs)
    assert secs <= end
    assert end <= max(0.5, 2 * math.ceil(secs))
