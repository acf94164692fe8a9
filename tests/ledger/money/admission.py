"""Eight processes admitting calls against a small cap, some of them killed with SIGKILL.

``python -m tests.ledger.money.admission --seconds 30 [--database-url postgresql://…]`` runs it and
prints what an observer saw; without an address it takes a SQLite file of its own.
"""

import argparse
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TextIO

from sqlalchemy import func, select
from sqlmodel import col

from ledger.money.budget import Budget, Refusal
from ledger.store.database import Database
from ledger.store.tables import SpendDay, SpendHold

PROCESSES = 8
WORST = 1_000_000
CAP = 7 * WORST
HOLD_SECS = 3.0
KEEP_ALIVE_SECS = 0.3
KILL_EVERY_SECS = 1.0
START_SECS = 120.0
"""Longest wait for the first processes."""

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["tests.ledger.money.admission"])


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of a run; money in micro-dollars.

    Parameters:
        seconds: How long it went on.
        admitted: Calls that were let in.
        refused: Calls that were not, for want of money.
        killed: Processes killed in the middle of their calls.
        samples: How often the observer looked.
        most: Most that it saw spent and held together, in one day.
        wrong: Samples in which what the day holds was not the sum of its holds.
        expired: Holds that dead processes had left in the end.
        lost: Calls of living processes that had no time to say so for as long as a hold lasts.
        excess: What those went on to cost.
        spent: What the days' money says was spent.
        settled: What processes know to have been settled.
        tried: The same, with what they were settling when they were killed.
        leaked: What is still held when all is over and expired.
        left: Holds that are still there then.
    """

    seconds: float
    admitted: int
    refused: int
    killed: int
    samples: int
    most: int
    wrong: int
    expired: int
    lost: int
    excess: int
    spent: int
    settled: int
    tried: int
    leaked: int
    left: int

    def __str__(self) -> str:
        return "\n".join(f"{name:>9}  {getattr(self, name):,}" for name in self.__slots__)


def run(url: str, seconds: float, folder: Path) -> Seen:
    """Run it.

    Args:
        url: The database's address; it is to be empty.
        seconds: How long calls come.
        folder: Where processes note what they did; it is to be empty.
    """
    database = Database.from_url(url)
    # Files, for whoever is killed with a lock of multiprocessing's in hand never gives it back.
    begin, stop = folder / "begin", folder / "stop"
    observer = _forks.Process(target=_observe, args=(url, folder))
    observer.start()
    callers = [_start(url, folder, n, seconds) for n in range(PROCESSES)]
    killed = 0
    try:
        _await_notes(folder, PROCESSES + 1)
        begin.touch()
        over = time.monotonic() + seconds
        while (left := over - time.monotonic()) > 0:
            time.sleep(min(left, KILL_EVERY_SECS))
            if left > KILL_EVERY_SECS:
                which = random.randrange(1, PROCESSES)
                killed += _kill(callers[which])
                callers[which] = _start(url, folder, PROCESSES + killed, seconds)
        for caller in callers[: PROCESSES // 2]:
            killed += _kill(caller)
        stop.touch()
        for caller in callers:
            caller.join(20)
        later = Budget(database, worst=WORST, clock=lambda: time.time() + HOLD_SECS)
        expired = len(later.expire())
        observer.join(20)
        assert not observer.is_alive()
        return _seen(database, folder, seconds, killed, expired)
    finally:
        stop.touch()
        for process in (*callers, observer):
            _kill(process)
        database.close()


def _seen(database: Database, folder: Path, seconds: float, killed: int, expired: int) -> Seen:
    notes = [note.read_text().split() for note in sorted(folder.glob("caller-*"))]
    words = [word for note in notes for word in note]
    samples, most, wrong = map(int, (folder / "observer").read_text().split()[-3:])
    with database.reading() as session:
        spent, held = session.execute(
            select(func.sum(SpendDay.spent), func.sum(SpendDay.held))
        ).one()
        left = session.execute(select(func.count()).select_from(SpendHold)).scalar_one()
    return Seen(
        seconds=seconds,
        admitted=words.count("admitted"),
        refused=words.count("refused"),
        killed=killed,
        samples=samples,
        most=most,
        wrong=wrong,
        expired=expired,
        lost=words.count("lost"),
        excess=sum(int(word[1:]) for word in words if word.startswith("!")),
        spent=int(spent),
        settled=sum(int(word[1:]) for word in words if word.startswith("=")),
        tried=sum(int(word[1:]) for word in words if word.startswith("+")),
        leaked=int(held),
        left=left,
    )


def _start(url: str, folder: Path, number: int, seconds: float) -> BaseProcess:
    caller = _forks.Process(target=_call, args=(url, folder, number, seconds))
    caller.start()
    return caller


def _kill(process: BaseProcess) -> bool:
    """Whether it was alive to be killed."""
    alive = process.is_alive() and process.pid is not None
    if alive and process.pid is not None:
        os.kill(process.pid, signal.SIGKILL)
    process.join(20)
    return alive


def _await_notes(folder: Path, number: int) -> None:
    give_up = time.monotonic() + START_SECS
    while len(list(folder.iterdir())) < number:
        assert time.monotonic() < give_up, "the processes do not start"
        time.sleep(0.05)


@contextmanager
def _opened(url: str, note: Path) -> Iterator[tuple[Database, TextIO]]:
    """A process's database and notes, once all may begin."""
    database = Database.from_url(url)
    with note.open("w", buffering=1) as notes:
        while not note.with_name("begin").exists():
            time.sleep(0.01)
        yield database, notes
    database.close()


def _call(url: str, folder: Path, number: int, seconds: float) -> None:
    """One process: calls one after another; the first process has one long call."""
    chance = random.Random(number)
    with _opened(url, folder / f"caller-{number}") as (database, notes):
        budget = Budget(database, worst=WORST, cap=CAP, hold_secs=HOLD_SECS)
        calls = 0
        while not (folder / "stop").exists():
            call = f"c-{number}-{calls}"
            calls += 1
            answer = budget.admit(call, f"caller-{chance.randrange(3)}")
            if isinstance(answer, Refusal):
                assert answer.reason == "budget", answer
                notes.write("refused\n")
                time.sleep(0.02)
                continue
            notes.write("admitted\n")
            spent, turns = 0, 1_000_000 if number == 0 else chance.randrange(5)
            for _ in range(turns):
                time.sleep(KEEP_ALIVE_SECS if number == 0 else chance.random() * 0.02)
                if budget.keep_alive([call]):
                    notes.write("lost\n")
                    break
                # So that about a third of the day's money is spent in the end.
                cost = chance.randrange(round(CAP / seconds / 100))
                notes.write(f"+{cost}\n")
                excess = budget.settle(call, spent + cost)
                spent += cost
                notes.write(f"={cost} !{excess}\n")
            budget.release(call)


def _observe(url: str, folder: Path) -> None:
    """Looks, in transactions of its own, at what is spent and held."""
    holds = (
        select(func.coalesce(func.sum(SpendHold.held), 0))
        .where(col(SpendHold.day) == col(SpendDay.day))
        .scalar_subquery()
    )
    look = select(col(SpendDay.spent), col(SpendDay.held), holds)
    samples = most = wrong = 0
    with _opened(url, folder / "observer") as (database, notes):
        while not (folder / "stop").exists():
            with database.reading() as session:
                for spent, held, of_holds in session.execute(look):
                    samples += 1
                    most = max(most, spent + held)
                    wrong += held != of_holds or held < 0
            time.sleep(0.002)
        notes.write(f"{samples} {most} {wrong}\n")


def main() -> int:
    """Run it as a command; 0 if the cap held and nothing leaked."""
    parser = argparse.ArgumentParser(prog="python -m tests.ledger.money.admission")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--database-url", default="", help="an empty database; default: SQLite")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder) / "notes"
        notes.mkdir()
        seen = run(asked.database_url or f"sqlite:///{folder}/viva.db", asked.seconds, notes)
    kept = seen.most <= CAP + seen.excess and not (seen.wrong or seen.leaked or seen.left)
    verdict = "the cap held and nothing leaked" if kept else "THE CAP DID NOT HOLD, OR HOLDS LEAKED"
    sys.stdout.write(
        f"{PROCESSES} processes, a cap of {CAP:,}, at worst {WORST:,} a call\n{seen}\n{verdict}\n"
    )
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
