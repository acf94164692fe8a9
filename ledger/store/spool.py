"""The spool: records on disk that the database does not have yet, in the order they came."""

import json
import os
import secrets
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from io import FileIO
from pathlib import Path

from loguru import logger

from ledger.store.entry import Entry

if sys.platform != "win32":
    import fcntl

FOLDER = "spool"
"""Its name under ``DATA_DIR``."""

REFUSED = "refused.jsonl"
"""The file of what the database will never take, each record with the reason."""

TAKEN_BYTES = 256 * 1024
"""About how much is taken at once."""


class Spool:
    """A folder with a file for each process; what a dead process left is taken over.

    What is appended outlives the process, not the machine: nothing waits for the disk itself. Its
    methods block, and may be called from two threads: one that appends, and one that takes.

    Parameters:
        folder: Made when there is something to keep.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._own: _File | None = None
        self._left: deque[_File] = deque()
        self._taken: tuple[_File, list[bytes]] | None = None
        self._using = threading.Lock()

    @property
    def waiting(self) -> int:
        """Records in it, without those of other processes."""
        own = self._own
        return sum(file.waiting for file in list(self._left)) + (own.waiting if own else 0)

    def adopt(self) -> int:
        """Take over what dead processes left.

        Returns:
            How many records there are.

        Raises:
            OSError: The folder cannot be read.
        """
        with self._using:
            for path in sorted(self._folder.glob("pending-*.jsonl")):
                if (file := _File.locked(path, "r+b")) is None:
                    continue
                if file.waiting:
                    self._left.append(file)
                else:
                    file.remove()
            return sum(file.waiting for file in self._left)

    def append(self, entries: Sequence[Entry]) -> None:
        """Keep records, all or none.

        Raises:
            OSError: They cannot be written.
        """
        data = "".join(entry.line() for entry in entries).encode()
        with self._using:
            self._own = self._own or self._make()
            self._own.append(data, len(entries))

    def take(self) -> list[Entry]:
        """Some of the oldest records, which stay until :meth:`forget`; none if there are none.

        Lines that are no records are put aside.
        """
        with self._using:
            while (file := self._left[0] if self._left else self._own) is not None:
                lines = file.lines()
                self._taken = (file, lines)
                entries = [entry for line in lines if (entry := self._parse(line)) is not None]
                if entries or (not lines and file is self._own):
                    return entries
                self._forget()
        return []

    def forget(self) -> None:
        """Forget the records that were taken last: the database has them."""
        with self._using:
            self._forget()

    def refuse(self, entry: Entry, why: str) -> None:
        """Put aside what the database will never take.

        Raises:
            OSError: It cannot be written.
        """
        self._refuse(json.loads(entry.line()), why)

    def close(self) -> None:
        """Let go of the files; records that are left are there for the next process."""
        with self._using:
            for file in (*self._left, self._own):
                if file is not None and file.waiting:
                    file.close()
                elif file is not None:
                    file.remove()
            self._left.clear()
            self._own = self._taken = None

    def _make(self) -> "_File":
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
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

    def _parse(self, line: bytes) -> Entry | None:
        try:
            return Entry.parse(line)
        except ValueError:
            logger.error("a line of the ledger's spool is no record; it is in {}", REFUSED)
            try:
                self._refuse(line.decode(errors="replace"), "it is no record")
            except OSError as trouble:
                logger.error("{} cannot be written: {}", self._folder / REFUSED, trouble)
            return None

    def _refuse(self, record: object, why: str) -> None:
        refusal = {"at": time.time(), "why": why, "record": record}
        line = json.dumps(refusal, ensure_ascii=False) + "\n"
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._folder / REFUSED).open("ab", buffering=0) as file:
            file.write(line.encode())


class _File:
    """Lines of JSON, which nobody but the process that has locked them touches."""

    def __init__(self, path: Path, io: FileIO) -> None:
        self._path = path
        self._io = io
        self._offset = 0
        self.waiting = sum(1 for line in io.readall().split(b"\n") if line)

    @classmethod
    def locked(cls, path: Path, mode: str) -> "_File | None":
        """The file, if no other process has it."""
        try:
            io = FileIO(path, mode)
        except FileNotFoundError:
            return None
        if sys.platform != "win32":  # there, one process has the folder to itself
            try:
                fcntl.flock(io, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # It may have been removed between being opened and being locked.
                ours = os.path.samestat(os.fstat(io.fileno()), path.stat())
            except (BlockingIOError, FileNotFoundError):
                ours = False
            if not ours:
                io.close()
                return None
        return cls(path, io)

    def append(self, data: bytes, count: int) -> None:
        """Add lines, all or none.

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
        """The next lines; the last one of a process that died may be a part of one."""
        self._io.seek(self._offset)
        data = b""
        while more := self._io.read(TAKEN_BYTES):
            data += more
            if b"\n" in more:
                break
        whole, end, rest = data.rpartition(b"\n")
        return (whole + end).splitlines(keepends=True) if end else [rest] if rest else []

    def skip(self, lines: Sequence[bytes]) -> bool:
        """Forget the next lines; whether they were the last ones."""
        self._offset += sum(map(len, lines))
        self.waiting -= len(lines)
        if self._offset < self._io.seek(0, os.SEEK_END):
            return False
        self._io.truncate(0)
        self._offset = self.waiting = 0
        return True

    def close(self) -> None:
        """Leave it to the next process."""
        self._io.close()

    def remove(self) -> None:
        """Nothing in it is needed any more."""
        self._io.truncate(0)  # whoever finds it in the meantime finds nothing
        self._io.close()
        self._path.unlink(missing_ok=True)
