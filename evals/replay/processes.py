"""Replays calls in several processes of this machine."""

import multiprocessing
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from evals.replay.batch import ATTEMPTS, Job, Outcome
from evals.replay.recorded_call import Options, ReplayError, replay
from models.allocation import exempt_from_collection
from recording.recording import RecordingError
from settings import SettingsError

_STOP_SECS = 2.0  # for which a process that was told to end is waited for


class Processes:
    """Replays calls in worker processes; if one dies, it is replaced and its call retried.

    Parameters:
        count: The number of processes.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._spawn = multiprocessing.get_context("spawn")
        self._workers: dict[Connection, SpawnProcess] = {}

    def replay(self, jobs: Sequence[Job], options: Options) -> Iterator[Outcome]:
        """Replay jobs, each outcome as it comes."""
        waiting = deque((job, 1) for job in jobs)
        busy: dict[Connection, tuple[Job, int]] = {}
        idle: list[Connection] = []
        try:
            while waiting or busy:
                while waiting and len(busy) < self._count:
                    line = idle.pop() if idle else self._worker(options)
                    with suppress(ConnectionError):  # it has died; its exit status follows
                        line.send(waiting[0][0])
                    busy[line] = waiting.popleft()
                for line in [ready for ready in wait(list(busy)) if isinstance(ready, Connection)]:
                    job, attempt = busy.pop(line)
                    try:
                        entry, error = line.recv()
                    except (EOFError, ConnectionError):
                        status = self._dismiss(line)
                        if attempt < ATTEMPTS:
                            waiting.appendleft((job, attempt + 1))
                            continue
                        entry = None
                        error = (
                            f"{job.source}: the process that replayed it died {ATTEMPTS} times, at "
                            f"last with status {status}."
                        )
                    else:
                        idle.append(line)
                    yield Outcome(job, entry, error)
        finally:
            for line in busy:
                self._workers[line].terminate()
            for line in list(self._workers):
                self._dismiss(line)

    @property
    def pids(self) -> list[int]:
        """The workers' process ids."""
        return [process.pid for process in self._workers.values() if process.pid is not None]

    def _dismiss(self, line: Connection) -> int | None:
        """Stop a worker; return its exit status."""
        process = self._workers.pop(line)
        line.close()
        process.join(_STOP_SECS)
        if process.is_alive():
            process.kill()
            process.join()
        return process.exitcode

    def _worker(self, options: Options) -> Connection:
        ours, theirs = self._spawn.Pipe()
        process = self._spawn.Process(target=_serve, args=(theirs, options), daemon=True)
        process.start()
        theirs.close()
        self._workers[ours] = process
        return ours


def attempt(job: Job, options: Options) -> tuple[dict[str, Any] | None, str]:
    """Replay a job; return the call's entry in ``run.json``, or the reason why there is none."""
    try:
        return replay(job.source, job.out, options), ""
    except (RecordingError, ReplayError, SettingsError) as error:
        return None, str(error)
    except Exception as error:
        return None, f"{job.source} cannot be replayed: {type(error).__name__}: {error}"


def _serve(line: Connection, options: Options) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(EOFError, ConnectionError):
        line.send(attempt(line.recv(), options))
        exempt_from_collection()  # what the first call has loaded serves all others
        while True:
            line.send(attempt(line.recv(), options))
