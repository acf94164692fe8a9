"""Replays many recordings into one run, in several processes or on Ray."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from evals.replay.recorded_call import Options, ReplayError, part_of
from evals.scoring.calls import RUN_FILE
from models.replacement import replace
from version import viva_version

ATTEMPTS = 3
"""Maximum number of attempts for a call whose worker dies."""

State = Literal["done", "refused"]


@dataclass(frozen=True, slots=True)
class Job:
    """One recording to replay.

    Parameters:
        source: The recording.
        out: Where its replay goes.
    """

    source: Path
    out: Path


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a job.

    Parameters:
        job: The job.
        entry: The call's entry in ``run.json``; ``None`` if there is no replay.
        error: Why there is no replay.
    """

    job: Job
    entry: dict[str, Any] | None = None
    error: str = ""


class Workers(Protocol):
    """Replays jobs, in processes or on a cluster."""

    def replay(self, jobs: Sequence[Job], options: Options) -> Iterator[Outcome]:
        """Replay jobs, each outcome as it comes."""
        ...


@dataclass
class Batch:
    """A run in progress.

    Parameters:
        jobs: The recordings to replay.
        out: The run's folder.
        options: How to replay.
        workers_count: The number of worker processes; 0 if unknown.
    """

    jobs: Sequence[Job]
    out: Path
    options: Options
    workers_count: int
    outcomes: list[Outcome] = field(default_factory=list)

    @classmethod
    def find_recordings(
        cls, paths: Iterable[Path], out: Path, options: Options, *, workers: int
    ) -> "Batch":
        """Find the recordings.

        Args:
            paths: Recordings, and folders of them.
            out: The run's folder, which is created.
            options: How to replay.
            workers: The number of worker processes.

        Raises:
            ReplayError: There is nothing to replay, or the folder cannot be used.
        """
        options.check()
        sources = [source for path in paths for source in _recordings(path)]
        jobs: dict[str, Job] = {}
        for source in sources:
            job = Job(source, out / f"{source.stem}.mcap")
            if job.out.name in jobs:
                other = jobs[job.out.name].source
                raise ReplayError(
                    f"{source} and {other} have the same name, and would be one file in {out}. "
                    "Replay them into two folders."
                )
            if source.resolve() == job.out.resolve():
                raise ReplayError(f"{source} would be replaced by its replay. Take another --out.")
            jobs[job.out.name] = job
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ReplayError(f"--out {out} cannot be made: {error.strerror or error}.") from None
        return cls(list(jobs.values()), out, options, workers)

    def run(self, workers: Workers, on_outcome: Callable[[Outcome], None]) -> None:
        """Replay everything, and write ``run.json`` even if interrupted.

        Args:
            workers: The workers.
            on_outcome: Called with each outcome.
        """
        try:
            for outcome in workers.replay(self.jobs, self.options):
                self.outcomes.append(outcome)
                on_outcome(outcome)
        finally:
            for job in self.jobs:
                part_of(job.out).unlink(missing_ok=True)
            self.write()

    @property
    def refused(self) -> list[Outcome]:
        """The jobs that could not be replayed."""
        return [outcome for outcome in self.outcomes if outcome.entry is None]

    def as_dict(self) -> dict[str, Any]:
        """The content of ``run.json``."""
        order = {job.out.name: at for at, job in enumerate(self.jobs)}
        outcomes = sorted(self.outcomes, key=lambda outcome: order[outcome.job.out.name])
        calls = [outcome.entry for outcome in outcomes if outcome.entry is not None]
        seconds = sum(call["seconds"] for call in calls)
        cpu = sum(call["cpu_seconds"] for call in calls)
        return {
            "viva": viva_version(),
            "created_from": [job.source.name for job in self.jobs],
            "options": self.options.as_dict(),
            "calls": calls,
            "refused": [
                {"source": str(outcome.job.source), "error": outcome.error}
                for outcome in outcomes
                if outcome.entry is None
            ],
            "speed_x_realtime": round(seconds / cpu, 1) if cpu else 0.0,
            "jobs": self.workers_count,
        }

    def write(self) -> None:
        """Write ``run.json`` atomically."""
        path = self.out / RUN_FILE
        part = path.with_name(f".{RUN_FILE}.part")
        part.write_text(json.dumps(self.as_dict(), indent=1, ensure_ascii=False) + "\n", "utf-8")
        replace(part, path)


def _recordings(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(file for file in path.rglob("*.mcap") if not file.name.startswith("."))
        if not found:
            raise ReplayError(f"{path} has no recordings (*.mcap); name a folder that does.")
        return found
    if not path.exists():
        raise ReplayError(f"{path}: there is no such file. Recordings are in DATA_DIR/recordings.")
    return [path]
