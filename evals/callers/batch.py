"""Many simulated calls: plans them, makes them at once, and keeps each as it is finished."""

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from evals.callers.persona import Persona
from evals.callers.site import Held, Planned, SiteError
from evals.callers.truth import HEAD
from models.replacement import replace
from version import viva_version

CALLERS_FILE = "callers.json"
TRUTH_FILE = "truth.toml"


class CallsFrom(Protocol):
    """Makes calls: a :class:`~evals.callers.site.Site`, or those of a cluster."""

    @property
    def nodes(self) -> int:
        """The number of machines that calls are made from."""
        ...

    async def hold(self, planned: Planned) -> Held:
        """Make one call."""
        ...


def plan(personas: Sequence[Persona], calls: int, seed: int) -> list[Planned]:
    """Who calls, in turn; each call has a seed of its own, which depends on ``seed`` alone.

    Args:
        personas: The personas, who take turns.
        calls: The number of calls.
        seed: The seed of all.
    """
    return [
        Planned(number, personas[(number - 1) % len(personas)], seed * 1_000_003 + number)
        for number in range(1, calls + 1)
    ]


@dataclass
class Batch:
    """Calls that are being made.

    Parameters:
        planned: The calls.
        out: Where recordings, truth and ``callers.json`` go.
        at_once: The largest number of calls at the same time, from each node.
        seed: The seed of all.
    """

    planned: Sequence[Planned]
    out: Path
    at_once: int
    seed: int
    held: list[Held] = field(default_factory=list)

    def open_folder(self) -> None:
        """Make the folder.

        Raises:
            SiteError: It cannot be made, or has calls already.
        """
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            there = sorted(path.name for path in self.out.glob("*.mcap"))
        except OSError as error:
            raise SiteError(
                f"--out {self.out} cannot be made: {error.strerror or error}."
            ) from None
        taken = [name for name in (CALLERS_FILE, TRUTH_FILE) if (self.out / name).exists()]
        if found := [*there, *taken]:
            raise SiteError(f"--out {self.out} has {found[0]} already; take another folder.")

    async def run(
        self,
        site: AbstractAsyncContextManager[CallsFrom],
        on_start: Callable[[], None],
        on_held: Callable[[Held], None],
    ) -> None:
        """Make all calls; those that are finished are kept if this is cancelled.

        Args:
            site: Where they are made from.
            on_start: Called once calls can be made.
            on_held: Called with each call.
        """
        left = list(reversed(self.planned))
        async with site as calls_from:
            on_start()

            async def work() -> None:
                while left:
                    held = await calls_from.hold(left.pop())
                    self._keep(held)
                    on_held(held)

            async with asyncio.TaskGroup() as working:
                for _ in range(min(calls_from.nodes * self.at_once, len(self.planned))):
                    working.create_task(work())

    def _keep(self, held: Held) -> None:
        if held.recording:
            _write(self.out / held.file, held.recording)
        self.held.append(held)
        self._write_files()

    def _write_files(self) -> None:
        self.held.sort(key=lambda held: held.file.rpartition("-")[2])
        truths = [held.truth for held in self.held if held.truth]
        _write(self.out / TRUTH_FILE, "\n".join([HEAD, *truths]).encode())
        plain = json.dumps(self.as_dict(), indent=1, ensure_ascii=False) + "\n"
        _write(self.out / CALLERS_FILE, plain.encode())

    @property
    def failed(self) -> list[Held]:
        """The calls that were not made, or are not recorded."""
        return [held for held in self.held if held.error]

    def as_dict(self) -> dict[str, Any]:
        """The content of ``callers.json``."""
        return {
            "viva": viva_version(),
            "seed": self.seed,
            "planned": len(self.planned),
            "at_once": self.at_once,
            "calls": [held.as_dict() for held in self.held],
        }


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    replace(part, path)
