"""An address left for an answer, and what a caller thought of one: kept, told, and forgotten."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from sqlmodel import select

from accounts.feedback import Feedback
from accounts.mail.outbox import Outbox
from accounts.report.reports import Reports
from conversation.records import CallerIdentity
from ledger.erasure import erase_caller
from ledger.log import query
from ledger.retention import Retention
from ledger.store.database import Database
from ledger.store.entry import Entry
from ledger.store.posting import write_entries
from ledger.store.tables import OutboxMail
from settings import Settings
from tests.ledger.records import ADA, NOON, a_call, a_call_that_ended, a_turn

GUEST = CallerIdentity(key="203.0.113.7")
Client = TestClient[web.Request, web.Application]
ADDRESS = {"address": " Jo@Example.COM "}


@pytest.fixture
def removed() -> list[str]:
    """The calls whose address was taken back."""
    return []


@pytest.fixture
async def client(database: Database, tmp_path: Path, removed: list[str]) -> AsyncIterator[Client]:
    """A guest's browser, of a server whose reports go to an admin."""
    settings = Settings(_env_file=None, data_dir=tmp_path, admins="root@example.com")  # type: ignore[call-arg]
    reports = Reports(database, Outbox(database, None), settings)  # type: ignore[arg-type]
    app = web.Application()

    async def caller(request: web.Request) -> CallerIdentity | None:
        return GUEST if request.headers.get("X-Who") != "nobody" else None

    Feedback(
        database,
        settings,
        caller=caller,
        address_left=reports.address_left,
        address_removed=removed.append,
    ).setup(app)
    async with TestClient(TestServer(app)) as browser:
        browser.session.headers["Origin"] = str(browser.make_url("/")).rstrip("/")
        yield browser


def keep(database: Database, *records: Any) -> None:
    """Write records of calls, as a call does."""
    entries = [
        Entry.of_turn(record) if hasattr(record, "number") else Entry.of_call(record)
        for record in records
    ]
    write_entries(database, entries)


def mails(database: Database) -> list[str]:
    with database.reading() as session:
        return [mail.text for mail in session.exec(select(OutboxMail))]


async def test_an_address_left_after_a_call_reaches_the_admins(
    client: Client, database: Database, tmp_path: Path, removed: list[str]
) -> None:
    keep(database, a_call("c-1", caller=GUEST))
    assert (await client.put("/calls/c-1/address", json=ADDRESS)).status == 204
    assert mails(database) == [], "the report at its end will have it"
    left = a_turn("c-1", decision="escalate", reason="unsupported")
    keep(database, left, a_call_that_ended("c-1", caller=GUEST))
    (call,) = query.list_calls(database)
    assert call["reply_to"] == "jo@example.com", "the call's own records leave it as it is"
    for number in range(5):
        address = {"address": f"jo{number % 3}@example.com"}
        assert (await client.put("/calls/c-1/address", json=address)).status == 204
    told = mails(database)
    assert len(told) == 3, "each address is told once"
    assert "The caller left the address jo2@example.com to be answered there." in told[-1]
    assert removed == []
    assert (await client.delete("/calls/c-1/address")).status == 204
    assert removed == ["c-1"], "the voice of the call promises no more"
    assert query.list_calls(database)[0]["reply_to"] is None
    await client.put("/calls/c-1/address", json=ADDRESS)
    erased = erase_caller(database, tmp_path, "JO@example.com")
    assert (erased.calls, erased.turns, erased.mails) == (1, 1, 4)
    assert query.list_calls(database) == []


async def test_whether_an_answer_was_right_outlasts_the_turns_records(
    client: Client, database: Database
) -> None:
    turn = a_turn("c-1")
    keep(database, a_call("c-1", caller=GUEST), turn)
    for right in (True, False, None, False):
        answer = await client.put("/calls/c-1/turns/1/right", json={"right": right})
        assert (answer.status, query.list_turns(database)[0]["was_right"]) == (204, right)
    keep(database, turn)
    assert query.list_turns(database)[0]["was_right"] is False


async def test_an_address_is_forgotten_with_what_was_said(
    client: Client, database: Database, tmp_path: Path
) -> None:
    keep(database, a_call("c-1", caller=GUEST))
    await client.put("/calls/c-1/address", json=ADDRESS)
    kept = Settings(_env_file=None, data_dir=tmp_path, transcript_days=7)  # type: ignore[call-arg]
    for days, left in ((6.9, "jo@example.com"), (7.1, None)):
        Retention(database, kept, clock=lambda days=days: NOON + days * 86_400).sweep()  # type: ignore[misc]
        assert query.list_calls(database)[0]["reply_to"] == left


async def test_nobody_speaks_for_another(client: Client, database: Database) -> None:
    keep(database, a_call("c-1", caller=ADA), a_turn("c-1"), a_call("c-2", caller=GUEST))
    own, right = "/calls/c-2/address", {"right": True}
    refusals: list[tuple[str, Any, dict[str, str], int, str]] = [
        ("/calls/c-1/address", ADDRESS, {}, 404, "no call c-1"),
        ("/calls/c-1/turns/1/right", right, {}, 404, "no turn 1"),
        ("/calls/c-2/turns/1/right", right, {}, 404, "no turn 1"),
        ("/calls/c-2/turns/²/right", right, {}, 404, "no turn"),
        ("/calls/c-2/turns/1/right", {"right": "yes"}, {}, 400, "true, false or null"),
        ("/calls/C 2/address", ADDRESS, {}, 404, "call id"),
        (own, ADDRESS, {"X-Who": "nobody"}, 401, "not signed in"),
        (own, ADDRESS, {"Origin": "https://evil.example"}, 403, "own page"),
        (own, {"address": "jo@example.com, x@y.z"}, {}, 400, "name@example.com"),
        (own, {"address": 7}, {}, 400, "name@example.com"),
        (own, {"address": "jo@gmail"}, {}, 400, "name@example.com"),
        (own, ["jo@example.com"], {}, 400, "object"),
    ]
    for path, body, more, status, text in refusals:
        answer = await client.put(path, json=body, headers=more)
        assert (answer.status, text in (await answer.json())["error"]) == (status, True), path
    for data, kind, status in ((b"{", "application/json", 400), (b"a=b", "text/plain", 415)):
        answer = await client.put(own, data=data, headers={"Content-Type": kind})
        assert answer.status == status
    assert [call["reply_to"] for call in query.list_calls(database)] == [None, None]
