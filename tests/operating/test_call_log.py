"""The call log as admins and programs get it: pages, filters, totals, and who may not."""

import asyncio
import csv
import io
import math
import threading
import wave
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import Session, delete, select

from conversation.records import CallerIdentity
from ledger.log.entries import list_entries
from ledger.log.filter import DECISIONS, Filter, Position
from ledger.log.totals import Totals, compute_totals
from ledger.store.database import Database
from ledger.store.tables import Call, Turn
from operating.call_log import CSV_COLUMNS, MAX_LIMIT, CallLog
from tests.recording.call import record

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp()
DAY = 86_400.0
ADMIN = CallerIdentity(email="ada@example.com", admin=True, key="ada@example.com")
SOMEBODY = CallerIdentity(email="joe@example.com", key="joe@example.com")
DATA = ("/calls.json", "/calls.csv", "/calls/c-1.json", "/calls/c-1/audio")
PAGES = ("/calls", "/calls/c-1")

Client = TestClient[web.Request, web.Application]


def a_call(id: str, *, at: float = NOON, **more: Any) -> Call:
    """A call of a minute that ended as calls should."""
    day = datetime.fromtimestamp(at, UTC).date().isoformat()
    fields = {"caller": "joe@example.com", "caller_key": "joe@example.com", "why": "hangup"}
    return Call(id=id, day=day, started_at=at, **({"ended_at": at + 60} | fields | more))


def a_turn(call: str, number: int = 1, *, at: float = NOON, **more: Any) -> Turn:
    """A turn that was answered."""
    return Turn(call=call, number=number, at=at, **({"decision": "respond"} | more))


def keep(database: Database, *rows: Call | Turn) -> None:
    with database.writing() as session:
        session.add_all([row for row in rows if isinstance(row, Call)])
        session.flush()
        session.add_all([row for row in rows if isinstance(row, Turn)])


class Door:
    """Whoever makes the requests of a test."""

    caller: CallerIdentity | None = ADMIN

    async def __call__(self, _request: web.Request) -> CallerIdentity | None:
        return self.caller


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    folder = tmp_path / "recordings"
    folder.mkdir()
    return folder


def app_of(database: Database, door: Door, recordings: Path) -> web.Application:
    app = web.Application()
    CallLog(database, caller=door, recordings=recordings, clock=lambda: NOON).setup(app)
    return app


@pytest.fixture
async def client(database: Database, door: Door, recordings: Path) -> AsyncIterator[Client]:
    async with TestClient(TestServer(app_of(database, door, recordings))) as client:
        yield client


async def ids_of(client: Client, query: str = "") -> list[str]:
    response = await client.get(f"/calls.json?{query}")
    found = await response.json()
    assert response.status == 200, found
    return [call["id"] for call in found["calls"]]


async def error_of(response: ClientResponse, status: int) -> str:
    found = await response.json()
    assert response.status == status, found
    assert list(found) == ["error"]
    return str(found["error"])


# Who may see it.


async def test_whoever_is_not_signed_in_is_sent_to_sign_in(client: Client, door: Door) -> None:
    door.caller = None
    for path in PAGES:
        response = await client.get(path, allow_redirects=False)
        assert (response.status, response.headers["Location"]) == (303, "/sign-in")
    for path in DATA:
        assert "not signed in" in await error_of(await client.get(path), 401)


async def test_whoever_is_no_admin_is_told_so_in_words(
    client: Client, door: Door, database: Database, recordings: Path
) -> None:
    keep(database, a_call("c-1", caller="joe@example.com"))
    record(recordings / "c-1.mcap")
    door.caller = SOMEBODY
    for path in PAGES:
        response = await client.get(path)
        assert response.status == 403
        assert "is for admins" in await response.text()
    for path in DATA:
        assert "ADMINS" in await error_of(await client.get(path), 403)


async def test_the_door_is_asked_before_anything_is_looked_at(client: Client, door: Door) -> None:
    door.caller = None
    await error_of(await client.get("/calls.json?since=nonsense"), 401)
    await error_of(await client.get("/calls/UPPER.json"), 401)


async def test_admins_get_the_pages(client: Client, database: Database) -> None:
    keep(database, a_call("c-1"))
    for path in PAGES:
        response = await client.get(path)
        assert (response.status, response.content_type) == (200, "text/html")


# The log.


async def test_the_log_runs_from_the_newest_call_to_the_oldest(
    client: Client, database: Database
) -> None:
    keep(database, a_call("c-2", at=NOON - 10), a_call("c-3"), a_call("c-1", at=NOON - DAY))
    assert await ids_of(client) == ["c-3", "c-2", "c-1"]


async def test_a_call_in_the_log_says_what_was_asked_and_how_it_went(
    client: Client, database: Database
) -> None:
    keep(
        database,
        a_call("c-1", turns=3, stt_cost=1, brain_cost=2, tts_cost=3, cost=6),
        a_turn("c-1", 0, decision=None, stt_cost=1),
        a_turn("c-1", 1, question="Where did she study?", e2e_latency=0.4, interrupted=True),
        a_turn("c-1", 2, question="What did she earn?", decision="escalate", e2e_latency=0.9),
        a_turn("c-1", 3, question="Hm?", e2e_latency=0.5),
    )
    [call] = (await (await client.get("/calls.json")).json())["calls"]
    assert call["question"] == "Where did she study?"
    assert (call["turn"], call["escalations"], call["interruptions"]) == (1, 1, 1)
    assert call["e2e_p50"] == 0.5
    assert set(Call.model_fields) <= set(call)


async def test_with_no_days_given_the_last_thirty_are_shown(
    client: Client, database: Database
) -> None:
    keep(database, a_call("c-in", at=NOON - 29 * DAY), a_call("c-out", at=NOON - 30 * DAY))
    found = await (await client.get("/calls.json")).json()
    assert [call["id"] for call in found["calls"]] == ["c-in"]
    assert found["filter"] == {
        "since": "2026-10-26",
        "until": "2026-11-24",
        "caller": "",
        "decision": "",
        "why": "",
        "q": "",
    }
    assert await ids_of(client, "until=2026-10-25") == ["c-out"]
    assert await ids_of(client, "since=2026-10-25&until=2026-10-25") == ["c-out"]


async def test_every_filter_leaves_out_the_others(client: Client, database: Database) -> None:
    keep(
        database,
        a_call("c-ada", caller="ada@example.com", why="cap"),
        a_call("c-nobody", caller="", caller_key="192.0.2.7", ended_at=None, why=""),
        a_call("c-joe"),
        a_turn("c-ada", 1, question="What did she earn?", decision="escalate"),
        a_turn("c-ada", 2, question="Where did she study?", answer="At Yale, in 1934."),
        a_turn("c-joe", 1, question="What is the year?", answer="It was 1934."),
        a_turn("c-nobody", 1, question="Er", decision=None),
    )
    assert await ids_of(client, "caller=ADA@") == ["c-ada"]
    assert await ids_of(client, "caller=192.0.2") == ["c-nobody"]
    assert await ids_of(client, "why=cap") == ["c-ada"]
    assert await ids_of(client, "why=open") == ["c-nobody"]
    assert await ids_of(client, "decision=escalate") == ["c-ada"]
    assert await ids_of(client, "decision=respond") == ["c-joe", "c-ada"]
    assert await ids_of(client, "decision=none") == ["c-nobody"]
    assert await ids_of(client, "q=YALE") == ["c-ada"]
    assert await ids_of(client, "q=1934") == ["c-joe", "c-ada"]
    assert await ids_of(client, "q=1934+study") == ["c-ada"], "both words, in either order"
    assert await ids_of(client, "q=earn+study") == [], "in one turn"
    assert await ids_of(client, "q=c-joe") == ["c-joe"], "a call's id"
    assert await ids_of(client, "q=1934&caller=joe&why=hangup&decision=respond") == ["c-joe"]
    assert await ids_of(client, "why=&caller=&q=+") == ["c-nobody", "c-joe", "c-ada"]


async def test_what_was_looked_for_is_what_the_log_shows_of_a_call(
    client: Client, database: Database
) -> None:
    keep(
        database,
        a_call("c-1"),
        a_turn("c-1", 1, question="Where did she study?", answer="At Yale."),
        a_turn("c-1", 2, question="And before?", answer="At Vassar College."),
    )
    [call] = (await (await client.get("/calls.json?q=vassar")).json())["calls"]
    assert (call["turn"], call["question"]) == (2, "And before?")


async def test_a_search_takes_words_as_they_are(client: Client, database: Database) -> None:
    keep(
        database,
        a_call("c-1"),
        a_call("c-2"),
        a_turn("c-1", question="Was 100% of it hers? It's a_b."),
        a_turn("c-2", question="Did Øystein Ore examine her École work, 1000 pages?"),
    )
    assert await ids_of(client, "q=100%25") == ["c-1"]
    assert await ids_of(client, "q=a_b") == ["c-1"]
    assert await ids_of(client, "q=it's") == ["c-1"]
    assert await ids_of(client, "q=øystein") == ["c-2"]
    assert await ids_of(client, "q=école") == ["c-2"]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        (
            "since=yesterday",
            "since is 'yesterday'; allowed: a UTC day such as 2026-11-24, from 1970 on.",
        ),
        ("until=20261124", "until is '20261124'; allowed: a UTC day"),
        ("since=1926-01-01", "since is '1926-01-01'"),
        ("since=2026-11-02&until=2026-11-01", "since is 2026-11-02, later than until, 2026-11-01"),
        ("since=2020-01-01&until=2026-11-01", "spans 2497 days; at most 366"),
        ("decision=maybe", "decision is 'maybe'; allowed: respond, escalate, none."),
        ("why=bored", "why is 'bored'; allowed: hangup, "),
        ("limit=0", "limit is '0'; allowed: a whole number from 1 to 200."),
        ("limit=201", "limit is '201'"),
        ("limit=٣", "limit is '٣'"),
        ("before=c-1", "before is 'c-1'; allowed: the `next` of a page."),
        ("before=nan_c-1", "before is 'nan_c-1'"),
        ("q=" + "x" * 201, "q has 201 characters; at most 200 are allowed."),
        ("q=" + "x+" * 11, "q has 11 words; at most 10 are allowed."),
        ("caller=%00", r"caller is '\x00'"),
        ("sinse=2026-11-01", "'sinse' is not a field; allowed: since, until, "),
        ("q=a&q=b", "q is given 2 times; allowed: once."),
    ],
)
async def test_what_cannot_be_asked_is_named_with_what_can(
    client: Client, query: str, told: str
) -> None:
    assert told in await error_of(await client.get(f"/calls.json?{query}"), 400)


async def test_pages_of_the_log_follow_one_another(client: Client, database: Database) -> None:
    keep(database, *(a_call(f"c-{n}", at=NOON + n // 2) for n in range(7)))
    found: list[str] = []
    query = "limit=3"
    for pages in range(1, 4):
        page = await (await client.get(f"/calls.json?{query}")).json()
        found += [call["id"] for call in page["calls"]]
        assert ("totals" in page) is (pages == 1), "they are told once"
        query = f"limit=3&before={page['next']}"
    assert page["next"] is None
    assert found == [f"c-{n}" for n in range(6, -1, -1)]


async def test_totals_say_what_the_calls_shown_come_to(client: Client, database: Database) -> None:
    keep(
        database,
        a_call("c-1", at=NOON - DAY, turns=1, brain_cost=5, cost=5),
        a_call("c-2", turns=2, stt_cost=1, tts_cost=10, cost=11),
        a_call("c-3", ended_at=None, caller="ada@example.com"),
        a_turn("c-1", e2e_latency=0.5, decision="escalate"),
        a_turn("c-2", 1, e2e_latency=0.25, interrupted=True),
        a_turn("c-2", 2, e2e_latency=2.0),
    )
    found = (await (await client.get("/calls.json")).json())["totals"]
    days = found.pop("days")
    assert found == {
        "calls": 3,
        "turns": 3,
        "minutes": 2.0,
        "stt_cost": 1,
        "brain_cost": 5,
        "tts_cost": 10,
        "cost": 16,
        "escalations": 1,
        "interruptions": 1,
        "e2e_p50": 0.5,
        "e2e_p95": 2.0,
    }
    assert [(day["day"], day["calls"], day["e2e_p50"]) for day in days] == [
        ("2026-11-23", 1, 0.5),
        ("2026-11-24", 2, 0.25),
    ]
    found = (await (await client.get("/calls.json?caller=ada")).json())["totals"]
    assert (found["calls"], found["cost"], found["e2e_p50"]) == (1, 0, None)


# The same, for whatever calls there may be.

moments = st.one_of(
    st.sampled_from([NOON, NOON + 0.1, NOON - DAY]),
    st.floats(NOON - 3 * DAY, NOON, allow_nan=False),
)
latencies = st.one_of(st.none(), st.sampled_from([0.3, 0.5]), st.floats(0, 12))


@st.composite
def ledgers(draw: st.DrawFn) -> list[Call | Turn]:
    """A few calls with their turns, some of them at the same moment."""
    rows: list[Call | Turn] = []
    for n in range(draw(st.integers(0, 12))):
        at = draw(moments)
        call = a_call(f"c-{n}", at=at, ended_at=draw(st.sampled_from([None, at, at + 90])))
        for number in range(1, draw(st.integers(0, 4)) + 1):
            stt, brain, tts = draw(st.tuples(*[st.integers(0, 10**12)] * 3))
            rows.append(
                a_turn(
                    call.id,
                    number,
                    decision=draw(st.sampled_from([None, "respond", "escalate"])),
                    interrupted=draw(st.booleans()),
                    e2e_latency=draw(latencies),
                )
            )
            call.turns += 1
            call.stt_cost, call.brain_cost, call.tts_cost = stt, brain, tts
            call.cost = stt + brain + tts
        rows.append(call)
    return rows


whatever = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
EVERYTHING = Filter(since="2026-11-20", until="2026-11-24")


@contextmanager
def holding(database: Database, rows: list[Call | Turn]) -> Iterator[Session]:
    """A database that holds these rows and nothing else."""
    with database.writing() as session:
        session.exec(delete(Turn))
        session.exec(delete(Call))
    keep(database, *rows)
    with database.reading() as session:
        yield session


@whatever
@given(rows=ledgers(), limit=st.integers(1, 5), decision=st.sampled_from(["", *DECISIONS]))
def test_pages_joined_are_the_whole(
    database: Database, rows: list[Call | Turn], limit: int, decision: str
) -> None:
    chosen = Filter(since=EVERYTHING.since, until=EVERYTHING.until, decision=decision)
    with holding(database, rows) as session:
        whole = list_entries(session, chosen, limit=100)
        assert whole.next is None
        joined = []
        before: Position | None = None
        while True:
            page = list_entries(session, chosen, limit=limit, before=before)
            joined += page.calls
            if page.next is None:
                break
            assert len(page.calls) == limit
            before = Position.parse(str(page.next))
            assert before == page.next
    assert joined == whole.calls
    order = [(call["started_at"], call["id"]) for call in joined]
    assert order == sorted(order, reverse=True)


@whatever
@given(rows=ledgers())
def test_totals_are_the_sums_of_the_rows(database: Database, rows: list[Call | Turn]) -> None:
    with holding(database, rows) as session:
        whole, days = compute_totals(session, EVERYTHING)
        calls = {call["id"]: call for call in list_entries(session, EVERYTHING, limit=100).calls}
        turns = [turn for turn in session.exec(select(Turn)) if turn.call in calls]
    assert whole == counted(list(calls.values()), turns)
    assert list(days) == sorted({call["day"] for call in calls.values()})
    for day, found in days.items():
        of_day = [call for call in calls.values() if call["day"] == day]
        assert found == counted(of_day, [t for t in turns if calls[t.call]["day"] == day])


def counted(calls: list[dict[str, Any]], turns: list[Turn]) -> Totals:
    """The totals, by the book."""
    measured = sorted(turn.e2e_latency for turn in turns if turn.e2e_latency is not None)

    def nearest(share: float) -> float | None:
        return measured[math.ceil(share * len(measured)) - 1] if measured else None

    ended = [call for call in calls if call["ended_at"] is not None]
    seconds = sum(call["ended_at"] - call["started_at"] for call in ended)
    return Totals(
        calls=len(calls),
        turns=len(turns),
        minutes=pytest.approx(seconds / 60),  # type: ignore[arg-type]  # it compares as one
        stt_cost=sum(call["stt_cost"] for call in calls),
        brain_cost=sum(call["brain_cost"] for call in calls),
        tts_cost=sum(call["tts_cost"] for call in calls),
        cost=sum(call["cost"] for call in calls),
        escalations=sum(turn.decision == "escalate" for turn in turns),
        interruptions=sum(turn.interrupted for turn in turns),
        e2e_p50=nearest(0.5),
        e2e_p95=nearest(0.95),
    )


# One call.


async def test_a_call_is_told_with_every_field_of_its_turns(
    client: Client, database: Database
) -> None:
    failover = {"stage": "stt", "failed": "deepgram", "vendor": "whisper"}
    turn = a_turn(
        "c-1",
        2,
        question="When did she retire?",
        answer="In 1986.",
        heard_text="In",
        interrupted=True,
        sections=["navy"],
        lines=[53],
        checks=[{"name": "support", "passed": True, "detail": ""}],
        failovers=[failover],
        errors=["deepgram: closed"],
    )
    keep(database, a_call("c-1", document="Grace Hopper"), turn, a_turn("c-1", 1))
    found = await (await client.get("/calls/c-1.json")).json()
    assert found["call"]["document"] == "Grace Hopper"
    assert set(found["call"]) == set(Call.model_fields)
    assert [turn["number"] for turn in found["turns"]] == [1, 2]
    assert set(found["turns"][1]) == set(Turn.model_fields)
    assert found["turns"][1]["failovers"] == [failover]
    assert found["turns"][1]["checks"][0]["name"] == "support"
    assert found["recording"] is False


async def test_a_call_that_is_not_there_is_not_found(client: Client) -> None:
    told = await error_of(await client.get("/calls/c-none.json"), 404)
    assert told == "There is no call c-none; it may have been erased."
    assert (await client.get("/calls/c-none")).status == 404


@pytest.mark.parametrize("id", ["C-1", "..%2Fviva", "c_1", "x" * 33, "-", "%00"])
async def test_what_is_no_id_is_refused(client: Client, id: str) -> None:
    for path in (f"/calls/{id}.json", f"/calls/{id}/audio"):
        assert "up to 32 lower-case letters" in await error_of(await client.get(path), 400)
    assert (await client.get(f"/calls/{id}")).status == 404


async def test_a_recording_can_be_played_from_any_place(
    client: Client, database: Database, recordings: Path
) -> None:
    keep(database, a_call("c-1"))
    record(recordings / "c-1.mcap")
    assert (await (await client.get("/calls/c-1.json")).json())["recording"] is True
    response = await client.get("/calls/c-1/audio")
    assert (response.status, response.content_type) == (200, "audio/wav")
    assert response.headers["Accept-Ranges"] == "bytes"
    whole = await response.read()
    with wave.open(io.BytesIO(whole)) as file:
        assert (file.getnchannels(), file.getframerate()) == (2, 24_000)
        both = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    assert len(both) == pytest.approx(3.0 * 24_000, abs=2_400)
    assert both[12_000:48_000, 0].all(), "the caller, who never stops, is on the left"
    assert not both[:24_000, 1].any(), "the agent answers on the right, after a second"
    assert both[25_000:, 1].any()
    part = await client.get("/calls/c-1/audio", headers={"Range": "bytes=100-199"})
    assert (part.status, await part.read()) == (206, whole[100:200])
    assert part.headers["Content-Range"] == f"bytes 100-199/{len(whole)}"
    beyond = await client.get("/calls/c-1/audio", headers={"Range": "bytes=99999999-"})
    assert beyond.status == 416


async def test_a_recording_that_is_damaged_is_told_of(
    client: Client, database: Database, recordings: Path
) -> None:
    keep(database, a_call("c-1"))
    (recordings / "c-1.mcap").write_bytes(b"no recording")
    told = await error_of(await client.get("/calls/c-1/audio"), 500)
    assert told == "The recording of call c-1 cannot be played."


async def test_a_call_without_a_recording_says_so(client: Client, database: Database) -> None:
    keep(database, a_call("c-1"))
    told = await error_of(await client.get("/calls/c-1/audio"), 404)
    assert told == "There is no recording of call c-1."


# As a table.


async def test_the_table_has_every_call_of_the_filter(client: Client, database: Database) -> None:
    count = MAX_LIMIT * 2 + 1
    keep(database, *(a_call(f"c-{n:04}", at=NOON - n, cost=n) for n in range(count)))
    keep(database, a_call("c-other", why="cap"), a_turn("c-0000", decision="escalate"))
    response = await client.get("/calls.csv?why=hangup")
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert 'filename="calls-2026-10-26-2026-11-24.csv"' in response.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(await response.text(), newline="")))
    assert tuple(rows[0]) == CSV_COLUMNS
    assert [row["id"] for row in rows] == [f"c-{n:04}" for n in range(count)]
    assert [int(row["cost"]) for row in rows] == list(range(count))
    assert rows[0]["started_at"] == "2026-11-24T12:00:00.000+00:00"
    assert rows[0]["escalations"] == "1"


async def test_no_cell_of_the_table_is_a_formula(client: Client, database: Database) -> None:
    keep(database, a_call("c-1", caller='=HYPERLINK("evil")@example.com'))
    [row] = csv.DictReader(io.StringIO(await (await client.get("/calls.csv")).text()))
    assert row["caller"] == '\'=HYPERLINK("evil")@example.com'


async def test_the_table_is_filtered_as_the_log_is(client: Client) -> None:
    told = await error_of(await client.get("/calls.csv?limit=3"), 400)
    assert told == "'limit' is not a field; allowed: since, until, caller, decision, why, q."
    assert "why is 'x'" in await error_of(await client.get("/calls.csv?why=x"), 400)


# Trouble.


async def test_a_broken_ledger_is_told_of_without_its_particulars(
    client: Client, database: Database
) -> None:
    keep(database, a_call("c-1"))
    with database.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE turn")
    told = await error_of(await client.get("/calls.json"), 503)
    assert told.startswith("The ledger is temporarily unavailable")
    assert "turn" not in told
    assert (await client.get("/calls/c-1")).status == 503


class StuckDatabase:
    """A database that answers nobody until it is let go."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.go = threading.Event()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        assert self.go.wait(10)
        with self._database.reading() as session:
            yield session


async def test_a_slow_ledger_holds_nobody_else_up(
    database: Database, door: Door, recordings: Path
) -> None:
    stuck = StuckDatabase(database)
    app = app_of(stuck, door, recordings)  # type: ignore[arg-type]
    async with TestClient(TestServer(app)) as client:
        waits = [asyncio.ensure_future(client.get("/calls.json")) for _ in range(4)]
        assert (await client.get("/calls")).status == 200
        assert not any(wait.done() for wait in waits)
        stuck.go.set()
        assert [(await wait).status for wait in waits] == [200] * 4
