"""Measures how soon a server listens and takes a call, and the effect of a new call on others.

    viva bench start [--calls N] [--json]

The process is the real ``viva serve`` with its embedded engines. A call's start is measured inside
the server, from its request to the message that the page may speak: for the first call of a
process, and for further ones while N calls are running. The stall is the lag of the event loop in
that time, compared with its lag under the same calls without a new one.
"""

import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.side import Side, machine, sides, spread, tails


def process() -> dict[str, float]:
    """Seconds from the start of ``viva serve`` until it listens, and until it has its models."""
    with tempfile.TemporaryDirectory(prefix="viva-start-") as folder:
        own = {"PORT": "0", "AUTH": "off", "DATA_DIR": folder}
        command = [str(Path(sys.executable).parent / "viva"), "serve"]
        seen: dict[str, float] = {}
        begun = time.monotonic()
        with subprocess.Popen(
            command,
            env=os.environ | own,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as running:

            def read(pipe: Any, pattern: str, name: str) -> None:
                for line in pipe:
                    if name not in seen and re.search(pattern, line):
                        seen[name] = time.monotonic() - begun

            threads = [
                threading.Thread(target=read, args=(running.stdout, r"http://", "listening_secs")),
                threading.Thread(target=read, args=(running.stderr, "loaded;", "ready_secs")),
            ]
            for thread in threads:
                thread.start()
            deadline = begun + 120
            while len(seen) < 2 and running.poll() is None and time.monotonic() < deadline:
                time.sleep(0.005)
            running.terminate()
            for thread in threads:
                thread.join()
    return seen


def calls(name: str, held: int, secs: float) -> dict[str, Any]:
    """Measure the first call, further calls, and their effect on the running ones."""
    with Side(name) as side:
        first = side.load(1, 1.0, setup=True)["served"]
    with Side(name) as side:
        many = side.load(held, 0.5, setup=True)["served"]
    with Side(name) as side:
        quiet = side.load(held, secs)["served"]
    return {
        "held": held,
        "cold_ms": tails(first["ready_ms"][:1]),
        "warm_ms": tails(many["ready_ms"][1:]),
        "lag_ms_while_starting": many["lag_ms"],
        "lag_ms_otherwise": quiet["lag_ms"],
    }


def measure(
    held: int = 8, *, secs: float = 10.0, repeat: int = 3, systems: Sequence[str] = ()
) -> dict[str, Any]:
    """Measure the process, and the calls of all systems."""
    result: dict[str, Any] = {"benchmark": "start", **machine()}
    runs = [process() for _ in range(repeat)]
    result["process"] = {
        name: spread([run[name] for run in runs if name in run])
        for name in ("listening_secs", "ready_secs")
    }
    for name in sides(systems) if systems else sides():
        print(f"start: {name}", file=sys.stderr, flush=True)
        result[name] = calls(name, held, secs)
    return result


def table(result: dict[str, Any]) -> list[list[str]]:
    """The results as rows of text."""
    rows = [["what", "median", "most"]]
    for name, row in result["process"].items():
        rows.append([f"viva serve: {name}", f"{row['median']:.2f}", f"{row['max']:.2f}"])
    for name in sides():
        if name in result:
            row = result[name]
            for what in ("cold_ms", "warm_ms"):
                if row[what]["n"]:
                    figures = [f"{row[what]['p50']:.1f}", f"{row[what]['max']:.1f}"]
                    rows.append([f"{name}: {what}", *figures])
            rows += [
                [f"{name}: {what}", f"{row[what]['p50']:.2f}", f"{row[what]['max']:.1f}"]
                for what in ("lag_ms_while_starting", "lag_ms_otherwise")
            ]
    return rows
