"""A caller's end of a call: a microphone and a loudspeaker in step, and whether it was answered.

It plays and reports as the page does. Its clock is the event loop's, and speech is placed to the
sample: like a microphone, it sends a chunk once the chunk's last sample has been spoken.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import numpy as np
import numpy.typing as npt

from client.connection import CHUNK_SECS, Connection
from client.loudspeaker import Loudspeaker
from client.protocol import Audio, ClientProtocol, Event, Message
from client.wav import INPUT_RATE

Samples = npt.NDArray[np.float32]

STEP = 32
"""Quantisation step: eleven bits. Detail below -66 dBFS would only make recordings larger."""

READY_SECS = 90.0
"""Maximum time that a server takes to begin a call."""


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


class Handset:
    """What a program speaks into and listens with during one call.

    Parameters:
        microphone: What the server hears.
        protocol: The call's side of the wire.
        take: Called with each message of the server, after the handset has.
    """

    def __init__(
        self,
        microphone: Microphone,
        protocol: ClientProtocol,
        take: Callable[[Message], None] = lambda _message: None,
    ) -> None:
        self.protocol = protocol
        self._microphone = microphone
        self._take_message = take
        self._player = Loudspeaker()
        self._now = asyncio.get_running_loop().time
        self._connection: Connection | None = None
        self._taken_at = 0.0
        self.speaking = False
        """Whether the server says that the agent speaks."""
        self.voice_at: float | None = None
        """When the reply to the last line was first heard."""
        self._asked_at = 0.0  # end of the last line that takes the turn
        self.heard_until = 0.0
        """When the agent was last audible."""
        self._latest = 0  # number of the last turn with a sentence
        self._before = 0  # the same, at the start of the last line that takes the turn
        self._fresh = True  # whether a sentence came that may answer it

    @property
    def ended(self) -> str:
        """Why the call is over; empty while it is not."""
        return self.protocol.ended

    @property
    def answered(self) -> bool:
        """Whether a reply to the last line is heard."""
        return self.voice_at is not None

    @property
    def playing(self) -> bool:
        """Whether the agent's voice is in the loudspeaker's buffer."""
        return self._player.playing

    @property
    def quiet_secs(self) -> float:
        """For how long the agent has been silent; -1 while it speaks."""
        return -1.0 if self.speaking or self._player.playing else self._now() - self.heard_until

    @asynccontextmanager
    async def in_call(
        self, connection: Connection, library: str, *, record: bool = False, clock: int = 0
    ) -> AsyncIterator[None]:
        """Begin the call, run microphone and loudspeaker, and hang up at the end of the block.

        Args:
            connection: The open socket.
            library: The client's name.
            record: Whether the call may be recorded.
            clock: How often the server is asked for its time.
        """
        self._connection = connection
        self.protocol.ready(library, record=record)
        await connection.send()
        await self.until(lambda: bool(self.protocol.call), READY_SECS)
        for _ in range(clock):
            self.protocol.ask_time(self._now())
            await connection.send()
        self._taken_at = self._now()
        connection.tick(self._speak_and_listen)
        yield
        await connection.hang_up()

    async def until(self, condition: Callable[[], bool], timeout_secs: float = 90.0) -> None:
        """Wait until a condition holds, the call ends, or the timeout passes."""
        if self._connection is None:
            raise RuntimeError("there is no call yet")
        await self._connection.until(lambda: bool(self.ended) or condition(), timeout_secs)

    async def say(
        self, samples: Samples, speech: tuple[float, float], *, takes_turn: bool
    ) -> tuple[float, bool]:
        """Say something, and wait until it is said.

        Args:
            samples: The sound, 16 kHz, in 16-bit units.
            speech: Where its first word begins and its last ends, in seconds.
            takes_turn: Whether it is to be answered.

        Returns:
            When its first sample was spoken, and whether the agent was heard as it began.
        """
        start, end = speech
        if takes_turn:
            self._before, self._fresh = self._latest, False
        at = self._now() - start  # so that its sound starts now, not its file
        wait = at - self._taken_at
        cut = max(0, round(-wait * INPUT_RATE))
        self._microphone.add_sound(max(0.0, wait), samples[cut:])
        over = self._player.playing
        await asyncio.sleep(end - start)
        if takes_turn:
            self._asked_at = self._now()
            self.voice_at = None
        return at, over

    # Every 20 ms: send 20 ms of microphone audio, play 20 ms of the agent's.

    def _speak_and_listen(self, due: float) -> None:
        self._taken_at = due
        self.protocol.speak(self._microphone.read(CHUNK_SECS))
        now = self._now()
        at = self._player.play(CHUNK_SECS, now)
        self.protocol.played(self._player.samples, now, playing=self._player.playing)
        if at is not None:
            self.heard_until = now + CHUNK_SECS
            if self.voice_at is None and self._fresh and at >= self._asked_at:
                self.voice_at = at

    def take(self, event: Event) -> None:
        """Take an event of the server."""
        match event:
            case Audio(pcm):
                self._player.receive(pcm, self._now())
            case Message("bot-started-speaking"):
                self.speaking = True
            case Message("bot-stopped-speaking"):
                self.speaking = False
            case Message("bot-interrupted"):
                self.speaking = False
                self._player.flush()
            case Message("duck", data):
                self._player.duck(data["on"])
            case Message("sentence", data):
                turn = data["turn"]
                self._latest = max(self._latest, turn)
                self._fresh = self._fresh or not turn or turn > self._before
        if isinstance(event, Message):
            self._take_message(event)
