"""Calls that come and go for long: what is counted, and what is called wrong."""

import json
from typing import Any

import pytest

from benchmarks import soak


@pytest.mark.thorough
def test_callers_hang_up_and_call_again_and_every_turn_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(soak, "TURNS", 1)
    shares: list[float] = []
    result = soak.measure(2, 0.25, progress=lambda _what, share: shares.append(share))
    assert result["calls_begun"] > 2, "each slot has had a second call"
    assert result["calls_lost"] == 0
    assert result["turns_asked"] > 0
    assert result["turns_lost"] == 0
    assert result["chunks"] > 50
    assert result["rss_mb_last"] > 50
    assert shares == sorted(shares)
    assert soak.table(result)[2] == ["calls, lost", f"{result['calls_begun']}, 0"]
    json.dumps(result)


@pytest.mark.parametrize(
    ("found", "named"),
    [
        ({"mb_an_hour_a_call_slot": 1.2}, "memory grew by 1.2 MB an hour a call slot, 1 at most"),
        ({"turns_lost": 3}, "3 of 900 turns were lost"),
        ({"turns_asked": 0}, "0 of 0 turns were lost"),
        ({"calls_lost": 1}, "1 of 90 calls were lost"),
    ],
)
def test_what_is_wrong_is_named(found: dict[str, Any], named: str) -> None:
    good = {
        "mb_an_hour_a_call_slot": 0.4,
        "turns_asked": 900,
        "turns_lost": 0,
        "calls_begun": 90,
        "calls_lost": 0,
    }
    assert soak.faults(good) == []
    assert soak.faults(good | found) == [named]


def test_the_slope_is_that_of_the_readings() -> None:
    assert soak.slope([(0.0, 200.0), (5.0, 201.0), (10.0, 202.0)]) == pytest.approx(0.2)
