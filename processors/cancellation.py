"""Tells a task that is cancelled from one whose callee raises ``CancelledError`` on its own."""

import asyncio


def is_cancelled() -> bool:
    """Whether somebody cancels this task; if not, a ``CancelledError`` is its callee's fault."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
