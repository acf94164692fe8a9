"""A cached reading of a value that is slow to get, such as one from the database."""

import asyncio
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

FRESH_SECS = 5.0
"""How long a value is cached."""

TIMEOUT_SECS = 2.0
"""Longest wait for a value."""


class Reading(Generic[T]):
    """Reads a value in a thread: one reading at a time, and none while the last is fresh.

    So neither a hanging database nor a client with a thousand requests a second takes more than one
    thread. Failures are cached just as long.

    Parameters:
        read: Returns the value; may block and raise.
        fresh_secs: How long a value is cached.
        timeout_secs: Longest wait for it; the reading itself continues.
        clock: A monotonic clock in seconds; ``time.monotonic`` by default.
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
        """The value, possibly cached.

        Raises:
            TimeoutError: It could not be read in time.
            Exception: Raised by the reading.
        """
        reading = self._reading
        if reading is None or (
            reading.done() and self._clock() - self._read_at >= self._fresh_secs
        ):
            reading = self._reading = asyncio.create_task(asyncio.to_thread(self._read))
            reading.add_done_callback(self._done)
        # After a timeout the thread goes on; the next caller waits for the same reading.
        return await asyncio.wait_for(asyncio.shield(reading), self.timeout_secs)

    def _done(self, reading: "asyncio.Task[T]") -> None:
        self._read_at = self._clock()
        if not reading.cancelled():
            reading.exception()  # mark it as retrieved, since nobody may be waiting
