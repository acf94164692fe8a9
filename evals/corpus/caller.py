"""A scripted caller: says each line of a scenario at its cue, over the real protocol.

It plays and reports as the page does. Its clock is the event loop's, and its speech is placed to
the sample: like a microphone, it sends a chunk once the chunk's last sample has been spoken.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from client.connection import CHUNK_SECS, connect
from client.loudspeaker import Loudspeaker
from client.protocol import Audio, ClientProtocol, Event, Message
from client.wav import INPUT_RATE
from evals.corpus.scenario import Samples, Scenario, ScriptLine

PATIENCE_SECS = 15.0
"""Maximum time that the caller waits for an answer."""

LINGER_SECS = 0.6
"""How long the caller keeps listening before it hangs up."""

STEP = 32
"""Quantisation step: eleven bits. Detail below -66 dBFS would only make recordings larger."""


class CueError(Exception):
    """A line could not be said at its cue; the text says why."""


@dataclass(frozen=True, slots=True)
class Said:
    """A line, and when it was said.

    Parameters:
        line: The line.
        at: When its file's first sample was spoken, on the event loop's clock.
        over_agent: Whether the agent's voice was playing when its sound began.
    """

    line: ScriptLine
    at: float
    over_agent: bool


class Microphone:
    """Mixes the caller's sounds with background noise.

    Parameters:
        bed: The background noise, which is looped; ``None`` for silence.
    """

    def __init__(self, bed: Samples | None = None) -> None:
        self._bed = bed
        self._taken = 0
        self._coming: Samples = np.zeros(0, np.float32)

    def add_sound(self, secs: float, samples: Samples) -> None:
        """Add a sound that starts ``secs`` after the last sample read."""
        start = round(secs * INPUT_RATE)
        more = start + len(samples) - len(self._coming)
        if more > 0:
            self._coming = np.concatenate([self._coming, np.zeros(more, np.float32)])
        self._coming[start : start + len(samples)] += samples

    def read(self, secs: float) -> bytes:
        """Read the next ``secs`` of audio: 16-bit mono PCM at 16 kHz."""
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
        url: The server's WebSocket, ``ws://HOST:PORT/call``.
        scenario: The scenario.
        bed: The background noise, if any.
    """

    def __init__(self, url: str, scenario: Scenario, bed: Samples | None = None) -> None:
        self._url = url
        self._scenario = scenario
        self._microphone = Microphone(bed)
        self._protocol = ClientProtocol(server_ahead_secs=0.0)  # one event loop, one clock
        self._player = Loudspeaker()
        self._speaking = False  # whether the server says that the agent speaks
        self._voice_at: float | None = None  # first sound of the agent's reply to the last line
        self._asked_at = 0.0  # end of the last line that takes the turn
        self._heard_until = 0.0  # end of the agent's last audible sound
        self._latest = 0  # number of the last turn with a sentence
        self._before = 0  # the same, at the start of the last line that takes the turn
        self._fresh = True  # whether a sentence came that may answer it
        self.said: list[Said] = []

    @property
    def call(self) -> str:
        """The call's id."""
        return self._protocol.call

    async def hold(self) -> None:
        """Make the call.

        Raises:
            CueError: A line's cue did not come.
        """
        self._now = asyncio.get_running_loop().time
        async with connect(self._url, self._protocol, self._take) as connection:
            self._connection = connection
            self._protocol.ready("viva-corpus")
            await connection.send()
            await self._until(lambda: bool(self._protocol.call))
            self._taken_at = self._now()
            connection.tick(self._speak_and_listen)
            await self._converse()
            await connection.hang_up()

    # The script.

    async def _converse(self) -> None:
        for line in self._scenario.lines:
            await self._cue(line)
            await self._say(line)
        if self._scenario.stays:
            await self._until(lambda: False, 60.0)
            return
        await self._until(self._answered, PATIENCE_SECS)
        await self._until(lambda: self._quiet_secs() >= LINGER_SECS, 60.0)

    async def _cue(self, line: ScriptLine) -> None:
        if line.cue == "after":
            await self._until(self._answered, PATIENCE_SECS)
            await self._until(lambda: self._quiet_secs() >= line.secs, 60.0)
        elif line.cue == "into":
            await self._until(self._answered, PATIENCE_SECS)
            if self._voice_at is None:
                raise CueError(f"{line.file}: no answer came that it could be said into")
            await asyncio.sleep(max(0.0, self._voice_at + line.secs - self._now()))
            if not self._speaking:
                spoke = self._heard_until - self._voice_at
                raise CueError(
                    f"{line.file}: is to be said {line.secs} s into an answer of {spoke:.1f} s"
                )
        else:
            await asyncio.sleep(line.secs)
        if why := self._protocol.ended:
            raise CueError(f"{line.file}: the call was over ({why}) before it could be said")

    async def _say(self, line: ScriptLine) -> None:
        start, end = line.speech
        if line.takes_turn:
            self._before, self._fresh = self._latest, False
        at = self._now() - start  # so that its sound starts now, not its file
        wait = at - self._taken_at
        cut = max(0, round(-wait * INPUT_RATE))
        self._microphone.add_sound(max(0.0, wait), line.samples[cut:])
        self.said.append(Said(line, at, over_agent=self._player.playing))
        await asyncio.sleep(end - start)
        if line.takes_turn:
            self._asked_at = self._now()
            self._voice_at = None

    def _answered(self) -> bool:
        return self._voice_at is not None

    def _quiet_secs(self) -> float:
        return -1.0 if self._speaking or self._player.playing else self._now() - self._heard_until

    async def _until(self, condition: Callable[[], bool], timeout_secs: float = 90.0) -> None:
        """Wait until a condition holds, the call ends, or the timeout passes."""
        await self._connection.until(
            lambda: bool(self._protocol.ended) or condition(), timeout_secs
        )

    # Every 20 ms: send 20 ms of microphone audio, play 20 ms of the agent's.

    def _speak_and_listen(self, due: float) -> None:
        self._taken_at = due
        self._protocol.speak(self._microphone.read(CHUNK_SECS))
        now = self._now()
        at = self._player.play(CHUNK_SECS, now)
        self._protocol.played(self._player.samples, now, playing=self._player.playing)
        if at is not None:
            self._heard_until = now + CHUNK_SECS
            if self._voice_at is None and self._fresh and at >= self._asked_at:
                self._voice_at = at

    # Events from the server.

    def _take(self, event: Event) -> None:
        match event:
            case Audio(pcm):
                self._player.receive(pcm, self._now())
            case Message("bot-started-speaking"):
                self._speaking = True
            case Message("bot-stopped-speaking"):
                self._speaking = False
            case Message("bot-interrupted"):
                self._speaking = False
                self._player.flush()
            case Message("duck", data):
                self._player.duck(data["on"])
            case Message("sentence", data):
                turn = data["turn"]
                self._latest = max(self._latest, turn)
                self._fresh = self._fresh or not turn or turn > self._before
