"""Real calls, held in virtual time and recorded: the embedded engines, a server, and its caller."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from aiohttp.test_utils import TestServer

from client.caller import Caller
from client.protocol import ClientProtocol
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
        page: How the page plays and reports.
        leaves_secs: How far into the last answer the caller hangs up; ``None`` for after it.
    """

    name: str
    says: Sequence[str]
    barge_in_secs: float | None = None
    types: Sequence[str] = ()
    page: Literal["steady", "stalls", "reports seldom", "reports late"] = "steady"
    leaves_secs: float | None = None


class OddCaller(Caller):
    """A caller whose page plays or reports irregularly, or who hangs up in the midst of an answer.

    Parameters:
        url: The socket.
        wavs: The files.
        plan: What is odd.
    """

    def __init__(self, url: str, wavs: Sequence[Path], plan: Plan) -> None:
        super().__init__(url, wavs, barge_in_secs=plan.barge_in_secs)
        self._plan = plan
        self._ticks = 0
        self._protocol = OddProtocol(plan.page)

    def _speak_and_listen(self, due: float) -> None:
        self._ticks += 1
        # Every two seconds or so, as a tab does that is not looked at: nothing for 0.4 s.
        if self._plan.page == "stalls" and self._ticks % 97 < 20:
            chunk = bytes(self._outgoing[:640])
            del self._outgoing[:640]
            self._protocol.speak(chunk.ljust(640, b"\0"))
            return
        super()._speak_and_listen(due)

    def _answer_over(self) -> bool:
        leaves = self._plan.leaves_secs
        last = self._turn == len(self._questions) - 1
        if leaves is None or not last:
            return super()._answer_over()
        since = self._audible_at = getattr(self, "_audible_at", self._now())
        return self._now() >= since + leaves


class OddProtocol(ClientProtocol):
    """Reports playback seldom, or late."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self._page = page
        self._count = 0
        self._before = 0

    def _report(self, *, final: bool) -> None:
        self._count += 1
        # 0.1, 0.7, 1.6 s ... between two reports.
        if self._page == "reports seldom" and self._count % 11 not in (0, 1, 4):
            self._reported = self._played
            return
        if self._page == "reports late" and not final:
            played, self._before = self._before, self._played
            self._reported = self._played
            if 0 < played <= self._played:
                data = {"epoch": self.epoch, "samples": played, "final": False}
                self._tell("playback", data)
            return
        super()._report(final=final)


def hold(plans: Sequence[Plan], folder: Path, engines: Engines) -> list[Path]:
    """Hold calls one after another; their recordings."""
    return virtual_time.run(
        _hold(plans, folder, engines), counted=True, counted_by=virtual_time.cpu_clock
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
            if plan.page != "steady" or plan.leaves_secs is not None:
                await OddCaller(url, wavs, plan).call()
                continue
            await Caller(url, wavs, texts=plan.types, barge_in_secs=barge_in_secs).call()
    for path in sorted(
        recordings.glob("*.mcap"), key=lambda recording: recording.stat().st_mtime_ns
    ):
        found.append(path.rename(recordings / f"{plans[len(found)].name}.mcap"))
    return found
