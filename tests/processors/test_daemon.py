"""Blocking functions in daemon threads."""

import asyncio
import subprocess
import sys
import threading
from contextvars import ContextVar

import pytest

from evals.replay import virtual_time
from processors.daemon import in_thread

CALL: ContextVar[str] = ContextVar("call", default="none")

HANGING = """
import asyncio, contextlib, threading
from processors.daemon import {imported}

async def main():
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.1):
            await in_thread(threading.Event().wait)

asyncio.run(main())
print("over", flush=True)
{ending}
"""


def in_a_thread_of_its_own() -> tuple[bool, str]:
    return threading.current_thread().daemon, CALL.get()


async def test_it_is_a_daemon_thread_with_the_context_of_the_task() -> None:
    CALL.set("of this task")
    assert await in_thread(in_a_thread_of_its_own) == (True, "of this task")


async def test_what_it_raises_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 / 0)


def test_virtual_time_stands_still_meanwhile() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await in_thread(lambda: threading.Event().wait(0.05))
        return loop.time() - began

    assert virtual_time.run(main()) == 0.0


@pytest.mark.parametrize(
    ("imported", "ending", "status"),
    [("in_thread", "", 0), ("exit_if_running, in_thread", "exit_if_running(7)", 7)],
)
def test_a_function_that_hangs_does_not_keep_the_process_alive(
    imported: str, ending: str, status: int
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HANGING.format(imported=imported, ending=ending)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (status, "over\n", "")
