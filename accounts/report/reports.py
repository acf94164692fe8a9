"""Sends the reports of a call, to its caller and to the admins, once it is over."""

import asyncio
import hashlib
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from loguru import logger
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select

from accounts.access import Access, is_mailable
from accounts.mail.digest import DigestEntry
from accounts.mail.letter import Letter
from accounts.mail.outbox import Outbox
from accounts.network import is_loopback_host
from accounts.report.page import digest_line, render_report
from conversation.records import CallRecord, TurnRecord
from ledger.store.database import Database
from ledger.store.tables import Call, OutboxMail, SpendHold, Turn
from settings import Settings

WRITTEN_SECS = 30.0
"""How long to wait for an ended call to appear in the ledger; after that, the sweep finds it."""

FIRST_LOOK_SECS = 0.1
"""Pause before the ledger is asked again for a call; doubles each time."""

MAX_LOOK_SECS = 2.0
"""Longest of these pauses."""

SWEEP_SECS = 60.0
"""How often to look for calls without a report."""

SETTLE_SECS = 10.0
"""Wait before the first sweep, while the ledger writes the records of an earlier process."""

SWEEP_BACK_SECS = 86400.0
"""Calls that began longer ago are not reported any more."""

DYING_SECS = 60.0
"""Allowance, beyond the longest possible call, before a call without an end counts as dead."""

KEEP_SECS = 7 * 86400.0
"""How long the body of a sent report is kept."""

MAX_ADDRESSES = 10
"""Limit on an hour's reports to an admin of addresses that were left after the call's end."""

MAX_WAITING = 1000
"""Limit on calls awaited at once; the sweep finds the others."""

MAX_SWEPT = 100
"""Limit on reports of one sweep."""

HOUR_SECS, DAY_SECS = 3600.0, 86400.0

MAX_REPORTS = 20
"""Reports that one admin gets in an hour, one by one; the other calls are in an hourly digest."""

MAX_ALERTS = 1
"""The same of calls in which nobody spoke, but something went wrong: one cause breaks many calls,
and whoever breaks them on purpose should not fill the admins' mailboxes."""

FAULTS = frozenset({"", "fault", "protocol", "stalled"})
"""Ends of calls that are reported to admins even if nobody spoke."""


@dataclass(slots=True)
class Awaited:
    """An ended call that may not be in the ledger yet.

    Parameters:
        turns: Number of its turns.
        until: When to leave it to the sweep, in seconds of the event loop's clock.
    """

    turns: int
    until: float


class Reports:
    """Sends the reports of each call that is over.

    Implements :class:`conversation.records.CallListener`.

    The caller gets a report if they have an address and said something; the admins get one if
    anyone said something or if something went wrong, or a line of a digest (``ADMIN_REPORTS``, and
    beyond :data:`MAX_REPORTS` an hour). A report is written from the ledger, once the ledger has
    the whole call. A sweep finds the calls of processes that died, during the call or before they
    could report it.

    Parameters:
        database: The ledger.
        outbox: Queues the reports.
        settings: Name the admins, and turn reports on or off.
        sections: Titles of the document's sections by id.
        clock: Returns Unix seconds.
        sweep_secs: How often to look for calls without a report.
        settle_secs: Wait before the first sweep.
    """

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        settings: Settings,
        *,
        sections: Mapping[str, str] | None = None,
        clock: Callable[[], float] | None = None,
        sweep_secs: float = SWEEP_SECS,
        settle_secs: float = SETTLE_SECS,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._on = settings.reports == "on"
        self._admins = Access.from_settings(settings).admins
        self._each = settings.admin_reports == "each"
        self._digest_secs = DAY_SECS if settings.admin_reports == "daily" else HOUR_SECS
        self._public_url = _base_url(settings)
        self._call_secs = settings.call_secs
        self._sections = sections or {}
        self._clock = clock or time.time
        self._sweep_secs = sweep_secs
        self._settle_secs = settle_secs
        self._awaited: dict[str, Awaited] = {}
        self._untold: set[str] = set()
        self._wake = asyncio.Event()
        self._closing = False
        self._running: asyncio.Task[None] | None = None

    # CallListener.

    def begun(self, call: CallRecord) -> None:
        """Called when a call begins; a report needs nothing of it."""

    def turn(self, record: TurnRecord) -> None:
        """Called when a turn ends; a report needs nothing of it."""

    def ended(self, call: CallRecord) -> None:
        """Await the call in the ledger, to report it."""
        if self._on and len(self._awaited) < MAX_WAITING:
            until = asyncio.get_running_loop().time() + WRITTEN_SECS
            self._awaited[call.id] = Awaited(call.turns, until)
            self._wake.set()

    # Reporting.

    def start(self) -> None:
        """Start reporting, including calls that a dead process left unreported."""
        if self._on:
            self._running = asyncio.create_task(self._run(), name="reports")

    async def close(self, timeout_secs: float = 5.0) -> None:
        """Report the calls that have just ended; the next start finds the rest.

        Args:
            timeout_secs: Time limit.
        """
        self._closing = True
        self._wake.set()
        running, self._running = self._running, None
        if running is not None:
            try:
                async with asyncio.timeout(timeout_secs):
                    await running
            except TimeoutError:
                logger.info("reports: {} calls left for the next start", len(self._awaited))

    async def address_left(self, call: str) -> None:
        """Report a call to the admins once more: its caller left an address after its end.

        A call that goes on is reported when it is over.
        """
        if self._on and self._admins and call not in self._awaited:
            letters = await asyncio.to_thread(self._address_letters, call)
            await self._outbox.enqueue_all(letters, call=call, keep_secs=KEEP_SECS)

    async def sweep(self) -> int:
        """Report calls of the last day that are over and have no report.

        Returns:
            Number of calls reported.

        Raises:
            SQLAlchemyError: The database cannot be used.
        """
        found = await asyncio.to_thread(self._unreported)
        self._untold &= set(found)
        new = [call for call in found if call not in self._awaited and call not in self._untold]
        return sum([await self._report(call) for call in new[:MAX_SWEPT]])

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        sweep_at, look_secs = loop.time() + self._settle_secs, FIRST_LOOK_SECS
        while not self._closing or self._awaited:
            self._wake.clear()
            try:
                if loop.time() >= sweep_at and not self._closing:
                    sweep_at = loop.time() + self._sweep_secs
                    await self.sweep()
                if await self._look():
                    look_secs = FIRST_LOOK_SECS
            except Exception as error:  # keep reporting, whatever the fault
                logger.warning("reports: the database cannot be used: {}", type(error).__name__)
            if self._closing and not self._awaited:
                break
            pause = look_secs if self._awaited else sweep_at - loop.time()
            look_secs = min(2 * look_secs, MAX_LOOK_SECS)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()
                    look_secs = FIRST_LOOK_SECS

    async def _look(self) -> bool:
        """Report awaited calls that have reached the ledger; returns whether there were any."""
        now = asyncio.get_running_loop().time()
        done = False
        for call, awaited in list(self._awaited.items()):
            if await asyncio.to_thread(self._has, call, awaited.turns):
                await self._report(call)
                done = True
            elif now < awaited.until:
                continue
            del self._awaited[call]
        return done

    async def _report(self, call: str) -> bool:
        """Queue the reports of a call; returns whether there were any."""
        letters: list[Letter] = []
        entries: list[DigestEntry] = []
        try:
            letters, entries = await asyncio.to_thread(self._letters, call)
            await self._outbox.enqueue_all(letters, call=call, keep_secs=KEEP_SECS, entries=entries)
        except SQLAlchemyError:
            raise
        except Exception:
            logger.exception("reports: cannot report call {}", call)
            letters, entries = [], []
        if not letters and not entries:
            self._untold.add(call)
        return bool(letters or entries)

    # In a thread.

    def _unreported(self) -> list[str]:
        """Ids of calls of the last day that are over and have no report, oldest first."""
        now = self._clock()
        over = col(Call.ended_at) < now - WRITTEN_SECS
        held = select(SpendHold.call).where(
            col(SpendHold.call) == col(Call.id), col(SpendHold.expires_at) > now
        )
        died = (
            col(Call.ended_at).is_(None)
            & (col(Call.started_at) < now - self._call_secs - DYING_SECS)
            & ~held.exists()
        )
        reported = select(OutboxMail.key).where(col(OutboxMail.call) == col(Call.id))
        query = (
            select(Call.id)
            .where(col(Call.started_at) > now - SWEEP_BACK_SECS, over | died, ~reported.exists())
            .order_by(col(Call.started_at))
        )
        with self._database.reading() as session:
            return list(session.exec(query))

    def _has(self, call: str, turns: int) -> bool:
        """Whether the ledger has all of an ended call."""
        with self._database.reading() as session:
            row = session.get(Call, call)
            return row is not None and row.ended_at is not None and row.turns >= turns

    def _letters(self, call_id: str) -> tuple[list[Letter], list[DigestEntry]]:
        """The reports of a call, and its entries in the digests of admins who get no report."""
        with self._database.reading() as session:
            call = session.get(Call, call_id)
            query = select(Turn).where(col(Turn.call) == call_id).order_by(col(Turn.number))
            turns = list(session.exec(query))
        if call is None:
            return [], []
        letters, entries = [], []
        kind = "report" if _said(turns) else "alert"
        for address in self._readers(call, turns):
            key = f"{kind}:{call_id}:{address}"
            if address != call.caller and not self._may_report(address, kind):
                line = digest_line(call, turns, public_url=self._public_url)
                entries.append(DigestEntry(key, address, line, self._digest_secs))
                continue
            report = render_report(
                call,
                turns,
                public_url=self._public_url,
                admin=address in self._admins,
                sections=self._sections,
            )
            letters.append(Letter(key, address, report.subject, report.text, report.html))
        return letters, entries

    def _address_letters(self, call_id: str) -> list[Letter]:
        """The reports of a call whose caller left an address after its end."""
        with self._database.reading() as session:
            call = session.get(Call, call_id)
            query = select(Turn).where(col(Turn.call) == call_id).order_by(col(Turn.number))
            turns = list(session.exec(query))
        if call is None or call.ended_at is None or not call.reply_to:
            return []
        url, sections = self._public_url, self._sections
        report = render_report(call, turns, public_url=url, admin=True, sections=sections)
        subject = f"{report.subject}, with an address"
        which = hashlib.sha256(call.reply_to.encode()).hexdigest()[:8]
        since = self._clock() - HOUR_SECS
        return [
            Letter(f"address:{call_id}:{which}:{admin}", admin, subject, report.text, report.html)
            for admin in self._admins
            if self._outbox.count_since(admin, "address", since) < MAX_ADDRESSES
        ]

    def _may_report(self, admin: str, kind: str) -> bool:
        """Whether an admin gets a report of one more call, rather than a line of a digest."""
        if not self._each:
            return False
        since = self._clock() - HOUR_SECS
        reports = self._outbox.count_since(admin, "report", since)
        alerts = self._outbox.count_since(admin, "alert", since)
        return reports + alerts < MAX_REPORTS and (kind == "report" or alerts < MAX_ALERTS)

    def _readers(self, call: Call, turns: list[Turn]) -> list[str]:
        """Addresses that get a report of a call."""
        said = _said(turns)
        wrong = call.why in FAULTS or any(turn.errors or turn.failovers for turn in turns)
        readers = list(self._admins) if said or wrong else []
        if said and is_mailable(call.caller) and call.caller not in readers:
            readers.append(call.caller)
        return readers


def _said(turns: list[Turn]) -> bool:
    """Whether the caller said anything."""
    return any(turn.number > 0 for turn in turns)


def _base_url(settings: Settings) -> str:
    """Base address of the call's page; empty if unknown outside of a request."""
    if settings.public_url or not (settings.port and is_loopback_host(settings.host)):
        return settings.public_url
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{settings.port}"
