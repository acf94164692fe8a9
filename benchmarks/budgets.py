"""Runs all benchmarks and compares the results with the design's budgets."""

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import barge_in, density, grounded, start, turn, vad
from benchmarks.side import sides

CALLS = 32
RATIO_CALLS = (8, CALLS)
"""Numbers of calls at which systems are compared, each with the same number in both."""

BUDGETS: Mapping[str, str] = {"cpu_percent_per_call": "pipecat >= 10, livekit >= 3 times"}


def measure(out: Path, secs: float) -> dict[str, Any]:
    """Run all benchmarks with modest sizes, writing each result as soon as it is complete."""
    out.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    pair = [name for name in sides() if name in ("viva", "pipecat")]
    # Those that call for a comparison of one thing only are measured once.
    once = [name for name in sides() if name in ("pipecat-lean", "livekit-vad")]
    thrice = [name for name in sides() if name not in once]
    results: dict[str, Any] = {}

    def keep(name: str, result: dict[str, Any]) -> None:
        results[name] = result
        (out / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n")
        print(f"{name}: done after {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)

    keep("vad", vad.measure())
    keep("grounded", grounded.measure())
    sweep = (1, *RATIO_CALLS)
    compared = density.measure(None, secs, repeat=3, systems=thrice, sweep=sweep, always=thrice)
    keep("density", compared)
    if once:
        cheapest = density.measure(None, secs, systems=once, sweep=sweep, always=once)
        keep("density", compared | {name: cheapest[name] for name in once})
    keep("turn", turn.measure((1, 20), secs, systems=["viva"]))
    keep("barge_in", barge_in.measure((1, 20), 2 * secs, systems=["viva"]))
    keep("start", start.measure(secs=5.0, repeat=1, systems=pair))
    if (Path(__file__).parent / "replay.py").exists():
        ran = subprocess.run(
            [sys.executable, "-m", "benchmarks.replay", "--json"],
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if ran.returncode == 0:
            keep("replay", json.loads(ran.stdout))
    return results


def table(results: Mapping[str, Any]) -> list[list[str]]:
    """The budgets, each with the measurements of Viva and of the other systems."""
    viva = _row(results["density"], "viva", CALLS)
    rows = [["what", "budget", *sides()]]

    def density_row(what: str, budget: str, name: str, form: str) -> None:
        cells = []
        for side in sides():
            found = results["density"].get(side, {}).get("sweep", ())
            known = [row for row in found if name in row]
            if not known:
                cells.append("not measured")
                continue
            value, calls = known[-1][name], known[-1]["calls"]
            value = value["median"] if isinstance(value, dict) else value
            cells.append(f"{form.format(value)} at {calls}")
        rows.append([what, budget, *cells])

    density_row("CPU of one core per call", "<= 0.8 % at 32", "cpu_percent_per_call", "{:.2f} %")
    alone = [_row(results["density"], side, 1).get("cpu_percent_per_call") for side in sides()]
    rows.append(
        [
            "CPU of one core, a call alone",
            "<= 2 %",
            *(f"{cpu['median']:.2f} %" if cpu else "not measured" for cpu in alone),
        ]
    )
    density_row("memory per further call", "<= 0.4 MB", "mb_per_call", "{:.2f} MB")
    rows += _times_less(results["density"])
    rows.append(
        ["own time in a turn, p50 / p99", "2 / 6 ms at 20", *_by_calls(results, "turn", "own_ms")]
    )
    rows.append(
        [
            "last word to first answer audio, p50",
            "<= 600 ms",
            *(_latency(results["density"], side) for side in sides()),
        ]
    )
    for what, budget, name in (
        ("barge-in: duck, p50 / p99", "<= 100 ms", "duck_ms"),
        ("barge-in: last old sample, p50 / p99", "<= 300 ms", "last_old_sample_ms"),
        ("confirmed to stop, p50 / p99", "<= 20 ms", "confirmed_to_stop_ms"),
    ):
        rows.append([what, budget, *_by_calls(results, "barge_in", name)])
    rows.append(
        [
            "warm start of a further call, p50 / most",
            "<= 10 ms",
            *(
                "{p50:.1f} / {max:.1f} ms".format(**results["start"][side]["warm_ms"])
                if side in results["start"]
                else "not measured"
                for side in sides()
            ),
        ]
    )
    late = f"{viva['late_chunks']} of {viva['chunks']} at {CALLS}" if viva else "not measured"
    rows.append(["late audio chunks", "0", late, *[""] * (len(sides()) - 1)])
    speed = results.get("replay", {}).get("speed_x_realtime", "")
    rows.append(
        [
            "replay, times real time a core",
            ">= 300",
            str(speed) or "not measured",
            *[""] * (len(sides()) - 1),
        ]
    )
    return rows


def _times_less(density: Mapping[str, Any]) -> list[list[str]]:
    """How much less a call costs in Viva than in the other systems, with as many calls in both."""
    rows = []
    for what, name in (("CPU", "cpu_percent_per_call"), ("memory", "mb_per_call")):
        for calls in RATIO_CALLS:
            viva = _row(density, "viva", calls).get(name)
            cells = []
            for side in sides():
                own = _row(density, side, calls).get(name)
                if side == "viva":
                    cells.append("")
                elif viva is None or own is None:
                    cells.append("not measured")
                else:
                    cells.append(f"{own['median'] / viva['median']:.1f} times Viva's")
            budget = BUDGETS.get(name, "")
            rows.append([f"{what} of a call, both with {calls}", budget, *cells])
    return rows


def _row(result: Mapping[str, Any], side: str, calls: int) -> dict[str, Any]:
    rows = [row for row in result.get(side, {}).get("sweep", ()) if row["calls"] == calls]
    return rows[-1] if rows else {}


def _latency(result: Mapping[str, Any], side: str) -> str:
    rows = [row for row in result.get(side, {}).get("sweep", ()) if row["latency_ms"]["n"]]
    if not rows:
        return "not measured"
    return f"{rows[-1]['latency_ms']['p50']:.0f} ms at {rows[-1]['calls']}"


def _by_calls(results: Mapping[str, Any], benchmark: str, name: str) -> list[str]:
    cells = []
    for side in sides():
        rows = results[benchmark].get(side, {}).get("by_calls", ())
        known = [
            f"{row[name]['p50']:.1f} / {row[name]['p99']:.1f} at {row['calls']}"
            for row in rows
            if row[name]["n"]
        ]
        cells.append("; ".join(known) or "not measured")
    return cells
