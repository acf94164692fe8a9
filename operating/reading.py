"""A value that takes a while to read, such as one in the database, for whoever asks often."""

import asyncio
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

FRESH_SECS = 5.0
"""How long a value is given again before it is read anew."""

TIMEOUT_SECS = 2.0
"""Longest that somebody waits for a value."""


class Reading(Generic[T]):
    """Reads a value in a thread: at most one reading at a time, and none while the last is fresh.

    So neither a database that hangs nor a client that asks a thousand times a second takes more
    than one thread. That a reading failed is remembered as long as a value is.

    Parameters:
        read: Gives the value; it may block, and raise.
        fresh_secs: How long a value is given again.
        timeout_secs: Longest wait for it; the reading itself goes on.
        clock: Seconds that only go up; ``time.monotonic`` by default.
    """

    def __init__(
        self,
        read: Callable[[], T],
        *,
        fresh_secs: float = FRESH_SECS,
        timeout_secs: float = TIMEOUT_SECS,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.timeout_secs = timeout_secs
        self._read = read
        self._fresh_secs = fresh_secs
        self._clock = clock or time.monotonic
        self._reading: asyncio.Task[T] | None = None
        self._read_at = 0.0

    async def get(self) -> T:
        """The value, as old as it may be.

        Raises:
            TimeoutError: It could not be read in time.
            Exception: Whatever reading it raised.
        """
        reading = self._reading
        if reading is None or (
            reading.done() and self._clock() - self._read_at >= self._fresh_secs
        ):
            reading = self._reading = asyncio.create_task(asyncio.to_thread(self._read))
            reading.add_done_callback(self._done)
        # On a timeout the thread goes on, and whoever asks next waits for the same reading.
        return await asyncio.wait_for(asyncio.shield(reading), self.timeout_secs)

    def _done(self, reading: "asyncio.Task[T]") -> None:
        self._read_at = self._clock()
        if not reading.cancelled():
            reading.exception()  # it is raised to whoever asks, and nobody may
