"""Runs blocking functions, such as what loads a vendor, in daemon threads.

asyncio joins the threads of its own executor when a program ends, so that a function that hangs
would keep the process alive.
"""

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextvars import copy_context
from typing import Any, TypeVar

T = TypeVar("T")


class _Daemon(threading.Thread):
    """A thread that runs one call."""


class _Daemons(Executor):
    """Runs each call in a daemon thread of its own."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Start a thread for the call."""
        future: Future[Any] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:
                future.set_exception(error)

        _Daemon(target=run, name="daemon", daemon=True).start()
        return future


async def in_thread(work: Callable[[], T]) -> T:
    """Run a blocking function in a daemon thread, which is abandoned when this is cancelled.

    It sees this task's context variables. Its end never delays that of the process.
    """
    context = copy_context()
    return await asyncio.get_running_loop().run_in_executor(_Daemons(), context.run, work)


def exit_if_running(status: int) -> None:
    """End the process at once if a function of :func:`in_thread` still runs.

    Otherwise the interpreter would tear down what native code in that thread uses, and may crash.

    Args:
        status: The exit status.
    """
    if any(isinstance(thread, _Daemon) for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
