"""Whether a process has room for a further call, by how late its event loop runs."""

import asyncio

from loguru import logger

from operating.lag import EventLoopLag

LOOK_SECS = 1.0
"""How often the lateness is looked at."""

REOPEN_SHARE = 0.5
"""Calls are taken again when the lateness is below this share of what is allowed."""


class Capacity:
    """Says that there is no room once the event loop is too late, until it is well on time again.

    Between the two nothing changes, so that a process at its limit does not take and refuse by
    turns. The lateness is that of one in a hundred samples of :class:`EventLoopLag`'s window: one
    stall is felt until the window has passed.

    Parameters:
        lag: How late the event loop is.
        max_lag_secs: The latest that it may be.
    """

    def __init__(self, lag: EventLoopLag, *, max_lag_secs: float) -> None:
        self.room = True
        self._lag = lag
        self._max_lag = max_lag_secs
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to look at the running loop."""
        if self._timer is None:
            self._wait()

    def close(self) -> None:
        """Stop looking; what was seen last stays."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def trouble(self) -> str:
        """Why there is no room, in words; empty if there is."""
        if self.room:
            return ""
        return (
            f"The event loop is {self._lag.p99 * 1000:.0f} ms late; further calls are taken once "
            f"it is below {self._reopen * 1000:.0f} ms."
        )

    @property
    def _reopen(self) -> float:
        return self._max_lag * REOPEN_SHARE

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(LOOK_SECS, self._look)

    def _look(self) -> None:
        late = self._lag.p99
        if self.room and late > self._max_lag:
            self.room = False
            logger.warning("no further calls are taken: {}", self.trouble)
        elif not self.room and late < self._reopen:
            self.room = True
            logger.info("further calls are taken again")
        self._wait()
