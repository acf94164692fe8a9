"""What calls cost is settled while they go on, and no call waits for it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import delete, event, update
from sqlalchemy.exc import OperationalError
from sqlmodel import select

from conversation.records import StageCost, TurnRecord
from ledger.money.budget import Admission, Budget, steady_clock
from ledger.money.spend_settlement import SpendSettlement
from ledger.store.database import Database
from ledger.store.tables import SpendDay, SpendHold
from tests.ledger.records import a_call, a_turn, keep

WAIT_SECS = 10.0


@asynccontextmanager
async def settlement_of(
    budget: Budget, lost: Callable[[str], None]
) -> AsyncIterator[SpendSettlement]:
    settlement = SpendSettlement(budget, lost=lost, round_secs=0.02, retry_secs=0.02)
    settlement.start()
    yield settlement
    await settlement.close()


async def admitted(budget: Budget, settlement: SpendSettlement, call: str) -> None:
    settlement.admitted(call)
    admission = await asyncio.to_thread(budget.admit, call, "ann")
    assert isinstance(admission, Admission)


def turn(call: str, number: int, micros: int) -> TurnRecord:
    return a_turn(call, number, cost=StageCost(brain=micros))


def money(database: Database) -> tuple[int, int, int]:
    """What is spent and held, and how many holds there are."""
    with database.reading() as session:
        day = session.exec(select(SpendDay)).one()
        holds = session.exec(select(SpendHold)).all()
    return day.spent, day.held, len(holds)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_SECS):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0.01)


def take_all_there_is(database: Database) -> None:
    """Another process lets go of the hold, as of a dead process's, and holds all that is left."""
    with database.writing() as session:
        session.execute(delete(SpendHold))
        session.execute(update(SpendDay).values(held=130 - SpendDay.spent))


def nobody(call: str) -> None:
    raise AssertionError(f"{call} has its money")


async def test_each_turn_is_settled_and_the_rest_is_free_when_the_call_is_over(
    database: Database,
) -> None:
    budget = Budget(database, worst=100, cap=250)
    async with settlement_of(budget, nobody) as settlement:
        await admitted(budget, settlement, "c-1")
        settlement.turn(turn("c-1", 1, 20))
        settlement.turn(turn("c-1", 2, 30))
        settlement.turn(turn("c-1", 1, 25))  # more is known of it
        await until(lambda: money(database) == (55, 45, 1))
        settlement.release("c-1")
        await until(lambda: money(database) == (55, 0, 0))
        await until(lambda: settlement.day_spent() == 55)


async def test_what_a_database_does_not_take_is_settled_when_it_does(database: Database) -> None:
    budget = Budget(database, worst=100, cap=250)
    async with settlement_of(budget, nobody) as settlement:
        await admitted(budget, settlement, "c-1")
        away = True

        def refuse(*_: object) -> None:
            if away:
                raise OperationalError("away", {}, Exception("away"))

        event.listen(database.engine, "before_cursor_execute", refuse)
        settlement.turn(turn("c-1", 1, 20))
        settlement.release("c-1")
        await asyncio.sleep(0.1)
        away = False
        await until(lambda: money(database) == (20, 0, 0))
        event.remove(database.engine, "before_cursor_execute", refuse)


async def test_a_call_whose_hold_is_gone_is_told_of(database: Database) -> None:
    budget = Budget(database, worst=100, cap=130)
    lost: list[str] = []
    async with settlement_of(budget, lost.append) as settlement:
        await admitted(budget, settlement, "c-1")
        settlement.turn(turn("c-1", 1, 20))
        await until(lambda: money(database) == (20, 80, 1))
        await asyncio.to_thread(take_all_there_is, database)
        async with asyncio.timeout(WAIT_SECS):
            while "c-1" not in lost:
                await asyncio.sleep(0.01)


async def test_a_call_whose_hold_was_let_go_of_holds_the_money_that_is_still_there(
    database: Database,
) -> None:
    budget = Budget(database, worst=100, cap=250)
    async with settlement_of(budget, nobody) as settlement:
        await admitted(budget, settlement, "c-1")
        settlement.turn(turn("c-1", 1, 20))
        await until(lambda: money(database) == (20, 80, 1))
        other = Budget(database, worst=100, cap=250, lease_clock=lambda: time.time() + 61)
        while "c-1" not in await asyncio.to_thread(other.expire):
            pass
        await until(lambda: money(database) == (20, 80, 1))
        settlement.release("c-1")
        await until(lambda: money(database) == (20, 0, 0))


@pytest.mark.parametrize("step", [30.0, 61.0, -3_600.0, 3_600.0])
async def test_a_clock_that_is_set_ends_no_call(database: Database, step: float) -> None:
    now = [a_call().started_at]
    budget = Budget(database, worst=100, cap=100, clock=lambda: now[0])
    async with settlement_of(budget, nobody) as settlement:
        await admitted(budget, settlement, "c-1")
        now[0] += step
        looked = settlement.today
        await until(lambda: settlement.today is not looked)
        looked = settlement.today
        await until(lambda: settlement.today is not looked)
        assert money(database)[1:] == (100, 1)


def test_a_lease_does_not_see_the_system_clock_being_set(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = steady_clock()
    before = clock()
    monkeypatch.setattr(time, "time", lambda: before + 3_600)
    assert clock() - before < 60


def test_a_turn_that_a_dead_process_wrote_down_and_did_not_settle_is_spent(
    database: Database,
) -> None:
    now = [a_call().started_at]
    budget = Budget(database, worst=100, cap=250, clock=lambda: now[0])
    assert isinstance(budget.admit("c-1", "ann"), Admission)
    budget.settle("c-1", 20)
    keep(database, a_call("c-1"), turn("c-1", 1, 20), turn("c-1", 2, 33))
    now[0] += 3600
    assert budget.expire() == ("c-1",)
    assert money(database) == (53, 0, 0)


@pytest.mark.parametrize("absurd", [-1, 10**18, 2**63, 2**200])
async def test_a_cost_that_cannot_be_true_books_the_worst_case_and_holds_up_nobody(
    database: Database, absurd: int
) -> None:
    budget = Budget(database, worst=100, cap=250)
    async with settlement_of(budget, nobody) as settlement:
        for call in ("c-1", "c-2"):
            await admitted(budget, settlement, call)
        settlement.turn(turn("c-1", 1, absurd))
        settlement.turn(turn("c-2", 1, 30))
        await until(lambda: money(database) == (130, 70, 2))
        settlement.release("c-1")
        settlement.release("c-2")
        await until(lambda: money(database) == (130, 0, 0))


async def test_a_call_that_the_database_does_not_take_holds_up_no_other(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = Budget(database, worst=100, cap=250)
    settle = budget.settle

    def refuse(call: str, spent: int) -> int:
        if call == "c-1":
            raise OverflowError("too large for the column")
        return settle(call, spent)

    monkeypatch.setattr(budget, "settle", refuse)
    async with settlement_of(budget, nobody) as settlement:
        for call in ("c-1", "c-2"):
            await admitted(budget, settlement, call)
            settlement.turn(turn(call, 1, 30))
        await until(lambda: money(database) == (30, 170, 2))
        monkeypatch.setattr(budget, "settle", settle)
        await until(lambda: money(database) == (60, 140, 2))
