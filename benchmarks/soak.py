"""Measures memory growth and lost turns of a process over a long time.

    viva bench soak [--calls N] [--minutes M] [--json]

Callers ask recorded questions over real sockets, hang up after :data:`TURNS` turns and call again,
so each of the N call slots has many calls. Only the vendors are scripted. Memory is read every few
seconds; its growth per call slot is the slope of the least-squares line through the readings after
:data:`SETTLING` of the time, when caches are full.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.meter import resident_mb
from benchmarks.side import Side, machine, tails

TURNS = 8
"""Turns per call: about a minute and a half."""

SAMPLE_SECS = 5.0
SETTLING = 0.25
MAX_SLOPE = 1.0
"""Largest growth of memory, in MB per hour and call slot."""


def measure(
    calls: int = 30,
    minutes: float = 20.0,
    *,
    progress: Callable[[str, float], None] = lambda _what, _share: None,
) -> dict[str, Any]:
    """Run the calls.

    Args:
        calls: Call slots.
        minutes: Steady time.
        progress: Called with the memory so far and the share of the time, 0 to 1.
    """
    secs = minutes * 60
    held: dict[str, Any] = {}
    trouble: list[BaseException] = []
    with Side("viva") as side:

        def load() -> None:
            try:
                held.update(side.load(calls, secs, turns=TURNS))
            except BaseException as error:
                trouble.append(error)

        loading = threading.Thread(target=load)
        loading.start()
        read: list[tuple[float, float]] = []
        began = time.monotonic()
        while loading.is_alive():
            at = time.monotonic() - began
            memory = resident_mb(side.pid)
            read.append((at, memory))
            progress(f"{memory:.0f} MB", min(1.0, at / secs))
            loading.join(SAMPLE_SECS)
    if trouble:
        raise trouble[0]
    heard, served = held["heard"], held["served"]
    settled = [sample for sample in read if sample[0] >= SETTLING * read[-1][0]]
    result: dict[str, Any] = {
        "benchmark": "soak",
        **machine(),
        "calls": calls,
        "minutes": minutes,
        "calls_begun": heard["calls_begun"],
        "calls_lost": heard["lost_calls"],
        "turns_asked": heard["turns_asked"],
        "turns_lost": heard["turns_asked"] - heard["turns_answered"],
        "late_chunks": heard["late_chunks"],
        "chunks": heard["chunks"],
        "latency_ms": tails(heard["latencies_ms"], 0),
        "cpu_percent_per_call": round(served["cpu_percent"] / calls, 3),
        "loop_lag_ms_p99": round(served["lag_ms"]["p99"], 2),
        "rss_mb_first": round(settled[0][1], 1),
        "rss_mb_last": round(settled[-1][1], 1),
        "mb_an_hour_a_call_slot": round(slope(settled) * 3600 / calls, 3),
        "read": [(round(at, 1), round(memory, 1)) for at, memory in read],
    }
    return result | {"passed": not faults(result)}


def slope(read: Sequence[tuple[float, float]]) -> float:
    """Growth of memory in MB per second, from readings of (seconds, MB)."""
    at, memory = np.array(read).T
    return float(np.polyfit(at, memory, 1)[0])


def faults(result: dict[str, Any]) -> list[str]:
    """Describe the violated limits."""
    due = {
        f"memory grew by {result['mb_an_hour_a_call_slot']} MB an hour a call slot, "
        f"{MAX_SLOPE:g} at most": result["mb_an_hour_a_call_slot"] <= MAX_SLOPE,
        f"{result['turns_lost']} of {result['turns_asked']} turns were lost": (
            result["turns_asked"] > 0 and result["turns_lost"] == 0
        ),
        f"{result['calls_lost']} of {result['calls_begun']} calls were lost": (
            result["calls_lost"] == 0
        ),
    }
    return [fault for fault, right in due.items() if not right]


def table(result: dict[str, Any]) -> list[list[str]]:
    """The results as rows of text."""
    latency = result["latency_ms"]
    return [
        ["what", "measured"],
        ["call slots, minutes", f"{result['calls']}, {result['minutes']:g}"],
        ["calls, lost", f"{result['calls_begun']}, {result['calls_lost']}"],
        ["turns, lost", f"{result['turns_asked']}, {result['turns_lost']}"],
        ["late chunks", f"{result['late_chunks']} of {result['chunks']}"],
        ["last word to answer, p50 / p99", f"{latency['p50']:.0f} / {latency['p99']:.0f} ms"],
        ["CPU of a core a call", f"{result['cpu_percent_per_call']:.2f} %"],
        ["event loop late by, p99", f"{result['loop_lag_ms_p99']:.1f} ms"],
        ["memory, from / to", f"{result['rss_mb_first']:.0f} / {result['rss_mb_last']:.0f} MB"],
        ["memory's slope", f"{result['mb_an_hour_a_call_slot']:.2f} MB an hour a call slot"],
    ]
