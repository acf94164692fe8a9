"""One recorded call of many minutes, in virtual time: what its last minutes cost, and its memory.

    python -m benchmarks.long_call --minutes N

The server is the real one with scripted vendors (:mod:`benchmarks.scripted`); the caller asks every
ten seconds and hangs up in time. Server and caller are one process, and what is
measured is both.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("LOGURU_AUTOINIT", "False")

from aiohttp.test_utils import TestServer
from loguru import logger

from benchmarks.load import BARGE, QUESTIONS, BenchCaller, Speech, Tally
from benchmarks.meter import resident_mb
from benchmarks.scripted import choices, voice
from benchmarks.wires import WIRES
from evals.replay import virtual_time
from knowledge.loading.document import load
from server import Server
from settings import Settings

_cpu = time.process_time  # bound before virtual time takes its place
LAST_MINUTES = 2


async def run(minutes: int, folder: Path) -> dict[str, Any]:
    """Hold the call, and measure its last minutes."""
    logger.remove()
    voice()
    settings = Settings.load(
        port=0,
        auth="off",
        data_dir=folder,
        call_secs=minutes * 60 + 600,
        record="all",
    )
    server = Server(settings, load(None), choices())
    async with TestServer(server.app()) as listening:
        while not server.loading.done:
            await asyncio.sleep(0.05)
        url = str(listening.make_url("/call")).replace("http", "ws", 1)
        tally, begin = Tally(), asyncio.Event()
        speech = [Speech.read(name) for name in QUESTIONS]
        caller = BenchCaller(0, WIRES["viva"](), tally, speech, Speech.read(BARGE), turns=None)
        holding = asyncio.create_task(caller.hold(url, begin, 0.0, barge_in=False))
        await caller.ready.wait()
        begin.set()
        tally.since = asyncio.get_running_loop().time()
        await asyncio.sleep((minutes - LAST_MINUTES) * 60)
        cpu = _cpu()
        await asyncio.sleep(LAST_MINUTES * 60)
        cpu = _cpu() - cpu
        memory = resident_mb()
        holding.cancel()
        await asyncio.gather(holding, return_exceptions=True)
        while server.calls:
            await asyncio.sleep(0.1)
    size = sum(file.stat().st_size for file in (folder / "recordings").rglob("*.mcap"))
    return {
        "minutes": minutes,
        "cpu_secs_of_the_last_minute": cpu / LAST_MINUTES,
        "memory_mb": memory,
        "recording_mb": size / 1e6,
        "turns": tally.answered,
    }


def main() -> None:
    """Measure and print one object."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=int, required=True)
    minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory(prefix="viva-long-call-") as folder:
        result = virtual_time.run(run(minutes, Path(folder)))
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
