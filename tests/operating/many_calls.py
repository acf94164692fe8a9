"""Many calls over the workers of one server, one of which is killed.

``python -m tests.operating.many_calls --calls 60`` plays it. The callers are silent, the cloud
vendors are simulated, the rest is real: ``viva serve --workers``, its sockets, PostgreSQL, and
money, of which there is enough for all callers but a few.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import func, select, update
from sqlmodel import col

from conversation.records import MICROS
from ledger.store.database import Database
from ledger.store.tables import Call, SpendDay, SpendHold
from operating.supervisor.supervisor_client import NEWS_SECS
from simulators.anthropic import AnthropicSimulator
from simulators.deepgram import DeepgramSimulator
from simulators.elevenlabs import RATE, ElevenLabsSimulator
from simulators.model import Model
from tests.databases import Cluster
from tests.end_to_end.running import Viva
from tests.engines import run_in
from tests.operating.callers import QuietCaller

KEY = "simulated-key"
CALL_CAP_MICROS = 100_000
BEGIN_SECS = 60.0
QUIET_SECS = 15.0
"""By then the greeting has been heard."""
MEASURED_SECS = 10.0
HOLDS_SECS = 100.0
"""By then the hold of a dead process has expired, and a living one has seen it: 60 s and 15 s."""


async def _tone(text: str) -> bytes:
    count = round(0.025 * len(text.strip()) * RATE)
    wave: bytes = (8000 * np.sin(np.arange(count) * 0.06)).astype("<i2").tobytes()
    return wave


@asynccontextmanager
async def simulated_clouds() -> AsyncIterator[dict[str, str]]:
    """The cloud vendors, and the settings by which a server uses them."""
    async with AsyncExitStack() as stack:
        deepgram = DeepgramSimulator(api_key=KEY, max_connections=1000)
        anthropic = AnthropicSimulator(Model(api_key=KEY))
        elevenlabs = ElevenLabsSimulator(voice=_tone, keys=[KEY], realtime_factor=0.5)
        for simulator in (deepgram, anthropic, elevenlabs):
            await stack.enter_async_context(simulator)
        yield {
            "DEEPGRAM_API_KEY": KEY,
            "DEEPGRAM_BASE_URL": deepgram.url,
            "ANTHROPIC_API_KEY": KEY,
            "ANTHROPIC_BASE_URL": anthropic.url,
            "ELEVENLABS_API_KEY": KEY,
            "ELEVENLABS_BASE_URL": elevenlabs.url,
        }


@dataclass
class Outcome:
    """What became of the calls.

    Parameters:
        asked: Callers.
        affordable: Calls that the day's money is enough for.
        began: Calls that began.
        refused: Why the others did not, and how many.
        spread: Calls a worker had, by its number.
        cpu_share: Of a core, that a call cost the server over ten seconds of listening.
        megabytes: Memory of all workers then.
        most_committed: The most that was spent and held at any time, in micro-dollars.
        dropped: Calls that ended with a closed socket when a worker was killed.
        went_on: Calls that went on then, and were heard a second later.
        holds: How many there were before the kill, after it, and once the dead's had expired.
        holds_secs: From the kill until they had.
        after: How the call of somebody who came after that went: empty if it began.
        replaced: Whether the worker that took the dead one's place took calls.
        ended: How the calls that went on ended.
        written: Calls in the ledger, by why they ended; empty for those that nobody ended.
        secs: How long all of it took.
    """

    asked: int
    affordable: int
    began: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    spread: dict[str, int] = field(default_factory=dict)
    cpu_share: float = 0.0
    megabytes: float = 0.0
    most_committed: int = 0
    dropped: int = 0
    went_on: int = 0
    holds: list[int] = field(default_factory=list)
    holds_secs: float = 0.0
    after: str = ""
    replaced: bool = False
    ended: Counter[str] = field(default_factory=Counter)
    written: Counter[str] = field(default_factory=Counter)
    secs: float = 0.0

    def faults(self) -> list[str]:
        """What is not as it should be, in words."""
        cap = self.affordable * CALL_CAP_MICROS
        apart = max(self.spread.values(), default=0) - min(self.spread.values(), default=0)
        refused = self.asked - self.affordable  # they were handed to a worker too
        due = {
            f"{self.began} calls began, the money was for {self.affordable}": (
                self.began == self.affordable
            ),
            f"refused for {dict(self.refused)}, not the budget alone": (
                self.refused == Counter({"budget": self.asked - self.affordable})
            ),
            f"spread over the workers as {self.spread}": (
                len(self.spread) > 1 and apart <= refused + max(2, 0.1 * self.began)
            ),
            f"{self.most_committed} micro-dollars were committed of {cap}": (
                0 < self.most_committed <= cap
            ),
            f"{self.dropped} were dropped and {self.went_on} went on, of {self.began}": (
                self.dropped in self.spread.values() and self.dropped + self.went_on == self.began
            ),
            f"holds {self.holds}": self.holds == [self.began, self.began, self.went_on],
            f"who came after that was told {self.after!r}": not self.after,
            "the dead worker was not replaced": self.replaced,
            f"those that went on ended by {dict(self.ended)}": set(self.ended) == {"hangup"},
        }
        return [fault for fault, right in due.items() if not right]


class Ledger:
    """What the database says of the day's money."""

    def __init__(self, url: str) -> None:
        self._database = Database.from_url(url)

    def holds(self) -> int:
        with self._database.reading() as session:
            return int(session.execute(select(func.count()).select_from(SpendHold)).scalar_one())

    def committed(self) -> int:
        with self._database.reading() as session:
            total = func.sum(col(SpendDay.spent) + col(SpendDay.held))
            return int(session.execute(select(total)).scalar_one() or 0)

    def calls(self) -> Counter[str]:
        with self._database.reading() as session:
            return Counter(session.execute(select(col(Call.why))).scalars())

    def age(self, calls: list[str], secs: float) -> None:
        """Have the holds of calls be older than they are."""
        with self._database.writing() as session:
            session.execute(
                update(SpendHold)
                .where(col(SpendHold.call).in_(calls))
                .values(expires_at=SpendHold.expires_at - secs)
            )

    def close(self) -> None:
        self._database.close()


async def play(
    calls: int,
    *,
    database_url: str,
    workers: int = 2,
    beyond: int = 2,
    wait: bool = False,
    tell: Callable[[str], None] = lambda _text: None,
) -> Outcome:
    """Call a server of several workers, kill one of them, and see what becomes of it all.

    Args:
        calls: Callers that there is money for.
        database_url: An empty database.
        workers: How many.
        beyond: Callers that there is no money for.
        wait: Whether the dead's holds are waited for, rather than made older than they are.
        tell: Told what is happening.
    """
    began_at = time.monotonic()
    outcome = Outcome(asked=calls + beyond, affordable=calls)
    async with simulated_clouds() as clouds, aiohttp.ClientSession() as session:
        settings = {
            **clouds,
            "WORKERS": str(workers),
            "DATABASE_URL": database_url,
            "CALL_SPEND_CAP_USD": f"{CALL_CAP_MICROS / MICROS:.2f}",
            "DAILY_SPEND_CAP_USD": f"{calls * CALL_CAP_MICROS / MICROS:.2f}",
            "MAX_CALLS": str(calls + beyond),
            "MAX_LAG_SECS": "5",  # callers, vendors and server share a machine here
            "CALL_SECS": "600",
            "SILENCE_PROMPT_SECS": "600",
        }
        viva = await asyncio.to_thread(lambda: Viva(**settings))
        scene = _Scene(viva, session, outcome, tell)
        try:
            ledger = Ledger(database_url)
            await scene.ready(workers)
            await scene.begin(calls + beyond, ledger)
            if wait:
                await scene.measure()
            await scene.kill_one(ledger)
            await scene.let_holds_expire(ledger, wait=wait)
            await scene.come_again(workers)
            await scene.hang_up()
            status = await asyncio.to_thread(viva.stop, signal.SIGINT, timeout_secs=60.0)
            assert status == 0, viva.stderr
            assert viva.left == [], "processes are left"
            outcome.written = await asyncio.to_thread(ledger.calls)
            ledger.close()
        finally:
            viva.kill()
    outcome.secs = time.monotonic() - began_at
    return outcome


class _Scene:
    """A server, and those who call it."""

    def __init__(
        self,
        viva: Viva,
        session: aiohttp.ClientSession,
        outcome: Outcome,
        tell: Callable[[str], None],
    ) -> None:
        self._viva = viva
        self._session = session
        self._outcome = outcome
        self._tell = tell
        self._callers: list[QuietCaller] = []
        self._tasks: list[asyncio.Task[Any]] = []

    async def ready(self, workers: int) -> None:
        """Wait until all workers have loaded their models."""
        loaded = f"Models are loaded in all {workers} workers."
        await self._until(lambda: loaded in self._viva.stderr, "all workers are loaded")
        self._tell(f"{workers} workers are loaded")

    async def begin(self, callers: int, ledger: Ledger) -> None:
        """Have everybody call at once."""
        new = [self._call() for _ in range(callers)]
        watching = asyncio.create_task(self._watch(ledger))
        async with asyncio.timeout(BEGIN_SECS):
            await asyncio.gather(*(caller.began.wait() for caller in new))
        outcome = self._outcome
        outcome.began = sum(caller.open for caller in new)
        outcome.refused = Counter(caller.ended for caller in new if caller.ended)
        outcome.spread = await self._spread()
        await asyncio.sleep(2.0)  # the greeting is spoken, and charged
        watching.cancel()
        self._tell(
            f"{outcome.began} calls go on, by worker {outcome.spread}; "
            f"refused: {dict(outcome.refused)}"
        )

    async def measure(self) -> None:
        """See what calls cost that only listen, by the processes' own counts."""
        await asyncio.sleep(QUIET_SECS)
        before = await self._gauge("process_cpu_seconds_total")
        await asyncio.sleep(MEASURED_SECS)
        after = await self._gauge("process_cpu_seconds_total")
        memory = await self._gauge("process_resident_memory_bytes")
        secs = sum(after.values()) - sum(before.values())
        outcome = self._outcome
        outcome.cpu_share = secs / MEASURED_SECS / outcome.began
        outcome.megabytes = sum(memory.values()) / 1e6
        self._tell(
            f"a call that listens costs {outcome.cpu_share:.2%} of a core; "
            f"{len(memory)} workers have {outcome.megabytes:.0f} MB"
        )

    async def kill_one(self, ledger: Ledger) -> None:
        """Kill a worker, and see whose calls that ends."""
        outcome, before = self._outcome, self._open()
        outcome.holds.append(await asyncio.to_thread(ledger.holds))
        os.kill(self._viva.workers[-1], signal.SIGKILL)
        self._killed_at = time.monotonic()
        await self._until(lambda: len(self._open()) < len(before), "a call is dropped")
        await asyncio.sleep(0.5)
        heard = {id(caller): caller.heard_bytes for caller in before}
        await asyncio.sleep(1.0)
        outcome.dropped = sum(caller.ended == "dropped" for caller in before)
        outcome.went_on = sum(
            caller.open and caller.heard_bytes >= heard[id(caller)] for caller in before
        )
        outcome.holds.append(await asyncio.to_thread(ledger.holds))
        self._tell(f"a worker was killed: {outcome.dropped} calls dropped, {outcome.went_on} go on")

    async def let_holds_expire(self, ledger: Ledger, *, wait: bool) -> None:
        """See what was held for the dead worker's calls be let go of."""
        dead = [caller.call for caller in self._callers if caller.ended == "dropped"]
        if not wait:
            await asyncio.to_thread(ledger.age, dead, 60.0)
        async with asyncio.timeout(HOLDS_SECS):
            while (holds := await asyncio.to_thread(ledger.holds)) > len(self._open()):
                await asyncio.sleep(0.2)
        self._outcome.holds.append(holds)
        self._outcome.holds_secs = time.monotonic() - self._killed_at
        self._tell(f"{self._outcome.holds_secs:.0f} s later {holds} holds are left")

    async def come_again(self, workers: int) -> None:
        """See a further call be taken, and the dead worker's place be taken too."""

        async def all_loaded() -> bool:
            return sum((await self._gauge("viva_models_loaded")).values()) == workers

        await self._until(all_loaded, "the dead worker is replaced")
        await asyncio.sleep(10 * NEWS_SECS)  # then the supervisor knows, too
        caller = self._call()
        async with asyncio.timeout(BEGIN_SECS):
            await caller.began.wait()
        self._outcome.after = caller.ended

        async def its_calls() -> bool:
            return sorted((await self._spread()).values())[0] == 1

        with suppress(AssertionError):
            await self._until(its_calls, "the new worker has a call")
            self._outcome.replaced = True
        self._tell(
            f"somebody called again, {'and' if self._outcome.replaced else 'but not'} to the new "
            f"worker; calls by worker {await self._spread()}"
        )

    async def hang_up(self) -> None:
        """Have everybody hang up."""
        going_on = self._open()
        for caller in going_on:
            caller.hang_up()
        async with asyncio.timeout(BEGIN_SECS):
            await asyncio.gather(*self._tasks)
        self._outcome.ended = Counter(caller.ended for caller in going_on)

    def _call(self) -> QuietCaller:
        caller = QuietCaller(self._viva.socket_url)
        self._callers.append(caller)
        self._tasks.append(asyncio.create_task(caller.run()))
        return caller

    def _open(self) -> list[QuietCaller]:
        return [caller for caller in self._callers if caller.open]

    async def _spread(self) -> dict[str, int]:
        calls = await self._gauge("viva_calls_open")
        return {number: int(count) for number, count in calls.items()}

    async def _gauge(self, name: str) -> dict[str, float]:
        """A gauge of each worker that answers, by its number."""
        async with self._session.get(f"{self._viva.url}/metrics") as answer:
            text = await answer.text()
        return {
            sample.labels["worker"]: sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name
        }

    async def _watch(self, ledger: Ledger) -> None:
        while True:
            committed = await asyncio.to_thread(ledger.committed)
            self._outcome.most_committed = max(self._outcome.most_committed, committed)
            await asyncio.sleep(0.05)

    async def _until(self, condition: Callable[[], Any], what: str) -> None:
        give_up = time.monotonic() + BEGIN_SECS
        while True:
            met = condition()
            if await met if asyncio.iscoroutine(met) else met:
                return
            assert time.monotonic() < give_up, f"not after {BEGIN_SECS:g} s: {what}"
            await asyncio.sleep(0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=60, help="Calls that there is money for.")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()

    def tell(text: str) -> None:
        print(text, flush=True)  # noqa: T201

    cluster = Cluster()
    try:
        with tempfile.TemporaryDirectory() as folder:
            run_in(Path(folder))
            outcome = asyncio.run(
                play(
                    options.calls,
                    database_url=cluster.create(),
                    workers=options.workers,
                    beyond=max(2, options.calls // 10),
                    wait=True,
                    tell=tell,
                )
            )
    finally:
        cluster.remove()
    tell(f"the ledger has {sum(outcome.written.values())} calls: {dict(outcome.written)}")
    tell(f"{outcome.secs:.0f} s in all; at most {outcome.most_committed / MICROS:.2f} dollars were")
    tell(f"committed of {options.calls * CALL_CAP_MICROS / MICROS:.2f}")
    faults = outcome.faults()
    tell("all as it should be" if not faults else "WRONG: " + "; ".join(faults))
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
