"""What the ledger says of calls, turns and money, and of whom and when."""

import pytest

from conversation.records import CallerIdentity, StageCost
from ledger.log import query
from ledger.store.database import Database
from ledger.store.tables import SpendHold
from tests.ledger.records import (
    ADA,
    DAY_SECS,
    JOE,
    NOON,
    VENDORS,
    a_call,
    a_call_that_ended,
    a_turn,
    keep,
)

NOBODY_SIGNED_IN = CallerIdentity(key="192.0.2.7")
YESTERDAY = NOON - DAY_SECS


@pytest.fixture(autouse=True)
def a_few_calls(database: Database) -> None:
    keep(
        database,
        a_call_that_ended("c-1", at=YESTERDAY, caller=JOE),
        a_turn("c-1", 1, at=YESTERDAY + 5, cost=StageCost(1, 2, 3)),
        a_call_that_ended("c-2", caller=ADA),
        a_turn("c-2", 1, at=NOON + 5, cost=StageCost(10, 20, 30)),
        a_turn("c-2", 2, at=NOON + 20, cost=StageCost(100, 200, 300)),
        a_call("c-3", at=NOON + 60, caller=NOBODY_SIGNED_IN),
        a_turn("c-3", 1, at=NOON + 65, cost=StageCost(brain=5000)),
    )


def hold(database: Database, call: str, day: str, micros: int, key: str) -> None:
    with database.writing() as session:
        session.add(
            SpendHold(
                call=call, day=day, caller_key=key, held=micros, created_at=NOON, expires_at=NOON
            )
        )


def ids(database: Database, **which: object) -> list[str]:
    return [call["id"] for call in query.list_calls(database, **which)]  # type: ignore[arg-type]


def numbers(database: Database, **which: object) -> list[tuple[str, int]]:
    rows = query.list_turns(database, **which)  # type: ignore[arg-type]
    return [(turn["call"], turn["number"]) for turn in rows]


def test_calls_are_listed_with_every_column_oldest_first(database: Database) -> None:
    rows = query.list_calls(database)
    assert [call["id"] for call in rows] == ["c-1", "c-2", "c-3"]
    assert tuple(rows[1]) == query.CALL_COLUMNS
    assert rows[1] == {
        "id": "c-2",
        "caller": "ada@example.com",
        "caller_key": "ada@example.com",
        "day": "2026-11-24",
        "started_at": NOON,
        "ended_at": NOON + 60,
        "why": "hangup",
        "document": "Grace Hopper",
        "document_hash": "ab" * 32,
        **VENDORS,
        "turns": 2,
        "stt_cost": 110,
        "brain_cost": 220,
        "tts_cost": 330,
        "cost": 660,
        "reply_to": None,
    }


def test_calls_are_chosen_by_their_begin(database: Database) -> None:
    assert ids(database, since=NOON) == ["c-2", "c-3"]
    assert ids(database, until=NOON) == ["c-1"]
    assert ids(database, since=NOON, until=NOON + 60) == ["c-2"]
    assert ids(database, since=NOON + 61) == []


def test_calls_are_chosen_by_their_caller_however_the_address_is_written(
    database: Database,
) -> None:
    assert ids(database, caller="Ada@Example.com ") == ["c-2"]
    assert ids(database, caller="192.0.2.7") == ["c-3"]
    assert ids(database, caller="ada") == []
    assert ids(database, caller="joe@example.com", since=NOON) == []


def test_turns_are_listed_with_every_column_oldest_first(database: Database) -> None:
    rows = query.list_turns(database)
    assert [(turn["call"], turn["number"]) for turn in rows] == [
        ("c-1", 1),
        ("c-2", 1),
        ("c-2", 2),
        ("c-3", 1),
    ]
    assert tuple(rows[0]) == query.TURN_COLUMNS
    assert rows[0]["sections"] == ["education"]
    assert rows[0]["checks"][0] == {"name": "sections", "passed": True, "detail": ""}


def test_turns_are_chosen_by_time_caller_and_call(database: Database) -> None:
    assert numbers(database, since=NOON + 20) == [("c-2", 2), ("c-3", 1)]
    assert numbers(database, until=NOON) == [("c-1", 1)]
    assert numbers(database, caller="ada@example.com") == [("c-2", 1), ("c-2", 2)]
    assert numbers(database, call="c-2", since=NOON + 6) == [("c-2", 2)]
    assert numbers(database, call="c-9") == []


def test_each_day_has_what_its_calls_have_cost_by_stage(database: Database) -> None:
    assert query.daily_spend(database) == [
        {
            "day": "2026-11-23",
            "calls": 1,
            "turns": 1,
            "stt_cost": 1,
            "brain_cost": 2,
            "tts_cost": 3,
            "spent": 6,
            "held": 0,
        },
        {
            "day": "2026-11-24",
            "calls": 2,
            "turns": 3,
            "stt_cost": 110,
            "brain_cost": 5220,
            "tts_cost": 330,
            "spent": 5660,
            "held": 0,
        },
    ]


def test_what_is_held_is_on_its_day_even_before_the_first_call(database: Database) -> None:
    hold(database, "c-3", "2026-11-24", 70, "192.0.2.7")
    hold(database, "c-4", "2026-11-24", 7, "ada@example.com")
    hold(database, "c-5", "2026-11-25", 1, "ada@example.com")
    days = query.daily_spend(database)
    assert [(day["day"], day["spent"], day["held"]) for day in days] == [
        ("2026-11-23", 6, 0),
        ("2026-11-24", 5660, 77),
        ("2026-11-25", 0, 1),
    ]
    assert tuple(days[0]) == tuple(days[2]) == query.SPEND_COLUMNS
    hers = query.daily_spend(database, caller="ada@example.com")
    assert [(day["spent"], day["held"]) for day in hers] == [(660, 7), (0, 1)]


def test_days_are_chosen_whole(database: Database) -> None:
    midnight = NOON - DAY_SECS / 2
    assert [day["day"] for day in query.daily_spend(database, since=NOON + 1)] == ["2026-11-24"]
    assert [day["day"] for day in query.daily_spend(database, until=midnight)] == ["2026-11-23"]
    assert [day["day"] for day in query.daily_spend(database, until=midnight + 1)] == [
        "2026-11-23",
        "2026-11-24",
    ]
    assert query.daily_spend(database, since=NOON + DAY_SECS) == []


def test_sums_are_exact_beyond_what_a_float_can_count(database: Database) -> None:
    keep(
        database,
        a_turn("c-8", 1, cost=StageCost(2**53, 1, 0)),
        a_turn("c-9", 1, cost=StageCost(2**53, 0, 0)),
    )
    today = query.daily_spend(database, since=NOON)[0]
    assert today["spent"] == 5660 + 2**54 + 1
