"""Measures how cost grows with the work: does any of it grow faster?

    viva bench growth [--only calls,workers,document,call,ledger,recordings] [--json]

Each axis takes what really runs, at sizes that grow tenfold or so, and gives for each figure the
exponent *e* of *figure ~ size^e* between the two largest sizes, once a constant part is no longer
most of it: 0 is constant, 1 grows as the work does, more is faster than the work.

=============  ====================================================================================
calls          callers of one process: CPU of a core, memory, lateness of the event loop
workers        processes of one ``viva serve``, idle: memory, CPU, time to their models
document       bytes of the document, up to the limit: loading it, answering from it
call           minutes of one recorded call in virtual time: CPU a minute, memory, its file
ledger         turns in it, over a year: a page of the call log, ``viva ledger turns --json``
recordings     files of a folder: ``viva score`` and ``viva replay``
=============  ====================================================================================
"""

import asyncio
import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import density
from benchmarks.meter import resident_mb
from benchmarks.side import machine
from evals.scoring.statistics import quantile

CALLS = (1, 8, 32, 96, 160)
WORKERS = (1, 2, 4)
DOCUMENT_KB = (5, 25, 120, 240)
MINUTES = (2, 10, 30, 60)
TURNS = (1_000, 10_000, 100_000, 1_000_000)
RECORDINGS = (10, 100, 1_000)
LEDGER_DAYS = 360
TURNS_A_CALL = 8
PAGES = 20
IDLE_SECS = 5.0
STARTING_SECS = 120.0

Row = dict[str, Any]

_CORPUS = Path(__file__).parents[1] / "evals" / "corpus"


def calls(sizes: Sequence[int] = CALLS, secs: float = 15.0) -> list[Row]:
    """Callers of one process."""
    rows = []
    for size in sizes:
        ran = density.once("viva", size, secs)
        rows.append(
            {
                "calls": size,
                "cpu_percent": ran["cpu_percent_per_call"] * size,
                "memory_mb": ran["rss_mb"],
                "lag_ms_p99": ran["loop_lag_ms_p99"],
                "late_chunks": ran["late_chunks"],
            }
        )
    return rows


def workers(sizes: Sequence[int] = WORKERS) -> list[Row]:
    """Processes of one server, without calls."""
    rows = []
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="viva-growth-") as folder:
            own = {"PORT": "0", "AUTH": "off", "DATA_DIR": folder}
            begun = time.monotonic()
            with _serving(["--workers", str(size)], own) as process:
                ready = _wait_for(process, "Models are loaded") - begun
                time.sleep(1.0)
                cpu = _cpu_secs(process.pid)
                time.sleep(IDLE_SECS)
                cpu = _cpu_secs(process.pid) - cpu
                memory = _memory_mb(process.pid)
        rows.append(
            {
                "workers": size,
                "memory_mb": memory,
                "idle_cpu_percent": 100 * cpu / IDLE_SECS,
                "ready_secs": ready,
            }
        )
    return rows


@contextmanager
def _serving(
    arguments: Sequence[str], environment: Mapping[str, str]
) -> "Iterator[subprocess.Popen[str]]":
    process = subprocess.Popen(
        [_viva(), "serve", *arguments],
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def _wait_for(process: "subprocess.Popen[str]", text: str) -> float:
    """When a line with a text was printed; what comes after it is read and dropped."""
    assert process.stderr is not None
    stopping = threading.Timer(STARTING_SECS, process.kill)
    stopping.start()
    printed = any(text in line for line in process.stderr)
    stopping.cancel()
    if not printed:
        raise RuntimeError(f"viva serve did not print {text!r} in {STARTING_SECS:.0f} s")
    threading.Thread(target=process.stderr.read, daemon=True).start()
    return time.monotonic()


def document(sizes: Sequence[int] = DOCUMENT_KB) -> list[Row]:
    """Bytes of the document: each line is about something else."""
    from knowledge.loading.document import load
    from processors.brain.extractive import ExtractiveBrain

    rows = []
    with tempfile.TemporaryDirectory(prefix="viva-growth-") as folder:
        for size in sizes:
            path = Path(folder) / f"{size}.md"
            path.write_text(_text(size * 1_000))
            begun = time.thread_time(), time.perf_counter()
            loaded = load(path)
            load_ms = (time.thread_time() - begun[0]) * 1000
            cpu = time.process_time()
            brain = ExtractiveBrain.load(loaded)
            index_secs = time.process_time() - cpu
            millis = [_answer_ms(brain, loaded, number) for number in range(PAGES)]
            brain.close()
            rows.append(
                {
                    "kilobytes": size,
                    "load_ms": load_ms,
                    "index_cpu_secs": index_secs,
                    "answer_cpu_ms_p50": quantile(millis, 0.5),
                    "memory_mb": resident_mb(),
                }
            )
    return rows


_THINGS = ("bakery", "library", "harbour", "museum", "orchard", "bridge", "theatre", "mill")
_TOWNS = ("Aiken", "Boston", "Calais", "Dover", "Essen", "Faro", "Genoa", "Hull", "Izmir", "Jena")


def _text(size: int) -> str:
    """A document of so many bytes, a section for every ten facts."""
    parts, length, number = ["# The towns\n"], 0, 0
    while length < size:
        if number % 10 == 0:
            parts.append(f"\n## Part {number // 10 + 1}\n\n")
        thing, town = _THINGS[number % 8], _TOWNS[number // 8 % 10]
        fact = f"- The {thing} of {town} number {number + 1} opened in {1200 + number % 800}.\n"
        parts.append(fact)
        length += len(fact)
        number += 1
    return "".join(parts)


def _answer_ms(brain: Any, loaded: Any, number: int) -> float:
    from evals.text.answers import Case, ask

    town, thing = _TOWNS[number % 10], _THINGS[number % 8]
    cpu = time.process_time()
    ask(brain, loaded, [Case(f"When did the {thing} of {town} open?")])
    return (time.process_time() - cpu) * 1000


def call(sizes: Sequence[int] = MINUTES) -> list[Row]:
    """Minutes of one recorded call: what its last minute cost."""
    rows = []
    for size in sizes:
        ran = subprocess.run(
            [sys.executable, "-m", "benchmarks.long_call", "--minutes", str(size)],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        rows.append(json.loads(ran.stdout.splitlines()[-1]))
    return rows


def ledger(sizes: Sequence[int] = TURNS) -> list[Row]:
    """Turns in the ledger, spread over a year."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="viva-growth-") as folder:
        for size in sizes:
            data = Path(folder) / str(size)
            data.mkdir()
            _fill(data, size)
            month, year = asyncio.run(_pages(data, ("", "&since=2025-12-01")))
            listed = _child([_viva(), "ledger", "turns", "--json"], {"DATA_DIR": str(data)})
            rows.append(
                {
                    "turns": size,
                    "page_ms_p95": month,
                    "page_of_a_year_ms_p95": year,
                    "listing_secs": listed["cpu_secs"],
                    "listing_mb": listed["memory_mb"],
                }
            )
    return rows


_NOON = 1_796_040_000.0  # 30 November 2026
_DAY_SECS = 86_400.0


def _fill(data: Path, turns: int) -> None:
    """Make a ledger of so many turns, eight a call: copies of one call, each at its own time."""
    from sqlalchemy import text

    from ledger.store.database import Database
    from ledger.store.tables import Call, Turn

    count = turns // TURNS_A_CALL
    database = Database.from_url(f"sqlite:///{data / 'viva.db'}")
    with database.writing() as session:
        session.add(Call(id="c-0", day="", started_at=0.0, why="hangup", turns=8, cost=1_880))
        session.flush()
        for number, thing in enumerate(_THINGS):
            session.add(
                Turn(
                    call="c-0",
                    number=number + 1,
                    at=10.0 * number,
                    question=f"When did the {thing} of {_TOWNS[number]} open?",
                    decision="respond" if number else "escalate",
                    sections=["towns"],
                    answer="It opened in 1234, and has been open ever since.",
                    cost=235,
                )
            )
    began = ":noon - (:count - i) * :step"
    caller = "'caller' || (i % 997) || '@example.com'"
    own: Mapping[str, Mapping[str, str]] = {
        "call": {
            "id": "printf('c-%016x', i)",
            "caller": caller,
            "caller_key": caller,
            "day": f"date({began}, 'unixepoch')",
            "started_at": began,
            "ended_at": f"{began} + 90",
        },
        "turn": {
            "call": "printf('c-%016x', i)",
            "at": f"{began} + at",
            "e2e_latency": "0.4 + ((i * 7 + number) % 100) / 200.0",
        },
    }
    for name, table in (("call", Call), ("turn", Turn)):
        columns = ", ".join(f'"{column}"' for column in table.model_fields)
        values = ", ".join(own[name].get(column, f'"{column}"') for column in table.model_fields)
        template = "id" if name == "call" else "call"
        made = (
            "WITH RECURSIVE one(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM one WHERE i < :count) "
            f'INSERT INTO "{name}" ({columns}) '
            f'SELECT {values} FROM one, "{name}" WHERE "{name}"."{template}" = \'c-0\''
        )
        step = LEDGER_DAYS * _DAY_SECS / count
        with database.writing() as session:
            session.execute(text(made), {"count": count, "step": step, "noon": _NOON})
    with database.writing() as session:
        for name, template in (("turn", "call"), ("call", "id")):
            session.execute(text(f'DELETE FROM "{name}" WHERE "{template}" = \'c-0\''))
    database.close()


async def _pages(data: Path, filters: Sequence[str]) -> list[float]:
    """How long the first page of the log takes, at p95, in ms; for each filter."""
    from aiohttp import web
    from aiohttp.test_utils import TestClient, TestServer

    from conversation.records import CallerIdentity
    from ledger.store.database import Database
    from operating.call_log import CallLog

    async def admin(_request: web.Request) -> CallerIdentity:
        return CallerIdentity(key="a@example.com", email="a@example.com", admin=True)

    database = Database.from_url(f"sqlite:///{data / 'viva.db'}")
    app = web.Application()
    CallLog(database, caller=admin, recordings=data, clock=lambda: _NOON).setup(app)
    found = []
    async with TestClient(TestServer(app)) as client:
        for fields in filters:
            millis = []
            for _ in range(PAGES):
                began = time.perf_counter()
                async with client.get(f"/calls.json?limit=50{fields}") as answer:
                    await answer.read()
                    answer.raise_for_status()
                millis.append((time.perf_counter() - began) * 1000)
            found.append(quantile(millis, 0.95))
    database.close()
    return found


def recordings(sizes: Sequence[int] = RECORDINGS) -> list[Row]:
    """Files of a folder: the corpus' calls again and again, under other names."""
    known = sorted(_CORPUS.glob("*.mcap"))
    rows = []
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="viva-growth-") as folder:
            data, out = Path(folder) / "calls", Path(folder) / "out"
            data.mkdir()
            for number in range(size):
                source = known[number % len(known)]
                (data / f"{number:06}-{source.name}").symlink_to(source)
            replayed = _child([_viva(), "replay", str(data), "--jobs", "1", "--out", str(out)])
            scored = _child([_viva(), "score", str(out)])
        rows.append(
            {
                "recordings": size,
                "replay_cpu_secs": replayed["cpu_secs"],
                "replay_mb": replayed["memory_mb"],
                "score_cpu_secs": scored["cpu_secs"],
                "score_mb": scored["memory_mb"],
            }
        )
    return rows


AXES: Mapping[str, Callable[[], list[Row]]] = {
    "calls": calls,
    "workers": workers,
    "document": document,
    "call": call,
    "ledger": ledger,
    "recordings": recordings,
}
"""What grows, and what measures it."""


def measure(only: Sequence[str] = ()) -> dict[str, Any]:
    """Measure along all axes, or along some."""
    result: dict[str, Any] = {"benchmark": "growth", **machine()}
    for name, axis in AXES.items():
        if not only or name in only:
            print(f"growth: {name}", file=sys.stderr, flush=True)
            rows = axis()
            result[name] = {"rows": rows, "grows": grows(rows)}
    return result


def grows(rows: Sequence[Row]) -> dict[str, str]:
    """How each figure grows with the size, which is the first, in words."""
    size, *figures = rows[0]
    return {name: in_words([(row[size], row[name]) for row in rows]) for name in figures}


def in_words(points: Sequence[tuple[float, float]]) -> str:
    """Say how a figure grows.

    Args:
        points: Sizes, growing, and the figure at each.
    """
    (smaller, before), (larger, after) = points[-2:]
    base = points[0][1]
    if max(value for _, value in points) <= 1.25 * max(base, 1e-9):
        return "constant"
    # What is there without any work is not what grows.
    before, after = before - base if len(points) > 2 else before, after - base
    if min(before, after) <= 0:
        return "constant"
    exponent = math.log(after / before) / math.log(larger / smaller)
    if exponent < 0.15:
        return f"constant from {smaller:g} on"
    if exponent < 0.8:
        return f"slower than the work (e = {exponent:.2f})"
    if exponent <= 1.25:
        return f"as the work (e = {exponent:.2f})"
    return f"faster than the work (e = {exponent:.2f})"


def table(result: dict[str, Any]) -> list[list[str]]:
    """The results as rows of text."""
    rows = [["of", "figure", "sizes", "figures", "grows"]]
    for name in AXES:
        if name not in result:
            continue
        found = result[name]["rows"]
        size, *figures = found[0]
        rows += [
            [
                name,
                figure,
                " ".join(f"{row[size]:,}" for row in found),
                " ".join(f"{row[figure]:.3g}" for row in found),
                result[name]["grows"][figure],
            ]
            for figure in figures
        ]
    return rows


def _viva() -> str:
    return str(Path(sys.executable).parent / "viva")


def _child(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Row:
    """Run a command; its CPU and the most memory that it took."""
    process = subprocess.Popen(
        command,
        env=os.environ | (environment or {}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with status {process.returncode}")
    return {"cpu_secs": used.ru_utime + used.ru_stime, "memory_mb": used.ru_maxrss / 1000}


def _family(pid: int) -> list[int]:
    """A process and its descendants."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    family = [pid]
    for member in family:
        family += children.get(member, [])
    return family


def _cpu_secs(pid: int) -> float:
    ticks = 0
    for member in _family(pid):
        fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _memory_mb(pid: int) -> float:
    """Memory of a process and its descendants; what they share counts once."""
    kilobytes = 0
    for member in _family(pid):
        for line in Path(f"/proc/{member}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                kilobytes += int(line.split()[1])
    return kilobytes / 1000
