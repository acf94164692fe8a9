"""Measures how soon the voice stops for a caller who speaks over it.

    viva bench barge_in [--calls 1,20] [--seconds S] [--json]

It measures the time from the caller's first sample of speech, sent 1.5 s into an answer, to the
duck, to the stop, and to the last sample of the old answer played. For every system, the page drops
its buffer if it receives a stop, and otherwise plays it to the end. The recogniser's first words
follow voice activity by 200 ms. The time from the confirmed interruption to the written stop is
measured in the server.
"""

from collections.abc import Sequence
from typing import Any

from benchmarks.side import Side, by_calls, sides, tails


def once(name: str, calls: int, secs: float) -> dict[str, Any]:
    """Measure one system with a number of concurrent calls."""
    with Side(name) as side:
        result = side.load(calls, secs, barge_in=True)
    barges = result["heard"]["barges"]
    ms = {
        kind: [1000 * barge[kind] for barge in barges if kind in barge]
        for kind in ("duck", "stop", "last")
    }
    ends = [
        1000 * min(barge.get("stop", barge["last"]), barge["last"])
        for barge in barges
        if "last" in barge
    ]
    return {
        "calls": calls,
        "barges": len(barges),
        "duck_ms": tails(ms["duck"]),
        "stop_ms": tails(ms["stop"]),
        "last_old_sample_ms": tails(ends),
        "confirmed_to_stop_ms": tails(result["served"]["yields_ms"]),
    }


def measure(
    calls: Sequence[int] = (1, 20), secs: float = 30.0, *, systems: Sequence[str] = ()
) -> dict[str, Any]:
    """Measure all systems in turn."""
    return by_calls("barge_in", once, calls, secs, systems)


def table(result: dict[str, Any]) -> list[list[str]]:
    """The results as rows of text."""
    parts = ("duck_ms", "stop_ms", "last_old_sample_ms", "confirmed_to_stop_ms")
    rows = [["system", "calls", "barge-ins", *(f"{part} p50/p99" for part in parts)]]
    for name in sides():
        for row in result.get(name, {}).get("by_calls", ()):
            figures = [
                f"{row[part]['p50']:.1f} / {row[part]['p99']:.1f}" if row[part]["n"] else ""
                for part in parts
            ]
            rows.append([name, str(row["calls"]), str(row["barges"]), *figures])
    return rows
