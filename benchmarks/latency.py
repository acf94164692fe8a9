"""Measures the time from the caller's last word to the first audible sample of the answer.

    python -m benchmarks.latency [--url ws://127.0.0.1:7860/call] [--turns N] [--json]

Calls a server in real time with the project's recorded questions, in successive calls of several
turns, and prints the latency that callers hear, with its parts by stage. Without ``--url`` it
starts its own server on a free port.
"""

import argparse
import asyncio
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from client.caller import Caller, HeardTurn
from evals.scoring.statistics import quantile

AUDIO = Path("tests/audio")
PARTS = ("transcription_delay", "end_of_turn_delay", "llm_ttfs", "tts_ttfb")
TURNS_A_CALL = 6


def questions(limit: int | None) -> list[Path]:
    """The recorded questions, in the manifest's order."""
    manifest = tomllib.loads((AUDIO / "manifest.toml").read_text())
    files = [
        AUDIO / entry["file"] for entry in manifest["recording"] if entry["kind"] == "question"
    ]
    return files[:limit]


@contextmanager
def own_server() -> Iterator[str]:
    """Run a server with loaded models; yields the address of its socket."""
    data = tempfile.mkdtemp(prefix="viva-latency-")
    own = {"PORT": "0", "CALL_SECS": "600", "AUTH": "off", "DATA_DIR": data}
    environment = os.environ | own
    command = [str(Path(sys.executable).parent / "viva"), "serve"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            port = None
            for line in process.stdout:
                if found := re.search(r"http://[^ ]+:(\d+)", line):
                    port = found.group(1)
                    break
            for line in process.stderr:
                if "Models are loaded" in line:
                    break
            yield f"ws://127.0.0.1:{port}/call"
        finally:
            process.terminate()


async def measure(url: str, files: list[Path]) -> list[HeardTurn]:
    """Ask every question; return its turns."""
    turns: list[HeardTurn] = []
    for start in range(0, len(files), TURNS_A_CALL):
        heard = await Caller(url, files[start : start + TURNS_A_CALL]).call()
        turns += heard.turns
        print(f"\r{len(turns)} of {len(files)} turns", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return turns


def summary(turns: list[HeardTurn]) -> dict[str, object]:
    """Medians and tails of the answered turns, in milliseconds."""
    rows: dict[str, dict[str, float]] = {}
    series = {"e2e_latency": [turn.e2e_latency_ms for turn in turns]}
    series |= {name: [turn.stages_ms.get(name) for turn in turns] for name in PARTS}
    for name, values in series.items():
        known = [value for value in values if value is not None]
        if known:
            rows[name] = {
                "n": len(known),
                "p50": round(quantile(known, 0.50), 1),
                "p95": round(quantile(known, 0.95), 1),
            }
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "turns": len(turns),
        "answered": sum(turn.e2e_latency_ms is not None for turn in turns),
        "ms": rows,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--url", help="socket of a running server; default: start one")
    parser.add_argument("--turns", type=int, help="number of questions; default: all")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    files = questions(options.turns)
    if options.url:
        turns = asyncio.run(measure(options.url, files))
    else:
        with own_server() as url:
            turns = asyncio.run(measure(url, files))
    result = summary(turns)
    if options.json:
        rows = [
            {
                "said": turn.said,
                "transcript": turn.transcript,
                "decision": turn.decision,
                "sections": turn.sections,
                "e2e_latency_ms": turn.e2e_latency_ms,
                **turn.stages_ms,
            }
            for turn in turns
        ]
        print(json.dumps(result | {"rows": rows}, indent=2))
        return
    print(f"{result['answered']} of {result['turns']} turns answered; {result['machine']}")
    print(f"{'ms':<22}{'n':>5}{'p50':>9}{'p95':>9}")
    for name, row in result["ms"].items():  # type: ignore[attr-defined]
        print(f"{name:<22}{row['n']:>5}{row['p50']:>9}{row['p95']:>9}")


if __name__ == "__main__":
    main()
