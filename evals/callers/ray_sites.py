"""Calls from the nodes of a Ray cluster, which shares no files: each node has a site of its own."""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from evals.callers.persona import Persona
from evals.callers.site import Held, Planned, Site, SiteError, Target

LOCAL = "local"

ATTEMPTS = 3
"""How often a call is made whose node is lost."""

CLOSE_SECS = 30.0
"""Maximum time for the nodes' servers to stop."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """What a node needs to make calls.

    Parameters:
        target: What is called.
        personas: Those who call.
        files: The content of each file that they name, by its path.
    """

    target: Target
    personas: tuple[Persona, ...]
    files: Mapping[Path, bytes]

    @classmethod
    def of(cls, target: Target, personas: Sequence[Persona]) -> Self:
        """Read the files that target and personas name.

        Raises:
            SiteError: One cannot be read.
        """
        named = [target.knowledge, *(_noise(persona) for persona in personas)]
        try:
            files = {path: path.read_bytes() for path in named if path is not None}
        except OSError as error:
            raise SiteError(f"{error.filename} cannot be read: {error.strerror}.") from None
        return cls(target, tuple(personas), files)

    def unpack(self, folder: Path) -> tuple[Target, dict[str, Persona]]:
        """Write the files into a folder; returns target and personas, by id, that name those."""
        there: dict[Path | None, Path | None] = {None: None}
        for number, (path, content) in enumerate(self.files.items()):
            there[path] = folder / f"{number}-{path.name}"
            (folder / f"{number}-{path.name}").write_bytes(content)
        personas = {}
        for persona in self.personas:
            noise = persona.background
            if noise is not None:
                noise = replace(noise, file=there[noise.file])
            personas[persona.id] = replace(persona, background=noise)
        return replace(self.target, knowledge=there[self.target.knowledge]), personas


class NodeSite:
    """A node's site; Ray makes it an actor, whose coroutines run on one event loop.

    Parameters:
        parcel: What it needs.
    """

    def __init__(self, parcel: Parcel) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="viva-callers-")
        target, self._personas = parcel.unpack(Path(self._folder.name))
        self._site = Site(target, list(self._personas.values()))

    async def open(self) -> str:
        """Start the server and load the voices; returns why that failed, or nothing."""
        try:
            await self._site.__aenter__()
        except Exception as error:
            return str(error)
        return ""

    async def hold(self, planned: Planned) -> Held:
        """Make one call."""
        here = self._personas[planned.persona.id]
        return await self._site.hold(replace(planned, persona=here))

    async def close(self) -> None:
        """Stop the server."""
        await self._site.__aexit__()
        self._folder.cleanup()


class RaySites:
    """Calls from every node of a cluster; an asynchronous context manager.

    Parameters:
        address: The cluster's address, or ``local`` for a cluster of this machine alone.
        target: What is called; without a URL, a server on each node.
        personas: Those who call.
    """

    def __init__(self, address: str, target: Target, personas: Sequence[Persona]) -> None:
        try:
            import ray
        except ImportError:
            raise SiteError(
                "--ray needs Ray, which is not installed: run `make install-dev`"
            ) from None
        self._ray: Any = ray
        self._address = address
        self._parcel = Parcel.of(target, personas)
        self._actors: list[Any] = []
        self._busy: Counter[Any] = Counter()

    async def __aenter__(self) -> Self:
        try:
            self._connect()  # blocks; nothing else runs yet
        except Exception as error:
            raise SiteError(f"--ray {self._address}: no cluster answers: {error}") from None
        try:
            await self._open()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._close()

    @property
    def nodes(self) -> int:
        """The number of nodes that calls are made from."""
        return len(self._actors)

    async def hold(self, planned: Planned) -> Held:
        """Make one call, from the node that has the fewest."""
        lost = ""
        for _ in range(ATTEMPTS):
            if not self._actors:
                break
            actor = min(self._actors, key=lambda each: self._busy[each])
            self._busy[actor] += 1
            try:
                held: Held = await actor.hold.remote(planned)
            except self._ray.exceptions.RayError as error:
                lost = _why(error)
                if actor in self._actors:
                    self._actors.remove(actor)
            else:
                return held
            finally:
                self._busy[actor] -= 1
        why = f"Ray could not make it: {lost or 'no node is left'}"
        return Held(planned.file, planned.persona.id, planned.seed, error=why)

    def _connect(self) -> None:
        quiet = {"log_to_driver": False, "logging_level": "ERROR"}
        if self._address == LOCAL:
            self._ray.init(include_dashboard=False, **quiet)
        else:
            self._ray.init(address=self._address, **quiet)

    async def _open(self) -> None:
        at = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        of = self._ray.remote(NodeSite)
        nodes = [node for node in self._ray.nodes() if node["Alive"] and _cpus(node)]
        if not nodes:
            raise SiteError(f"--ray {self._address}: no node of the cluster has a processor.")
        # As many coroutines as calls, and one that closes.
        concurrency = self._parcel.target.at_once + 1
        self._actors = [
            of.options(
                num_cpus=1,
                max_concurrency=concurrency,
                scheduling_strategy=at(node_id=node["NodeID"], soft=False),
            ).remote(self._parcel)
            for node in nodes
        ]
        try:
            failed = await asyncio.gather(*(actor.open.remote() for actor in self._actors))
        except self._ray.exceptions.RayError as error:
            why = _why(error)
            raise SiteError(f"--ray {self._address}: a node cannot call: {why}") from None
        if why := next(filter(None, failed), ""):
            raise SiteError(f"--ray {self._address}: a node cannot call: {why}")

    async def _close(self) -> None:
        closing = [asyncio.ensure_future(_closed(actor)) for actor in self._actors]
        if closing:
            await asyncio.wait(closing, timeout=CLOSE_SECS)
            for closed in closing:
                closed.cancel()
            # A node that is lost has nothing left to close.
            await asyncio.gather(*closing, return_exceptions=True)
        await asyncio.to_thread(self._ray.shutdown)


async def _closed(actor: Any) -> None:
    await actor.close.remote()


def _why(error: Exception) -> str:
    """The last line of what Ray tells, which is what happened on the node."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _noise(persona: Persona) -> Path | None:
    return persona.background.file if persona.background is not None else None


def _cpus(node: Mapping[str, Any]) -> float:
    return float(node["Resources"].get("CPU", 0.0))
