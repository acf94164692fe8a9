"""Measures the time that early answers save and the tokens they waste, with simulated vendors.

    python -m benchmarks.preemptive [--turns N] [--recogniser NAME] [--interim SECS] [--json]

The simulators use the vendors' published medians: the final transcript 250 ms after the end of
speech, the first token after 640 ms, the first audio after 90 ms with 150 ms of silence in it. The
project's recorded questions, including those with pauses, are asked with PREEMPTIVE=off and on in
virtual time, over the real SDKs and real sockets. Each question begins at a random moment (seeded),
since the gain depends on when the recogniser's last interim result arrives: Nova's arrive about
once a second, or as often as --interim says. Earlier calls, which are not counted, earn the budget
for waste.
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

from aiohttp.test_utils import TestServer

from benchmarks.recordings import Recording
from benchmarks.recordings import load as load_recordings
from client.caller import Caller
from client.wav import write_wav
from evals.replay import virtual_time
from evals.scoring.statistics import quantile
from knowledge.loading.document import load
from pipeline.choice import choose
from pipeline.engines import Engines
from processors.brain.speculation import Speculation
from server import Server
from settings import Settings
from simulators.deepgram_recogniser import INTERIM_SECS, Utterance, speech_secs
from simulators.simulate import Simulators

QUESTIONS_A_CALL = 4

_EMBEDDED: dict[str, Any] = {"stt": "whisper", "brain": "extractive", "tts": "hibari"}


async def measure(turns: int, recogniser: str, interim_secs: float) -> dict[str, Any]:
    """Measure latencies and waste with early answers off and on."""
    document = load()
    embedded = Settings(_env_file=None, **_EMBEDDED)  # type: ignore[call-arg]
    engines = await Engines.load(embedded, document, choose(embedded), lambda _label, _share: None)
    latencies: dict[str, list[float | None]] = {"off": [], "on": []}
    speculation = Speculation(max_wasted_share=embedded.preemptive_waste)
    chance = random.Random(0)
    recordings = load_recordings(kinds=("question",))
    while len(latencies["on"]) < turns:
        earning = not (speculation.allowed or latencies["on"])
        asked = chance.sample(recordings, QUESTIONS_A_CALL)
        said = [
            Utterance(question.text, speech_secs=speech_secs(question.pcm), pauses=True)
            for question in asked
        ]
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
                    _after(wait, question, Path(folder))
                    for wait, question in zip(waits, asked, strict=True)
                ]
                os.environ |= simulators.environment
                settings = Settings(  # type: ignore[call-arg]
                    _env_file=None,
                    stt=recogniser,
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
                    found += [turn.e2e_latency_ms for turn in heard.turns]
            state = "earning" if earning else f"{choice}: {len(found)} of {turns} turns"
            print(f"\r{state} ", end="", file=sys.stderr)
    print(file=sys.stderr)
    pairs = zip(latencies["off"], latencies["on"], strict=True)
    answered = [(off, on) for off, on in pairs if off is not None and on is not None]
    off, on = (statistics.median(secs) for secs in zip(*answered, strict=True))
    sooner = [late - early for late, early in answered]
    return {
        "recogniser": recogniser,
        "interim_secs": interim_secs,
        "recordings": len(recordings),
        "turns": len(answered),
        "unanswered": len(latencies["on"]) - len(answered),
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


def _after(wait_secs: float, recording: Recording, folder: Path) -> Path:
    """Write the recording after some silence, to shift it relative to the interim results."""
    later = folder / recording.file
    write_wav(later, bytes(2 * int(wait_secs * 16_000)) + recording.pcm, 16_000)
    return later


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--turns", type=int, default=240, help="turns for each setting")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--recogniser", default="deepgram", help="or deepgram-flux")
    parser.add_argument(
        "--interim", type=float, default=INTERIM_SECS, help="seconds between Nova's interim results"
    )
    options = parser.parse_args()
    result = virtual_time.run(measure(options.turns, options.recogniser, options.interim))
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        for name, value in result.items():
            print(f"{name:<26}{value}")


if __name__ == "__main__":
    main()
