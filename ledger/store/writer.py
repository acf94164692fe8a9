"""Writes down what happens in calls, without a call ever waiting for it."""

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
from ledger.store.posting import is_fault_of_a_record, post, told
from ledger.store.spool import Spool

MOST_QUEUED = 1_000
"""Most records in memory. More come only when neither the disk nor the database takes any."""

RETRY_SECS = 0.5
"""First wait after the database, or the disk, took nothing; each further one is twice as long."""

RETRY_MOST_SECS = 30.0
"""Longest of these waits."""

CLOSE_SECS = 5.0
"""Longest that :meth:`LedgerWriter.close` waits for the database."""

Result = TypeVar("Result")


class LedgerWriter:
    """Keeps the records of calls (it is a :class:`conversation.records.CallListener`).

    A record is queued, within a millisecond or so it is on disk, and then it is written to the
    database, in the order in which records came. As long as the database takes none they wait on
    disk, where they outlive the process; the next one writes them. When the disk takes none, they
    go to the database from memory. What the database will never take is put aside in the spool.

    Parameters:
        database: Where records go.
        spool: The folder in which they wait.
        on_written: Told of each call of which something has been written, after the commit.
        retry_secs: First wait when the database takes nothing.
        retry_most_secs: Longest one.
        most_queued: Most records in memory; further ones are lost, and counted.
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
        self._head = asyncio.Lock()  # whoever takes from the queue's head has it
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
        """Records that the database does not have yet."""
        return len(self._queue) + self._spool.waiting

    # The records, as they come.

    def begun(self, call: CallRecord) -> None:
        """A call has begun."""
        self._put(Entry.of_call, call)

    def turn(self, record: TurnRecord) -> None:
        """A turn is over, or more is known of one that is."""
        self._put(Entry.of_turn, record)

    def ended(self, call: CallRecord) -> None:
        """A call has ended."""
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
                logger.error("{} is lost: neither the disk nor the database takes it", entry)
        except Exception as error:
            self.lost += 1
            logger.error("a record could not be kept: {}", told(error))

    # From the queue to the disk, and from there to the database.

    def start(self) -> None:
        """Begin to write, with what was left by processes that died; needs a running loop."""
        self._settled.clear()
        self._spooled.set()
        self._tasks = [
            asyncio.create_task(self._spool_what_comes()),
            asyncio.create_task(self._write_what_waits()),
        ]

    async def close(self, timeout_secs: float = CLOSE_SECS) -> None:
        """Write what there is; what the database does not take stays on disk.

        Args:
            timeout_secs: Longest wait for the database. One that is known to be down is asked once.
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
            logger.warning("{} records wait on disk for the next start", self._spool.waiting)
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
        """Move what is queued to the spool; whether that could be done."""
        entries = list(queue)
        try:
            await self._in(self._disk, self._spool.append, entries)
        except Exception as error:  # whatever it is, the database may still take them
            if not self._disk_fails:
                logger.error("the ledger's spool cannot be written: {}", told(error))
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
                self._note_trouble(told(error))
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
        """Write the oldest records; the calls of which something was written."""
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
                logger.exception("something went wrong after call {} was written", call)

    def _note_trouble(self, trouble: str) -> None:
        if trouble and not self.trouble:
            logger.error("the database takes no records, which now wait: {}", trouble)
        elif self.trouble and not trouble:
            logger.info("the database takes records again")
        self.trouble = trouble

    @staticmethod
    async def _in(thread: ThreadPoolExecutor, work: Callable[..., Result], *given: Any) -> Result:
        return await asyncio.get_running_loop().run_in_executor(thread, work, *given)

    # In the thread that writes.

    def _adopt(self) -> None:
        try:
            left = self._spool.adopt()
        except OSError as error:
            logger.error("the ledger's spool cannot be read: {}", told(error))
        else:
            if left:
                logger.info("{} records of processes that ended are written now", left)

    def _drain(self) -> set[str]:
        entries = self._spool.take()
        written = self._write(entries)
        self._spool.forget()
        return written

    def _write(self, entries: Sequence[Entry]) -> set[str]:
        """Write records in one transaction; those that the database refuses are put aside."""
        if not entries:
            return set()
        try:
            return post(self._database, entries)
        except Exception as error:
            if not is_fault_of_a_record(error):
                raise
            if len(entries) == 1:
                self._refuse(entries[0], error)
                return set()
        return set().union(*(self._write([entry]) for entry in entries))

    def _refuse(self, entry: Entry, error: Exception) -> None:
        logger.error("{} is put aside, for the database refuses it: {}", entry, told(error))
        try:
            self._spool.refuse(entry, str(error))
            self.refused += 1
        except OSError as trouble:
            logger.error("{} is lost, for it could not be put aside: {}", entry, told(trouble))
            self.lost += 1
