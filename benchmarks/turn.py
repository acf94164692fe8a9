"""Measures the time that a system adds to a turn, from final transcript to first audio.

    viva bench turn [--calls 1,20] [--seconds S] [--json]

The vendors' own time is excluded. The stages are: from the final transcript to the request to the
model (including the wait for the turn model), from the last token of the first sentence to the
request to the voice, and from the voice's first audio to the socket. Early answers are off. Turns
that the turn model held to be unfinished are excluded and counted.
"""

from collections.abc import Sequence
from typing import Any

from benchmarks.scripted import STAGES
from benchmarks.side import Side, by_calls, sides, tails

DOUBT_MS = 600.0
"""A model asked later than this after the transcript was delayed by policy."""


def once(name: str, calls: int, secs: float) -> dict[str, Any]:
    """Measure one system with a number of concurrent calls."""
    with Side(name, {"PREEMPTIVE": "off"}) as side:
        served = side.load(calls, secs)["served"]
    turns = [row for row in served["turns"] if row["transcript_to_model_ms"] < DOUBT_MS]
    parts = [*STAGES, "own_ms"]
    return {
        "calls": calls,
        "doubted": len(served["turns"]) - len(turns),
        **{part: tails([row[part] for row in turns]) for part in parts},
    }


def measure(
    calls: Sequence[int] = (1, 20), secs: float = 30.0, *, systems: Sequence[str] = ()
) -> dict[str, Any]:
    """Measure all systems in turn."""
    return by_calls("turn", once, calls, secs, systems)


def table(result: dict[str, Any]) -> list[list[str]]:
    """The results as rows of text."""
    parts = [*STAGES, "own_ms"]
    rows = [["system", "calls", "turns", "doubted", *(f"{part} p50/p99" for part in parts)]]
    for name in sides():
        for row in result.get(name, {}).get("by_calls", ()):
            figures = [
                f"{row[part]['p50']:.1f} / {row[part]['p99']:.1f}" if row[part]["n"] else ""
                for part in parts
            ]
            rows.append(
                [name, str(row["calls"]), str(row["own_ms"]["n"]), str(row["doubted"]), *figures]
            )
    return rows
