"""Settles the cost of calls in the background, while they go on."""

import asyncio
import contextlib
from collections.abc import Callable

from loguru import logger

from conversation.records import CallRecord, TurnRecord
from ledger.money.budget import Budget, DayMoney
from ledger.store.posting import is_fault_of_a_record

ROUND_SECS = 15.0
"""How often holds are renewed, and expired ones released."""

RETRY_SECS = 2.0
"""Pause after a failed database write."""


class SpendSettlement:
    """Settles the turns of this process's calls, in the order in which they arrive.

    Implements :class:`conversation.records.CallListener`, so it never blocks a call. One sum per
    call is pending, so memory is bounded by the number of calls; failed writes are retried.

    Parameters:
        budget: The daily budget.
        lost: Called with each call whose hold has expired, though it goes on.
        round_secs: How often holds are renewed.
        retry_secs: Pause after a failed database write.
    """

    def __init__(
        self,
        budget: Budget,
        *,
        lost: Callable[[str], None] = lambda _call: None,
        round_secs: float = ROUND_SECS,
        retry_secs: float = RETRY_SECS,
    ) -> None:
        self._budget = budget
        self._lost = lost
        self._round_secs = round_secs
        self._retry_secs = retry_secs
        self._turns: dict[str, dict[int, int]] = {}  # cost of each turn of the open calls
        self._callers: dict[str, str] = {}  # key of the caller of each open call
        self._due: dict[str, int] = {}
        self._over: set[str] = set()
        self._changed = asyncio.Event()
        self._settled = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.today: DayMoney | None = None

    def start(self) -> None:
        """Start settling."""
        self._tasks = [
            asyncio.create_task(self._settle_forever()),
            asyncio.create_task(self._look_forever()),
        ]

    async def close(self, timeout_secs: float = 5.0) -> None:
        """Settle what is due, and stop."""
        await self.catch_up(timeout_secs)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def catch_up(self, timeout_secs: float) -> None:
        """Wait until all that is due is settled and released, or the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_secs):
                while self._due or self._over:
                    self._settled.clear()
                    self._changed.set()
                    await self._settled.wait()

    def day_spent(self) -> int | None:
        """Cost of the day's calls, as far as this process knows."""
        return self.today.spent if self.today is not None else None

    def admitted(self, call: str, caller: str = "") -> None:
        """Keep the hold of a call that is being admitted alive until it is released.

        Args:
            call: The call's id.
            caller: The key that its caller's calls are counted by.
        """
        self._turns[call] = {}
        self._callers[call] = caller

    # CallListener.

    def begun(self, call: CallRecord) -> None:
        """Called when a call begins; it was admitted before."""
        self._turns.setdefault(call.id, {})

    def turn(self, record: TurnRecord) -> None:
        """Settle a turn, or an update of one."""
        turns = self._turns.setdefault(record.call, {})
        before = turns.get(record.number, 0)
        turns[record.number] = record.cost.total
        if self.today is not None and record.cost.total != before:
            # Add this process's own spend until the database is read again.
            self.today = _with(self.today, record.cost.total - before)
        self._due[record.call] = sum(turns.values())
        self._changed.set()

    def ended(self, call: CallRecord) -> None:
        """Called when a call ends; whoever admitted it releases it."""

    def release(self, call: str) -> None:
        """Settle and release a call that has ended, or that never began."""
        self._turns.pop(call, None)
        self._callers.pop(call, None)
        self._over.add(call)
        self._changed.set()

    # The database.

    async def _settle_forever(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            if failed := await self._settle():
                for call, error in failed.items():
                    logger.error("cannot settle the cost of call {}, will retry: {}", call, error)
                await asyncio.sleep(self._retry_secs)
                self._changed.set()
            self._settled.set()

    async def _settle(self) -> dict[str, Exception]:
        """Settle what is due and release what has ended; returns the calls that failed, and why.

        A call that the database rejects does not delay the others; a database that does not respond
        is not tried again for each.
        """
        failed: dict[str, Exception] = {}
        for call, spent in list(self._due.items()):
            try:
                await asyncio.to_thread(self._budget.settle, call, spent)
            except Exception as error:
                failed[call] = error
                if is_fault_of_a_record(error):
                    continue
                return failed
            if self._due.get(call) == spent:
                del self._due[call]
        for call in self._over - self._due.keys():
            try:
                await asyncio.to_thread(self._budget.release, call)
            except Exception as error:
                failed[call] = error
                return failed
            self._over.discard(call)
        return failed

    async def _look_forever(self) -> None:
        while True:
            try:
                # Its own first: whatever has delayed this round, its calls live.
                for call in await asyncio.to_thread(self._budget.keep_alive, list(self._turns)):
                    await self._hold_again(call)
                await asyncio.to_thread(self._budget.expire)
                self.today = await asyncio.to_thread(self._budget.today)
            except Exception as error:
                logger.warning("cannot read the daily budget: {}", error)
            await asyncio.sleep(self._round_secs)

    async def _hold_again(self, call: str) -> None:
        """Hold an open call's money again, or report that none is left."""
        caller = self._callers.get(call)
        if caller is not None and not await asyncio.to_thread(
            self._budget.hold_again, call, caller
        ):
            self._lost(call)


def _with(day: DayMoney, micros: int) -> DayMoney:
    return DayMoney(day.day, day.spent + micros, day.held - micros, day.cap, day.holds)
