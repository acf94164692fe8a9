"""What the flood benchmark calls wrong, and what it prints."""

from typing import Any

import pytest

from benchmarks.flood import KINDS, faults, table

SIDE: dict[str, Any] = {
    "turns_asked": 12,
    "turns_answered": 12,
    "chunks": 1000,
    "late_chunks": 0,
    "latency_ms": {"n": 12, "p50": 500.0},
    "loop_lag_ms_p99": 3.0,
    "cpu_percent": 14.0,
}
KIND = next(iter(KINDS))


def result(*, lasted_secs: float = 0.5, reason: str = "protocol", **beside: Any) -> dict[str, Any]:
    flood = {"kind": KIND, "sent": 900, "lasted_secs": [lasted_secs], "reasons": {reason: 1}}
    return {"flooders": 10, "alone": SIDE, "beside": SIDE | beside, "floods": [flood]}


@pytest.mark.parametrize(
    ("measured", "fault"),
    [
        (result(late_chunks=3), "3 of 1000 chunks were late"),
        (result(turns_answered=9), "9 of 12 questions were answered"),
        (result(turns_asked=0, turns_answered=0), "0 of 0 questions were answered"),
        (result(lasted_secs=2.1), "a flood lasted 2.1 s, 2 s at most"),
        (result(reason="capacity"), "floods ended by capacity rather than by protocol"),
    ],
)
def test_what_a_flood_may_not_do_to_others_is_a_fault(measured: dict[str, Any], fault: str) -> None:
    assert faults(measured) == [fault]


def test_each_kind_of_flood_has_a_row() -> None:
    measured = result()
    assert not faults(measured)
    assert [KIND, "", "1 floods, 900 messages, 0.50 s at most"] in table(measured)
