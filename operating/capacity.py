"""Whether a process has room for a further call, by what is measured of those that it has."""

import asyncio
from collections.abc import Callable, Iterable

from loguru import logger

from operating.lag import EventLoopLag
from processors.pool import Pool

LOOK_SECS = 1.0
"""How often the lateness is looked at."""

REOPEN_SHARE = 0.5
"""Calls are taken again when the lateness is below this share of what is allowed."""


class Capacity:
    """Says that there is no room once a process is too late, until it is well on time again.

    Two things can be late: what the event loop is to run, and what waits for a thread of an
    embedded engine, such as speech to be recognised; the later of them counts. Between the two
    limits nothing changes, so that a process at its limit does not take and refuse by turns. The
    lateness is that of one in a hundred samples of the last 10 s, or jobs: one stall is felt until
    the window has passed.

    Parameters:
        lag: How late the event loop is.
        max_lag_secs: The latest that it, or work for an engine, may be.
        pools: Gives the threads of the engines.
    """

    def __init__(
        self,
        lag: EventLoopLag,
        *,
        max_lag_secs: float,
        pools: Callable[[], Iterable[Pool]] = tuple,
    ) -> None:
        self.room = True
        self._lag = lag
        self._pools = pools
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
        late, engine = self._latest()
        what = (
            f"Work for {engine} waits {late * 1000:.0f} ms for a free thread"
            if engine
            else f"The event loop is {late * 1000:.0f} ms late"
        )
        return f"{what}; further calls are taken once it is below {self._reopen * 1000:.0f} ms."

    @property
    def _reopen(self) -> float:
        return self._max_lag * REOPEN_SHARE

    def _latest(self) -> tuple[float, str]:
        """The greatest lateness, and the engine that has it; empty if it is the event loop."""
        waits = [(pool.p99, pool.name) for pool in self._pools()]
        return max([(self._lag.p99, ""), *waits])

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(LOOK_SECS, self._look)

    def _look(self) -> None:
        late, _ = self._latest()
        if self.room and late > self._max_lag:
            self.room = False
            logger.warning("no further calls are taken: {}", self.trouble)
        elif not self.room and late < self._reopen:
            self.room = True
            logger.info("further calls are taken again")
        self._wait()
