"""The server's clock, reckoned from questions and answers over a slow line."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Page

pytestmark = pytest.mark.browser

ASK = """async ([trips, ahead, drift]) => {
  const { ServerClock } = await import('/web/call/clock.js');
  let now = 100, pending = null;
  const asked = [], waits = [];
  const later = (run, secs) => { pending = run; waits.push(secs); };
  const clock = new ServerClock((sent) => asked.push(sent), { now: () => now, later });
  const server = (at) => at * (1 + drift) + ahead;
  const readings = [];
  clock.start();
  clock.start();
  for (const [there, back] of trips) {
    now += there;
    const answer = { sent: asked.at(-1), now: server(now) };
    now += back;
    clock.answer(answer);
    const { offset, roundTrip } = clock;
    readings.push({ offset, roundTrip, at: clock.at(now), true: server(now) });
    now += waits.at(-1);
    pending();
  }
  return { readings, waits, asked };
}"""
QUICK = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.function_scoped_fixture],
}


def asked(page: Page, trips: list[tuple[float, float]], ahead: float, drift: float = 0.0) -> Any:
    return page.evaluate(ASK, [trips, ahead, drift])


def test_five_questions_at_once_and_then_one_every_half_minute(blank: Page) -> None:
    seen = asked(blank, [(0.01, 0.01)] * 7, 5.0)
    assert seen["waits"] == [0.2, 0.2, 0.2, 0.2, 30, 30, 30, 30]
    assert len(seen["asked"]) == 8


def test_the_shortest_round_trip_wins(blank: Page) -> None:
    trips = [(0.2, 0.02), (0.005, 0.005), (0.02, 0.3)]
    seen = asked(blank, trips, 5000.0)
    assert [reading["roundTrip"] for reading in seen["readings"]] == pytest.approx(
        [0.22, 0.01, 0.01]
    )
    assert seen["readings"][-1]["offset"] == pytest.approx(5000.0, abs=1e-6)


delays = st.floats(0.0005, 0.5)


@settings(**QUICK)  # type: ignore[arg-type]
@given(
    trips=st.lists(st.tuples(delays, delays), min_size=1, max_size=12),
    ahead=st.floats(-1e6, 1e6),
    drift=st.floats(-5e-5, 5e-5),
)
def test_the_error_is_at_most_half_a_round_trip_and_the_drift(
    blank: Page, trips: list[tuple[float, float]], ahead: float, drift: float
) -> None:
    """However uneven the ways there and back are, and however long the call."""
    seen = asked(blank, trips, ahead, drift)
    best = float("inf")
    for (there, back), reading in zip(trips, seen["readings"], strict=True):
        best = min(best, (there + back) / 2)
        age = 1e-4 * (30.0 * len(trips) + sum(map(sum, trips)))
        assert abs(reading["at"] - reading["true"]) <= best + 2 * age + 1e-6


def test_an_answer_to_no_question_is_no_reading(blank: Page) -> None:
    offsets = blank.evaluate(
        """async () => {
          const { ServerClock } = await import('/web/call/clock.js');
          const clock = new ServerClock(() => {}, { now: () => 10, later: () => {} });
          const none = [clock.offset, clock.at(3)];
          clock.start();
          clock.answer({ sent: 9, now: 1 });
          const wrong = clock.offset;
          clock.answer({ sent: 10, now: 60 });
          clock.answer({ sent: 10, now: 70 });
          return [...none, wrong, clock.offset, clock.at(3)];
        }"""
    )
    assert offsets == [None, None, None, 50, 53]
