"""The daily budget, shared by all processes and hosts.

Admitting a call *holds* its worst-case cost, in one statement that fails if this would exceed the
cap. Actual costs move from held to *spent*; the rest is released when the call ends. Processes keep
their holds alive; a hold that is not renewed belongs to a dead process, and expires. Steps of the
system's clock do not change its lifetime, and a live process whose hold has expired holds the money
again if it is still free.

Lock order: hold row, then day row (avoids deadlock).
"""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from loguru import logger
from sqlalchemy import ColumnElement, CursorResult, delete, func, select, text, update
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col

from ledger.store.database import Database
from ledger.store.tables import Call, SpendDay, SpendHold

HOLD_SECS = 60.0
"""Lifetime of a hold that is not renewed."""

KEEP_ALIVE_SECS = 15.0
"""How often holds are renewed."""

MOST_SPENT = 10**15
"""No call costs this many micro-dollars (a billion dollars); a day's sum of such costs fits."""

_REMEMBERED = timedelta(days=2)  # what calls have been settled at: none lasts so long
_DAY = "%Y-%m-%d"


@dataclass(frozen=True, slots=True)
class Admission:
    """A call is admitted.

    Parameters:
        call: The call's id.
        day: The UTC day whose money it spends, that of its admission.
        held: Micro-dollars reserved for it.
    """

    call: str
    day: str
    held: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """A call is refused.

    Parameters:
        reason: A key of :data:`pipeline.call.REASONS`: ``budget``, ``daily_calls``, ``open_calls``
            or ``fault`` if a limit is set and the database is unavailable.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class DayMoney:
    """One day's budget, in micro-dollars.

    Parameters:
        day: The UTC day.
        spent: Cost of its calls so far.
        held: Reserved for its open calls.
        cap: Daily cap; ``None`` without one.
        holds: Number of open calls.
    """

    day: str
    spent: int
    held: int
    cap: int | None
    holds: int


class Budget:
    """The budget of all calls, in the database. The methods block; call them in a thread.

    Parameters:
        database: Holds the budget.
        worst: Worst-case cost of one call, in micro-dollars.
        cap: Daily cap; ``None`` without one.
        calls_per_caller: Daily limit on calls of one caller, begun or not; 0 for no limit.
        open_per_caller: Limit on calls of one caller that are open at a time; 0 for no limit.
        hold_secs: Lifetime of a hold after the last :meth:`keep_alive`. The clocks of hosts that
            share a database must agree to well within it.
        clock: Returns Unix seconds; says what day it is.
        lease_clock: Returns seconds by which holds expire; by default ``clock``, or Unix seconds
            that go on from the start of the process whatever the system's clock does.
    """

    def __init__(
        self,
        database: Database,
        *,
        worst: int,
        cap: int | None = None,
        calls_per_caller: int = 0,
        open_per_caller: int = 0,
        hold_secs: float = HOLD_SECS,
        clock: Callable[[], float] | None = None,
        lease_clock: Callable[[], float] | None = None,
    ) -> None:
        if worst < 0:
            raise ValueError(f"worst is {worst}; it must be 0 or more micro-dollars")
        self._database = database
        self._worst = worst
        self._cap = cap
        self._calls_per_caller = calls_per_caller
        self._open_per_caller = open_per_caller
        self._hold_secs = hold_secs
        self._clock = clock or time.time
        self._lease_clock = lease_clock or clock or steady_clock()
        # Day and cost of this process's calls, since a hold may expire before its call ends.
        self._settled: dict[str, tuple[str, int]] = {}
        self._settling = threading.Lock()

    def admit(self, call_id: str, caller_key: str, *, counted: bool = False) -> Admission | Refusal:
        """Reserve a call's worst-case cost, or refuse the call.

        Without a limit, a call is admitted even if the database cannot be written.

        Args:
            call_id: The call's id, unique to it.
            caller_key: The key that the caller's calls are counted by.
            counted: Whether the same page was admitted before, and is not counted again.
        """
        day = self._today()
        try:
            refused = self._hold(call_id, caller_key, day, counted=counted)
            if refused is not None and self.expire():
                refused = self._hold(call_id, caller_key, day, counted=counted)
        except SQLAlchemyError as error:
            logger.error("cannot reserve a call's budget: {}", error)
            if self._cap is not None or self._calls_per_caller:
                return Refusal("fault")
            refused = None
        if refused is not None:
            return Refusal(refused)
        with self._settling:
            past = (datetime.fromtimestamp(self._clock(), UTC) - _REMEMBERED).strftime(_DAY)
            self._settled = {
                call: settled for call, settled in self._settled.items() if settled[0] >= past
            }
            self._settled[call_id] = (day, 0)
        return Admission(call_id, day, self._worst)

    def settle(self, call_id: str, spent: int) -> int:
        """Record the cost of a call so far; idempotent.

        Costs beyond the hold are spent all the same, and logged. They count on the day of the
        call's admission, or today if that is unknown. An impossible cost is logged, and the call's
        worst case recorded instead.

        Args:
            call_id: The call's id.
            spent: Its total cost so far, in micro-dollars.

        Returns:
            By how much this settlement exceeds the hold, in micro-dollars; 0 if it does not.

        Raises:
            SQLAlchemyError: It was not recorded; the next settlement makes up for it.
        """
        if not 0 <= spent <= MOST_SPENT:
            logger.error(
                "call {} reports an impossible cost of {} micro-dollars; recording its worst case",
                call_id,
                spent,
            )
            spent = self._worst
        with self._settling:
            day, cost, excess = self._settle(call_id, spent)
            if cost:
                self._settled[call_id] = (day, spent)
        if excess:
            logger.error(
                "call {} has cost {} micro-dollars more than was reserved for it", call_id, excess
            )
        return excess

    def _settle(self, call_id: str, spent: int) -> tuple[str, int, int]:
        """Record it; returns the call's day, the newly recorded cost, and the part not held."""
        now = self._lease_clock()
        with self._database.writing() as session:
            hold = session.execute(
                select(col(SpendHold.day), col(SpendHold.held), col(SpendHold.spent))
                .where(col(SpendHold.call) == call_id)
                .with_for_update()
            ).one_or_none()
            if hold is not None:
                day, before, held = hold.day, hold.spent, hold.held
            else:
                (day, before), held = self._settled.get(call_id, (self._today(), 0)), 0
            cost = max(0, spent - before)
            freed = min(cost, held)
            if cost:
                session.execute(
                    update(SpendHold)
                    .where(col(SpendHold.call) == call_id)
                    .values(held=held - freed, spent=spent, expires_at=now + self._hold_secs)
                )
                self._open(session, day)
                session.execute(
                    update(SpendDay)
                    .where(col(SpendDay.day) == day)
                    .values(spent=SpendDay.spent + cost, held=SpendDay.held - freed)
                )
        return day, cost, cost - freed

    def release(self, call_id: str) -> None:
        """Release the rest of a call's hold; idempotent.

        Raises:
            SQLAlchemyError: It was not released; it will be when the hold expires.
        """
        self._let_go(col(SpendHold.call) == call_id)

    def keep_alive(self, call_ids: Iterable[str]) -> frozenset[str]:
        """Renew the holds of open calls.

        Returns:
            The calls whose hold has expired, under a cap: they must be ended.

        Raises:
            SQLAlchemyError: The holds were not renewed.
        """
        calls = sorted(call_ids)
        if not calls:
            return frozenset()
        with self._database.writing() as session:
            kept = session.execute(
                update(SpendHold)
                .where(col(SpendHold.call).in_(calls))
                .values(expires_at=self._lease_clock() + self._hold_secs)
                .returning(col(SpendHold.call))
            ).scalars()
            lost = frozenset(calls) - frozenset(kept)
        return lost if self._cap is not None else frozenset()

    def hold_again(self, call_id: str, caller_key: str) -> bool:
        """Hold the rest of an open call's worst case again, since its hold has expired.

        Args:
            call_id: A call that this process admitted.
            caller_key: The key that its caller's calls are counted by.

        Returns:
            Whether that much money was left; also true for a call that is being admitted.

        Raises:
            SQLAlchemyError: It is unknown.
        """
        if call_id not in self._settled:
            return True
        day, spent = self._settled[call_id]
        rest = max(0, self._worst - spent)
        with self._database.writing() as session:
            self._open(session, day)
            if session.get(SpendHold, call_id) is not None:
                return True
            if not self._set_aside(session, day, rest):
                return False
            session.add(
                SpendHold(
                    call=call_id,
                    day=day,
                    caller_key=caller_key,
                    held=rest,
                    spent=spent,
                    created_at=self._clock(),
                    expires_at=self._lease_clock() + self._hold_secs,
                )
            )
        logger.warning("the hold of call {} had expired and was renewed", call_id)
        return True

    def expire(self) -> tuple[str, ...]:
        """Release the holds of dead processes; what their calls had spent stays spent.

        Returns:
            Ids of the calls.
        """
        # Skip locked rows: the process that locked a hold is alive.
        over = col(SpendHold.expires_at) <= self._lease_clock()
        expired = self._let_go(over, skip_locked=True)
        if expired:
            logger.warning("released the holds of calls whose process died: {}", ", ".join(expired))
        return expired

    def today(self) -> DayMoney:
        """Today's budget."""
        day = self._today()
        holds = select(func.count()).where(col(SpendHold.day) == day).scalar_subquery()
        with self._database.reading() as session:
            row = session.execute(
                select(col(SpendDay.spent), col(SpendDay.held), holds).where(
                    col(SpendDay.day) == day
                )
            ).one_or_none()
        spent, held, count = row if row is not None else (0, 0, 0)
        return DayMoney(day, spent, held, self._cap, count)

    def spent_today(self) -> int:
        """Cost of today's calls so far, in micro-dollars."""
        return self.today().spent

    def _today(self) -> str:
        return datetime.fromtimestamp(self._clock(), UTC).strftime(_DAY)

    def _hold(self, call_id: str, caller_key: str, day: str, *, counted: bool) -> str | None:
        """Reserve the worst case; returns the reason if it cannot, otherwise ``None``."""
        try:
            with self._database.writing() as session:
                self._open(session, day)
                # The day row is locked from here on, so that the count stays true.
                if not self._set_aside(session, day, self._worst):
                    raise _RefusedError("budget")
                if self._calls_per_caller and not counted:
                    known = self._calls_of(session, caller_key, day)
                    if self._count(session, caller_key, day, known) > self._calls_per_caller:
                        raise _RefusedError("daily_calls")
                if self._open_per_caller:
                    of_caller = select(func.count()).where(col(SpendHold.caller_key) == caller_key)
                    if session.execute(of_caller).scalar_one() >= self._open_per_caller:
                        raise _RefusedError("open_calls")
                session.add(
                    SpendHold(
                        call=call_id,
                        day=day,
                        caller_key=caller_key,
                        held=self._worst,
                        created_at=self._clock(),
                        expires_at=self._lease_clock() + self._hold_secs,
                    )
                )
        except _RefusedError as refused:
            return refused.reason
        return None

    def _set_aside(self, session: Session, day: str, micros: int) -> bool:
        """Hold money of a day; returns whether that much is left."""
        set_aside = (
            update(SpendDay).where(col(SpendDay.day) == day).values(held=SpendDay.held + micros)
        )
        if self._cap is not None:
            set_aside = set_aside.where(
                col(SpendDay.spent) + col(SpendDay.held) + micros <= self._cap
            )
        return bool(cast(CursorResult[Any], session.execute(set_aside)).rowcount)

    @staticmethod
    def _open(session: Session, day: str) -> None:
        statement = "INSERT INTO spend_day (day, spent, held) VALUES (:day, 0, 0)"
        session.execute(text(f"{statement} ON CONFLICT (day) DO NOTHING"), {"day": day})

    @staticmethod
    def _calls_of(session: Session, caller_key: str, day: str) -> int:
        """Number of a caller's calls that are open or in the ledger; open calls may be in both."""
        open_calls = select(col(SpendHold.call)).where(
            col(SpendHold.caller_key) == caller_key, col(SpendHold.day) == day
        )
        written = select(col(Call.id)).where(
            col(Call.caller_key) == caller_key, col(Call.day) == day
        )
        calls = open_calls.union(written).subquery()
        return int(session.execute(select(func.count()).select_from(calls)).scalar_one())

    @staticmethod
    def _count(session: Session, caller_key: str, day: str, known: int) -> int:
        """Count one more admission of a caller; returns how many they are on the day.

        Both numbers are needed: the calls that are ``known`` lack those that never began, and the
        admissions those by processes that had no limit to keep.
        """
        statement = (
            "INSERT INTO caller_day (day, caller_key, admitted) "
            "VALUES (:day, :caller_key, :known + 1) "
            "ON CONFLICT (day, caller_key) DO UPDATE SET admitted = 1 + "
            "CASE WHEN caller_day.admitted > :known THEN caller_day.admitted ELSE :known END "
            "RETURNING admitted"
        )
        values = {"day": day, "caller_key": caller_key, "known": known}
        return int(session.execute(text(statement), values).scalar_one())

    def _let_go(self, which: ColumnElement[bool], *, skip_locked: bool = False) -> tuple[str, ...]:
        with self._database.writing() as session:
            holds = session.execute(
                select(
                    col(SpendHold.call),
                    col(SpendHold.day),
                    col(SpendHold.held),
                    col(SpendHold.spent),
                )
                .where(which)
                .with_for_update(skip_locked=skip_locked)
            ).all()
            calls = [hold.call for hold in holds]
            written = dict(
                session.execute(
                    select(col(Call.id), col(Call.cost)).where(col(Call.id).in_(calls))
                ).all()
            )
            session.execute(delete(SpendHold).where(col(SpendHold.call).in_(calls)))
            for day in sorted({hold.day for hold in holds}):
                of_day = [hold for hold in holds if hold.day == day]
                # A process may have died between writing a turn and settling it.
                owed = sum(max(0, written.get(hold.call, 0) - hold.spent) for hold in of_day)
                freed = sum(hold.held for hold in of_day)
                session.execute(
                    update(SpendDay)
                    .where(col(SpendDay.day) == day)
                    .values(spent=SpendDay.spent + owed, held=SpendDay.held - freed)
                )
        return tuple(sorted(calls))


def steady_clock() -> Callable[[], float]:
    """Create a clock of Unix seconds that no later step of the system's clock changes."""
    began = time.time() - time.monotonic()
    return lambda: began + time.monotonic()


class _RefusedError(Exception):
    """Rolls back the transaction of a refused call."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
