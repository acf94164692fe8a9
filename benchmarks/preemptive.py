"""What beginning answers early takes off a turn, and what it wastes, on the simulated cloud stack.

    python -m benchmarks.preemptive [--turns N] [--interim SECS] [--json]

The simulators keep the vendors' published medians: the final transcript 250 ms after the end of
speech, the first token after 640 ms, the first audio after 90 ms with 150 ms of silence in it. The
same questions are asked in real time with PREEMPTIVE=off and on, call by call in turn. How much is
gained rests on how often the recogniser tells what it guesses, which nobody publishes: --interim.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

os.environ.setdefault("LOGURU_AUTOINIT", "False")

import numpy as np
from aiohttp.test_utils import TestServer

from benchmarks.latency import AUDIO, questions
from knowledge.document import load
from pipeline.engines import Engines
from pipeline.settings import Settings
from pipeline.vendors import choose
from server import Server
from tests.vendors.deepgram import Utterance
from tests.vendors.simulate import Simulators
from transports.caller import Caller
from transports.wav import read_wav

SPEECH_RMS = 300.0
"""As the simulator has it."""

ASKED = ("where-studied.wav", "first-compiler.wav", "join-navy.wav", "awards.wav")


async def measure(turns: int, interim_secs: float) -> dict[str, Any]:
    """Latencies and waste with early answers off and on."""
    document = load()
    embedded = Settings(_env_file=None)  # type: ignore[call-arg]
    engines = await Engines.load(embedded, document, choose(embedded), lambda _label, _share: None)
    latencies: dict[str, list[float]] = {"off": [], "on": []}
    wasted = used = 0
    files = [path for path in questions(None) if path.name in ASKED]
    said = [Utterance(_text(path.name), speech_secs=_speech_secs(path)) for path in files]
    while len(latencies["on"]) < turns:
        for choice, found in latencies.items():
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
                server = Server(settings, document, cloud.choices, engines=cloud)
                async with TestServer(server.app()) as listening:
                    url = str(listening.make_url("/call")).replace("http", "ws", 1)
                    calling = asyncio.create_task(Caller(url, files).call())
                    while not server.calls:
                        await asyncio.sleep(0.01)
                    (call,) = server.calls
                    heard = await calling
                found += [turn.e2e_latency_ms for turn in heard.turns if turn.e2e_latency_ms]
                if choice == "on":
                    wasted += call.conversation.speculation.wasted_tokens
                    used += call.conversation.speculation.used_tokens
            print(f"\r{choice}: {len(found)} of {turns} turns ", end="", file=sys.stderr)
    print(file=sys.stderr)
    off, on = (statistics.median(latencies[choice]) for choice in ("off", "on"))
    return {
        "interim_secs": interim_secs,
        "turns": {choice: len(found) for choice, found in latencies.items()},
        "e2e_latency_ms_p50": {"off": round(off, 1), "on": round(on, 1)},
        "taken_off_ms": round(off - on, 1),
        "wasted_share_of_tokens": round(wasted / max(1, used), 3),
    }


def _text(name: str) -> str:
    import tomllib

    manifest = tomllib.loads((AUDIO / "manifest.toml").read_text())
    return next(str(one["text"]) for one in manifest["recording"] if one["file"] == name)


def _speech_secs(path: Path) -> float:
    """From a recording's first loud moment to its last."""
    frames = np.frombuffer(read_wav(path), np.int16).astype(np.float64)
    frames = frames[: len(frames) // 160 * 160].reshape(-1, 160)
    loud = np.flatnonzero(np.sqrt((frames**2).mean(axis=1)) > SPEECH_RMS)
    return float(loud[-1] + 1 - loud[0]) / 100


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--turns", type=int, default=12, help="turns with each choice")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--interim", type=float, default=0.3, help="seconds between interims")
    options = parser.parse_args()
    result = asyncio.run(measure(options.turns, options.interim))
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        for name, value in result.items():
            print(f"{name:<26}{value}")


if __name__ == "__main__":
    main()
