"""Replays calls with Ray, on this machine or on a cluster that shares no files with it."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from evals.replay.batch import ATTEMPTS, Job, Outcome
from evals.replay.processes import attempt
from evals.replay.recorded_call import Options, ReplayError, part_of
from models.replacement import replace

LOCAL = "local"


class RayTasks:
    """Replays calls as Ray tasks; a task whose worker dies is retried.

    Parameters:
        address: A cluster's address, or ``local``.
        cpus: The number of concurrent tasks for ``local``.
    """

    def __init__(self, address: str, cpus: int) -> None:
        try:
            import ray
        except ImportError:
            raise ReplayError(
                "--ray needs Ray, which is not installed: run `make install-dev`"
            ) from None
        self._ray: Any = ray
        self._address = address
        self._cpus = cpus

    def replay(self, jobs: Sequence[Job], options: Options) -> Iterator[Outcome]:
        """Replay jobs, each outcome as it comes."""
        ray = self._ray
        try:
            if self._address == LOCAL:
                ray.init(
                    num_cpus=self._cpus,
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level="ERROR",
                )
            else:
                ray.init(address=self._address, log_to_driver=False, logging_level="ERROR")
        except Exception as error:
            raise ReplayError(f"--ray {self._address}: no cluster answers: {error}") from None
        try:
            task = ray.remote(num_cpus=1, max_retries=ATTEMPTS)(_replay)
            running = {}
            for job in jobs:
                try:
                    content = job.source.read_bytes()
                except OSError as error:
                    why = f"{job.source} cannot be read: {error.strerror or error}."
                    yield Outcome(job, error=why)
                    continue
                running[task.remote(content, str(job.source), job.out.name, options)] = job
            while running:
                (done,), _ = ray.wait(list(running), num_returns=1)
                job = running.pop(done)
                yield self._outcome(job, done)
        finally:
            ray.shutdown()

    def _outcome(self, job: Job, done: Any) -> Outcome:
        try:
            entry, error, content = self._ray.get(done)
        except self._ray.exceptions.RayError as trouble:
            return Outcome(job, error=f"{job.source}: Ray could not replay it: {trouble}")
        if entry is not None:
            part = part_of(job.out)
            part.write_bytes(content)
            replace(part, job.out)
        return Outcome(job, entry, error)


def _replay(
    content: bytes, source: str, name: str, options: Options
) -> tuple[dict[str, Any] | None, str, bytes]:
    """The task: the recording's content in, the replay's content out."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "source", Path(source).name)
        copy.parent.mkdir()
        copy.write_bytes(content)
        out = Path(folder, name)
        entry, error = attempt(Job(copy, out), options)
        if entry is None:
            return None, error.replace(str(copy), source), b""
        return entry | {"source": source}, "", out.read_bytes()
