"""The spool: records on disk that the database does not have yet, oldest first."""

import json
import os
import secrets
import stat
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from io import FileIO
from pathlib import Path

from loguru import logger

from ledger.store.entry import Entry
from pipeline.data_dir import PRIVATE_FOLDER, private_opener

if sys.platform != "win32":
    import fcntl

FOLDER = "spool"
"""Its directory in ``DATA_DIR``."""

REFUSED = "refused.jsonl"
"""File of records that the database rejects, each with the reason."""

TAKEN_BYTES = 256 * 1024
"""Approximate size of a batch."""

MAX_LINE_BYTES = 4 * 1024 * 1024
"""Longest line that is read; a record is some kilobytes."""


class Spool:
    """A directory with one file per process; adopts the files of dead processes.

    Records survive a crash of the process, not of the machine: writes are not fsynced. The methods
    block, and may be called from two threads: one that appends and one that reads.

    Parameters:
        folder: The directory; created with the first record.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._own: _File | None = None
        self._left: deque[_File] = deque()
        self._taken: tuple[_File, list[bytes]] | None = None
        self._using = threading.Lock()

    @property
    def waiting(self) -> int:
        """Number of this process's records."""
        own = self._own
        return sum(file.waiting for file in list(self._left)) + (own.waiting if own else 0)

    def adopt(self) -> int:
        """Adopt the files of dead processes.

        An entry that is no readable file, such as a directory, is logged and left alone.

        Returns:
            Number of records in them.

        Raises:
            OSError: The directory cannot be read.
        """
        with self._using:
            for path in sorted(self._folder.glob("pending-*.jsonl")):
                try:
                    file = _File.locked(path, "r+b")
                except OSError as trouble:
                    logger.error("{} is left alone: {}", path, trouble.strerror or trouble)
                    continue
                if file is None:
                    continue
                if file.waiting:
                    self._left.append(file)
                else:
                    file.remove()
            return sum(file.waiting for file in self._left)

    def append(self, entries: Sequence[Entry]) -> None:
        """Store records, all or none.

        Raises:
            OSError: They cannot be written.
        """
        data = "".join(entry.to_line() for entry in entries).encode()
        with self._using:
            self._own = self._own or self._make()
            self._own.append(data, len(entries))

    def read_batch(self) -> list[Entry]:
        """The next batch of the oldest records, which stays until :meth:`discard_batch`.

        Lines that are not records are moved to :data:`REFUSED`. A file that cannot be read any
        further is logged and left to the next process.
        """
        with self._using:
            while (file := self._left[0] if self._left else self._own) is not None:
                try:
                    lines = file.lines()
                except OSError as trouble:
                    self._leave(file, trouble)
                    continue
                self._taken = (file, lines)
                entries = self._parse(lines)
                if entries or (not lines and file is self._own):
                    return entries
                self._forget()
        return []

    def discard_batch(self) -> None:
        """Discard the last batch: the database has it."""
        with self._using:
            self._forget()

    def reject(self, entry: Entry, why: str) -> None:
        """Store a record that the database rejects.

        Raises:
            OSError: It cannot be written.
        """
        self._refuse([json.loads(entry.to_line())], why)

    def close(self) -> None:
        """Close the files; records left are there for the next process."""
        with self._using:
            for file in (*self._left, self._own):
                if file is not None and file.waiting:
                    file.close()
                elif file is not None:
                    file.remove()
            self._left.clear()
            self._own = self._taken = None

    def _make(self) -> "_File":
        self._folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        while True:
            name = f"pending-{time.time_ns():020}-{secrets.token_hex(4)}.jsonl"
            if (file := _File.locked(self._folder / name, "x+b")) is not None:
                return file

    def _forget(self) -> None:
        if self._taken is None:
            return
        (file, lines), self._taken = self._taken, None
        if file.skip(lines) and file is not self._own:
            self._left.popleft()
            file.remove()

    def _leave(self, file: "_File", trouble: OSError) -> None:
        """Go on without a file that cannot be read."""
        logger.error(
            "{} is left alone, with {} records: {}",
            file.path,
            file.waiting,
            trouble.strerror or trouble,
        )
        if file is self._own:
            self._own = None
        else:
            self._left.popleft()
        file.close()

    def _parse(self, lines: Sequence[bytes]) -> list[Entry]:
        entries: list[Entry] = []
        invalid: list[str] = []
        for line in lines:
            try:
                entries.append(Entry.parse(line))
            except ValueError:
                invalid.append(line.decode(errors="replace"))
        if invalid:
            logger.error(
                "{} invalid lines in the ledger's spool, moved to {}", len(invalid), REFUSED
            )
            try:
                self._refuse(invalid, "not a record")
            except OSError as trouble:
                logger.error("{} cannot be written: {}", self._folder / REFUSED, trouble)
        return entries

    def _refuse(self, records: Sequence[object], why: str) -> None:
        now = time.time()
        refusals = [{"at": now, "why": why, "record": record} for record in records]
        lines = [json.dumps(refusal, ensure_ascii=False) + "\n" for refusal in refusals]
        self._folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        refused = self._folder / REFUSED
        with open(refused, "ab", buffering=0, opener=private_opener) as file:
            file.write("".join(lines).encode(errors="replace"))


class _File:
    """A file of JSON lines, locked by this process."""

    def __init__(self, path: Path, io: FileIO) -> None:
        self.path = path
        self._io = io
        self._offset = 0
        self.waiting = _count_lines(io)

    @classmethod
    def locked(cls, path: Path, mode: str) -> "_File | None":
        """Open and lock a file; ``None`` if another process holds the lock.

        Raises:
            OSError: It cannot be opened or read, or is no regular file: reading a pipe would wait
                for its writer, and emptying a link would empty another's file.
        """
        try:
            if "x" not in mode and not stat.S_ISREG(path.lstat().st_mode):
                raise OSError("it is not a regular file")
            io = FileIO(path, mode, opener=private_opener)
        except FileNotFoundError:
            return None
        if sys.platform != "win32":  # on Windows, only one process uses the directory
            try:
                fcntl.flock(io, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # It may have been removed between opening and locking.
                ours = os.path.samestat(os.fstat(io.fileno()), path.stat())
            except (BlockingIOError, FileNotFoundError):
                ours = False
            if not ours:
                io.close()
                return None
        try:
            return cls(path, io)
        except OSError:
            io.close()
            raise

    def append(self, data: bytes, count: int) -> None:
        """Append lines, all or none.

        Raises:
            OSError: They cannot be written.
        """
        end = self._io.seek(0, os.SEEK_END)
        try:
            if self._io.write(data) != len(data):
                raise OSError("the disk is full")
        except OSError:
            self._io.truncate(end)
            raise
        self.waiting += count

    def lines(self) -> list[bytes]:
        """The next lines; a process that died may have left its last one incomplete.

        Raises:
            OSError: They cannot be read, or one is longer than :data:`MAX_LINE_BYTES`.
        """
        self._io.seek(self._offset)
        data = b""
        while more := self._io.read(TAKEN_BYTES):
            data += more
            if b"\n" in more:
                break
            if len(data) > MAX_LINE_BYTES:
                raise OSError(f"it has a line of more than {MAX_LINE_BYTES} bytes")
        whole, end, rest = data.rpartition(b"\n")
        return [line + end for line in whole.split(end)] if end else [rest] if rest else []

    def skip(self, lines: Sequence[bytes]) -> bool:
        """Skip the next lines; returns whether they were the last."""
        self._offset += sum(map(len, lines))
        self.waiting -= len(lines)
        if self._offset < self._io.seek(0, os.SEEK_END):
            return False
        self._io.truncate(0)
        self._offset = self.waiting = 0
        return True

    def close(self) -> None:
        """Release the file for the next process."""
        self._io.close()

    def remove(self) -> None:
        """Delete the file."""
        self._io.truncate(0)  # a process that has just opened it must find it empty
        self._io.close()
        self.path.unlink(missing_ok=True)


def _count_lines(io: FileIO) -> int:
    """Number of lines from here to the end; the last need not end."""
    count, last = 0, b"\n"
    while more := io.read(TAKEN_BYTES):
        count += more.count(b"\n")
        last = more[-1:]
    return count + (last != b"\n")
