"""Levels of what the caller's loudspeaker plays, to recognise its echo in the microphone.

Unless the client cancels echo, the microphone picks up the loudspeaker. Levels over time in some
frequency bands are enough to recognise it: an echo rises and falls in each band as the voice did a
little earlier. Only the last seconds of the voice are kept, and only for this.
"""

from collections import deque
from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt

HOP_SECS = 0.016
"""Time from one frame of levels to the next; a frame covers twice as much audio."""

BANDS = 14
"""Bands of the spectrum, equally wide in mel."""
_LOWEST_HERTZ, _HIGHEST_HERTZ = 150.0, 4_000.0
"""What loudspeakers of telephones play, too."""

KEPT_SECS = 3.0
"""How much of the voice is kept, before what was sent last."""

Levels = npt.NDArray[np.float64]
"""Power by frame and band."""


class BandLevels:
    """Computes levels of audio that comes in pieces.

    Parameters:
        sample_rate: Of the audio.
    """

    def __init__(self, sample_rate: int) -> None:
        self.hop = round(HOP_SECS * sample_rate)
        self._window, self._filters = _tables(2 * self.hop, sample_rate)

    def of(self, samples: npt.NDArray[np.float32]) -> Levels:
        """The levels of audio in -1 to 1: a frame ends with each hop, from the second on."""
        if len(samples) < 2 * self.hop:
            return np.empty((0, BANDS))
        frames = np.lib.stride_tricks.sliding_window_view(samples, 2 * self.hop)[:: self.hop]
        power = np.square(np.abs(np.fft.rfft(frames * self._window, axis=1)))
        return np.asarray(power @ self._filters / self.hop)


class FarEnd:
    """What the loudspeaker of one call plays.

    Parameters:
        clock: Seconds on the call's clock.
        sample_rate: Of the voice.
    """

    def __init__(self, clock: Callable[[], float], *, sample_rate: int) -> None:
        self.clock = clock
        self._rate = sample_rate
        self._bands = BandLevels(sample_rate)
        self._played: deque[tuple[float, bytes]] = deque()
        self._ends_at = 0.0

    def play(self, pcm: bytes, at: float) -> None:
        """Note audio that is played.

        Args:
            pcm: 16-bit mono.
            at: When its first sample is played, on the call's clock.
        """
        self._played.append((at, pcm))
        self._ends_at = at + len(pcm) / 2 / self._rate
        while self._played[0][0] < self._ends_at - KEPT_SECS:
            self._played.popleft()

    def stop(self, at: float) -> None:
        """Note that none of the audio so far is played after this time."""
        if at >= self._ends_at:
            return
        self._ends_at = at
        while self._played and self._played[-1][0] >= at:
            self._played.pop()
        if self._played:
            began, pcm = self._played.pop()
            self._played.append((began, pcm[: 2 * round((at - began) * self._rate)]))

    def heard_since(self, at: float) -> bool:
        """Whether something was played after this time."""
        return self._ends_at > at

    def between(self, since: float, until: float) -> Levels:
        """The levels between two times; silence before and after what was played."""
        length = max(0, round((until - since) * self._rate)) + self._bands.hop
        samples = np.zeros(length, np.float32)
        for at, pcm in self._played:
            first = round((at - since) * self._rate) + self._bands.hop
            begin, end = max(0, first), min(len(samples), first + len(pcm) // 2)
            if begin < end:
                samples[begin:end] = np.frombuffer(pcm, "<i2")[begin - first : end - first]
        samples /= np.float32(32_768)
        return self._bands.of(samples)


@cache  # 43 kB at 24 kHz, the same for all calls
def _tables(size: int, sample_rate: int) -> tuple[npt.NDArray[np.float32], Levels]:
    """The window and the filters of frames of a size, for all who use them to read."""
    window, filters = np.hanning(size).astype(np.float32), _filters(size, sample_rate)
    window.flags.writeable = filters.flags.writeable = False
    return window, filters


def _filters(size: int, sample_rate: int) -> Levels:
    """Triangles of equal width on the mel scale: [frequency, band]."""
    lowest, highest = (
        2595 * np.log10(1 + hertz / 700) for hertz in (_LOWEST_HERTZ, _HIGHEST_HERTZ)
    )
    edges = 700 * (10 ** (np.linspace(lowest, highest, BANDS + 2) / 2595) - 1)
    hertz = np.linspace(0, sample_rate / 2, size // 2 + 1)
    rising = (hertz[:, None] - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - hertz[:, None]) / np.diff(edges)[1:]
    return np.maximum(0, np.minimum(rising, falling))
