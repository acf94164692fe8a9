"""The loudspeaker of a caller without a browser."""

from collections.abc import Callable

import numpy as np

from client.wav import OUTPUT_RATE

JITTER_SECS = 0.06
"""The page's buffer before it starts to play."""


class Loudspeaker:
    """Plays what came as the page would, on the caller's clock.

    Parameters:
        now: Seconds on that clock.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._queue = bytearray()
        self._starts: float | None = None
        self._ducked = False
        self.epoch = 0
        self.samples = 0
        self.heard = bytearray()

    def take(self, audio: bytes) -> None:
        """Take audio that came: PCM s16le, mono, 24 kHz."""
        if self._starts is None:
            self._starts = self._now() + JITTER_SECS
        self._queue += audio

    def duck(self, on: bool) -> None:
        """Lower the voice, or bring it back."""
        self._ducked = on

    def flush(self) -> tuple[int, int]:
        """Drop what is left; the epoch that is over and its samples."""
        over = (self.epoch, self.samples)
        self._queue.clear()
        self._starts = None
        self._ducked = False
        self.epoch += 1
        self.samples = 0
        return over

    def play(self, secs: float) -> tuple[float, int] | None:
        """Play some seconds; when the first audible sample was, and which of the epoch it was."""
        count = int(secs * OUTPUT_RATE) * 2
        starts = self._starts
        if starts is None or self._now() < starts:
            self.heard += bytes(count)
            return None
        audio = bytes(self._queue[:count])
        del self._queue[:count]
        before = self.samples
        self.samples += len(audio) // 2
        samples = np.frombuffer(audio, np.int16)
        if self._ducked:
            samples = (samples // 8).astype(np.int16)
        self.heard += samples.tobytes() + bytes(count - len(audio))
        if not self._queue:
            self._starts = None
        loud = np.flatnonzero(np.abs(samples) > 200)
        if not len(loud):
            return None
        return self._now() + float(loud[0]) / OUTPUT_RATE, before + int(loud[0])

    @property
    def playing(self) -> bool:
        """Whether there is something left to play."""
        return self._starts is not None
