"""A supervisor and its worker processes on one port.

Only the supervisor accepts connections, and passes each to the worker with the most room. So calls
are spread evenly; a worker that is full, late, loading or being replaced gets none while another
is free; and no connection waits in the queue of a dead process.
"""

import asyncio
import json
import signal
import socket
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from loguru import logger

from operating.supervisor.supervisor_client import WorkerContext

BACKLOG = 512
"""Connections that may wait while no worker is free."""

AT_ONCE = 64
"""Connections accepted before other events are handled."""

RESTART_SECS = 1.0
"""Pause before a dead worker is replaced; doubles each time it dies young."""

RESTART_MOST_SECS = 30.0
"""Longest pause."""

YOUNG_SECS = 60.0
"""A worker that dies before this age died young."""

END_SECS = 20.0
"""How long a worker may overrun its time to stop before it is killed."""

CANNOT_LOAD = 2
"""Exit status when no worker can load its engines, as of any other wrong setting."""


class WorkerError(Exception):
    """No worker can serve, and one has said why. ``status`` is its exit status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"a worker that cannot serve ended with status {status}")
        self.status = status


@dataclass(slots=True, eq=False)
class Worker:
    """A worker, and its last reported status.

    Parameters:
        number: Its number, counting from 0.
        process: Its process.
        channel: The socket for connections and status updates.
        up: Whether it takes connections.
        loaded: Whether its models are loaded.
        taking: Whether it would accept another call.
        calls: Its open calls.
        given: Connections passed to it.
        taken: Connections on which it has seen a request.
        share: Progress of loading its models, 0 to 1.
    """

    number: int
    process: asyncio.subprocess.Process
    channel: socket.socket
    up: bool = False
    loaded: bool = False
    taking: bool = True
    calls: int = 0
    given: int = 0
    taken: int = 0
    share: float = 0.0
    news: bytearray = field(default_factory=bytearray)

    def sort_key(self) -> tuple[bool, bool, int]:
        """Sort key of workers: the least gets the next connection.

        Waiting for models is better than being refused.
        """
        return not self.taking, not self.loaded, self.calls + self.given - self.taken

    def update_status(self, news: dict[str, Any]) -> None:
        """Record a status update."""
        for name in ("up", "loaded", "taking", "calls", "taken"):
            if name in news:
                setattr(self, name, news[name])


class Workers:
    """Starts workers, replaces those that die, and distributes connections.

    The first worker starts alone, so that invalid settings are reported once and the database is
    migrated once.

    Parameters:
        command: Starts a worker, which finds its
            :class:`operating.supervisor.supervisor_client.WorkerContext` in its environment.
        count: Number of workers.
        listeners: Bound, listening sockets.
        address: The address that callers open.
        stop_secs: How long a worker may take to end after its signal.
        listening: Called with the address, the document's title and a sign-in link, once a
            worker serves.
        progress: Called with what is loading, and the overall progress.
        restart_secs: Pause before a dead worker is replaced.
        end_secs: How long a worker may overrun ``stop_secs`` before it is killed.
    """

    def __init__(
        self,
        command: Sequence[str],
        count: int,
        listeners: Sequence[socket.socket],
        *,
        address: str,
        stop_secs: float,
        listening: Callable[[str, str, str], None] = lambda _address, _title, _link: None,
        progress: Callable[[str, float], None] = lambda _label, _share: None,
        restart_secs: float = RESTART_SECS,
        end_secs: float = END_SECS,
    ) -> None:
        self.workers: dict[int, Worker] = {}
        self._command = command
        self._count = count
        self._listeners = listeners
        self._address = address
        self._stop_secs = stop_secs
        self._listening = listening
        self._progress = progress
        self._restart_secs = restart_secs
        self._end_secs = end_secs
        self._folder = tempfile.TemporaryDirectory(prefix="viva-workers-")
        self._stopping = asyncio.Event()
        self._begun = asyncio.Event()
        self._accepting = False
        self._any_loaded = False
        self._all_loaded = False
        self._unloadable = False
        self._turn = 0

    async def run(self) -> None:
        """Serve until SIGINT or SIGTERM, which the workers get too; return when all have ended.

        Raises:
            WorkerError: The first worker ended before it could serve, or a worker could not load
                its engines before any other had loaded them.
        """
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGINT, signal.SIGTERM)
        for asked in numbers:
            loop.add_signal_handler(asked, self._signalled, asked)
        first = asyncio.create_task(self._keep(0))
        begun = asyncio.create_task(self._begun.wait())
        try:
            await asyncio.wait([first, begun], return_when=asyncio.FIRST_COMPLETED)
            begun.cancel()
            if first.done():
                return await first
            async with asyncio.TaskGroup() as group:
                for number in range(1, self._count):
                    group.create_task(self._keep(number))
            await first
            if self._unloadable:
                raise WorkerError(CANNOT_LOAD)
        finally:
            self._accept(on=False)
            for worker in self.workers.values():
                with suppress(ProcessLookupError):
                    worker.process.kill()
            for asked in numbers:
                loop.remove_signal_handler(asked)
            self._folder.cleanup()

    # Workers.

    async def _keep(self, number: int) -> None:
        """Keep a worker of this number running until the server stops."""
        delay = self._restart_secs
        while not self._stopping.is_set():
            began = asyncio.get_running_loop().time()
            worker = await self._start(number)
            status = await self._attend(worker)
            del self.workers[number]
            if self._stopping.is_set():
                return
            if not self._begun.is_set():
                raise WorkerError(status)
            if asyncio.get_running_loop().time() - began > YOUNG_SECS:
                delay = self._restart_secs
            logger.error(
                "worker {} ended {}; its calls are lost, restarting it in {:g} s",
                number,
                f"by signal {-status}" if status < 0 else f"with status {status}",
                delay,
            )
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay)
            delay = min(2 * delay, RESTART_MOST_SECS)

    async def _start(self, number: int) -> Worker:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        context = WorkerContext(
            number=number,
            workers=self._count,
            channel=theirs.fileno(),
            address=self._address,
            folder=self._folder.name,
            first=not self._begun.is_set(),
        )
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,  # closes when this process ends, however it ends
                pass_fds=[theirs.fileno()],
                process_group=0,  # Ctrl-C reaches only this process, which passes it on
                env=context.environment(),
            )
        worker = self.workers[number] = Worker(number, process, ours)
        if self._stopping.is_set():  # it had not started when the others were told
            process.terminate()
        return worker

    async def _attend(self, worker: Worker) -> int:
        """Handle a worker's messages until it ends; returns its exit status."""
        loop = asyncio.get_running_loop()
        loop.add_reader(worker.channel.fileno(), self._hear, worker)
        ended = asyncio.create_task(worker.process.wait())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([ended, stopping], return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                await asyncio.wait([ended], timeout=self._stop_secs + self._end_secs)
            if not ended.done():
                logger.error("worker {} does not stop, killing it", worker.number)
                worker.process.kill()
            return await ended
        finally:
            stopping.cancel()
            worker.up = False
            loop.remove_reader(worker.channel.fileno())
            worker.channel.close()

    def _signalled(self, number: signal.Signals) -> None:
        self._stopping.set()
        for worker in self.workers.values():
            with suppress(ProcessLookupError):
                worker.process.send_signal(number)

    # Status updates.

    def _hear(self, worker: Worker) -> None:
        try:
            heard = worker.channel.recv(65_536)
        except BlockingIOError:
            return
        except OSError:
            heard = b""
        if not heard:  # its process is ending; _attend handles that
            worker.up = False
            asyncio.get_running_loop().remove_reader(worker.channel.fileno())
            return
        worker.news += heard
        *lines, rest = worker.news.split(b"\n")
        worker.news = rest
        for line in lines:
            self._note(worker, json.loads(line))

    def _note(self, worker: Worker, news: dict[str, Any]) -> None:
        worker.update_status(news)
        if worker.up and not self._begun.is_set():
            self._begun.set()
            self._listening(self._address, news.get("title", ""), news.get("link", ""))
        if worker.up and not self._accepting:
            self._accept(on=True)
        if "loading" in news and not self._all_loaded:
            label, worker.share = news["loading"]
            shares = sum(worker.share for worker in self.workers.values()) / self._count
            if label != "ready":
                self._progress(label, shares)
        self._any_loaded = self._any_loaded or worker.loaded
        if news.get("failed") and not self._any_loaded:
            # Its replacement would fail as well. Once one has loaded them, others serve meanwhile.
            self._unloadable = True
            self._signalled(signal.SIGTERM)
        loaded = sum(worker.loaded for worker in self.workers.values())
        if loaded == self._count and not self._all_loaded:
            self._all_loaded = True
            self._progress("ready", 1.0)

    # Connections.

    def _accept(self, *, on: bool) -> None:
        loop = asyncio.get_running_loop()
        if on and not self._accepting:
            for listener in self._listeners:
                loop.add_reader(listener.fileno(), self._take, listener)
        elif not on and self._accepting:
            for listener in self._listeners:
                loop.remove_reader(listener.fileno())
        self._accepting = on

    def _take(self, listener: socket.socket) -> None:
        for _ in range(AT_ONCE):
            if not any(worker.up for worker in self.workers.values()):
                self._accept(on=False)  # until a worker is up, connections wait in the backlog
                return
            try:
                connection, _ = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                logger.warning("cannot accept a connection: {}", error)
                return
            with connection:
                self._hand_over(connection)

    def _hand_over(self, connection: socket.socket) -> None:
        """Pass a connection to the worker with the most room, round-robin among equals."""
        self._turn += 1
        there = [worker for worker in self.workers.values() if worker.up]
        turns = {worker: (worker.number - self._turn) % self._count for worker in there}
        for worker in sorted(
            there, key=lambda candidate: (*candidate.sort_key(), turns[candidate])
        ):
            try:
                socket.send_fds(worker.channel, [b"c"], [connection.fileno()])
            except OSError:  # it has died, or its socket is full
                continue
            worker.given += 1
            return
        logger.error("no worker available, connection closed")


def listen(host: str, port: int) -> tuple[list[socket.socket], str]:
    """Listen on a port, at every address of a host.

    Args:
        host: Address or name; empty for all.
        port: 0 picks a free port.

    Returns:
        The non-blocking sockets, and the address to open.

    Raises:
        OSError: The address is not available.
    """
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    listeners: list[socket.socket] = []
    try:
        for family, *_, where in dict.fromkeys(found):
            chosen = listeners[0].getsockname()[1] if listeners else port
            server = socket.create_server((where[0], chosen), family=family, backlog=BACKLOG)
            listeners.append(server)
            server.setblocking(False)
    except OSError:
        for listener in listeners:
            listener.close()
        raise
    shown, number = listeners[0].getsockname()[:2]
    return listeners, f"http://{f'[{shown}]' if ':' in shown else shown}:{number}"


def supported() -> bool:
    """Whether this system can pass a connection to another process."""
    return hasattr(socket, "send_fds")
