"""A caller with a script: says each line of a scenario when its cue comes, over the real wire.

It hears and reports as the page does. Its clock is the event loop's, and what it says is placed to
the sample: a sound is sent once its last sample has been spoken, as a microphone does it.
"""

import asyncio
import contextlib
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import numpy as np
from pipecat.processors.frameworks.rtvi import models as rtvi

from client.loudspeaker import Loudspeaker
from client.wav import INPUT_RATE
from evals.corpus.scenario import Line, Samples, Scenario

CHUNK_SECS = 0.02
REPORT_SECS = 0.1
PATIENCE_SECS = 15.0
"""Longest that the caller waits for an answer before it goes on."""

LINGER_SECS = 0.6
"""How long the caller listens on before it hangs up."""

STEP = 32
"""The microphone has eleven bits: what is below -66 dBFS would only fill the repository."""

_Socket = aiohttp.ClientWebSocketResponse


class CueError(Exception):
    """A line could not be said when the script wants it said; the text says why."""


@dataclass(frozen=True, slots=True)
class Said:
    """A line, and when it was said.

    Parameters:
        line: The line.
        at: When its file's first sample was spoken, in seconds on the loop's clock.
        over_agent: Whether the agent's voice was being played when its sound began.
    """

    line: Line
    at: float
    over_agent: bool


class Microphone:
    """Everything that a microphone picks up, sample by sample.

    Parameters:
        bed: A noise that goes on all the time, repeated as often as it is needed.
    """

    def __init__(self, bed: Samples | None = None) -> None:
        self._bed = bed
        self._taken = 0
        self._coming: Samples = np.zeros(0, np.float32)

    def say(self, secs: float, samples: Samples) -> None:
        """Have a sound begin so many seconds after what was taken last."""
        start = round(secs * INPUT_RATE)
        more = start + len(samples) - len(self._coming)
        if more > 0:
            self._coming = np.concatenate([self._coming, np.zeros(more, np.float32)])
        self._coming[start : start + len(samples)] += samples

    def take(self, secs: float) -> bytes:
        """The next seconds: PCM s16le, mono, 16 kHz."""
        count = round(secs * INPUT_RATE)
        sound = np.zeros(count, np.float32)
        here = self._coming[:count]
        sound[: len(here)] = here
        self._coming = self._coming[count:]
        if self._bed is not None:
            at = np.arange(self._taken, self._taken + count) % len(self._bed)
            sound += self._bed[at]
        self._taken += count
        steps = np.clip(np.rint(sound / STEP), -32_768 // STEP, 32_767 // STEP)
        return (STEP * steps).astype("<i2").tobytes()


class ScriptedCaller:
    """Calls a server and says a scenario's lines.

    Parameters:
        url: The socket, ``ws://HOST:PORT/call``.
        scenario: What is said.
        bed: The noise under it.
    """

    def __init__(self, url: str, scenario: Scenario, bed: Samples | None = None) -> None:
        self._url = url
        self._scenario = scenario
        self._microphone = Microphone(bed)
        self._ids = itertools.count(1)
        self._changed = asyncio.Event()
        self._ready = False
        self._over = False
        self._speaking = False  # the agent says that it speaks
        self._quiet_since = 0.0  # since when it has not
        self._voice_at: float | None = None  # first sound of what it says to the last line
        self._asked_at = 0.0  # when the last line that takes the turn had been said
        self._heard_until = 0.0  # end of the last sound of the agent that was played
        self._latest = 0  # number of the last turn of which a sentence came
        self._before = 0  # the same, when the last line that takes the turn began
        self._fresh = True  # a sentence came that may answer it
        self._reported = 0  # number of the last turn whose first sound was reported
        self.call = ""
        self.ended = ""
        self.said: list[Said] = []
        self.messages: list[tuple[float, dict[str, Any]]] = []

    async def hold(self) -> None:
        """Make the call.

        Raises:
            CueError: A line's cue did not come.
        """
        self._now = asyncio.get_running_loop().time
        self._player = Loudspeaker(self._now)
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(self._url, max_msg_size=0) as socket,
        ):
            listening = asyncio.create_task(self._listen(socket))
            ticking: asyncio.Task[None] | None = None
            try:
                about = {"library": "viva-corpus"}
                await self._send(
                    socket, "client-ready", {"version": rtvi.PROTOCOL_VERSION, "about": about}
                )
                await self._until(lambda: self._ready)
                ticking = asyncio.create_task(self._tick(socket))
                await self._converse()
                if not self._over:
                    await self._send(socket, "client-message", {"t": "hangup", "d": {}})
                await asyncio.wait([listening], timeout=3.0)
            finally:
                for task in filter(None, (ticking, listening)):
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)

    # The script.

    async def _converse(self) -> None:
        for line in self._scenario.lines:
            await self._cue(line)
            await self._say(line)
        if self._scenario.stays:
            await self._until(lambda: self._over, 60.0)
            return
        await self._until(self._answered, PATIENCE_SECS)
        await self._until(lambda: self._over or self._quiet_secs() >= LINGER_SECS, 60.0)

    async def _cue(self, line: Line) -> None:
        if line.cue == "after":
            await self._until(self._answered, PATIENCE_SECS)
            await self._until(lambda: self._over or self._quiet_secs() >= line.secs, 60.0)
        elif line.cue == "into":
            await self._until(lambda: self._over or self._voice_at is not None, PATIENCE_SECS)
            if self._voice_at is None:
                raise CueError(f"{line.file}: nothing was heard that it could be said into")
            await asyncio.sleep(max(0.0, self._voice_at + line.secs - self._now()))
            if not self._speaking:
                spoke = self._heard_until - self._voice_at
                raise CueError(
                    f"{line.file}: is to be said {line.secs} s into an answer of {spoke:.1f} s"
                )
        else:
            await asyncio.sleep(line.secs)
        if self._over:
            raise CueError(f"{line.file}: the call was over ({self.ended}) before it could be said")

    async def _say(self, line: Line) -> None:
        start, end = line.speech
        if line.takes_turn:
            self._before, self._fresh = self._latest, False
        at = self._now() - start  # so that its sound, not its file, begins now
        wait = at - self._taken_at
        cut = max(0, round(-wait * INPUT_RATE))
        self._microphone.say(max(0.0, wait), line.samples[cut:])
        self.said.append(Said(line, at, over_agent=self._player.playing))
        await asyncio.sleep(end - start)
        if line.takes_turn:
            self._asked_at = self._now()
            self._voice_at = None

    def _answered(self) -> bool:
        return self._over or self._voice_at is not None

    def _quiet_secs(self) -> float:
        return -1.0 if self._speaking or self._player.playing else self._now() - self._heard_until

    async def _until(self, condition: Callable[[], bool], timeout_secs: float = 90.0) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_secs):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()

    # The clock: 20 ms of microphone up, 20 ms of loudspeaker down.

    async def _tick(self, socket: _Socket) -> None:
        start = self._taken_at = self._now()
        reported = (0, 0)
        with contextlib.suppress(ConnectionError):  # what ended the call is on its way
            for tick in itertools.count(1):
                await asyncio.sleep(max(0.0, start + tick * CHUNK_SECS - self._now()))
                if socket.closed:
                    return
                self._taken_at = start + tick * CHUNK_SECS
                await socket.send_bytes(self._microphone.take(CHUNK_SECS))
                was_playing = self._player.playing
                first = self._player.play(CHUNK_SECS)
                if first is not None:
                    await self._hear(socket, *first)
                progress = (self._player.epoch, self._player.samples)
                due = tick % round(REPORT_SECS / CHUNK_SECS) == 0
                ran_dry = was_playing and not self._player.playing
                if progress != reported and (due or ran_dry or reported[1] == 0):
                    await self._report(socket, *progress)
                    reported = progress
                self._changed.set()

    async def _hear(self, socket: _Socket, at: float, sample: int) -> None:
        self._heard_until = self._now() + CHUNK_SECS
        if self._voice_at is None and self._fresh and at >= self._asked_at:
            self._voice_at = at
        if self._latest > self._reported:
            self._reported = self._latest
            heard = {"epoch": self._player.epoch, "sample": sample, "at": at}
            await self._send(socket, "client-message", {"t": "audible", "d": heard})

    async def _report(
        self, socket: _Socket, epoch: int, samples: int, *, final: bool = False
    ) -> None:
        played = {"epoch": epoch, "samples": samples, "final": final}
        await self._send(socket, "client-message", {"t": "playback", "d": played})

    async def _send(self, socket: _Socket, kind: str, data: dict[str, Any]) -> None:
        message = {"label": "rtvi-ai", "type": kind, "id": str(next(self._ids)), "data": data}
        await socket.send_str(json.dumps(message))

    # What comes.

    async def _listen(self, socket: _Socket) -> None:
        async for message in socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                self._player.take(message.data)
            elif message.type is aiohttp.WSMsgType.TEXT:
                await self._take(socket, json.loads(message.data))
            self._changed.set()
        self._over = True
        self.ended = self.ended or "disconnected"
        self._changed.set()

    async def _take(self, socket: _Socket, message: dict[str, Any]) -> None:
        self.messages.append((self._now(), message))
        data = message.get("data") or {}
        match message["type"]:
            case "bot-ready":
                self.call = data["about"]["call"]
                self._ready = True
            case "bot-started-speaking":
                self._speaking = True
            case "bot-stopped-speaking":
                self._speaking = False
            case "bot-interrupted":
                self._speaking = False
                epoch, samples = self._player.flush()
                await self._report(socket, epoch, samples, final=True)
            case "server-message":
                self._take_own(data)

    def _take_own(self, data: dict[str, Any]) -> None:
        match data["type"]:
            case "duck":
                self._player.duck(data["on"])
            case "sentence":
                self._latest = max(self._latest, data["turn"])
                self._fresh = self._fresh or not data["turn"] or data["turn"] > self._before
            case "end":
                self._over = True
                self.ended = data["reason"]
