"""What is told of calls is in the ledger, whole, in order, and with the right sums."""

import asyncio
import json
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conversation.frames import LookedUp
from conversation.records import StageCost, TurnRecord
from ledger.log import query
from ledger.store.database import Database
from ledger.store.entry import Entry
from ledger.store.spool import REFUSED
from tests.ledger.records import ADA, NOON, a_call, a_call_that_ended, a_turn
from tests.ledger.store.writing import all_written, calls_of, pending, turns_of, until, writing


async def test_a_call_is_in_the_ledger_from_its_begin_to_its_end(
    database: Database, tmp_path: Path
) -> None:
    async with writing(database, tmp_path) as writer:
        writer.begun(a_call())
        await all_written(writer)
        (call,) = calls_of(database)
        assert (call.id, call.caller, call.started_at, call.day) == (
            ("c-1", "ada@example.com", NOON, "2026-11-24")
        )
        assert (call.ended_at, call.why, call.turns, call.cost) == (None, "", 0, 0)

        writer.turn(a_turn(number=1, cost=StageCost(1, 20, 300)))
        writer.turn(a_turn(number=2, cost=StageCost(4, 50, 600)))
        await all_written(writer)
        (call,) = calls_of(database)
        assert (call.turns, call.stt_cost, call.brain_cost, call.tts_cost) == (2, 5, 70, 900)
        assert call.cost == 975

        writer.ended(a_call_that_ended())
        await all_written(writer)
        (call,) = calls_of(database)
        assert (call.ended_at, call.why, call.turns, call.cost) == (NOON + 60, "hangup", 2, 975)
        assert (call.stt, call.brain, call.tts) == ("deepgram", "claude", "elevenlabs")
        assert (call.document, call.document_hash) == ("Grace Hopper", "ab" * 32)


async def test_every_field_of_a_turn_is_in_its_row(database: Database, tmp_path: Path) -> None:
    turn = a_turn(
        decision="escalate",
        reason="not in the CV",
        interrupted=True,
        withdrawn=True,
        looked_up=(LookedUp("tool/hours", "Opening hours", "Monday: 9 to 17."),),
    )
    async with writing(database, tmp_path) as writer:
        writer.turn(turn)
        await all_written(writer)
    (row,) = turns_of(database)
    kept = row.model_dump()
    assert kept.pop("was_right") is None, "the caller says that"
    told = json.loads(json.dumps(turn.as_dict()))
    for name in ("used", "vendors"):
        told |= told.pop(name)
    told |= {f"{stage}_model": model for stage, model in told.pop("models").items()}
    costs = told.pop("cost")
    told |= {f"{stage}_cost": cost for stage, cost in costs.items()}
    assert kept == told | {"cost": sum(costs.values())}
    assert all(value for value in kept.values())


async def test_the_last_record_of_a_turn_stands(database: Database, tmp_path: Path) -> None:
    async with writing(database, tmp_path) as writer:
        writer.begun(a_call())
        writer.turn(a_turn(e2e_latency=None, heard_text="", cost=StageCost(1, 1, 1)))
        writer.turn(a_turn(e2e_latency=0.9, heard_text="She", cost=StageCost(1, 2, 1)))
        await all_written(writer)
        writer.turn(a_turn(e2e_latency=0.9, heard_text="She studied", cost=StageCost(1, 2, 3)))
        await all_written(writer)
    (turn,) = turns_of(database)
    assert (turn.e2e_latency, turn.heard_text, turn.cost) == (0.9, "She studied", 6)
    assert [(call.turns, call.cost) for call in calls_of(database)] == [(1, 6)]


async def test_a_turn_that_comes_before_its_call_is_kept(
    database: Database, tmp_path: Path
) -> None:
    async with writing(database, tmp_path) as writer:
        writer.turn(a_turn(at=NOON + 5, cost=StageCost(1, 2, 3)))
        await all_written(writer)
        (call,) = calls_of(database)
        assert (call.started_at, call.day, call.cost) == (NOON + 5, "2026-11-24", 6)
        writer.begun(a_call(day="2026-11-23"))
        await all_written(writer)
    (call,) = calls_of(database)
    assert (call.started_at, call.day, call.caller) == (NOON, "2026-11-23", ADA.email)
    assert (call.turns, call.cost) == (1, 6)


async def test_what_a_call_without_turns_cost_is_in_its_sums(
    database: Database, tmp_path: Path
) -> None:
    async with writing(database, tmp_path) as writer:
        writer.begun(a_call())
        writer.turn(TurnRecord(call="c-1", number=0, at=NOON, cost=StageCost(brain=7)))
        await all_written(writer)
    (call,) = calls_of(database)
    assert (call.turns, call.brain_cost, call.cost) == (0, 7, 7)


async def test_what_cannot_be_spelled_does_not_cost_the_turn(
    database: Database, tmp_path: Path
) -> None:
    async with writing(database, tmp_path) as writer:
        writer.turn(a_turn(question="a\0b \ud800 ü", errors=("\0",), e2e_latency=float("nan")))
        await all_written(writer)
        assert (writer.refused, writer.lost) == (0, 0)
    (turn,) = turns_of(database)
    assert turn.question == "a\N{REPLACEMENT CHARACTER}b ? ü"
    assert (turn.errors, turn.e2e_latency) == (["\N{REPLACEMENT CHARACTER}"], None)


MONEY = st.integers(0, 10**12)
COSTS = st.builds(StageCost, MONEY, MONEY, MONEY)
TURNS = st.tuples(st.integers(0, 3), st.integers(0, 4), COSTS)  # call, turn, cost
HISTORIES = st.lists(st.lists(TURNS, max_size=6), max_size=4)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories=HISTORIES)
def test_turns_calls_and_days_come_to_the_same_sums(
    histories: list[list[tuple[int, int, StageCost]]], database: Database, tmp_path: Path
) -> None:
    async def keep() -> None:
        async with writing(database, tmp_path / "spool") as writer:
            for batch in histories:
                for call, number, cost in batch:
                    writer.turn(a_turn(f"c-{call}", number, cost=cost))
                    writer.begun(a_call(f"c-{call}", at=NOON + call // 2 * 86_400))
                await all_written(writer)

    asyncio.run(keep())
    stages = ("stt_cost", "brain_cost", "tts_cost", "cost")
    turns, calls = turns_of(database), calls_of(database)
    for call in calls:
        own = [turn for turn in turns if turn.call == call.id]
        assert call.turns == sum(turn.number > 0 for turn in own)
        for stage in stages:
            assert getattr(call, stage) == sum(getattr(turn, stage) for turn in own)
        assert call.cost == call.stt_cost + call.brain_cost + call.tts_cost
    for day in query.daily_spend(database):
        own_calls = [call for call in calls if call.day == day["day"]]
        assert day["calls"] == len(own_calls)
        assert day["turns"] == sum(call.turns for call in own_calls)
        assert day["spent"] == sum(call.cost for call in own_calls)
        for stage in stages[:3]:
            assert day[stage] == sum(getattr(call, stage) for call in own_calls)


async def test_a_record_that_the_database_refuses_is_put_aside_and_the_rest_is_written(
    database: Database, tmp_path: Path, log: list[str]
) -> None:
    async with writing(database, tmp_path) as writer:
        writer.begun(a_call())
        writer.turn(a_turn(number=1))
        writer.turn(a_turn(number=2, cost=StageCost(brain=2**80)))
        writer.turn(a_turn(number=3, question=None))
        writer.turn(a_turn(number=4, at=1e17))
        writer.turn(a_turn(number=5))
        writer.begun(a_call("c-" + "9" * 40))
        writer.ended(a_call_that_ended())
        await all_written(writer)
        assert (writer.refused, writer.lost) == (4, 0)
    assert [turn.number for turn in turns_of(database)] == [1, 5]
    assert [(call.id, call.why, call.turns) for call in calls_of(database)] == [
        ("c-1", "hangup", 2)
    ]
    aside = [json.loads(line) for line in (tmp_path / REFUSED).read_text().splitlines()]
    assert [entry["record"]["row"].get("number") for entry in aside] == [2, 3, 4, None]
    assert all(entry["why"] for entry in aside)
    told = [line for line in log if "set aside" in line]
    assert len(told) == 4
    assert "call c-1, turn 2" in told[0]
    assert "question" in told[1]
    assert not any("Yale" in line or "ada@" in line for line in log)


async def test_a_record_on_disk_that_cannot_be_written_does_not_stop_the_ledger(
    database: Database, tmp_path: Path, log: list[str]
) -> None:
    whole = [Entry.of_turn(a_turn(number=number)).to_line() for number in (1, 2)]
    wrong = [
        r'{"table": "turn", "row": {"call": "c-1", "number": 7, "at": 0.0, "answer": "\ud800"}}',
        '{"table": "turn", "row": {"call": "c-1", "number": NaN, "at": Infinity}}',
        '{"table": "turn", "row": {"call": ["c-1"], "number": 8, "at": 0.0}}',
        '{"table": "turn", "row": {"call": "c-1", "number": 9, "at": 0.0, "checks": [{"a": ""}]}}',
        '{"table": "call", "row": {}}',
    ]
    (tmp_path / "pending-1.jsonl").write_text("\n".join([whole[0].strip(), *wrong, whole[1]]))
    async with writing(database, tmp_path) as writer:
        await until(lambda: len(turns_of(database)) >= 2)
        await until(lambda: not pending(tmp_path))
        assert (writer.trouble, writer.lost) == ("", 0)
    written = {turn.number for turn in turns_of(database)}
    assert {1, 2} <= written
    aside = (tmp_path / REFUSED).read_text().splitlines()
    assert len(written) + len(aside) == 2 + len(wrong)


async def test_a_value_that_cannot_be_written_down_is_no_fault_of_the_call(
    database: Database, tmp_path: Path
) -> None:
    async with writing(database, tmp_path) as writer:
        writer.turn(a_turn(number=1, question=object()))
        writer.turn(a_turn(number=2))
        await all_written(writer)
        assert writer.lost == 1
    assert [turn.number for turn in turns_of(database)] == [2]


async def test_whoever_waits_for_a_record_is_told_when_it_can_be_read(
    database: Database, tmp_path: Path, log: list[str]
) -> None:
    told: list[tuple[str, str]] = []

    def on_written(id: str) -> None:
        told.extend((id, call.why) for call in calls_of(database) if call.id == id)
        raise RuntimeError("of no concern to the ledger")

    async with writing(database, tmp_path, on_written=on_written) as writer:
        for id in ("c-1", "c-2"):
            writer.begun(a_call(id))
            await all_written(writer)
        writer.ended(a_call_that_ended("c-1"))
        await until(lambda: len(told) == 3)
    assert told == [("c-1", ""), ("c-2", ""), ("c-1", "hangup")]
    assert any("after call c-1 was written" in line for line in log)


async def test_what_is_queued_at_the_end_is_written(database: Database, tmp_path: Path) -> None:
    async with writing(database, tmp_path / "spool") as writer:
        writer.begun(a_call())
        for number in range(1, 101):
            writer.turn(a_turn(number=number))
    assert len(turns_of(database)) == 100
    assert pending(tmp_path / "spool") == []
