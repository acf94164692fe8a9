"""Decides by measured lateness whether a process has capacity for another call."""

import asyncio
from collections.abc import Callable, Iterable

from loguru import logger

from operating.lag import EventLoopLag
from processors.pool import Pool

LOOK_SECS = 1.0
"""How often lateness is checked."""

REOPEN_SHARE = 0.5
"""Calls are accepted again below this share of the limit."""


class Capacity:
    """Refuses calls while the process is late, with hysteresis.

    Two things can be late: the event loop, and work that waits for a thread of an embedded engine,
    such as speech recognition; the later one counts. Between the two limits the state is kept, so
    that a process at its limit does not alternate between accepting and refusing. Lateness is the
    99th percentile over the last 10 s of samples or jobs, so a single stall counts until the window
    has passed.

    Parameters:
        lag: Lateness of the event loop.
        max_lag_secs: The limit, for the loop and for the engines.
        pools: Returns the thread pools of the engines.
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
        """Start checking, on the running loop."""
        if self._timer is None:
            self._wait()

    def close(self) -> None:
        """Stop checking; the last state stays."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def trouble(self) -> str:
        """Why no call is accepted, as text; empty if calls are."""
        if self.room:
            return ""
        late, engine = self._latest()
        what = (
            f"Work for {engine} waits {late * 1000:.0f} ms for a thread"
            if engine
            else f"The event loop is {late * 1000:.0f} ms late"
        )
        return f"{what}; calls are accepted again below {self._reopen * 1000:.0f} ms."

    @property
    def _reopen(self) -> float:
        return self._max_lag * REOPEN_SHARE

    def _latest(self) -> tuple[float, str]:
        """The greatest lateness, and the engine it is from; empty for the event loop."""
        waits = [(pool.p99, pool.name) for pool in self._pools()]
        return max([(self._lag.p99, ""), *waits])

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(LOOK_SECS, self._look)

    def _look(self) -> None:
        late, _ = self._latest()
        if self.room and late > self._max_lag:
            self.room = False
            logger.warning("refusing further calls: {}", self.trouble)
        elif not self.room and late < self._reopen:
            self.room = True
            logger.info("accepting calls again")
        self._wait()
