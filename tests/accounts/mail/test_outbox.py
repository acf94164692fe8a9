"""A letter in the outbox is sent once, whatever fails, crashes or runs beside it."""

import asyncio
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlmodel import select

from accounts.mail.letter import Letter, MailError, mailbox
from accounts.mail.mailer import Mailer
from accounts.mail.outbox import Outbox
from accounts.mail.queue import (
    CLAIM_SECS,
    FIRST_RETRY_SECS,
    MAX_ATTEMPTS,
    MAX_RETRY_SECS,
    RECORD_SECS,
)
from accounts.mail.resend import Resend
from accounts.mail.smtp import Smtp
from ledger.store.database import Database
from ledger.store.tables import OutboxMail
from simulators import resend
from simulators.resend import ResendSimulator
from simulators.smtp import Fault, MailServer
from tests.databases import preferably

SENDER = mailbox("Viva <viva@example.com>")
LINK = ("sign-in:7", "grace@example.com", "Sign in", "https://viva.example.com/link#secret")
DAY = 86400.0
PATIENCE_SECS = 60.0


class Clock:
    """Unix seconds from now on, that pass when they are told to."""

    def __init__(self) -> None:
        self.now = float(round(time.time()))

    def __call__(self) -> float:
        return self.now


class Post:
    """A carrier that keeps what it takes, and fails as it is told to."""

    where = "the post"

    def __init__(self, *troubles: Exception | None) -> None:
        self.taken: list[Letter] = []
        self.troubles = list(troubles)
        self.held = asyncio.Event()
        self.held.set()

    async def deliver(self, letter: Letter, sender: object) -> None:
        await self.held.wait()
        trouble = self.troubles.pop(0) if self.troubles else None
        if trouble is not None:
            raise trouble
        self.taken.append(letter)

    async def verify(self) -> None: ...

    async def close(self) -> None: ...


@pytest.fixture
def clock() -> Clock:
    return Clock()


def outbox_of(
    database: Database,
    post: Post,
    clock: Callable[[], float],
    *,
    jitter: float = 0.0,
    max_attempts: int = MAX_ATTEMPTS,
) -> Outbox:
    mail = Mailer(post, SENDER)
    return Outbox(database, mail, clock=clock, jitter=lambda: jitter, max_attempts=max_attempts)


def rows(database: Database) -> list[OutboxMail]:
    with database.reading() as session:
        return list(session.exec(select(OutboxMail).order_by(OutboxMail.key)))


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECS):
        while not true():
            await asyncio.sleep(0.01)


# One process.


async def test_a_letter_is_sent_once_however_often_it_is_put(
    database: Database, clock: Clock
) -> None:
    post = Post()
    outbox = outbox_of(database, post, clock)
    assert await outbox.enqueue("k", "grace@example.com", "Hello", "text", "<p>html")
    assert not await outbox.enqueue("k", "other@example.com", "Else", "else")
    await outbox.flush()
    assert not await outbox.enqueue("k", "grace@example.com", "Hello", "text", "<p>html")
    await outbox.flush()
    assert post.taken == [Letter("k", "grace@example.com", "Hello", "text", "<p>html", clock.now)]
    (row,) = rows(database)
    assert (row.sent_at, row.failed_at, row.attempts, row.error) == (clock.now, None, 1, "")


async def test_letters_are_sent_as_soon_as_they_are_put(database: Database) -> None:
    post = Post()
    outbox = Outbox(database, Mailer(post, SENDER))
    outbox.start()
    for number in range(20):
        await outbox.enqueue(f"k:{number}", "grace@example.com", "Hello", "text")
    await until(lambda: len(post.taken) == 20)
    await outbox.close()
    assert {letter.key for letter in post.taken} == {f"k:{number}" for number in range(20)}
    assert all(row.sent_at for row in rows(database))


async def test_letters_put_together_are_put_all_or_none(database: Database, clock: Clock) -> None:
    outbox = outbox_of(database, Post(), clock)
    good = Letter("k:1", "grace@example.com", "s", "t")
    with pytest.raises(ValueError, match="'nobody' is not an address"):
        await outbox.enqueue_all([good, Letter("k:2", "nobody", "s", "t")], call="c-1")
    assert rows(database) == []
    assert (
        await outbox.enqueue_all([good, Letter("k:2", "a@example.com", "s", "t")], call="c-1") == 2
    )
    assert [row.call for row in rows(database)] == ["c-1", "c-1"]


async def test_what_no_database_can_store_is_left_out(database: Database, clock: Clock) -> None:
    post = Post()
    outbox = outbox_of(database, post, clock)
    await outbox.enqueue("k", "grace@example.com", "a\x00\ud800b", "c\x00\ud800d")
    await outbox.flush()
    assert (post.taken[0].subject, post.taken[0].text) == ("a b", "c?d")


async def test_a_letter_comes_back_after_twice_as_long_each_time(
    database: Database, clock: Clock
) -> None:
    post = Post(*[MailError("down")] * 3)
    outbox = outbox_of(database, post, clock)
    await outbox.enqueue("k", "grace@example.com", "s", "t")
    begun = clock.now
    waits = []
    while not post.taken:
        await outbox.flush()
        (row,) = rows(database)
        if row.sent_at is None:
            assert row.error == "down"
            waits.append(row.next_attempt_at - clock.now)
            clock.now = row.next_attempt_at - 0.5
            await outbox.flush()
            assert rows(database)[0].attempts == row.attempts
            clock.now = row.next_attempt_at
    assert waits == [FIRST_RETRY_SECS, 2 * FIRST_RETRY_SECS, 4 * FIRST_RETRY_SECS]
    assert post.taken[0].at == begun
    assert rows(database)[0].error == ""


async def test_letters_that_failed_together_do_not_come_back_together(
    database: Database, clock: Clock
) -> None:
    outbox = outbox_of(database, Post(MailError("down")), clock, jitter=0.5)
    await outbox.enqueue("k", "grace@example.com", "s", "t")
    await outbox.flush()
    assert rows(database)[0].next_attempt_at == clock.now + 0.75 * FIRST_RETRY_SECS


async def test_a_carrier_that_asks_for_time_gets_it(database: Database, clock: Clock) -> None:
    troubles = [MailError("slow down", retry_after_secs=secs) for secs in (77.0, 1.0, 1e9)]
    outbox = outbox_of(database, Post(*troubles), clock)
    await outbox.enqueue("k", "grace@example.com", "s", "t")
    for wait in (77.0, 2 * FIRST_RETRY_SECS, MAX_RETRY_SECS):
        await outbox.flush()
        (row,) = rows(database)
        assert row.next_attempt_at - clock.now == wait
        clock.now = row.next_attempt_at


async def test_a_letter_that_never_goes_is_kept_with_its_error(
    database: Database, clock: Clock
) -> None:
    post = Post(*[MailError("still down")] * 99)
    outbox = outbox_of(database, post, clock, jitter=1.0)
    await outbox.enqueue("k", "grace@example.com", "s", "the text", keep_secs=DAY)
    begun = clock.now
    while (row := rows(database)[0]).failed_at is None:
        clock.now = max(clock.now, row.next_attempt_at)
        await outbox.flush()
    assert (row.attempts, row.error, row.text) == (MAX_ATTEMPTS, "still down", "the text")
    assert 8 * 3600 < clock.now - begun < 24 * 3600
    clock.now += DAY
    await outbox.flush()
    assert len(post.troubles) == 99 - MAX_ATTEMPTS


async def test_a_letter_that_can_never_go_is_tried_once(database: Database, clock: Clock) -> None:
    post = Post(MailError("no such user", permanent=True))
    outbox = outbox_of(database, post, clock)
    await outbox.enqueue(*LINK)
    await outbox.flush()
    (row,) = rows(database)
    assert (row.attempts, row.error, row.failed_at) == (1, "no such user", clock.now)
    assert row.text == ""


async def test_a_carrier_that_breaks_is_tried_again(database: Database, clock: Clock) -> None:
    post = Post(RuntimeError("a bug"))
    outbox = outbox_of(database, post, clock)
    await outbox.enqueue("k", "grace@example.com", "s", "t")
    await outbox.flush()
    assert rows(database)[0].error == "RuntimeError: a bug"
    clock.now += FIRST_RETRY_SECS
    await outbox.flush()
    assert len(post.taken) == 1


async def test_a_link_is_not_sent_when_it_has_expired(database: Database, clock: Clock) -> None:
    post = Post(MailError("down"))
    outbox = outbox_of(database, post, clock)
    await outbox.enqueue(*LINK, lasts_secs=900.0)
    await outbox.flush()
    clock.now += 900.0
    await outbox.flush()
    (row,) = rows(database)
    assert post.taken == []
    assert (row.failed_at, row.error, row.text) == (clock.now, "down", "")


async def test_a_sent_link_is_emptied_at_once_and_a_report_after_its_time(
    database: Database, clock: Clock
) -> None:
    outbox = outbox_of(database, Post(), clock)
    await outbox.enqueue(*LINK)
    await outbox.enqueue("report:1", "grace@example.com", "s", "t", "<p>h", keep_secs=7 * DAY)
    await outbox.enqueue("waiting", "grace@example.com", "s", "t")
    with database.writing() as session:
        session.get_one(OutboxMail, "waiting").next_attempt_at = clock.now + 999 * DAY
    await outbox.flush()
    kept = {row.key: row.text + row.html for row in rows(database)}
    assert kept == {"report:1": "t<p>h", LINK[0]: "", "waiting": "t"}
    clock.now += 7 * DAY - 1
    await outbox.sweep()
    assert rows(database)[0].text == "t"
    clock.now += 1
    await outbox.sweep()
    kept = {row.key: row.text + row.html for row in rows(database)}
    assert kept == {"report:1": "", LINK[0]: "", "waiting": "t"}
    clock.now += RECORD_SECS
    await outbox.sweep()
    assert [row.key for row in rows(database)] == ["waiting"]


async def test_one_slow_letter_does_not_hold_up_the_others(
    database: Database, clock: Clock
) -> None:
    class SlowFor(Post):
        async def deliver(self, letter: Letter, sender: object) -> None:
            if letter.key == "slow":
                await self.held.wait()
            await Post().deliver(letter, sender)
            self.taken.append(letter)

    post = SlowFor()
    post.held.clear()
    outbox = outbox_of(database, post, clock)
    outbox.start()
    await outbox.enqueue("slow", "grace@example.com", "s", "t")
    for number in range(10):
        await outbox.enqueue(f"k:{number}", "grace@example.com", "s", "t")
    await until(lambda: len(post.taken) == 10)
    post.held.set()
    await until(lambda: len(post.taken) == 11)
    await outbox.close()


async def test_closing_sends_what_is_due_and_leaves_the_rest_in_time(
    database: Database, clock: Clock
) -> None:
    post = Post()
    outbox = outbox_of(database, post, clock)
    await outbox.enqueue("due", "grace@example.com", "s", "t")
    await outbox.close()
    assert [letter.key for letter in post.taken] == ["due"]

    post.held.clear()
    outbox = outbox_of(database, post, clock)
    outbox.start()
    await outbox.enqueue("late", "grace@example.com", "s", "t")
    await until(lambda: rows(database)[1].attempts == 1)
    await outbox.close(timeout_secs=0.05)
    post.held.set()
    assert rows(database)[1].sent_at is None
    clock.now += CLAIM_SECS
    await outbox_of(database, post, clock).flush()
    assert [letter.key for letter in post.taken] == ["due", "late"]


async def test_a_database_that_fails_delays_letters_and_sends_none_twice(
    database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("accounts.mail.outbox.MARK_RETRY_SECS", 0.01)
    broken = asyncio.Event()
    refused = 0

    def refuse(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        nonlocal refused
        if broken.is_set() and statement.startswith("UPDATE"):
            refused += 1
            raise OperationalError(statement, None, Exception("the disk is full"))

    class BreaksIt(Post):
        async def deliver(self, letter: Letter, sender: object) -> None:
            await super().deliver(letter, sender)
            broken.set()

    post = BreaksIt()
    outbox = outbox_of(database, post, clock)
    event.listen(database.engine, "before_cursor_execute", refuse)
    outbox.start()
    await outbox.enqueue("k", "grace@example.com", "s", "t")
    await until(lambda: refused > 3)
    broken.clear()
    await until(lambda: rows(database)[0].sent_at is not None)
    await outbox.close()
    assert len(post.taken) == 1


# Several processes, and crashes.


@asynccontextmanager
async def sender(database_url: str, server: MailServer) -> AsyncIterator[Process]:
    """A process that sends by a mail server."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.accounts.mail.sending", database_url, server.host,
        stdin=PIPE, stdout=PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"sending\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.thorough
@preferably("postgresql")
async def test_two_processes_never_send_a_letter_twice(
    database: Database, database_url: str, clock: Clock
) -> None:
    letters = [Letter(f"k:{n}", f"a{n}@example.com", "s", "t") for n in range(24)]
    async with (
        MailServer() as server,
        sender(database_url, server) as one,
        sender(database_url, server) as other,
    ):
        await outbox_of(database, Post(), clock).enqueue_all(letters)
        await until(lambda: all(row.sent_at for row in rows(database)))
        for process in (one, other):
            assert process.stdin is not None
            process.stdin.close()
            assert await process.wait() == 0
    sent = [received.message["Message-ID"] for received in server.received]
    assert sorted(sent) == sorted(f"<{letter.digest}@example.com>" for letter in letters)


@pytest.mark.parametrize("fault", [Fault("hang"), Fault("silence")])
async def test_a_letter_outlives_the_kill_of_its_sender(
    database: Database, database_url: str, clock: Clock, fault: Fault
) -> None:
    await outbox_of(database, Post(), clock).enqueue("k", "grace@example.com", "Hello", "text")
    taken = fault.at == "silence"
    async with MailServer(faults=[fault]) as server:
        async with sender(database_url, server) as process:
            await until(lambda: server.hanging == 1)
            process.kill()
            await process.wait()
        (row,) = rows(database)
        assert (row.attempts, row.sent_at) == (1, None)

        mail = Mailer(Smtp("127.0.0.1", server.port), SENDER)
        clock.now = row.next_attempt_at - 1
        await Outbox(database, mail, clock=clock).flush()
        assert len(server.received) == taken
        clock.now += 1
        await Outbox(database, mail, clock=clock).flush()
    assert len(server.received) == 1 + taken
    assert len({received.content for received in server.received}) == 1
    assert rows(database)[0].sent_at == clock.now


async def test_a_letter_whose_senders_all_die_is_given_up(database: Database, clock: Clock) -> None:
    post = Post()
    post.held.clear()
    await outbox_of(database, post, clock).enqueue("k", "grace@example.com", "s", "t")
    for _ in range(3):
        outbox = outbox_of(database, post, clock, max_attempts=2)
        outbox.start()
        await until(lambda: rows(database)[0].next_attempt_at > clock.now or bool(failed(database)))
        await outbox.close(timeout_secs=0.01)
        clock.now += CLAIM_SECS
    (row,) = rows(database)
    assert (row.attempts, row.error) == (2, "the sender crashed at each attempt")


def failed(database: Database) -> list[OutboxMail]:
    return [row for row in rows(database) if row.failed_at is not None]


async def test_a_late_answer_counts_though_the_claim_has_run_out(
    database: Database, clock: Clock
) -> None:
    slow, quick = Post(), Post(MailError("down"))
    slow.held.clear()
    first, second = (outbox_of(database, post, clock) for post in (slow, quick))
    await first.enqueue("k", "grace@example.com", "s", "t")
    first.start()
    await until(lambda: rows(database)[0].attempts == 1)
    clock.now += CLAIM_SECS
    await second.flush()
    assert rows(database)[0].attempts == 2
    slow.held.set()
    await until(lambda: rows(database)[0].sent_at is not None)
    await first.close()
    clock.now += DAY
    await second.flush()
    assert len(slow.taken) + len(quick.taken) == 1


async def test_resend_makes_one_mail_of_a_crash_between_sending_and_noting(
    database: Database, clock: Clock
) -> None:
    async with ResendSimulator(faults=[resend.Fault(accepted=True)]) as vendor:
        mail = Mailer(Resend("re_key", vendor.url), SENDER)
        outbox = Outbox(database, mail, clock=clock)
        await outbox.enqueue("k", "grace@example.com", "s", "t")
        await outbox.flush()
        assert rows(database)[0].error.startswith("Resend cannot be reached")
        clock.now += FIRST_RETRY_SECS
        await outbox.flush()
        await mail.close()
    assert rows(database)[0].sent_at == clock.now
    assert (vendor.requests, len(vendor.accepted)) == (2, 1)


async def test_a_mail_server_that_fails_at_first_gets_each_letter_in_the_end(
    database: Database, clock: Clock
) -> None:
    faults = [Fault("recipient", "450 4.2.0 Greylisted"), Fault("middle"), None]
    async with MailServer(faults=faults) as server:
        outbox = Outbox(database, Mailer(Smtp("127.0.0.1", server.port), SENDER), clock=clock)
        await outbox.enqueue("k", "grace@example.com", "s", "t")
        for _ in range(3):
            await outbox.flush()
            clock.now += 4 * FIRST_RETRY_SECS
    assert len(server.received) == 1
    assert rows(database)[0].attempts == 3
