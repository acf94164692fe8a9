"""The simulated loudspeaker of a caller without a browser."""

import numpy as np

from client.protocol import SILENCE
from client.wav import OUTPUT_RATE

JITTER_SECS = 0.06
"""Voice that the page gathers before it starts to play; it waits no longer than this for it."""


class Loudspeaker:
    """Plays received audio as the page would. It has no clock: the methods take the time.

    Attributes:
        samples: Samples of this epoch that were played.
        heard: All audio played: PCM s16le, mono, 24 kHz.
    """

    def __init__(self) -> None:
        self._queue = bytearray()
        self._starts: float | None = None
        self._ducked = False
        self.samples = 0
        self.heard = bytearray()

    def receive(self, audio: bytes, now: float) -> None:
        """Buffer received audio: PCM s16le, mono, 24 kHz."""
        self._queue += audio
        if self._starts is None:
            self._starts = now + JITTER_SECS
        if len(self._queue) >= 2 * round(JITTER_SECS * OUTPUT_RATE):
            self._starts = min(self._starts, now)

    def duck(self, on: bool) -> None:
        """Lower the voice, or restore it."""
        self._ducked = on

    def flush(self) -> None:
        """Drop the rest of the buffer: the epoch is over."""
        self._queue.clear()
        self._starts = None
        self._ducked = False
        self.samples = 0

    def play(self, secs: float, now: float) -> float | None:
        """Play some seconds; returns the time of the first audible sample in them."""
        count = int(secs * OUTPUT_RATE) * 2
        if self._starts is None or now < self._starts:
            self.heard += bytes(count)
            return None
        audio = bytes(self._queue[:count])
        del self._queue[:count]
        self.samples += len(audio) // 2
        samples = np.frombuffer(audio, np.int16)
        if self._ducked:
            samples = (samples // 8).astype(np.int16)
        self.heard += samples.tobytes() + bytes(count - len(audio))
        if not self._queue:
            self._starts = None
        loud = np.flatnonzero(np.abs(samples.astype(np.int32)) >= SILENCE)
        return now + float(loud[0]) / OUTPUT_RATE if len(loud) else None

    @property
    def playing(self) -> bool:
        """Whether the buffer holds audio."""
        return self._starts is not None
