"""Each call that is over is reported once, to its caller and to the admins, whatever crashes."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlmodel import select

from accounts.access import OPERATOR
from accounts.mail.digest import LATE_SECS, MOST_LINES, subject, text
from accounts.mail.letter import mailbox
from accounts.mail.mailer import Mailer
from accounts.mail.outbox import Outbox
from accounts.report import page
from accounts.report.reports import (
    DAY_SECS,
    DYING_SECS,
    HOUR_SECS,
    KEEP_SECS,
    MAX_ALERTS,
    SWEEP_BACK_SECS,
    WRITTEN_SECS,
    Reports,
)
from conversation.records import CallerIdentity, CallRecord, TurnRecord
from ledger.erasure import erase_caller
from ledger.store.database import Database
from ledger.store.tables import OutboxMail, SpendHold
from ledger.store.writer import LedgerWriter
from settings import Settings
from tests.accounts.mail.test_outbox import Post, until
from tests.lateness import in_time
from tests.ledger.records import ADA, JOE, a_call, a_call_that_ended, a_turn

ADMIN = "grace@example.com"
NOW = float(round(time.time()))
BEGUN = NOW - 300.0


class Room:
    """The ledger and the reports of one process, as a server has them."""

    def __init__(self, database: Database, folder: Path, **settings: Any) -> None:
        known = {"admins": ADMIN, "public_url": "https://viva.example.com"} | settings
        self.now = NOW
        self.folder = folder
        self.database = database
        self.writer = LedgerWriter(database, spool=folder / "spool")
        self.outbox = Outbox(database, Mailer(Post(), mailbox("v@example.com")), clock=self.clock)
        self.reports = Reports(
            database,
            self.outbox,
            Settings(_env_file=None, **known),  # type: ignore[call-arg]
            sections={"education": "Education"},
            clock=self.clock,
            sweep_secs=0.02,
            settle_secs=0.0,
        )

    def clock(self) -> float:
        return self.now

    def write(self, *records: CallRecord | TurnRecord) -> None:
        for record in records:
            if isinstance(record, TurnRecord):
                self.writer.turn(record)
            elif record.ended_at is None:
                self.writer.begun(record)
            else:
                self.writer.ended(record)

    async def written(self, *records: CallRecord | TurnRecord) -> None:
        self.write(*records)
        await until(lambda: self.writer.waiting == 0)

    @property
    def mails(self) -> list[OutboxMail]:
        with self.database.reading() as session:
            return list(session.exec(select(OutboxMail).order_by(OutboxMail.key)))

    @property
    def recipients(self) -> list[str]:
        return sorted(mail.recipient for mail in self.mails)


@pytest.fixture
async def room(database: Database, tmp_path: Path) -> AsyncIterator[Callable[..., Room]]:
    rooms: list[Room] = []

    def make(**settings: Any) -> Room:
        rooms.append(Room(database, tmp_path, **settings))
        rooms[-1].writer.start()
        return rooms[-1]

    yield make
    for opened in rooms:
        await opened.reports.close()
        await opened.writer.close()


async def test_a_call_that_ends_is_reported_to_its_caller_and_the_admins(
    room: Callable[..., Room],
) -> None:
    here = room()
    here.reports.start()
    ended = a_call_that_ended(at=BEGUN, turns=1)
    here.reports.begun(a_call(at=BEGUN))
    here.reports.turn(a_turn())
    here.write(a_call(at=BEGUN), a_turn(at=BEGUN + 5), ended)
    here.reports.ended(ended)
    await until(lambda: len(here.mails) == 2)
    yours, theirs = here.mails
    assert (yours.key, yours.recipient) == ("report:c-1:ada@example.com", "ada@example.com")
    assert (theirs.key, theirs.recipient) == (f"report:c-1:{ADMIN}", ADMIN)
    assert {mail.call for mail in here.mails} == {"c-1"}
    assert {mail.keep_secs for mail in here.mails} == {KEEP_SECS}
    assert yours.subject == "Your call about Grace Hopper: 1 answer"
    assert theirs.subject == "Call from ada@example.com: 1 answer"
    for mail in here.mails:
        assert "She studied at Yale." in mail.text
        assert "She studied at Yale." in mail.html
        assert "from Education" in mail.text
    assert "https://viva.example.com/calls/c-1" in theirs.text
    assert "Claude: overloaded" in theirs.html
    assert "Claude: overloaded" not in yours.html + yours.text


async def test_a_call_is_reported_when_the_ledger_has_all_of_it(room: Callable[..., Room]) -> None:
    here = room()
    here.reports.start()
    ended = a_call_that_ended(at=NOW - 60, turns=2)
    here.reports.ended(ended)
    await here.written(a_call(at=NOW - 60), a_turn(), ended)
    await asyncio.sleep(0.15)
    assert here.mails == []
    await here.written(a_turn(number=2, question="And when did she retire?"))
    await until(lambda: len(here.mails) == 2)
    assert all("And when did she retire?" in mail.text for mail in here.mails)


async def test_a_call_is_reported_once_by_whoever_finds_it(room: Callable[..., Room]) -> None:
    here, there = room(), room()
    ended = a_call_that_ended(at=BEGUN, turns=1)
    await here.written(a_call(at=BEGUN), a_turn(at=BEGUN), ended)
    assert 1 <= sum(await asyncio.gather(here.reports.sweep(), there.reports.sweep())) <= 2
    here.reports.start()
    here.reports.ended(ended)
    here.reports.ended(ended)
    await here.reports.close()
    assert await there.reports.sweep() == 0
    assert here.recipients == ["ada@example.com", ADMIN]


async def test_an_admin_who_calls_gets_one_report(room: Callable[..., Room]) -> None:
    here = room(admins=f"{ADMIN}, ada@example.com")
    await here.written(a_call(at=BEGUN), a_turn(at=BEGUN), a_call_that_ended(at=BEGUN))
    assert await here.reports.sweep() == 1
    assert here.recipients == ["ada@example.com", ADMIN]
    assert all("/calls/c-1" in mail.text for mail in here.mails)


@pytest.mark.parametrize(
    "caller", [CallerIdentity(key="local"), CallerIdentity(email=OPERATOR, key=OPERATOR)]
)
async def test_a_caller_without_an_address_gets_none(
    room: Callable[..., Room], caller: CallerIdentity
) -> None:
    here = room()
    records = a_call(at=BEGUN, caller=caller), a_call_that_ended(at=BEGUN, caller=caller)
    await here.written(records[0], a_turn(at=BEGUN), records[1])
    await here.reports.sweep()
    assert here.recipients == [ADMIN]


async def test_without_reports_there_are_none(room: Callable[..., Room]) -> None:
    here = room(reports="off")
    here.reports.start()
    ended = a_call_that_ended(at=BEGUN, turns=1)
    await here.written(a_call(at=BEGUN), a_turn(at=BEGUN), ended)
    here.reports.ended(ended)
    await here.reports.close()
    assert here.mails == []


@pytest.mark.parametrize(
    ("why", "errors", "told"),
    [
        ("hangup", (), []),
        ("silence", (), []),
        ("disconnected", (), []),
        ("fault", (), [ADMIN]),
        ("stalled", (), [ADMIN]),
        ("hangup", ("Deepgram cannot be reached",), [ADMIN]),
    ],
)
async def test_of_a_call_in_which_nobody_spoke_admins_hear_what_went_wrong(
    room: Callable[..., Room], why: str, errors: tuple[str, ...], told: list[str]
) -> None:
    here = room()
    greeting = a_turn(number=0, at=BEGUN, errors=errors, failovers=(), question="", answer="")
    await here.written(a_call(at=BEGUN), greeting, a_call_that_ended(at=BEGUN, why=why))
    assert await here.reports.sweep() == bool(told)
    assert await here.reports.sweep() == 0
    assert here.recipients == told


async def test_a_call_whose_server_died_is_reported_when_it_cannot_go_on(
    room: Callable[..., Room],
) -> None:
    here = room(call_secs=120.0)
    await here.written(a_call(at=NOW), a_turn(at=NOW + 20))
    here.now = NOW + 120.0 + DYING_SECS
    assert await here.reports.sweep() == 0
    here.now += 1
    assert await here.reports.sweep() == 1
    assert here.recipients == ["ada@example.com", ADMIN]
    text = " ".join(here.mails[1].text.split())
    assert "at least 20 s. It ended because the server died during the call." in text


async def test_a_call_whose_money_is_still_held_is_not_dead(room: Callable[..., Room]) -> None:
    here = room(call_secs=10.0)
    await here.written(a_call(at=BEGUN), a_turn(at=BEGUN))
    hold = SpendHold(call="c-1", day="2026-11-24", held=1, created_at=BEGUN, expires_at=NOW + 30)
    with here.database.writing() as session:
        session.add(hold)
    assert await here.reports.sweep() == 0
    here.now = NOW + 31
    assert await here.reports.sweep() == 1


async def test_a_start_finds_what_a_crash_left_unreported_but_nothing_old(
    room: Callable[..., Room],
) -> None:
    here = room()
    old = NOW - SWEEP_BACK_SECS - 1
    for id, at in (("c-old", old), ("c-ended", BEGUN), ("c-new", NOW - 61 + WRITTEN_SECS)):
        records = a_call(id, at=at), a_turn(id, at=at), a_call_that_ended(id, at=at)
        await here.written(*records)
    here.reports.start()
    await until(lambda: len(here.mails) == 2)
    await asyncio.sleep(0.1)
    assert {mail.call for mail in here.mails} == {"c-ended"}


async def test_closing_reports_what_has_just_ended(room: Callable[..., Room]) -> None:
    here = room()
    here.reports.start()
    ended = a_call_that_ended(at=NOW - 60, turns=1)
    here.reports.ended(ended)
    await here.written(a_call(at=NOW - 60), a_turn(at=NOW), ended)
    await here.reports.close()
    assert len(here.mails) == 2


@pytest.mark.real_time
async def test_closing_does_not_wait_for_a_ledger_that_never_has_it(
    room: Callable[..., Room],
) -> None:
    here = room()
    here.reports.start()
    here.reports.ended(a_call_that_ended(at=NOW - 60, turns=1))
    begun = time.monotonic()
    await here.reports.close(timeout_secs=0.05)
    with in_time():
        assert time.monotonic() - begun < 2.0
    assert here.mails == []


async def test_a_database_that_fails_delays_a_report(room: Callable[..., Room]) -> None:
    here = room()
    ended = a_call_that_ended(at=BEGUN, turns=1)
    await here.written(a_call(at=BEGUN), a_turn(at=BEGUN), ended)
    refused = 0
    broken = True

    def refuse(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        nonlocal refused
        if broken:
            refused += 1
            raise OperationalError(statement, None, Exception("the disk is full"))

    event.listen(here.database.engine, "before_cursor_execute", refuse)
    here.reports.start()
    here.reports.ended(ended)
    await until(lambda: refused > 2)
    broken = False
    await until(lambda: len(here.mails) == 2)


async def test_a_report_that_cannot_be_made_stops_no_other(
    room: Callable[..., Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(call: Any, *given: Any, **more: Any) -> Any:
        if call.id == "c-bad":
            raise RuntimeError("a bug")
        return page.render_report(call, *given, **more)

    monkeypatch.setattr("accounts.report.reports.render_report", build)
    here = room()
    for id in ("c-bad", "c-good"):
        records = a_call(id, at=BEGUN), a_turn(id, at=BEGUN), a_call_that_ended(id, at=BEGUN)
        await here.written(*records)
    here.reports.start()
    await until(lambda: len(here.mails) == 2)
    assert {mail.call for mail in here.mails} == {"c-good"}


@pytest.mark.parametrize(
    ("settings", "link"),
    [
        ({"public_url": "https://viva.example.com/"}, "https://viva.example.com/calls/c-1"),
        ({"public_url": ""}, "http://127.0.0.1:7860/calls/c-1"),
        ({"public_url": "", "host": "::1"}, "http://[::1]:7860/calls/c-1"),
        ({"public_url": "", "host": "0.0.0.0"}, ""),
        ({"public_url": "", "port": 0}, ""),
    ],
)
async def test_admins_get_a_link_that_can_be_opened(
    room: Callable[..., Room], settings: dict[str, Any], link: str
) -> None:
    here = room(**settings)
    caller = CallerIdentity(key="local")
    ended = a_call_that_ended(at=BEGUN, caller=caller)
    await here.written(a_call(at=BEGUN, caller=caller), a_turn(at=BEGUN), ended)
    await here.reports.sweep()
    (mail,) = here.mails
    assert [word for word in mail.text.split() if "/calls/" in word] == ([link] if link else [])


async def test_reports_go_out_by_the_outbox(room: Callable[..., Room]) -> None:
    here = room()
    await here.written(a_call(at=BEGUN), a_turn(at=BEGUN), a_call_that_ended(at=BEGUN))
    await here.reports.sweep()
    await here.outbox.flush()
    assert all(mail.sent_at and mail.text for mail in here.mails)
    here.now += KEEP_SECS
    await here.outbox.sweep()
    assert all(mail.text == mail.html == "" for mail in here.mails)
    assert ADA.email in here.recipients


# Admins are not mailed for each of many calls.


async def broken(here: Room, count: int, *, begin: int = 0, said: bool = False) -> None:
    """So many calls that went wrong, and are over."""
    records: list[CallRecord | TurnRecord] = []
    for number in range(begin, begin + count):
        id = f"c-{number:03}"
        turn = a_turn(id, number=int(said), at=BEGUN, errors=("Deepgram cannot be reached",))
        ended = a_call_that_ended(id, at=BEGUN, why="fault", turns=1)
        records += [a_call(id, at=BEGUN), turn, ended]
    await here.written(*records)


async def test_of_calls_that_break_one_after_another_admins_get_one_mail_and_a_digest(
    room: Callable[..., Room],
) -> None:
    here, there = room(), room()
    await broken(here, MAX_ALERTS + 3)
    here.write(a_call("c-9", at=BEGUN), a_call_that_ended("c-9", at=BEGUN, why="fault", caller=JOE))
    await here.written(a_turn("c-9", number=0, at=BEGUN, errors=("Deepgram cannot be reached",)))
    await asyncio.gather(here.reports.sweep(), there.reports.sweep())
    assert await here.reports.sweep() == 0
    assert await asyncio.to_thread(here.outbox.waiting) <= 2 * MAX_ALERTS  # no digest yet
    erase_caller(here.database, here.folder, JOE.email)
    here.now = (NOW // HOUR_SECS + 1) * HOUR_SECS + LATE_SECS
    await here.outbox.flush()
    sent = [mail for mail in here.mails if mail.attempts]
    assert {mail.recipient for mail in sent} == {ADMIN}
    (digest,) = [mail for mail in sent if mail.key.startswith("digest:")]
    mailed = {mail.call for mail in sent if mail is not digest}
    told = {line.rpartition("/calls/")[2] for line in digest.text.splitlines() if "/calls/" in line}
    assert MAX_ALERTS <= len(mailed) <= 2 * MAX_ALERTS  # two processes counted at once
    assert sorted([*mailed, *told]) == [f"c-00{number}" for number in range(MAX_ALERTS + 3)]
    assert "0 questions, 2 problems; something went wrong on this side." in digest.text
    assert ADA.email not in digest.text
    here.now = NOW + HOUR_SECS + 1
    await broken(here, 1, begin=10)
    assert await here.reports.sweep() == 1  # an hour later there is a mail again
    assert sum(mail.key == f"alert:c-010:{ADMIN}" and not mail.digest for mail in here.mails) == 1


async def test_a_digest_a_day_is_for_admins_alone_and_not_for_their_own_calls(
    room: Callable[..., Room],
) -> None:
    here = room(admin_reports="daily", admins=f"{ADMIN}, {JOE.email}")
    await broken(here, 2, said=True)
    here.write(a_call("c-9", at=BEGUN, caller=JOE), a_turn("c-9", at=BEGUN))
    await here.written(a_call_that_ended("c-9", at=BEGUN, caller=JOE, turns=1))
    await here.reports.sweep()
    await here.outbox.flush()
    sent = [mail.recipient for mail in here.mails if mail.attempts]
    assert sorted(sent) == [ADA.email, ADA.email, JOE.email]
    here.now = (NOW // DAY_SECS + 1) * DAY_SECS + LATE_SECS
    await here.outbox.flush()
    digests = {mail.recipient: mail for mail in here.mails if mail.key.startswith("digest:")}
    assert digests[ADMIN].subject == "3 calls on Viva"
    assert digests[JOE.email].subject == "2 calls on Viva"
    assert all(mail.sent_at for mail in digests.values())


def test_a_digest_of_a_thousand_calls_is_no_longer_than_one_of_a_hundred() -> None:
    lines = [str(number) for number in range(MOST_LINES)]
    assert text(lines, 1000).splitlines()[-2:] == ["99", "and 900 more"]
    assert subject(1) == "1 call on Viva"
