"""Measures a server under test from within, controlled by lines of JSON."""

import asyncio
import json
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loguru import logger

from benchmarks.scripted import Marks
from operating.lag import EventLoopLag

TICK_SECS = 0.02
WINDOW_SECS = 300.0


class Meter:
    """CPU, memory and lateness of the process and its running event loop.

    It takes commands on stdin and answers on stdout: ``mark`` resets the measurements, ``report``
    prints those since the mark, and the end of stdin ends the process.

    Parameters:
        system: Name of the system under test.
    """

    def __init__(self, system: str) -> None:
        logger.remove()  # the cost of logging is not measured
        self.system = system
        self.calls: list[Marks] = []
        self.ready_ms: list[float] = []
        self.yields_ms: list[float] = []
        self.over = asyncio.Event()
        self._lag = EventLoopLag(interval_secs=TICK_SECS, window_secs=WINDOW_SECS)
        self._loop = asyncio.get_running_loop()
        self._cpu = 0.0
        self._since = 0.0

    def start(self, port: int) -> None:
        """Start measuring, and report the server's port."""
        self._lag.start()
        self.mark()
        threading.Thread(target=self._read, daemon=True).start()
        _tell({"system": self.system, "port": port})

    def mark(self) -> None:
        """Reset the measurements."""
        self._lag.reset()
        self._cpu, self._since = time.process_time(), time.monotonic()
        self.ready_ms.clear()
        self.yields_ms.clear()

    def report(self) -> Mapping[str, Any]:
        """The measurements since the mark, and the present memory."""
        secs = time.monotonic() - self._since
        turns = [row for call in self.calls for row in call.own_ms()]
        begun = [turn["final"] for call in self.calls for turn in call.turns]
        return {
            "secs": secs,
            "cpu_percent": 100 * (time.process_time() - self._cpu) / secs,
            "rss_mb": resident_mb(),
            "lag_ms": {
                name: self._lag.quantile(share) * 1000
                for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
            },
            "transcripts": sum(at >= self._since for at in begun),
            "turns": turns,
            "ready_ms": self.ready_ms,
            "yields_ms": self.yields_ms,
        }

    def _read(self) -> None:
        for line in sys.stdin:
            self._loop.call_soon_threadsafe(self._asked, line.strip())
        self._loop.call_soon_threadsafe(self.over.set)

    def _asked(self, what: str) -> None:
        if what == "mark":
            self.mark()
            _tell({"marked": True})
        elif what == "report":
            _tell(self.report())


def _tell(what: Mapping[str, Any]) -> None:
    print(json.dumps(what), flush=True)


def resident_mb(process: int | str = "self") -> float:
    """Resident memory of a process, in MB."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1000
    raise RuntimeError(f"/proc/{process}/status names no VmRSS: the benchmarks need Linux")
