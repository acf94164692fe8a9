"""Writes recordings beside the calls they are of, without ever holding a call up."""

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
"""Most that may wait for the disk, over all calls; a call brings about 150 kB a second."""

DRAIN_SECS = 0.25
"""How often what waits is written."""

_FLUSH_DRAINS = 4
_AT_ONCE = 16
_MESSAGE_BYTES = 300  # of a message without audio, about

Lost = Callable[[str], None]


class RecordingSink(Protocol):
    """One call's recording while it is written."""

    def write(self, at_ns: int, topic: str, data: Mapping[str, Any]) -> None:
        """Add a message.

        Args:
            at_ns: Unix nanoseconds; one before the last message's counts as that.
            topic: A key of :data:`recording.schemas.TOPICS`.
            data: What it says; it must not be changed any more.
        """
        ...

    def close(self) -> None:
        """Nothing more comes."""
        ...


class Recordings(Protocol):
    """Whoever writes recordings."""

    def open(
        self, path: Path, metadata: Mapping[str, str], *, lost: Lost | None = None
    ) -> RecordingSink:
        """Begin one.

        Args:
            path: Its file; one that is there is replaced.
            metadata: See :func:`recording.metadata.metadata`.
            lost: Called with a reason if the recording ends before it is closed.
        """
        ...


class RecordingFile:
    """One call's recording, written by a :class:`RecordingWriter`; of the loop's thread."""

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
        # The writer's thread's own:
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
            trouble = "The disk takes less than the calls bring."
            self._writer.end(self, trouble)
            if self._lost is not None:
                self._lost(trouble)

    def close(self) -> None:
        """Nothing more comes."""
        if not self._over:
            self._over = True
            self._writer.end(self, "")

    # In the writer's thread.

    def write_message(self, at_ns: int, topic: str, data: Mapping[str, Any]) -> None:
        """Write a message down."""
        self._guarded(lambda file: file.write(at_ns, topic, data))

    def open(self) -> None:
        """Make the file."""
        try:
            self._stream = create(self.path)
            self._file = McapFile(self._stream, self._metadata)
        except OSError as error:
            self._give_up(error)

    def drained(self) -> None:
        """Write what has been waiting for a second, though nothing followed it."""
        if self._file is None or not self._file.unwritten:
            self._drains = 0
            return
        self._drains += 1
        if self._drains >= _FLUSH_DRAINS:
            self._drains = 0
            self._guarded(lambda file: file.flush())

    def finish(self, trouble: str) -> None:
        """Make the file whole."""
        if trouble:
            logger.error("the recording {} ends early: {}", self.path.name, trouble)
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
        logger.error("the recording {} ends early: {}", self.path.name, reason)
        self._release()
        if self._lost is not None and self._loop is not None:
            try:
                self._loop.call_soon_threadsafe(self._tell_lost, f"{reason}.")
            except RuntimeError:
                logger.debug("nobody is left to tell that {} is lost", self.path.name)

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
    """Writes all calls' recordings, in one thread.

    The loop only appends to a queue; encoding, compression and the disk are the thread's. A queue
    that is full ends the recording that would add to it, which is logged, written into its file
    and told to its call: nothing is left out silently.

    Parameters:
        max_waiting_bytes: Most that may wait, over all calls.
        drain_secs: How often what waits is written.
    """

    def __init__(
        self, *, max_waiting_bytes: int = MAX_WAITING_BYTES, drain_secs: float = DRAIN_SECS
    ) -> None:
        self._max_waiting = max_waiting_bytes
        self._drain_secs = drain_secs
        self._queue: deque[tuple[Callable[[], None], int]] = deque()
        # Each is written by one thread only.
        self._put = 0
        self._taken = 0
        self._open: set[RecordingFile] = set()
        self._wake = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None

    @property
    def waiting_bytes(self) -> int:
        """How much waits for the disk, about."""
        return self._put - self._taken

    def open(
        self, path: Path, metadata: Mapping[str, str], *, lost: Lost | None = None
    ) -> RecordingFile:
        """Begin a recording; see :class:`Recordings`."""
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
            Whether there was room for it.
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
        """Write what waits; recordings that are still open are finished first.

        Args:
            timeout_secs: Longest wait for a slow disk.
        """
        if self._thread is not None:
            self._closing = True
            self._wake.set()
            await asyncio.to_thread(self._thread.join, timeout_secs)
            if self._thread.is_alive():
                logger.error("recordings were still being written when the server ended")
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
        # Not for longer than what waited at first: a file that nothing follows is flushed too.
        for number in range(len(self._queue)):
            work, size = self._queue.popleft()
            work()
            self._taken += size
            if number % _AT_ONCE == 0:
                time.sleep(0)  # lets the loop have the interpreter, which waits 5 ms otherwise


class InlineFile:
    """One call's recording, written as it comes."""

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
        """Make the file whole."""
        if self._file is not None:
            file, self._file = self._file, None
            with self._stream:
                file.finish()


class InlineWriter:
    """Writes recordings as they come, without a thread: for virtual time, and for tools.

    The same messages make the same file, to the byte.
    """

    def open(
        self, path: Path, metadata: Mapping[str, str], *, lost: Lost | None = None
    ) -> InlineFile:
        """Begin a recording; see :class:`Recordings`.

        Raises:
            OSError: It cannot be written, as for each write that follows.
        """
        return InlineFile(path, metadata)

    async def close(self) -> None:
        """Nothing waits."""


def create(path: Path) -> IO[bytes]:
    """A new file that nobody else may read: it holds voices.

    Raises:
        OSError: It cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
