"""Writes the records of calls to the database without ever blocking a call."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from loguru import logger

from conversation.records import CallRecord, TurnRecord
from ledger.store.database import Database
from ledger.store.entry import Entry
from ledger.store.posting import describe_error, is_fault_of_a_record, write_entries
from ledger.store.spool import Spool

MOST_QUEUED = 1_000
"""Limit on records in memory, which grow only if neither disk nor database can be written."""

RETRY_SECS = 0.5
"""First pause after a failed write; doubles with each failure."""

RETRY_MOST_SECS = 30.0
"""Longest pause."""

CLOSE_SECS = 5.0
"""How long :meth:`LedgerWriter.close` waits for the database."""

Result = TypeVar("Result")


class LedgerWriter:
    """Stores the records of calls; implements :class:`conversation.records.CallListener`.

    A record is queued, spooled to disk within about a millisecond, and then written to the
    database, in order. While the database fails, records wait on disk; if the process dies, the
    next one writes them. If the disk fails, they go to the database from memory. Records that the
    database rejects are kept in the spool's :data:`~ledger.store.spool.REFUSED`.

    Parameters:
        database: Where records are written.
        spool: Directory of the spool.
        on_written: Called with the id of each call that was written, after the commit.
        retry_secs: First pause after a failed write.
        retry_most_secs: Longest pause.
        most_queued: Limit on records in memory; further ones are dropped and counted.
    """

    def __init__(
        self,
        database: Database,
        *,
        spool: Path,
        on_written: Callable[[str], None] | None = None,
        retry_secs: float = RETRY_SECS,
        retry_most_secs: float = RETRY_MOST_SECS,
        most_queued: int = MOST_QUEUED,
    ) -> None:
        self._database = database
        self._spool = Spool(spool)
        self._on_written = on_written
        self._retries = retry_secs, retry_most_secs
        self._most_queued = most_queued
        self._queue: deque[Entry] = deque()
        self._head = asyncio.Lock()  # held while reading the queue's head
        self._arrived, self._spooled = asyncio.Event(), asyncio.Event()
        self._settled, self._closing = asyncio.Event(), asyncio.Event()
        self._settled.set()
        self._disk_fails = False
        self._disk = ThreadPoolExecutor(1, "ledger-spool")
        self._writing = ThreadPoolExecutor(1, "ledger-writer")
        self._tasks: list[asyncio.Task[None]] = []
        self._closed = False
        self.trouble = ""
        self.refused = 0
        self.lost = 0

    @property
    def waiting(self) -> int:
        """Number of records not yet in the database."""
        return len(self._queue) + self._spool.waiting

    # CallListener.

    def begun(self, call: CallRecord) -> None:
        """Store a call that begins."""
        self._put(Entry.of_call, call)

    def turn(self, record: TurnRecord) -> None:
        """Store a turn, or an update of one."""
        self._put(Entry.of_turn, record)

    def ended(self, call: CallRecord) -> None:
        """Store a call that has ended."""
        self._put(Entry.of_call, call)

    def _put(self, entry_of: Callable[[Any], Entry], record: CallRecord | TurnRecord) -> None:
        try:
            entry = entry_of(record)
            if self._closed:
                self._spool.append([entry])
                self._spool.close()
            elif len(self._queue) < self._most_queued:
                self._queue.append(entry)
                self._settled.clear()
                self._arrived.set()
                if self._disk_fails:
                    self._spooled.set()
            else:
                self.lost += 1
                logger.error("{} is lost: neither disk nor database could be written", entry)
        except Exception as error:
            self.lost += 1
            logger.error("cannot keep a record: {}", describe_error(error))

    # From the queue to disk, and from disk to the database.

    def start(self) -> None:
        """Start writing, including what dead processes left; needs a running loop."""
        self._settled.clear()
        self._spooled.set()
        self._tasks = [
            asyncio.create_task(self._spool_what_comes()),
            asyncio.create_task(self._write_what_waits()),
        ]

    async def close(self, timeout_secs: float = CLOSE_SECS) -> None:
        """Write what is queued; what the database does not accept stays on disk.

        Args:
            timeout_secs: Time limit. A database known to be failing is tried once.
        """
        self._closing.set()
        if self._tasks:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._settled.wait(), timeout_secs)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._closed = True
        if self._queue and not await self._to_disk(self._queue):
            self.lost += len(self._queue)
            logger.error("{} records are lost: they could not be written", len(self._queue))
        if self.waiting:
            logger.warning("{} records stay on disk for the next start", self._spool.waiting)
        await self._in(self._disk, self._spool.close)
        self._disk.shutdown(wait=False)
        self._writing.shutdown(wait=False)

    async def _spool_what_comes(self) -> None:
        first, most = self._retries
        delay = first
        while await self._arrived.wait():
            self._arrived.clear()
            while self._queue:
                async with self._head:
                    done = await self._to_disk(self._queue)
                self._disk_fails = not done
                self._spooled.set()
                if done:
                    delay = first
                else:
                    await asyncio.sleep(delay)
                    delay = min(2 * delay, most)

    async def _to_disk(self, queue: deque[Entry]) -> bool:
        """Move the queue to the spool; returns whether that succeeded."""
        entries = list(queue)
        try:
            await self._in(self._disk, self._spool.append, entries)
        except Exception as error:  # whatever the fault, the database may still work
            if not self._disk_fails:
                logger.error("cannot write the ledger's spool: {}", describe_error(error))
            return False
        for _ in entries:
            queue.popleft()
        return True

    async def _write_what_waits(self) -> None:
        first, most = self._retries
        delay = first
        adopted = False
        while await self._spooled.wait():
            try:
                if not adopted:
                    await self._in(self._writing, self._adopt)
                    adopted = True
                written = await self._write_some()
            except Exception as error:
                self._note_trouble(describe_error(error))
                if self._closing.is_set():
                    self._settled.set()
                    return
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._closing.wait(), delay)
                delay = min(2 * delay, most)
                continue
            self._note_trouble("")
            delay = first
            self._tell(written)
            if not self._spool.waiting and not (self._queue and self._disk_fails):
                self._spooled.clear()
                if not self._queue:
                    self._settled.set()

    async def _write_some(self) -> set[str]:
        """Write the oldest records; returns the ids of their calls."""
        written = await self._in(self._writing, self._drain)
        if not written and self._disk_fails:
            async with self._head:
                if self._queue and not self._spool.waiting:
                    entries = list(self._queue)
                    written = await self._in(self._writing, self._write, entries)
                    for _ in entries:
                        self._queue.popleft()
        return written

    def _tell(self, calls: set[str]) -> None:
        if self._on_written is None:
            return
        for call in sorted(calls):
            try:
                self._on_written(call)
            except Exception:
                logger.exception("the callback after call {} was written failed", call)

    def _note_trouble(self, trouble: str) -> None:
        if trouble and not self.trouble:
            logger.error("database writes are failing, spooling to disk: {}", trouble)
        elif self.trouble and not trouble:
            logger.info("database writes are working again")
        self.trouble = trouble

    @staticmethod
    async def _in(thread: ThreadPoolExecutor, work: Callable[..., Result], *given: Any) -> Result:
        return await asyncio.get_running_loop().run_in_executor(thread, work, *given)

    # In the thread that writes.

    def _adopt(self) -> None:
        try:
            left = self._spool.adopt()
        except OSError as error:
            logger.error("cannot read the ledger's spool: {}", describe_error(error))
        else:
            if left:
                logger.info("writing {} records that earlier processes left", left)

    def _drain(self) -> set[str]:
        entries = self._spool.read_batch()
        written = self._write(entries)
        self._spool.discard_batch()
        return written

    def _write(self, entries: Sequence[Entry]) -> set[str]:
        """Write records in one transaction; rejected ones are set aside."""
        if not entries:
            return set()
        try:
            return write_entries(self._database, entries)
        except Exception as error:
            if not is_fault_of_a_record(error):
                raise
            if len(entries) == 1:
                self._refuse(entries[0], error)
                return set()
        return set().union(*(self._write([entry]) for entry in entries))

    def _refuse(self, entry: Entry, error: Exception) -> None:
        logger.error(
            "the database rejects {}, which is set aside: {}", entry, describe_error(error)
        )
        try:
            self._spool.reject(entry, str(error))
            self.refused += 1
        except OSError as trouble:
            logger.error(
                "{} is lost: it could not be set aside: {}", entry, describe_error(trouble)
            )
            self.lost += 1
