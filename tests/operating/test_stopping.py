"""``viva serve`` and its workers, as they are stopped with calls that are open."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from settings import Settings, SettingsError
from tests.end_to_end.running import Viva
from tests.lateness import in_time
from tests.operating.callers import QuietCaller
from tests.operating.many_calls import simulated_clouds


def test_drain_s_is_another_name_of_drain_secs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAIN_S", "7")
    assert Settings.load(_env_file=None).drain_secs == 7.0
    monkeypatch.setenv("DRAIN_S", "soon")
    with pytest.raises(SettingsError, match="DRAIN_S"):
        Settings.load(_env_file=None)


@asynccontextmanager
async def serving(**settings: str) -> AsyncIterator[Viva]:
    """A loaded server whose vendors are simulated."""
    async with simulated_clouds() as clouds:
        more = {"SILENCE_PROMPT_SECS": "60", "MAX_LAG_SECS": "5", **settings}
        viva = await asyncio.to_thread(lambda: Viva(**clouds, **more))
        try:
            await asyncio.to_thread(viva.loaded)
            while settings.get("WORKERS") == "2" and "in all 2 workers" not in viva.stderr:
                await asyncio.sleep(0.1)
            yield viva
        finally:
            if viva.running:
                viva.process.send_signal(signal.SIGINT)
                await asyncio.to_thread(viva.process.wait, 60.0)
            viva.kill()


async def call(viva: Viva) -> tuple[QuietCaller, "asyncio.Task[QuietCaller]"]:
    """Somebody who calls, once their call has begun or been refused."""
    caller = QuietCaller(viva.socket_url)
    running = asyncio.create_task(caller.run())
    await asyncio.wait_for(caller.began.wait(), 60.0)
    return caller, running


async def ended(viva: Viva, secs: float) -> int:
    """The exit status, which comes in time, after which nothing is left."""
    status = await asyncio.to_thread(viva.process.wait, secs)
    assert viva.left == []
    assert "Traceback" not in viva.stderr
    return status


@pytest.mark.thorough
@pytest.mark.real_time
async def test_sigterm_waits_for_calls_and_turns_others_away_until_its_time_is_up() -> None:
    async with serving(WORKERS="2", DRAIN_SECS="4") as viva:
        hanging_up, first = await call(viva)
        staying, second = await call(viva)
        began = time.monotonic()
        viva.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(1.0)
        late, third = await call(viva)
        assert late.ended == "shutdown"
        assert hanging_up.open
        assert staying.open
        hanging_up.hang_up()
        await asyncio.wait_for(first, 60.0)
        assert hanging_up.ended == "hangup"
        assert await ended(viva, 60.0) == 0
        assert time.monotonic() - began >= 4.0
        await asyncio.gather(second, third)
        assert staying.ended == "shutdown", "it is told, and not cut off"


@pytest.mark.thorough
@pytest.mark.real_time
async def test_a_second_signal_ends_it_at_once() -> None:
    async with serving(DRAIN_SECS="60") as viva:
        caller, calling = await call(viva)
        viva.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.5)
        assert caller.open
        viva.process.send_signal(signal.SIGTERM)
        with in_time():
            status = await asyncio.to_thread(viva.process.wait, 8.0)
        assert (status, await ended(viva, 1.0)) == (0, 0)
        await calling
        assert caller.ended == "shutdown"


@pytest.mark.thorough
@pytest.mark.real_time
async def test_workers_do_not_outlive_a_supervisor_that_is_killed() -> None:
    async with serving(WORKERS="2") as viva:
        caller, calling = await call(viva)
        os.kill(viva.process.pid, signal.SIGKILL)
        give_up = time.monotonic() + 60.0
        while any(viva.left):  # one that has ended has no command line, though nobody waited for it
            assert time.monotonic() < give_up, viva.left
            await asyncio.sleep(0.1)
        await asyncio.wait_for(calling, 60.0)
        assert caller.ended == "shutdown", "its worker still ends its call politely"


LOADED_BY = """
import sys, time
from pipeline.vendors import VENDORS

def load(*_):
    {load}

for vendor in VENDORS:
    object.__setattr__(vendor, "load", load)
sys.argv[1:] = ["serve"]
from cli import app
app()
"""


def loaded_by(load: str, folder: Path) -> "subprocess.Popen[str]":
    """``viva serve``, of which every vendor is loaded by a statement."""
    return subprocess.Popen(
        [sys.executable, "-c", LOADED_BY.format(load=load)],
        env={**os.environ, "PORT": "0", "AUTH": "off", "DATA_DIR": str(folder)},
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.thorough
@pytest.mark.real_time
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_though_a_vendor_hangs_as_it_is_loaded(
    number: signal.Signals, tmp_path: Path
) -> None:
    server = loaded_by("time.sleep(600)", tmp_path)
    assert server.stderr is not None
    try:
        line = next(line for line in server.stderr if "loading " in line)
        assert "(VAD=silero)" in line
        time.sleep(0.5)
        server.send_signal(number)
        with in_time():
            status = server.wait(8.0)
        assert status == 0
        assert "Traceback" not in server.stderr.read()
    finally:
        server.kill()
        server.wait()


@pytest.mark.thorough
def test_a_vendor_that_is_interrupted_as_it_is_loaded_leaves_no_traceback(tmp_path: Path) -> None:
    server = loaded_by("raise KeyboardInterrupt", tmp_path)
    _, complained = server.communicate(timeout=60)
    assert server.returncode == 130
    assert "loading " in complained
    assert "Traceback" not in complained


def test_a_vendor_that_is_interrupted_as_it_is_imported_leaves_no_traceback() -> None:
    """As by an SDK that has restored Python's own handler of Ctrl-C."""
    script = (
        "import processors.declarations as declarations\n"
        "def interrupted(name): raise KeyboardInterrupt\n"
        "declarations.import_module = interrupted\n"
        "import cli"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "viva: interrupted\n")
