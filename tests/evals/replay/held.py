"""Real calls, held in virtual time and recorded: the embedded engines, a server, and its caller."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from aiohttp.test_utils import TestServer

from client.caller import Caller
from evals.replay import virtual_time
from pipeline.engines import Engines
from server import Server
from tests.conftest import AUDIO


@dataclass(frozen=True)
class Plan:
    """A call to hold.

    Parameters:
        name: Of its recording.
        says: What is said, one file a turn.
        barge_in_secs: How far into each answer the next is said; ``None`` for after it.
        types: What is typed after that, a turn each.
    """

    name: str
    says: Sequence[str]
    barge_in_secs: float | None = None
    types: Sequence[str] = ()


def hold(plans: Sequence[Plan], folder: Path, engines: Engines) -> list[Path]:
    """Hold calls one after another; their recordings."""
    return virtual_time.run(
        _hold(plans, folder, engines), counted=True, counted_by=virtual_time.CPU_CLOCK
    )


async def _hold(plans: Sequence[Plan], folder: Path, engines: Engines) -> list[Path]:
    settings = engines.settings.model_copy(
        update={"record": "all", "auth": "off", "data_dir": folder}
    )
    ours = replace(engines, settings=settings)
    server = Server(settings, engines.document, engines.choices, engines=ours)
    recordings = folder / "recordings"
    found: list[Path] = []
    async with TestServer(server.app()) as listening:
        url = str(listening.make_url("/call")).replace("http", "ws", 1)
        for plan in plans:
            wavs = [AUDIO / f"{name}.wav" for name in plan.says]
            barge_in_secs = plan.barge_in_secs
            await Caller(url, wavs, texts=plan.types, barge_in_secs=barge_in_secs).call()
    for path in sorted(
        recordings.glob("*.mcap"), key=lambda recording: recording.stat().st_mtime_ns
    ):
        found.append(path.rename(recordings / f"{plans[len(found)].name}.mcap"))
    return found
