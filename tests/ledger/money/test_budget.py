"""The day's money: set aside, settled, let go, and never more than the cap."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from loguru import logger
from sqlalchemy import delete, func, select, text
from sqlmodel import col

from ledger.money.budget import Admission, Budget, DayMoney, Refusal
from ledger.store.database import Database
from ledger.store.tables import Call, CallerDay, SpendDay, SpendHold
from tests.databases import preferably

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp()
DAY = "2026-11-24"
DAY_SECS = 86_400.0


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def budget(database: Database, clock: Clock) -> Callable[..., Budget]:
    """One process's budget: calls of at most 100 under a cap of 250, unless said otherwise."""

    def make(**changed: Any) -> Budget:
        return Budget(database, **{"worst": 100, "cap": 250, "clock": clock, **changed})

    return make


@pytest.fixture
def told() -> Iterable[list[str]]:
    """What is logged."""
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(str(message)), level="WARNING")
    yield lines
    logger.remove(sink)


def admitted(budget: Budget, calls: Iterable[str], caller: str = "ann") -> list[str]:
    return [call for call in calls if isinstance(budget.admit(call, caller), Admission)]


def write_down(database: Database, call: str, caller: str, day: str = DAY) -> None:
    """What the ledger does when a call begins."""
    with database.writing() as session:
        session.add(Call(id=call, caller_key=caller, day=day, started_at=NOON))


def test_an_admission_sets_the_worst_case_aside(budget: Callable[..., Budget]) -> None:
    ours = budget()
    assert ours.today() == DayMoney(DAY, spent=0, held=0, cap=250, holds=0)
    assert ours.admit("c-1", "ann") == Admission("c-1", DAY, 100)
    assert ours.today() == DayMoney(DAY, spent=0, held=100, cap=250, holds=1)


def test_no_call_begins_for_which_there_is_no_money(budget: Callable[..., Budget]) -> None:
    ours, theirs = budget(), budget()
    assert admitted(ours, ["c-1"]) == ["c-1"]
    assert admitted(theirs, ["c-2"]) == ["c-2"]
    assert ours.admit("c-3", "ann") == theirs.admit("c-4", "bob") == Refusal("budget")
    ours.release("c-1")
    assert admitted(theirs, ["c-5", "c-6"]) == ["c-5"]


def test_a_cap_is_used_to_the_last_micro_dollar(budget: Callable[..., Budget]) -> None:
    assert admitted(budget(cap=199), ["c-1", "c-2"]) == ["c-1"]
    assert admitted(budget(cap=200), ["c-3", "c-4"]) == ["c-3"]


def test_what_a_call_costs_moves_from_held_to_spent(budget: Callable[..., Budget]) -> None:
    ours = budget()
    ours.admit("c-1", "ann")
    assert ours.settle("c-1", 30) == 0
    assert ours.settle("c-1", 45) == 0
    assert ours.today() == DayMoney(DAY, spent=45, held=55, cap=250, holds=1)
    ours.release("c-1")
    assert ours.today() == DayMoney(DAY, spent=45, held=0, cap=250, holds=0)
    assert ours.spent_today() == 45


def test_the_same_settlement_or_release_again_changes_nothing(
    budget: Callable[..., Budget],
) -> None:
    ours = budget()
    admitted(ours, ["c-1", "c-2"])
    for spent in (40, 40, 10):
        assert ours.settle("c-1", spent) == 0
    assert ours.today() == DayMoney(DAY, spent=40, held=160, cap=250, holds=2)
    for _ in range(2):
        ours.release("c-1")
        assert ours.today() == DayMoney(DAY, spent=40, held=100, cap=250, holds=1)


def test_a_settlement_after_the_release_counts_what_is_new(budget: Callable[..., Budget]) -> None:
    ours = budget()
    ours.admit("c-1", "ann")
    ours.settle("c-1", 40)
    ours.release("c-1")
    assert ours.settle("c-1", 40) == 0
    assert ours.settle("c-1", 42) == 2
    assert ours.today() == DayMoney(DAY, spent=42, held=0, cap=250, holds=0)


def test_more_than_was_held_is_spent_all_the_same_and_reported(
    budget: Callable[..., Budget], told: list[str]
) -> None:
    ours = budget()
    admitted(ours, ["c-1", "c-2"])
    assert ours.settle("c-1", 90) == 0
    assert ours.settle("c-1", 130) == 30
    assert ours.today() == DayMoney(DAY, spent=130, held=100, cap=250, holds=2)
    assert any("call c-1 has cost 30 micro-dollars more" in line for line in told)
    assert ours.settle("c-1", 135) == 5
    ours.release("c-1")
    assert ours.today() == DayMoney(DAY, spent=135, held=100, cap=250, holds=1)


def test_what_a_call_costs_that_nobody_admitted_is_counted_today(
    budget: Callable[..., Budget],
) -> None:
    ours = budget()
    assert [ours.settle("c-9", spent) for spent in (7, 7, 9)] == [7, 0, 2]
    assert ours.today() == DayMoney(DAY, spent=9, held=0, cap=250, holds=0)


def test_a_call_spends_the_money_of_the_day_of_its_admission(
    budget: Callable[..., Budget], clock: Clock, database: Database
) -> None:
    ours = budget()
    clock.now = NOON + DAY_SECS / 2 - 1
    admitted(ours, ["c-1", "c-2"])
    clock.now += 2
    assert ours.admit("c-3", "ann") == Admission("c-3", "2026-11-25", 100)
    ours.settle("c-1", 70)
    ours.release("c-1")
    assert ours.today() == DayMoney("2026-11-25", spent=0, held=100, cap=250, holds=1)
    with database.reading() as session:
        before = session.get(SpendDay, DAY)
    assert before is not None
    assert (before.spent, before.held) == (70, 100)


# Callers.


def test_a_caller_may_call_so_often_a_day(
    budget: Callable[..., Budget], clock: Clock, database: Database
) -> None:
    ours = budget(cap=None, calls_per_caller=2)
    assert admitted(ours, ["c-1"]) == ["c-1"]
    write_down(database, "c-1", "ann")  # open and written down: that is one call
    assert admitted(ours, ["c-2"]) == ["c-2"]
    assert ours.admit("c-3", "ann") == Refusal("daily_calls")
    write_down(database, "c-2", "ann")
    for call in ("c-1", "c-2"):
        ours.release(call)
    assert ours.admit("c-4", "ann") == Refusal("daily_calls")
    assert admitted(ours, ["c-5"], "bob") == ["c-5"]
    clock.now += DAY_SECS
    assert admitted(ours, ["c-6"]) == ["c-6"]


def test_a_call_that_never_began_counts_in_all_processes_until_the_day_is_over(
    budget: Callable[..., Budget], clock: Clock, database: Database
) -> None:
    budget(cap=None).admit("c-0", "ann")  # by a process without the limit
    write_down(database, "c-0", "ann")
    for number in range(1, 4):
        started = budget(cap=None, calls_per_caller=4)
        assert admitted(started, [f"c-{number}"])
        started.release(f"c-{number}")
    ours = budget(cap=None, calls_per_caller=4)
    assert ours.admit("c-4", "ann") == ours.admit("c-4", "ann") == Refusal("daily_calls")
    assert isinstance(ours.admit("c-5", "bob"), Admission)
    clock.now += DAY_SECS
    assert admitted(ours, ["c-6"])


def test_a_caller_has_so_many_calls_open_at_a_time_in_all_processes(
    budget: Callable[..., Budget],
) -> None:
    here, there = budget(cap=None, open_per_caller=2), budget(cap=None, open_per_caller=2)
    assert admitted(here, ["c-1"]) + admitted(there, ["c-2"]) == ["c-1", "c-2"]
    assert here.admit("c-3", "ann") == there.admit("c-3", "ann") == Refusal("open_calls")
    assert isinstance(here.admit("c-4", "bob"), Admission)
    there.release("c-2")
    assert admitted(here, ["c-5"]) == ["c-5"]


def test_who_may_not_call_again_has_nothing_set_aside(
    budget: Callable[..., Budget], database: Database
) -> None:
    write_down(database, "c-1", "ann")
    ours = budget(calls_per_caller=1)
    assert ours.admit("c-2", "ann") == Refusal("daily_calls")
    assert ours.today() == DayMoney(DAY, spent=0, held=0, cap=250, holds=0)


# Processes that die, and those that do not.


def test_the_hold_of_a_dead_process_expires_and_its_spending_stays(
    budget: Callable[..., Budget], clock: Clock, told: list[str]
) -> None:
    dead, alive = budget(), budget()
    dead.admit("c-1", "ann")
    dead.settle("c-1", 30)
    clock.now += 59
    assert alive.expire() == ()
    clock.now += 1
    assert alive.expire() == ("c-1",)
    assert alive.expire() == ()
    assert alive.today() == DayMoney(DAY, spent=30, held=0, cap=250, holds=0)
    assert any("process died: c-1" in line for line in told)


def test_an_admission_lets_go_of_what_the_dead_hold(
    budget: Callable[..., Budget], clock: Clock
) -> None:
    assert admitted(budget(), ["c-1", "c-2"]) == ["c-1", "c-2"]
    clock.now += 60
    assert admitted(budget(), ["c-3", "c-4", "c-5"]) == ["c-3", "c-4"]


def test_a_call_that_goes_on_keeps_its_hold(budget: Callable[..., Budget], clock: Clock) -> None:
    ours = budget()
    admitted(ours, ["c-1", "c-2"])
    clock.now += 45
    assert ours.keep_alive(["c-1"]) == frozenset()
    clock.now += 45
    assert ours.expire() == ("c-2",)
    assert ours.settle("c-1", 5) == 0  # a sign of life, too
    clock.now += 45
    assert ours.expire() == ()
    assert ours.keep_alive([]) == frozenset()


def test_a_process_that_slept_too_long_is_told_which_calls_have_no_money_any_more(
    budget: Callable[..., Budget], clock: Clock
) -> None:
    ours = budget()
    admitted(ours, ["c-1", "c-2"])
    ours.settle("c-1", 30)
    clock.now += 50
    ours.keep_alive(["c-2"])
    clock.now += 50
    budget().expire()
    assert ours.keep_alive(["c-1", "c-2"]) == {"c-1"}
    assert ours.settle("c-1", 33) == 3  # what it went on to cost is not lost
    assert ours.today() == DayMoney(DAY, spent=33, held=100, cap=250, holds=1)


def test_without_a_cap_the_day_is_counted_and_nobody_refused(
    budget: Callable[..., Budget], clock: Clock
) -> None:
    ours = budget(cap=None)
    assert len(admitted(ours, [f"c-{n}" for n in range(9)])) == 9
    ours.settle("c-0", 70)
    assert ours.today() == DayMoney(DAY, spent=70, held=830, cap=None, holds=9)
    clock.now += 60
    assert len(ours.expire()) == 9
    assert ours.keep_alive(["c-0"]) == frozenset()
    assert ours.settle("c-0", 75) == 5
    assert ours.spent_today() == 75


def test_a_database_that_fails_lets_in_only_whom_nothing_limits(
    budget: Callable[..., Budget], database: Database
) -> None:
    with database.writing() as session:
        session.execute(text("ALTER TABLE spend_hold RENAME TO gone"))
    assert budget().admit("c-1", "ann") == Refusal("fault")
    assert budget(cap=None, calls_per_caller=3).admit("c-2", "ann") == Refusal("fault")
    free = budget(cap=None)
    assert free.admit("c-3", "ann") == Admission("c-3", DAY, 100)
    with database.writing() as session:
        session.execute(text("ALTER TABLE gone RENAME TO spend_hold"))
    assert free.today() == DayMoney(DAY, spent=0, held=0, cap=None, holds=0)
    assert free.settle("c-3", 12) == 12
    assert free.spent_today() == 12


def test_a_worst_case_below_nothing_is_refused(budget: Callable[..., Budget]) -> None:
    with pytest.raises(ValueError, match="worst is -1; it must be 0 or more"):
        budget(worst=-1)


# At once.


def at_once(number: int, act: Callable[[int], Any]) -> list[Any]:
    together = threading.Barrier(number)

    def one(n: int) -> Any:
        together.wait(10)
        return act(n)

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(one, range(number)))


def test_of_many_who_call_at_once_as_many_get_in_as_there_is_money_for(
    budget: Callable[..., Budget],
) -> None:
    processes = [budget(cap=500) for _ in range(12)]
    answers = at_once(12, lambda n: processes[n].admit(f"c-{n}", f"caller-{n}"))
    assert sum(isinstance(answer, Admission) for answer in answers) == 5
    assert processes[0].today() == DayMoney(DAY, spent=0, held=500, cap=500, holds=5)


def test_a_caller_in_many_windows_at_once_is_counted_once_a_call(
    budget: Callable[..., Budget],
) -> None:
    processes = [budget(cap=None, calls_per_caller=3) for _ in range(8)]
    answers = at_once(8, lambda n: processes[n].admit(f"c-{n}", "ann"))
    assert sum(isinstance(answer, Admission) for answer in answers) == 3
    assert answers.count(Refusal("daily_calls")) == 5


def test_settling_releasing_and_expiring_at_once_counts_each_micro_dollar_once(
    budget: Callable[..., Budget], clock: Clock
) -> None:
    ours, theirs = budget(cap=None, hold_secs=1.0), budget(cap=None)
    for n in range(8):
        ours.admit(f"c-{n}", "ann")
    clock.now += 1

    def act(n: int) -> None:
        if n < 4:
            ours.settle(f"c-{n}", 10)
            ours.release(f"c-{n}")
        else:
            theirs.expire()
            ours.keep_alive([f"c-{n}"])

    at_once(8, act)
    money = ours.today()
    assert (money.spent, money.held) == (40, 100 * money.holds)
    theirs.expire()
    assert ours.today().held == 0


def test_a_call_that_is_settled_while_it_expires_is_counted_once(
    budget: Callable[..., Budget], clock: Clock
) -> None:
    ours, theirs = budget(cap=None, hold_secs=1.0), budget(cap=None)
    for n in range(10):
        call = f"c-{n}"
        ours.admit(call, "ann")
        clock.now += 1
        acts: list[Callable[[], object]] = [theirs.expire, partial(ours.settle, call, 10)]
        at_once(2, lambda which, acts=acts: acts[which]())  # type: ignore[misc]
        clock.now += 1
        theirs.expire()
        money = ours.today()
        assert (money.spent, money.held, money.holds) == (10 * (n + 1), 0, 0)


# Any interleaving.


class Interleavings(RuleBasedStateMachine):
    """Several processes on one database, beside a model of what should be in it."""

    CAP = 1_000
    WORST = 300
    database: Database

    calls = Bundle("calls")

    @initialize()
    def begin(self) -> None:
        with self.database.writing() as session:
            for table in (Call, CallerDay, SpendHold, SpendDay):
                session.execute(delete(table))
        self.clock = Clock()
        self.number = 0
        self.processes = [self.process() for _ in range(3)]
        self.spent: dict[str, int] = {}  # by day
        self.open: dict[str, tuple[str, int, float]] = {}  # by call: day, cost, expiry
        self.cost: dict[str, tuple[str, int]] = {}  # by call whose process lives: day, cost
        self.process_of: dict[str, int] = {}

    def process(self) -> Budget:
        return Budget(
            self.database,
            worst=self.WORST,
            cap=self.CAP,
            calls_per_caller=6,
            hold_secs=60.0,
            clock=self.clock,
        )

    def expired(self) -> set[str]:
        return {call for call, (_, _, until) in self.open.items() if until <= self.clock()}

    def held(self, day: str) -> int:
        return sum(self.WORST - cost for its, cost, _ in self.open.values() if its == day)

    @rule(target=calls, which=st.integers(0, 2), caller=st.sampled_from(["ann", "bob"]))
    def admit(self, which: int, caller: str) -> Any:
        self.number += 1
        call = f"c-{self.number}"
        answer = self.processes[which].admit(call, caller)
        day = datetime.fromtimestamp(self.clock(), UTC).strftime("%Y-%m-%d")

        def fits() -> bool:
            return self.spent.get(day, 0) + self.held(day) + self.WORST <= self.CAP

        if not fits() or answer == Refusal("daily_calls"):
            for gone in self.expired():  # an admission that finds no money looks for dead holds
                del self.open[gone]
        if isinstance(answer, Refusal):
            assert answer == Refusal("daily_calls") or not fits()
            return multiple()
        assert answer == Admission(call, day, self.WORST)
        assert fits()
        write_down(self.database, call, caller, day)
        self.open[call] = (day, 0, self.clock() + 60)
        self.cost[call] = (day, 0)
        self.process_of[call] = which
        return call

    @rule(call=calls, share=st.integers(0, WORST))
    def settle(self, call: str, share: int) -> None:
        if call not in self.cost:
            return
        day, before = self.cost[call]
        left = self.WORST - before if call in self.open else 0
        cost = min(share, left)
        assert self.processes[self.process_of[call]].settle(call, before + cost) == 0
        if cost:
            self.cost[call] = (day, before + cost)
            self.open[call] = (day, before + cost, self.clock() + 60)
            self.spent[day] = self.spent.get(day, 0) + cost

    @rule(call=consumes(calls))
    def release(self, call: str) -> None:
        if self.cost.pop(call, None) is not None:
            self.processes[self.process_of[call]].release(call)
            self.open.pop(call, None)

    @rule(call=calls)
    def keep_alive(self, call: str) -> None:
        if call not in self.cost:
            return
        lost = self.processes[self.process_of[call]].keep_alive([call])
        assert lost == (frozenset() if call in self.open else {call})
        if call in self.open:
            day, cost, _ = self.open[call]
            self.open[call] = (day, cost, self.clock() + 60)

    @precondition(lambda self: self.cost)
    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        """A process dies, and another takes its place, which knows nothing."""
        which = data.draw(st.integers(0, 2))
        self.processes[which] = self.process()
        for call in [call for call in self.cost if self.process_of[call] == which]:
            del self.cost[call]

    @rule(which=st.integers(0, 2))
    def expire(self, which: int) -> None:
        expired = self.expired()
        assert set(self.processes[which].expire()) == expired
        for call in expired:
            del self.open[call]

    @rule(secs=st.sampled_from([10.0, 61.0, DAY_SECS / 3]))
    def wait(self, secs: float) -> None:
        self.clock.now += secs

    @invariant()
    def the_cap_holds_and_the_books_are_right(self) -> None:
        with self.database.reading() as session:
            days = session.execute(
                select(col(SpendDay.day), col(SpendDay.spent), col(SpendDay.held))
            ).all()
            holds = dict(
                session.execute(
                    select(col(SpendHold.day), func.sum(SpendHold.held)).group_by(
                        col(SpendHold.day)
                    )
                )
                .tuples()
                .all()
            )
            still = set(session.execute(select(col(SpendHold.call))).scalars())
        assert still == set(self.open)
        for day, spent, held in days:
            assert held >= 0
            assert spent + held <= self.CAP
            assert held == self.held(day) == holds.get(day, 0)
            assert spent == self.spent.get(day, 0)

    def teardown(self) -> None:
        """Once all are dead and expired, nothing is held."""
        if not hasattr(self, "clock"):
            return
        self.clock.now += 61
        self.process().expire()
        self.open.clear()
        self.the_cap_holds_and_the_books_are_right()


@preferably("sqlite")
def test_no_interleaving_of_processes_exceeds_the_cap_or_leaks_a_hold(database: Database) -> None:
    class Here(Interleavings):
        pass

    Here.database = database
    run_state_machine_as_test(
        Here,
        settings=settings(
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
