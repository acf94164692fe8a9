"""Distinguishes the voice's echo in the microphone from a caller who speaks.

Sound that rises and falls in all frequency bands as the voice did up to 0.64 s earlier is its echo.
A caller who speaks over it does not follow it, and is usually louder than the echo.
"""

from collections import deque

import numpy as np
import numpy.typing as npt

from conversation.far_end import HOP_SECS, BandLevels, FarEnd, Levels
from models.inference import SAMPLE_RATE

WINDOW_SECS = 1.0
"""Sound that is compared."""

MOST_DELAY_SECS = 0.64
"""Longest time from the assumed playback to the echo: buffers, networks and the room."""

# Tuned on simulated rooms, loudspeakers and noise with the embedded voice, and on 15 callers'
# recordings. Echo 12 dB above the noise, at -20 to -40 dB, correlates by 0.70 or more at all times
# (165). Callers without an echo fall below 0.6 within 0.26 s of their start, within 0.64 s if they
# start just after the voice does, and over an echo at -30 dB within 0.74 s; half of them at once.
_ALIKE = 0.6
_RANGE_DB = 25.0
_ABOVE_NOISE_DB = 3.0
_NOISE_SECS = 2.0
_KEPT_BYTES = 2 * round(_NOISE_SECS * SAMPLE_RATE)
_LEAST_SECS = 0.2
"""Least audio that is compared, at the beginning of a call."""
_SMOOTHED = 5  # frames over which the noise of a band is averaged


class EchoDetector:
    """Compares one call's microphone with what its loudspeaker plays.

    Parameters:
        far_end: What the loudspeaker plays.
    """

    def __init__(self, far_end: FarEnd) -> None:
        self._far_end = far_end
        self._bands = BandLevels(SAMPLE_RATE)
        self._audio: deque[bytes] = deque()
        self._bytes = 0

    def take_audio(self, pcm: bytes) -> None:
        """Keep the microphone's last seconds, s16le at 16 kHz."""
        audio = self._audio
        audio.append(pcm)
        self._bytes += len(pcm)
        while self._bytes - len(audio[0]) >= _KEPT_BYTES:
            self._bytes -= len(audio.popleft())

    def is_echo(self) -> bool:
        """Whether the last audio is the voice's echo."""
        now = self._far_end.clock()
        if not self._far_end.heard_since(now - MOST_DELAY_SECS - WINDOW_SECS):
            return False
        heard = self._heard()[-round(WINDOW_SECS / HOP_SECS) :]
        count = len(heard)
        if count < _LEAST_SECS / HOP_SECS:
            return False
        played = _decibels(self._far_end.between(now - _NOISE_SECS - MOST_DELAY_SECS, now))
        lags = round(MOST_DELAY_SECS / HOP_SECS)
        runs = np.lib.stride_tricks.sliding_window_view(played, count, axis=0)[-lags - 1 :]
        return bool(_correlations(heard, runs.transpose(0, 2, 1)).max() >= _ALIKE)

    def _heard(self) -> Levels:
        pcm = b"".join(self._audio)[-_KEPT_BYTES:]
        samples = np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32_768)
        return _decibels(self._bands.of(samples))


def _decibels(power: Levels) -> npt.NDArray[np.float64]:
    """Levels in decibels, none below the noise or far below the loudest."""
    decibels = np.asarray(10 * np.log10(np.maximum(power, 1e-12)))
    if len(decibels) <= _SMOOTHED:
        return decibels
    sums = np.cumsum(np.pad(power, ((1, 0), (0, 0))), axis=0)
    noise = ((sums[_SMOOTHED:] - sums[:-_SMOOTHED]) / _SMOOTHED).min(axis=0)
    floor = 10 * np.log10(np.maximum(2 * noise, 1e-12)) + _ABOVE_NOISE_DB
    return np.asarray(np.maximum(decibels, np.maximum(floor, decibels.max() - _RANGE_DB)))


def _correlations(
    heard: npt.NDArray[np.float64], runs: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """The correlation of the levels over time of all bands, [frames, bands], with each run."""
    one = heard - heard.mean(axis=0)
    others = runs - runs.mean(axis=1, keepdims=True)
    power = np.sqrt(np.square(one).sum() * np.square(others).sum(axis=(1, 2)))
    return np.asarray((others * one).sum(axis=(1, 2)) / np.maximum(power, 1e-9))
