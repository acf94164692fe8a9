"""Runs one system of a comparison: a server process and a process of callers."""

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from importlib import metadata
from importlib.util import find_spec
from typing import Any, Self

from evals.scoring.statistics import quantile

SERVERS: Mapping[str, Sequence[str]] = {
    "viva": ["benchmarks.viva_server"],
    "viva-turn-model": ["benchmarks.viva_server", "--turn-model"],
    "pipecat": ["benchmarks.peers.pipecat_stock"],
    "pipecat-lean": ["benchmarks.peers.pipecat_stock", "--lean"],
    "livekit": ["benchmarks.peers.livekit_session"],
    "livekit-vad": ["benchmarks.peers.livekit_session", "--vad"],
}
"""The systems of a comparison."""

EMBEDDED = "viva-embedded"
"""Viva with its embedded vendors, which has nothing to be compared with."""

_NEEDS: Mapping[str, Sequence[str]] = {
    "viva": (),
    "viva-turn-model": (),
    "pipecat": ("fastapi", "uvicorn"),
    "pipecat-lean": ("fastapi", "uvicorn"),
    "livekit": ("livekit.agents",),
    "livekit-vad": ("livekit.agents",),
}
_PACKAGES = (
    *("viva-voice", "pipecat-ai", "livekit-agents", "aiohttp", "uvloop", "fastapi", "uvicorn"),
    *("onnxruntime", "numpy"),
)


def sides(wanted: Iterable[str] = SERVERS) -> list[str]:
    """The systems that are installed (``make install-bench``)."""
    return [side for side in wanted if all(map(_installed, _NEEDS[side]))]


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


class SideError(Exception):
    """A server or its callers failed; the message contains their last output."""


class Side(AbstractContextManager["Side"]):
    """One server process.

    Parameters:
        name: A key of :data:`SERVERS`, or :data:`EMBEDDED`.
        environment: Variables added to this process's environment.
    """

    def __init__(self, name: str, environment: Mapping[str, str] | None = None) -> None:
        self.name = name
        server = SERVERS.get(name, ["benchmarks.viva_server", "--embedded"])
        self._process = _start(["-m", *server], environment or {})
        self.port = int(_line(self._process)["port"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        _end(self._process)

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._process.pid

    def report(self) -> dict[str, Any]:
        """The server's measurements since the mark."""
        return _ask(self._process, "report")

    def mark(self) -> None:
        """Reset the server's measurements."""
        _ask(self._process, "mark")

    def load(
        self,
        calls: int,
        secs: float,
        *,
        barge_in: bool = False,
        setup: bool = False,
        turns: int | None = None,
        all_questions: bool = False,
    ) -> dict[str, Any]:
        """Run callers against the server, and return both sides' measurements in steady state.

        Args:
            calls: Concurrent calls.
            secs: Duration of the measurement.
            barge_in: Whether the callers speak over the answers.
            setup: Whether the server's measurement begins with the first connection.
            turns: Turns after which a caller hangs up and calls again; ``None`` for never.
            all_questions: Whether they ask all recorded questions instead of eight.
        """
        arguments = ["--system", self.name, "--port", str(self.port), "--calls", str(calls)]
        arguments += ["--secs", str(secs), *(["--barge-in"] if barge_in else [])]
        arguments += ["--turns", str(turns)] if turns is not None else []
        arguments += ["--all-questions"] if all_questions else []
        if setup:
            self.mark()
        callers = _start(["-m", "benchmarks.load", *arguments], {})
        try:
            _line(callers)
            if not setup:
                self.mark()
            heard = _line(callers)
            served = self.report()
        finally:
            _end(callers)
        return {"heard": heard, "served": served}


def _start(arguments: list[str], environment: Mapping[str, str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, *arguments],
        env=os.environ | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _line(process: "subprocess.Popen[str]") -> dict[str, Any]:
    assert process.stdout is not None
    while line := process.stdout.readline():
        if line.startswith("{"):
            return dict(json.loads(line))
    raise SideError(f"{process.args!r} ended with status {process.wait()}")


def _ask(process: "subprocess.Popen[str]", what: str) -> dict[str, Any]:
    assert process.stdin is not None
    process.stdin.write(f"{what}\n")
    process.stdin.flush()
    return _line(process)


def _end(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    assert process.stdout is not None
    process.stdout.close()


# Figures.


def spread(values: Sequence[float], digits: int = 2) -> dict[str, float]:
    """Median, minimum and maximum of several runs."""
    return {
        "median": round(statistics.median(values), digits),
        "min": round(min(values), digits),
        "max": round(max(values), digits),
    }


def tails(values: Sequence[float], digits: int = 2) -> dict[str, float]:
    """Number, median, 99th percentile and maximum."""
    if not values:
        return {"n": 0}
    return {
        "n": len(values),
        "p50": round(quantile(values, 0.5), digits),
        "p99": round(quantile(values, 0.99), digits),
        "max": round(max(values), digits),
    }


def by_calls(
    benchmark: str,
    once: Callable[[str, int, float], dict[str, Any]],
    calls: Sequence[int],
    secs: float,
    systems: Sequence[str],
) -> dict[str, Any]:
    """Measure all systems, alternating, with increasing numbers of calls.

    Args:
        benchmark: Its name.
        once: Measures one system; takes its name, the number of calls and the duration.
        calls: The numbers of calls.
        secs: Duration of each measurement.
        systems: Their names; all by default.
    """
    going = sides(systems) if systems else sides()
    result: dict[str, Any] = {"benchmark": benchmark, **machine(), "seconds": secs}
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in going}
    for step in calls:
        for name in going:
            print(f"{benchmark}: {name}, {step} calls", file=sys.stderr, flush=True)
            rows[name].append(once(name, step, secs))
    return result | {name: {"by_calls": found} for name, found in rows.items()}


def machine() -> dict[str, Any]:
    """Describe the machine and the versions of the software."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "python": platform.python_version(),
        "versions": versions,
    }
