"""Writes recordings without ever blocking a call."""

import asyncio
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, Protocol

from loguru import logger

from recording.mcap_file import McapFile
from recording.schemas import AUDIO_TOPICS, TOPICS

MAX_WAITING_BYTES = 64 * 1024 * 1024
"""Maximum size of the queue, over all calls; a call produces about 150 kB a second."""

DRAIN_SECS = 0.25
"""Interval at which the queue is written."""

_FLUSH_DRAINS = 4  # drains between two flushes: what a crash may lose, about a second
_AT_ONCE = 16  # messages written before the event loop gets its turn
_MESSAGE_BYTES = 300  # rough size of a message without audio

Lost = Callable[[str], None]


class RecordingSink(Protocol):
    """One call's recording, open for writing."""

    def write(self, at_ns: int, topic: str, data: Mapping[str, Any]) -> None:
        """Add a message.

        Args:
            at_ns: Unix nanoseconds; raised to the last message's if it is earlier.
            topic: A key of :data:`recording.schemas.TOPICS`.
            data: Its fields; must not be changed afterwards.
        """
        ...

    def close(self) -> None:
        """Finish the recording."""
        ...


class Recordings(Protocol):
    """Opens recordings for writing."""

    def open(
        self, path: Path, metadata: Mapping[str, str], *, lost: Lost | None = None
    ) -> RecordingSink:
        """Open a recording.

        Args:
            path: The file; an existing one is replaced.
            metadata: See :func:`recording.metadata.metadata`.
            lost: Called with a reason if the recording ends before it is closed.
        """
        ...


class RecordingFile:
    """One call's recording, written by a :class:`RecordingWriter`; used from the loop's thread."""

    def __init__(
        self, writer: "RecordingWriter", path: Path, metadata: Mapping[str, str], lost: Lost | None
    ) -> None:
        self.path = path
        self._writer = writer
        self._metadata = metadata
        self._lost = lost
        self._loop = asyncio.get_running_loop() if lost is not None else None
        self._last_ns = 0
        self._over = False
        # Used from the writer's thread only:
        self._stream: IO[bytes] | None = None
        self._file: McapFile | None = None
        self._drains = 0

    def write(self, at_ns: int, topic: str, data: Mapping[str, Any]) -> None:
        """Add a message; see :class:`RecordingSink`."""
        if self._over:
            return
        if topic not in TOPICS:
            raise ValueError(f"{topic!r} is no topic of a recording; see recording/schemas.py.")
        self._last_ns = at_ns = max(at_ns, self._last_ns)
        size = len(data["data"]) if topic in AUDIO_TOPICS else 0
        if not self._writer.enqueue(self, at_ns, topic, data, size + _MESSAGE_BYTES):
            self._over = True
            trouble = "The disk is slower than the calls."
            self._writer.end(self, trouble)
            if self._lost is not None:
                self._lost(trouble)

    def close(self) -> None:
        """Finish the recording."""
        if not self._over:
            self._over = True
            self._writer.end(self, "")

    # Called in the writer's thread.

    def write_message(self, at_ns: int, topic: str, data: Mapping[str, Any]) -> None:
        """Encode a message and write it to the file."""
        self._guarded(lambda file: file.write(at_ns, topic, data))

    def open(self) -> None:
        """Create the file."""
        try:
            self._stream = create(self.path)
            self._file = McapFile(self._stream, self._metadata)
        except OSError as error:
            self._give_up(error)

    def drained(self) -> None:
        """Flush messages that have waited for a second without any following."""
        if self._file is None or not self._file.unwritten:
            self._drains = 0
            return
        self._drains += 1
        if self._drains >= _FLUSH_DRAINS:
            self._drains = 0
            self._guarded(lambda file: file.flush())

    def finish(self, trouble: str) -> None:
        """Complete the file."""
        if trouble:
            logger.error("recording {} ends early: {}", self.path.name, trouble)
        self._guarded(lambda file: file.finish(trouble))
        self._release()

    def _guarded(self, what: Callable[[McapFile], None]) -> None:
        if self._file is None:
            return
        try:
            what(self._file)
        except Exception as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        logger.error("recording {} ends early: {}", self.path.name, reason)
        self._release()
        if self._lost is not None and self._loop is not None:
            try:
                self._loop.call_soon_threadsafe(self._tell_lost, f"{reason}.")
            except RuntimeError:
                logger.debug("the call of the lost recording {} is already gone", self.path.name)

    def _tell_lost(self, reason: str) -> None:
        if not self._over:
            self._over = True
            assert self._lost is not None
            self._lost(reason)

    def _release(self) -> None:
        stream, self._stream, self._file = self._stream, None, None
        if stream is not None:
            try:
                stream.close()
            except OSError as error:
                logger.debug("{}: {}", self.path.name, error)


class RecordingWriter:
    """Writes the recordings of all calls in one thread.

    The event loop only appends to a queue; the thread encodes, compresses and writes. A full queue
    ends the recording that would add to it. That is logged, written into the file and reported to
    the call: no message is dropped silently.

    Parameters:
        max_waiting_bytes: Maximum size of the queue, over all calls.
        drain_secs: Interval at which the queue is written.
    """

    def __init__(
        self, *, max_waiting_bytes: int = MAX_WAITING_BYTES, drain_secs: float = DRAIN_SECS
    ) -> None:
        self._max_waiting = max_waiting_bytes
        self._drain_secs = drain_secs
        self._queue: deque[tuple[Callable[[], None], int]] = deque()
        # One thread writes each of these counters.
        self._put = 0
        self._taken = 0
        self._open: set[RecordingFile] = set()
        self._wake = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None

    @property
    def waiting_bytes(self) -> int:
        """Approximate size of the queue."""
        return self._put - self._taken

    def open(
        self, path: Path, metadata: Mapping[str, str], *, lost: Lost | None = None
    ) -> RecordingFile:
        """Open a recording; see :class:`Recordings`."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="recordings", daemon=True)
            self._thread.start()
        file = RecordingFile(self, path, metadata, lost)

        def open_file() -> None:
            self._open.add(file)
            file.open()

        self._queue.append((open_file, 0))
        self._wake.set()
        return file

    def enqueue(
        self, file: RecordingFile, at_ns: int, topic: str, data: Mapping[str, Any], size: int
    ) -> bool:
        """Queue a message of a file.

        Returns:
            Whether the queue had room for it.
        """
        if self.waiting_bytes + size > self._max_waiting:
            return False
        self._put += size
        self._queue.append((lambda: file.write_message(at_ns, topic, data), size))
        return True

    def end(self, file: RecordingFile, trouble: str) -> None:
        """Queue the end of a file."""

        def finish() -> None:
            file.finish(trouble)
            self._open.discard(file)

        self._queue.append((finish, 0))

    async def close(self, timeout_secs: float = 10.0) -> None:
        """Finish open recordings and write the rest of the queue.

        Args:
            timeout_secs: Maximum wait for a slow disk.
        """
        if self._thread is not None:
            self._closing = True
            self._wake.set()
            await asyncio.to_thread(self._thread.join, timeout_secs)
            if self._thread.is_alive():
                logger.error("recordings were still being written when the server stopped")
            self._thread = None

    def _run(self) -> None:
        while True:
            closing = self._closing
            self._drain()
            for file in tuple(self._open):
                file.drained()
            if closing:
                for file in self._open:
                    file.finish("")
                self._open.clear()
                return
            self._wake.wait(self._drain_secs if self._open else None)
            self._wake.clear()

    def _drain(self) -> None:
        # No longer than the queue was at first: idle files must be flushed, too.
        for number in range(len(self._queue)):
            work, size = self._queue.popleft()
            work()
            self._taken += size
            if number % _AT_ONCE == 0:
                time.sleep(0)  # yields the GIL to the event loop, which otherwise waits 5 ms for it


class InlineFile:
    """One call's recording, written synchronously."""

    def __init__(self, path: Path, metadata: Mapping[str, str]) -> None:
        self.path = path
        self._stream = create(path)
        self._file: McapFile | None = McapFile(self._stream, metadata)
        self._last_ns = 0

    def write(self, at_ns: int, topic: str, data: Mapping[str, Any]) -> None:
        """Add a message; see :class:`RecordingSink`."""
        if topic not in TOPICS:
            raise ValueError(f"{topic!r} is no topic of a recording; see recording/schemas.py.")
        if self._file is not None:
            self._last_ns = at_ns = max(at_ns, self._last_ns)
            self._file.write(at_ns, topic, data)

    def close(self) -> None:
        """Complete the file."""
        if self._file is not None:
            file, self._file = self._file, None
            with self._stream:
                file.finish()


class InlineWriter:
    """Writes recordings synchronously, without a thread: for virtual time and for tools.

    Equal messages make equal files, to the byte.
    """

    def open(
        self, path: Path, metadata: Mapping[str, str], *, lost: Lost | None = None
    ) -> InlineFile:
        """Begin a recording; see :class:`Recordings`.

        Raises:
            OSError: The file cannot be written; later writes raise it, too.
        """
        return InlineFile(path, metadata)

    async def close(self) -> None:
        """Do nothing: everything is written already."""


def create(path: Path) -> IO[bytes]:
    """Create a file that only this user may read, for it holds voices.

    Raises:
        OSError: The file cannot be created.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
