"""What beginning answers early takes off a turn, and what it wastes, on the simulated cloud stack.

    python -m benchmarks.preemptive [--turns N] [--interim SECS] [--json]

The simulators keep the vendors' published medians: the final transcript 250 ms after the end of
speech, the first token after 640 ms, the first audio after 90 ms with 150 ms of silence in it. The
project's recorded questions are asked with PREEMPTIVE=off and on, in virtual time: the real SDKs
and real sockets, on an event loop that does not wait. Each question begins at a moment of its own
(seeded), for how much is gained rests on when the recogniser's last guess happens to come; how
often it guesses nobody publishes: --interim. What a process may waste is earned by calls before
that, which are not counted.
"""

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("LOGURU_AUTOINIT", "False")

import numpy as np
import numpy.typing as npt
from aiohttp.test_utils import TestServer

from benchmarks.latency import AUDIO, questions
from client.caller import Caller
from client.wav import read_wav, write_wav
from evals.replay import virtual_time
from evals.scoring.statistics import quantile
from knowledge.loading.document import load
from pipeline.choice import choose
from pipeline.engines import Engines
from processors.brain.speculation import Speculation
from server import Server
from settings import Settings
from simulators.deepgram import Utterance
from simulators.simulate import Simulators

SPEECH_RMS = 300.0
"""As the simulator has it."""

ENDPOINTING_SECS = 0.15
"""Only questions said in one breath are asked: the simulator's script knows no pauses."""

QUESTIONS_A_CALL = 4


async def measure(turns: int, interim_secs: float) -> dict[str, Any]:
    """Latencies and waste with early answers off and on."""
    document = load()
    embedded = Settings(_env_file=None)  # type: ignore[call-arg]
    engines = await Engines.load(embedded, document, choose(embedded), lambda _label, _share: None)
    latencies: dict[str, list[float]] = {"off": [], "on": []}
    speculation = Speculation(max_wasted_share=embedded.preemptive_waste)
    chance = random.Random(0)
    recordings = [path for path in questions(None) if _longest_gap_secs(path) < ENDPOINTING_SECS]
    while len(latencies["on"]) < turns:
        earning = not (speculation.allowed or latencies["on"])
        asked = chance.sample(recordings, QUESTIONS_A_CALL)
        said = [Utterance(_text(path.name), speech_secs=_speech_secs(path)) for path in asked]
        waits = [chance.uniform(0, interim_secs) for _ in asked]
        for choice, found in latencies.items():
            if earning and choice == "off":
                continue
            simulators = Simulators(
                document,
                whisper=engines.loaded["whisper"],
                hibari=engines.loaded["hibari"],
                brain=engines.loaded["extractive"],
                heard=said,
            )
            simulators.deepgram.interim_secs = interim_secs
            async with simulators, AsyncExitStack() as held:
                folder = held.enter_context(tempfile.TemporaryDirectory())
                files = [
                    _after(wait, path, Path(folder))
                    for wait, path in zip(waits, asked, strict=True)
                ]
                os.environ |= simulators.environment
                settings = Settings(  # type: ignore[call-arg]
                    _env_file=None,
                    preemptive=choice,  # type: ignore[arg-type]
                    call_secs=600,
                    auth="off",
                    data_dir=Path(folder),
                )
                cloud = await Engines.load(
                    settings, document, choose(settings), lambda _label, _share: None
                )
                cloud = replace(cloud, speculation=speculation)
                server = Server(settings, document, cloud.choices, engines=cloud)
                async with TestServer(server.app()) as listening:
                    url = str(listening.make_url("/call")).replace("http", "ws", 1)
                    heard = await Caller(url, files).call()
                if not earning:
                    found += [turn.e2e_latency_ms for turn in heard.turns if turn.e2e_latency_ms]
            state = "earning" if earning else f"{choice}: {len(found)} of {turns} turns"
            print(f"\r{state} ", end="", file=sys.stderr)
    print(file=sys.stderr)
    off, on = (statistics.median(latencies[choice]) for choice in ("off", "on"))
    sooner = [late - early for late, early in zip(latencies["off"], latencies["on"], strict=True)]
    return {
        "interim_secs": interim_secs,
        "turns": {choice: len(found) for choice, found in latencies.items()},
        "e2e_latency_ms_p50": {"off": round(off, 1), "on": round(on, 1)},
        "taken_off_ms": round(off - on, 1),
        "taken_off_each_ms_p5_p50_p95": [
            round(quantile(sooner, share), 1) for share in (0.05, 0.5, 0.95)
        ],
        "wasted_tokens": speculation.wasted_tokens,
        "wasted_share_of_tokens": round(
            speculation.wasted_tokens / max(1, speculation.used_tokens), 3
        ),
    }


def _after(wait_secs: float, path: Path, folder: Path) -> Path:
    """The recording after a silence: its words meet the interim results as chance has it."""
    later = folder / path.name
    write_wav(later, bytes(2 * int(wait_secs * 16_000)) + read_wav(path), 16_000)
    return later


def _text(name: str) -> str:
    import tomllib

    manifest = tomllib.loads((AUDIO / "manifest.toml").read_text())
    return next(str(entry["text"]) for entry in manifest["recording"] if entry["file"] == name)


def _loud(path: Path) -> npt.NDArray[np.intp]:
    """The loud hundredths of a second of a recording."""
    frames = np.frombuffer(read_wav(path), np.int16).astype(np.float64)
    frames = frames[: len(frames) // 160 * 160].reshape(-1, 160)
    return np.flatnonzero(np.sqrt((frames**2).mean(axis=1)) > SPEECH_RMS)


def _speech_secs(path: Path) -> float:
    """From a recording's first loud moment to its last."""
    loud = _loud(path)
    return float(loud[-1] + 1 - loud[0]) / 100


def _longest_gap_secs(path: Path) -> float:
    """The longest silence within a recording's speech."""
    return float(np.diff(_loud(path)).max() - 1) / 100


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--turns", type=int, default=240, help="turns with each choice")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--interim", type=float, default=0.2, help="seconds between interims")
    options = parser.parse_args()
    result = virtual_time.run(measure(options.turns, options.interim))
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        for name, value in result.items():
            print(f"{name:<26}{value}")


if __name__ == "__main__":
    main()
