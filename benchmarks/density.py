"""Measures how many calls a process sustains and what each costs, compared with alternatives.

    viva bench density [--calls N] [--seconds S] [--repeat R] [--json]

Every system answers real recorded speech over real sockets, with the same scripted vendors (see
:mod:`benchmarks.scripted`) and its callers in a separate process. In each round, every system gets
a fresh server and one number of calls after the other, each measured in its steady state; the
systems alternate. Without ``--calls``, the number of calls grows until the event loop lags by more
than 20 ms at p99.

CPU is that of the server process with all its threads, as a percentage of one core. Memory per
further call is the RAM of N calls minus that of one, divided by N - 1. A chunk is late if the
page's buffer was empty for more than 40 ms within an answer.
"""

import sys
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from benchmarks.side import Side, SideError, machine, sides, spread, tails
from evals.scoring.statistics import quantile

SWEEP = (1, 8, 32, 64, 96)
MAX_LAG_MS = 20.0


def once(name: str, calls: int, secs: float) -> dict[str, Any]:
    """Measure a fresh server once."""
    with Side(name) as side:
        return _held(side, calls, secs)


def _held(side: Side, calls: int, secs: float) -> dict[str, Any]:
    result = side.load(calls, secs)
    heard, served = result["heard"], result["served"]
    latencies = heard["latencies_ms"]
    return {
        "calls": calls,
        "cpu_percent_per_call": served["cpu_percent"] / calls,
        "rss_mb": served["rss_mb"],
        "loop_lag_ms_p50": served["lag_ms"]["p50"],
        "loop_lag_ms_p99": served["lag_ms"]["p99"],
        "late_chunks": heard["late_chunks"],
        "chunks": heard["chunks"],
        "turns_asked": heard["turns_asked"],
        "turns_answered": heard["turns_answered"],
        "lost_calls": heard["lost_calls"],
        "latency_ms": latencies,
        "load_cpu_percent": heard["load_cpu_percent"],
    }


def summary(runs: Sequence[dict[str, Any]], alone: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Summarize measurements of several calls, relative to those of a single call."""
    calls = runs[0]["calls"]
    row: dict[str, Any] = {"calls": calls, "runs": len(runs)}
    for name in ("cpu_percent_per_call", "loop_lag_ms_p50", "loop_lag_ms_p99", "rss_mb"):
        row[name] = spread([run[name] for run in runs], 3)
    if calls > 1 and alone:
        base = quantile([run["rss_mb"] for run in alone], 0.5)
        row["mb_per_call"] = spread([(run["rss_mb"] - base) / (calls - 1) for run in runs], 3)
    for name in ("late_chunks", "chunks", "turns_asked", "turns_answered", "lost_calls"):
        row[name] = sum(run[name] for run in runs)
    row["latency_ms"] = tails([value for run in runs for value in run["latency_ms"]], 0)
    row["load_cpu_percent"] = spread([run["load_cpu_percent"] for run in runs], 1)
    return row


def measure(
    calls: int | None = None,
    secs: float = 20.0,
    *,
    repeat: int = 1,
    systems: Sequence[str] = (),
    sweep: Sequence[int] = SWEEP,
    always: Sequence[str] = (),
) -> dict[str, Any]:
    """Measure all systems, alternating; in each round, a server gets each number of calls.

    Args:
        calls: Concurrent calls, in addition to a single call; ``None`` for increasing numbers.
        secs: Duration of each measurement.
        repeat: Rounds; how many measurements each number of calls gets.
        systems: Their names; all that are installed by default.
        sweep: The increasing numbers of calls.
        always: Systems that get every number, even if they lag.

    Returns:
        The machine, and for each system the result for its largest number of calls, with those for
        the other numbers under ``sweep``.
    """
    steps = sweep if calls is None else sorted({1, calls})
    runs: dict[str, dict[int, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    names = sides(systems) if systems else sides()
    failed: dict[str, str] = {}
    for turn in range(repeat):
        # Reverse the order each time, so that no system is always first.
        for name in names if turn % 2 == 0 else names[::-1]:
            step = steps[0]
            try:
                with Side(name) as side:
                    for step in steps:
                        print(f"density: {name}, {step} calls", file=sys.stderr, flush=True)
                        run = _held(side, step, secs)
                        runs[name][step].append(run)
                        late = run["loop_lag_ms_p99"] > MAX_LAG_MS
                        if calls is None and late and name not in always:
                            break
            except SideError as error:
                failed.setdefault(name, f"{step} calls could not be held: {error}")
    result: dict[str, Any] = {"benchmark": "density", **machine(), "seconds": secs}
    for name in names:
        rows = [
            summary(outcomes, runs[name][1])
            for _, outcomes in sorted(runs[name].items())
            if outcomes
        ]
        if not rows:
            print(f"density: {name}: {failed[name]}", file=sys.stderr, flush=True)
            result[name] = {"sweep": [], "failed": failed[name]}
            continue
        last = {
            key: value["median"] if isinstance(value, dict) and "median" in value else value
            for key, value in rows[-1].items()
        }
        result[name] = last | {"sweep": rows}
        if name in failed:
            result[name]["failed"] = failed[name]
    if not any(result[name]["sweep"] for name in names):
        raise SideError(failed[next(iter(names))])
    return result


def table(result: dict[str, Any]) -> list[list[str]]:
    """The results as rows of text."""
    heading = ["system", "calls", "CPU % a call", "MB a call", "lag p50/p99 ms", "late chunks"]
    rows = [[*heading, "answered", "last word to answer p50/p99 ms"]]
    for name in sides():
        for row in result.get(name, {}).get("sweep", ()):
            cpu, latency = row["cpu_percent_per_call"], row["latency_ms"]
            rows.append(
                [
                    name,
                    str(row["calls"]),
                    f"{cpu['median']:.2f} ({cpu['min']:.2f} to {cpu['max']:.2f})",
                    f"{row['mb_per_call']['median']:.2f}" if "mb_per_call" in row else "",
                    f"{row['loop_lag_ms_p50']['median']:.2f} / "
                    f"{row['loop_lag_ms_p99']['median']:.1f}",
                    f"{row['late_chunks']} of {row['chunks']}",
                    f"{row['turns_answered']} of {row['turns_asked']}",
                    f"{latency['p50']:.0f} / {latency['p99']:.0f}" if latency["n"] else "",
                ]
            )
    return rows
