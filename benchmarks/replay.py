"""Measures how much faster than real time one core replays recorded calls.

    python -m benchmarks.replay [FILE|DIR…] [--rounds N] [--json]

Without recordings, calls are made first: the project's recorded questions, asked of a server with
the embedded engines in virtual time, one call with follow-ups, one with a barge-in, one with a
backchannel. Each call is then replayed repeatedly in this process with the recorded results of all
vendors: read with every checksum verified, run, written, read back and compared. The speed is the
call's length over the CPU time of that, all threads included. The first replay of a process, which
fills its caches, is not counted.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("LOGURU_AUTOINIT", "False")

from aiohttp.test_utils import TestServer

from client.caller import Caller
from evals.replay import virtual_time
from evals.replay.recorded_call import Options, replay
from knowledge.loading.document import load
from models.allocation import exempt_from_collection
from pipeline.choice import choose
from pipeline.engines import Engines
from server import Server
from settings import Settings

AUDIO = Path(__file__).parents[1] / "tests" / "audio"

CALLS: Sequence[tuple[Sequence[str], float | None]] = (
    (("after-the-war", "follow-when", "salary"), None),
    (("where-studied", "excuse-me", "first-compiler"), 1.5),
    (("awards", "mm-hm"), 1.0),
)


async def hold(folder: Path) -> None:
    """Make and record the calls."""
    document = load()
    settings = Settings(  # type: ignore[call-arg]
        _env_file=None, record="all", auth="off", data_dir=folder
    )
    engines = await Engines.load(settings, document, choose(settings), lambda *_: None)
    server = Server(settings, document, engines.choices, engines=engines)
    async with TestServer(server.app()) as listening:
        url = str(listening.make_url("/call")).replace("http", "ws", 1)
        for names, barge_in_secs in CALLS:
            wavs = [AUDIO / f"{name}.wav" for name in names]
            await Caller(url, wavs, barge_in_secs=barge_in_secs).call()


def measure(recordings: Sequence[Path], rounds: int, folder: Path) -> dict[str, Any]:
    """Replay all recordings several times."""
    speeds: list[float] = []
    seconds = cpu = 0.0
    differs = 0
    out = folder / "replayed.mcap"
    replay(recordings[0], out, Options())
    exempt_from_collection()  # as the processes of viva replay do
    for number in range(rounds):
        print(f"\rround {number + 1} of {rounds} ", end="", file=sys.stderr)
        for path in recordings:
            entry = replay(path, out, Options())
            seconds += entry["seconds"]
            cpu += entry["cpu_seconds"]
            differs += bool(entry["differs"])
            speeds.append(entry["seconds"] / entry["cpu_seconds"])
    print(file=sys.stderr)
    return {
        "calls": len(recordings),
        "rounds": rounds,
        "seconds_of_calls": round(seconds / rounds, 1),
        "speed_x_realtime": round(seconds / cpu, 1),
        "slowest_replay": round(min(speeds), 1),
        "median_replay": round(statistics.median(speeds), 1),
        "replays_that_differ": differs,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("recordings", nargs="*", type=Path, metavar="FILE|DIR")
    parser.add_argument("--rounds", type=int, default=10, help="replays of each recording")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = options.recordings
        if not paths:
            virtual_time.run(hold(folder), counted=True)
            paths = [folder / "recordings"]
        files = [
            file
            for path in paths
            for file in (sorted(path.rglob("*.mcap")) if path.is_dir() else [path])
        ]
        if not files:
            parser.error("no recordings (*.mcap) found")
        result = measure(files, options.rounds, folder)
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        for label, value in result.items():
            print(f"{label:<22}{value}")


if __name__ == "__main__":
    main()
