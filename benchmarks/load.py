"""The callers of a comparison: many calls over real sockets, in a separate process.

    python -m benchmarks.load --system viva --port PORT --calls N --secs S [--barge-in] [--turns T]
        [--all-questions]

Each caller sends audio in messages of the same length as its system's own client, asks a recorded
question, plays the answer to its end from a buffer of 60 ms, and asks the next question; in pauses
it sends faint line noise. The calls are staggered over the time of a turn, so that they neither
speak nor send in unison. The measurement begins when all of them are in their turns. With
``--turns`` a caller hangs up after so many turns and calls again. With ``--all-questions`` each
asks other questions than the rest, of all that are recorded, so that no answer is known already.
"""

import argparse
import asyncio
import json
import sys
import time
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np
import uvloop

from benchmarks.recordings import load
from benchmarks.wires import WIRES, BenchWire
from client.connection import connect
from client.protocol import Audio, Event, Message
from client.wav import INPUT_RATE, OUTPUT_RATE, read_wav, speech_end_secs

AUDIO = Path(__file__).parent.parent / "tests" / "audio"
QUESTIONS = (
    "where-studied.wav",
    "first-compiler.wav",
    "harvard-mark-one.wav",
    "navy-rank.wav",
    "what-degrees.wav",
    "when-doctorate.wav",
    "awards.wav",
    "univac.wav",
)
"""Questions that the turn models of both sides judge complete."""

BARGE = "wait-when-was-that.wav"
POLL_SECS = 0.02
JITTER_SECS = 0.06
LATE_SECS = 0.04
"""A buffer empty for longer than this inside an answer counts as a late chunk."""

OVER_SECS = 0.7
"""Silence that ends an answer."""

GAP_SECS = 0.5
ANSWER_SECS = 10.0
"""Maximum wait for an answer to begin."""

BARGE_AFTER_SECS = 1.5
CYCLE_SECS = 10.0
"""About the length of a turn, over which the calls are staggered."""


def _now() -> float:
    return time.monotonic()  # of the moment: a benchmark may run in virtual time


@dataclass
class Tally:
    """The measurements of all calls.

    Parameters:
        since: Start of the measurement.
        answered: Number of questions with an answer.
        unanswered: Number of those without one ten seconds after their last word.
        latencies: Seconds from the last word to the first audio of the answer.
        barges: For each question spoken over an answer, seconds from its first sample to its
            effects.
    """

    since: float = 0.0
    answered: int = 0
    unanswered: int = 0
    latencies: list[float] = field(default_factory=list)
    chunks: int = 0
    late: int = 0
    barges: list[dict[str, float]] = field(default_factory=list)
    calls: int = 0
    lost: int = 0


@dataclass
class Speech:
    """A recording, and the span of its speech."""

    pcm: bytes
    start: float
    end: float

    @classmethod
    def read(cls, name: str) -> "Speech":
        """Read one of the project's recordings."""
        pcm = read_wav(AUDIO / name)
        loud = np.flatnonzero(np.abs(np.frombuffer(pcm, np.int16)) > 600)
        return cls(pcm, float(loud[0]) / INPUT_RATE, speech_end_secs(pcm))


class LineNoise:
    """Faint noise of a silent line."""

    def __init__(self) -> None:
        self._pcm = read_wav(AUDIO / "line-noise.wav")
        self._at = 0

    def next_bytes(self, size: int) -> bytes:
        """The next bytes of the noise."""
        if self._at + size > len(self._pcm):
            self._at = 0
        self._at += size
        return self._pcm[self._at - size : self._at]


class BenchCaller:
    """One call."""

    def __init__(
        self,
        number: int,
        wire: BenchWire,
        tally: Tally,
        speech: list[Speech],
        barge: Speech,
        *,
        turns: int | None,
    ) -> None:
        self._number, self._wire, self._tally, self._turns = number, wire, tally, turns
        self._speech, self._barge = speech, barge
        self._outgoing = bytearray()
        self._noise = LineNoise()
        self._chunk_at = 0.0  # when audio arrived last
        self._dry_at = 0.0  # when the received audio will have been played
        self._first: float | None = None  # first audio since the question
        self._received = self._played = 0  # samples of this epoch
        self._barging: dict[str, float] | None = None
        self._barge_at = 0.0
        self.ready = asyncio.Event()
        self.in_turn = asyncio.Event()

    async def hold(self, url: str, begin: asyncio.Event, delay: float, *, barge_in: bool) -> bool:
        """Run the call to its last turn, or until it is cancelled.

        Returns:
            Whether it reached its last turn; if not, the call was lost.
        """
        self._tally.calls += 1
        async with connect(url, self._wire, self._take, clock=_now) as connection:
            self._wire.ready("bench")
            await connection.send()
            if not self._wire.greets:
                self.ready.set()
            ticking = connection.tick(self._tick, self._wire.message_secs)
            conversing = asyncio.create_task(self._converse(begin, delay, barge_in=barge_in))
            try:
                over, _ = await asyncio.wait(
                    {connection.listening, ticking, conversing}, return_when=asyncio.FIRST_COMPLETED
                )
                finished = over == {conversing} and conversing.exception() is None
                self._tally.lost += not finished
                return finished
            finally:
                conversing.cancel()
                await asyncio.gather(conversing, return_exceptions=True)

    async def _converse(self, begin: asyncio.Event, delay: float, *, barge_in: bool) -> None:
        await self.ready.wait()
        await begin.wait()
        await asyncio.sleep(delay)
        await self._until_over(0.0)
        for number in islice(count(self._number), self._turns):
            await self._ask(self._speech[number % len(self._speech)])
            if barge_in and self._first is not None:
                await asyncio.sleep(BARGE_AFTER_SECS)
                await self._speak_over()
            await self._until_over(1.0)
            await asyncio.sleep(GAP_SECS)

    async def _ask(self, speech: Speech) -> None:
        tally = self._tally
        end = self._say(speech) + speech.end
        self.in_turn.set()
        await asyncio.sleep(end - _now())
        self._first = None
        first = await self._answer(end + ANSWER_SECS)
        if end < tally.since or not tally.since:
            return
        if first is None:
            tally.unanswered += 1
        else:
            tally.answered += 1
            tally.latencies.append(first - end)

    async def _answer(self, deadline: float) -> float | None:
        """Wait for an answer; return when it began, or ``None`` if none did in time."""
        while self._first is None and _now() < deadline:
            await asyncio.sleep(POLL_SECS)
        return self._first

    async def _speak_over(self) -> None:
        self._barging = {}
        start = self._say(self._barge)
        onset = self._barge_at = start + self._barge.start
        end = start + self._barge.end
        await asyncio.sleep(end - _now())
        barged, self._barging = self._barging, None
        self._first = None
        await self._answer(end + ANSWER_SECS)
        if barged and onset >= self._tally.since > 0:
            self._tally.barges.append(barged)

    def _say(self, speech: Speech) -> float:
        """Queue speech; return when its first sample is sent."""
        waiting = len(self._outgoing) / 2 / INPUT_RATE
        self._outgoing += speech.pcm
        return _now() + waiting

    async def _until_over(self, least: float) -> None:
        await asyncio.sleep(least)
        while _now() < max(self._dry_at, self._chunk_at) + OVER_SECS:
            await asyncio.sleep(0.1)

    def _tick(self, _due: float) -> None:
        size = int(self._wire.message_secs * INPUT_RATE) * 2
        chunk = bytes(self._outgoing[:size])
        del self._outgoing[:size]
        self._wire.speak(chunk + self._noise.next_bytes(size - len(chunk)))
        now = _now()
        left = max(0.0, self._dry_at - now)
        self._played = max(self._played, self._received - round(left * OUTPUT_RATE))
        self._wire.played(self._played, now, playing=left > 0)

    def _take(self, event: Event) -> None:
        match event:
            case Audio(pcm):
                self._hear(len(pcm) // 2)
            case Message("bot-interrupted"):
                self._note("stop", _now())
                self._received, self._played, self._dry_at = 0, 0, 0.0
            case Message("bot-ready"):
                self.ready.set()
            case Message("duck", data) if data["on"]:
                self._note("duck", _now())

    def _hear(self, samples: int) -> None:
        now, tally = _now(), self._tally
        if self._first is None:
            self._first = now
        counted = now >= tally.since > 0
        tally.chunks += counted
        dry = now - self._dry_at
        if dry > OVER_SECS or self._dry_at == 0.0:
            self._dry_at = now + JITTER_SECS
        elif dry > 0:
            tally.late += counted and dry > LATE_SECS
            self._dry_at = now
        self._dry_at += samples / OUTPUT_RATE
        self._chunk_at = now
        self._received += samples
        if self._barging is not None and "stop" not in self._barging:
            # Without a stop message, a page plays its buffer to the end.
            self._barging["last"] = self._dry_at - self._barge_at

    def _note(self, name: str, at: float) -> None:
        if self._barging is not None and at >= self._barge_at:
            self._barging.setdefault(name, at - self._barge_at)


def everything() -> list[str]:
    """The names of all recorded questions that need no other before them."""
    return [each.file for each in load(kinds=["question"]) if not each.after]


async def run(options: argparse.Namespace) -> dict[str, Any]:
    """Run all calls, from the first connection to the end of the measurement."""
    url = f"ws://127.0.0.1:{options.port}/call"
    names = everything() if options.all_questions else QUESTIONS
    speech, tally, begin = [Speech.read(name) for name in names], Tally(), asyncio.Event()
    barge = Speech.read(BARGE)

    def caller(number: int) -> BenchCaller:
        wire = WIRES[options.system]()
        first = number * len(speech) // options.calls if options.all_questions else number
        return BenchCaller(first, wire, tally, speech, barge, turns=options.turns)

    async def occupy(first: BenchCaller, number: int, delay: float) -> None:
        current = first
        while await current.hold(url, begin, delay, barge_in=options.barge_in):
            current, number, delay = caller(number + 1), number + 1, 0.0

    callers = [caller(number) for number in range(options.calls)]
    tasks = []
    for number, first in enumerate(callers):
        delay = number * CYCLE_SECS / options.calls
        tasks.append(asyncio.create_task(occupy(first, number, delay)))
        async with asyncio.timeout(60):
            await first.ready.wait()
    begin.set()
    await asyncio.gather(*(first.in_turn.wait() for first in callers))
    await asyncio.sleep(2.0)  # the first questions warm up the process
    _tell({"steady": True})
    tally.since, cpu = _now(), time.process_time()
    await asyncio.sleep(options.secs)
    cpu = time.process_time() - cpu
    result = {
        "calls": options.calls,
        # Questions whose answer may still arrive after the end do not count.
        "turns_asked": tally.answered + tally.unanswered,
        "calls_begun": tally.calls,
        "turns_answered": tally.answered,
        "latencies_ms": [secs * 1000 for secs in tally.latencies],
        "chunks": tally.chunks,
        "late_chunks": tally.late,
        "lost_calls": tally.lost,
        "barges": tally.barges,
        "load_cpu_percent": 100 * cpu / options.secs,
    }
    _tell(result)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return result


def _tell(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


def main() -> None:
    """Run the callers and print the measurements."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--system", choices=sorted(WIRES), required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--calls", type=int, required=True)
    parser.add_argument("--secs", type=float, required=True)
    parser.add_argument("--barge-in", action="store_true")
    parser.add_argument("--turns", type=int)
    parser.add_argument("--all-questions", action="store_true")
    uvloop.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
