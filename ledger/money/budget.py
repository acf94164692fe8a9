"""The day's money: no call begins without its worst case set aside, over all processes and hosts.

A call's worst case is *held* when it is admitted, in one statement that refuses what would exceed
the cap. What it turns out to cost moves from held to *spent*; the rest is let go when it ends. A
process says from time to time that its calls go on: a hold of which nobody has said so for a
while belongs to a process that is dead, and is let go too.

Whoever changes several rows locks a call's hold before the day, so that nobody waits in a circle.
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
"""How long a hold lasts of which nobody says that its call goes on."""

KEEP_ALIVE_SECS = 15.0
"""How often to say that calls go on."""

_REMEMBERED = timedelta(days=2)
_DAY = "%Y-%m-%d"


@dataclass(frozen=True, slots=True)
class Admission:
    """A call may begin.

    Parameters:
        call: The call's id.
        day: The UTC day whose money it spends, that of its admission.
        held: Micro-dollars that were set aside for it.
    """

    call: str
    day: str
    held: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """A call may not begin.

    Parameters:
        reason: Why, a key of :data:`pipeline.call.REASONS`: ``budget``, ``daily_calls``, or
            ``fault`` when there is a limit and the database cannot be asked.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class DayMoney:
    """A day's money, in micro-dollars.

    Parameters:
        day: The UTC day.
        spent: What its calls have cost so far.
        held: What is set aside for those of them that are open.
        cap: Most that they may cost; ``None`` without a cap.
        holds: How many of them are open.
    """

    day: str
    spent: int
    held: int
    cap: int | None
    holds: int


class Budget:
    """The money of all calls, in the database. Its methods block, so call them in a thread.

    Parameters:
        database: Where it is kept.
        worst: What one call can cost at worst, in micro-dollars.
        cap: Most that a day's calls may cost; ``None`` without a cap.
        calls_per_caller: Calls that one caller may make in a day; 0 for any number.
        hold_secs: How long a hold lasts after the last :meth:`keep_alive`. Clocks of hosts that
            share a database must not differ by nearly as much.
        clock: Unix seconds.
    """

    def __init__(
        self,
        database: Database,
        *,
        worst: int,
        cap: int | None = None,
        calls_per_caller: int = 0,
        hold_secs: float = HOLD_SECS,
        clock: Callable[[], float] | None = None,
    ) -> None:
        if worst < 0:
            raise ValueError(f"worst is {worst}; it must be 0 or more micro-dollars")
        self._database = database
        self._worst = worst
        self._cap = cap
        self._calls_per_caller = calls_per_caller
        self._hold_secs = hold_secs
        self._clock = clock or time.time
        # Day and cost of this process's calls: a hold may be gone before its call is.
        self._settled: dict[str, tuple[str, int]] = {}
        self._settling = threading.Lock()

    def admit(self, call_id: str, caller_key: str) -> Admission | Refusal:
        """Set a call's worst case aside, or refuse it.

        Without any limit a call is admitted even if the database cannot be written.

        Args:
            call_id: The call's id, which no other call has had.
            caller_key: What its caller's calls are counted by.
        """
        day = self._today()
        try:
            refused = self._hold(call_id, caller_key, day)
            if refused is not None and self.expire():
                refused = self._hold(call_id, caller_key, day)
        except SQLAlchemyError as error:
            logger.error("a call's money could not be set aside: {}", error)
            if self._cap is not None or self._calls_per_caller:
                return Refusal("fault")
            refused = None
        if refused is not None:
            return Refusal(refused)
        with self._settling:
            past = (datetime.fromtimestamp(self._clock(), UTC) - _REMEMBERED).strftime(_DAY)
            self._settled = {call: one for call, one in self._settled.items() if one[0] >= past}
            self._settled[call_id] = (day, 0)
        return Admission(call_id, day, self._worst)

    def settle(self, call_id: str, spent: int) -> int:
        """Note what a call has cost so far; the same again changes nothing.

        What it cost beyond what is held for it is spent all the same, and reported in the log: on
        the day of its admission, or today if nobody knows that.

        Args:
            call_id: The call's id.
            spent: All that it has cost since its beginning, in micro-dollars.

        Returns:
            By how much this settlement exceeds what was held, in micro-dollars; 0 if it does not.

        Raises:
            SQLAlchemyError: It could not be noted; the next settlement makes up for it.
        """
        with self._settling:
            day, cost, excess = self._settle(call_id, spent)
            if cost:
                self._settled[call_id] = (day, spent)
        if excess:
            logger.error(
                "call {} has cost {} micro-dollars more than was set aside for it", call_id, excess
            )
        return excess

    def _settle(self, call_id: str, spent: int) -> tuple[str, int, int]:
        """Note it; the call's day, what was not noted before, and the part that was not held."""
        now = self._clock()
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
        """Let go of what is still held for a call that is over; once more changes nothing.

        Raises:
            SQLAlchemyError: It could not be let go; it will be when the hold expires.
        """
        self._let_go(col(SpendHold.call) == call_id)

    def keep_alive(self, call_ids: Iterable[str]) -> frozenset[str]:
        """Say that calls go on; often enough that no hold of theirs expires.

        Returns:
            Those for which nothing is held any more, under a cap: they are to be ended.

        Raises:
            SQLAlchemyError: It could not be said.
        """
        calls = sorted(call_ids)
        if not calls:
            return frozenset()
        with self._database.writing() as session:
            kept = session.execute(
                update(SpendHold)
                .where(col(SpendHold.call).in_(calls))
                .values(expires_at=self._clock() + self._hold_secs)
                .returning(col(SpendHold.call))
            ).scalars()
            lost = frozenset(calls) - frozenset(kept)
        return lost if self._cap is not None else frozenset()

    def expire(self) -> tuple[str, ...]:
        """Let go of what dead processes hold; what their calls had spent stays spent.

        Returns:
            The calls.
        """
        # Whoever is at work on a hold just now shows that its call goes on.
        over = col(SpendHold.expires_at) <= self._clock()
        expired = self._let_go(over, skip_locked=True)
        if expired:
            logger.warning("calls whose process is gone: {}", ", ".join(expired))
        return expired

    def today(self) -> DayMoney:
        """The day's money now."""
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
        """What the day's calls have cost so far, in micro-dollars."""
        return self.today().spent

    def _today(self) -> str:
        return datetime.fromtimestamp(self._clock(), UTC).strftime(_DAY)

    def _hold(self, call_id: str, caller_key: str, day: str) -> str | None:
        """Set the worst case aside; why it was not, if it was not."""
        now = self._clock()
        set_aside = (
            update(SpendDay)
            .where(col(SpendDay.day) == day)
            .values(held=SpendDay.held + self._worst)
        )
        if self._cap is not None:
            set_aside = set_aside.where(
                col(SpendDay.spent) + col(SpendDay.held) + self._worst <= self._cap
            )
        try:
            with self._database.writing() as session:
                self._open(session, day)
                # From here on admissions of the day wait for each other, so the count stays true.
                if not cast(CursorResult[Any], session.execute(set_aside)).rowcount:
                    raise _RefusedError("budget")
                if self._calls_per_caller:
                    called = self._calls_of(session, caller_key, day)
                    if called >= self._calls_per_caller:
                        raise _RefusedError("daily_calls")
                session.add(
                    SpendHold(
                        call=call_id,
                        day=day,
                        caller_key=caller_key,
                        held=self._worst,
                        created_at=now,
                        expires_at=now + self._hold_secs,
                    )
                )
        except _RefusedError as refused:
            return refused.reason
        return None

    @staticmethod
    def _open(session: Session, day: str) -> None:
        statement = "INSERT INTO spend_day (day, spent, held) VALUES (:day, 0, 0)"
        session.execute(text(f"{statement} ON CONFLICT (day) DO NOTHING"), {"day": day})

    @staticmethod
    def _calls_of(session: Session, caller_key: str, day: str) -> int:
        """Calls of a caller that are open or written down: a call is written down while it is."""
        open_calls = select(col(SpendHold.call)).where(
            col(SpendHold.caller_key) == caller_key, col(SpendHold.day) == day
        )
        written = select(col(Call.id)).where(
            col(Call.caller_key) == caller_key, col(Call.day) == day
        )
        either = open_calls.union(written).subquery()
        return cast(int, session.execute(select(func.count()).select_from(either)).scalar_one())

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
                # A process that died may have written a turn down and not settled it.
                owed = sum(max(0, written.get(hold.call, 0) - hold.spent) for hold in of_day)
                freed = sum(hold.held for hold in of_day)
                session.execute(
                    update(SpendDay)
                    .where(col(SpendDay.day) == day)
                    .values(spent=SpendDay.spent + owed, held=SpendDay.held - freed)
                )
        return tuple(sorted(calls))


class _RefusedError(Exception):
    """A call may not begin: its transaction is undone."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
