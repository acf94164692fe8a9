"""Measures how many callers a process with the embedded vendors answers in time.

    viva bench embedded [--calls 1,2,4,8] [--seconds S] [--json]

The real server recognises, decides and speaks by itself; its callers, in a separate process, ask
recorded questions over real sockets, each other ones, and listen to the whole answer. A number of
calls is held if every question is answered and 95 % of the answers begin within 1.2 s of the last
word. Where other programs use the machine, processor time tells more than these times do: by it
alone, so many calls would take two cores if they asked without a pause for thought, as here.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.side import EMBEDDED, Side, machine
from evals.scoring.statistics import quantile

MOST_SECS = 1.2
"""Longest time from the last word to the first audio, at p95, of calls that are held."""

CORES = 2


def once(calls: int, secs: float) -> dict[str, Any]:
    """Measure a fresh server with so many calls."""
    with Side(EMBEDDED) as side:
        result = side.load(calls, secs, all_questions=True)
    return summary(calls, **result)


def summary(calls: int, heard: Mapping[str, Any], served: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of a measurement, from those of the callers and of the server."""
    latencies, asked = heard["latencies_ms"], heard["turns_asked"]
    p50, p95 = (quantile(latencies, share) if latencies else None for share in (0.5, 0.95))
    answered = heard["turns_answered"] == asked > 0 and not heard["lost_calls"]
    cpu_secs = served["cpu_percent"] / 100 * served["secs"]
    return {
        "calls": calls,
        "turns_asked": asked,
        "turns_answered": heard["turns_answered"],
        "lost_calls": heard["lost_calls"],
        "latency_ms_p50": p50,
        "latency_ms_p95": p95,
        "late_chunks": heard["late_chunks"],
        "chunks": heard["chunks"],
        "cpu_secs_a_question": cpu_secs / asked if asked else None,
        "cpu_percent_per_call": served["cpu_percent"] / calls,
        "load_cpu_percent": heard["load_cpu_percent"],
        "rss_mb": served["rss_mb"],
        "held": answered and p95 is not None and p95 <= MOST_SECS * 1000,
    }


def measure(calls: Sequence[int] = (1, 2, 4, 8), secs: float = 60.0) -> dict[str, Any]:
    """Measure increasing numbers of calls.

    Args:
        calls: The numbers.
        secs: Duration of each measurement, in the steady state.
    """
    rows = []
    result = {"benchmark": "embedded", **machine(), "seconds": secs}
    for number in calls:
        print(f"embedded: {number} calls", file=sys.stderr, flush=True)
        rows.append(once(number, secs) | {"load_average": round(os.getloadavg()[0], 2)})
    held = [row["calls"] for row in rows if row["held"]]
    busiest = max(rows, key=lambda row: row["calls"])
    return result | {
        "by_calls": rows,
        "held": max(held, default=0),
        "calls_by_cpu": CORES * 100 / busiest["cpu_percent_per_call"],
    }


def table(result: dict[str, Any]) -> list[list[str]]:
    """The results as rows of text."""
    heading = ["calls", "answered", "last word to answer p50/p95 ms", "late chunks"]
    rows = [[*heading, "CPU s a question", "CPU % a call", "MB", "load", "held"]]
    for row in result["by_calls"]:
        known = row["latency_ms_p50"] is not None
        cpu = row["cpu_secs_a_question"]
        rows.append(
            [
                str(row["calls"]),
                f"{row['turns_answered']} of {row['turns_asked']}",
                f"{row['latency_ms_p50']:.0f} / {row['latency_ms_p95']:.0f}" if known else "",
                f"{row['late_chunks']} of {row['chunks']}",
                "" if cpu is None else f"{cpu:.2f}",
                f"{row['cpu_percent_per_call']:.1f}",
                f"{row['rss_mb']:.0f}",
                f"{row['load_average']:.1f}",
                "yes" if row["held"] else "no",
            ]
        )
    return rows
