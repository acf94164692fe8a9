"""Notices that a second voice takes turns in a call, by the pitch and the level of what is said.

A television, a child or a colleague may be heard as well as the caller, and what they say becomes
turns. Two speeches are taken for different voices' if they differ more than one person's do; two
voices take turns once each has come back after the other.
"""

from collections import deque
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from conversation.far_end import FarEnd
from models.inference import SAMPLE_RATE

Samples = npt.NDArray[np.float32]

# Of 160 speeches of 70 people, the medians of one person's pitch in two recordings are 0.8
# semitones apart (half of 142 pairs), 3.9 (95 %) and 5.5 at most; 53 % of 12,532 pairs of two
# people are more than 5 apart. With these limits, in three to six speeches of one person in a
# random order no second voice was found (18 people, 200 times each), in six of two people in turn
# at one level in 55 %, 10 dB apart in 76 %, 15 dB in 96 %. Both halves of the people were in
# sight: 62 and 54 % at one level. Pitch and level each tell by themselves, for browsers turn the
# level of a caller's first words down by up to 8 dB.
_OTHER_SEMITONES = 5.0
_OTHER_DB = 10.0
_ALIKE_SEMITONES = 3.0
_ALIKE_DB = 5.5

_REMEMBERED = 8
"""The latest speeches, among which two of each voice are looked for."""
_LEAST_SECS = 0.5
_MOST_SECS = 4.0
"""Least and most speech from which a voice is told."""
_PLAYED_SECS = 0.3
"""After Viva's voice, in which what comes in may be its echo."""

_HOP = 1024
_FRAME = 1024
_SPAN = 2048
"""A frame, with as much silence behind it as its correlation with itself needs."""
_ACTIVE_DB = 25.0
"""What is softer than the loudest frame by more is a pause."""
_VOICED = 0.6
"""Least correlation of a frame with itself a period later."""
_LEAST_VOICED = 4
_FIRST_PEAK = 0.9
"""The first peak so close to the highest is the period; later ones are its multiples."""
_SHORTEST, _LONGEST = SAMPLE_RATE // 400, SAMPLE_RATE // 60
"""Periods of voices, in samples."""
_SILENCE = 1e-12


@dataclass(frozen=True, slots=True)
class Speech:
    """What tells whose a speech is.

    Parameters:
        semitones: The median of its pitch, above 100 Hz.
        decibels: Its level without its pauses, relative to full scale.
    """

    semitones: float
    decibels: float


class SecondVoice:
    """Listens to one call's speeches, until a second voice takes turns in it.

    Parameters:
        far_end: What the loudspeaker plays; what is heard meanwhile tells nothing.
    """

    def __init__(self, far_end: FarEnd) -> None:
        self._far_end = far_end
        self._speeches: deque[Speech] = deque(maxlen=_REMEMBERED)
        self._audio: list[bytes] = []
        self._bytes = 0
        self._speaking = False
        self._found = False

    def take_audio(self, pcm: bytes) -> None:
        """Take the next audio, s16le at 16 kHz, speech or not."""
        if not self._speaking or self._bytes >= 2 * SAMPLE_RATE * _MOST_SECS:
            return
        if not self._far_end.heard_since(self._far_end.clock() - _PLAYED_SECS):
            self._audio.append(pcm)
            self._bytes += len(pcm)

    def start(self) -> None:
        """Somebody has started to speak."""
        self._speaking = not self._found
        self._forget()

    def stop(self) -> bool:
        """They have stopped; whether a second voice is found now, which is told once a call."""
        self._speaking = False
        pcm = b"".join(self._audio)
        self._forget()
        speech = speech_of(np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32_768))
        if speech is None or self._found:
            return False
        self._speeches.append(speech)
        self._found = _take_turns(list(self._speeches))
        return self._found

    def _forget(self) -> None:
        self._audio.clear()
        self._bytes = 0


def _take_turns(speeches: list[Speech]) -> bool:
    """Whether two of them, and later two others, differ in the same way: in pitch, or in level."""
    pitches = [speech.semitones for speech in speeches]
    levels = [speech.decibels for speech in speeches]
    return _alternate(pitches, _ALIKE_SEMITONES, _OTHER_SEMITONES) or _alternate(
        levels, _ALIKE_DB, _OTHER_DB
    )


def _alternate(values: list[float], alike: float, other: float) -> bool:
    return any(
        abs(first - third) <= alike
        and abs(second - fourth) <= alike
        and min(abs(first - second), abs(second - third), abs(third - fourth)) > other
        for first, second, third, fourth in combinations(values, 4)
    )


def speech_of(samples: Samples) -> Speech | None:
    """What tells whose a speech is; ``None`` if it is too short, or has too little voice.

    Args:
        samples: At 16 kHz, -1 to 1.
    """
    if len(samples) < _FRAME:
        return None
    frames = np.lib.stride_tricks.sliding_window_view(samples, _FRAME)[::_HOP]
    power = np.square(frames).mean(axis=1)
    active = power > power.max() * 10 ** (-_ACTIVE_DB / 10)
    if active.sum() * _HOP < _LEAST_SECS * SAMPLE_RATE:
        return None
    periods = _periods(frames[active])
    if len(periods) < _LEAST_VOICED:
        return None
    return Speech(
        semitones=float(12 * np.log2(SAMPLE_RATE / 100 / np.median(periods))),
        decibels=float(10 * np.log10(power[active].mean() + _SILENCE)),
    )


_WINDOW = np.hanning(_FRAME).astype(np.float32)
_OF_WINDOW = np.fft.irfft(np.square(np.abs(np.fft.rfft(_WINDOW, _SPAN))))[: _LONGEST + 2]


def _periods(frames: Samples) -> npt.NDArray[np.int64]:
    """The periods of the frames that have one, in samples."""
    spectrum = np.square(np.abs(np.fft.rfft(frames * _WINDOW, _SPAN, axis=1)))
    spectrum[:, 0] = 0
    alike = np.fft.irfft(spectrum, axis=1)[:, : _LONGEST + 2]
    alike /= np.maximum(alike[:, :1], _SILENCE) * (_OF_WINDOW / _OF_WINDOW[0])
    near = alike[:, _SHORTEST - 1 : _LONGEST + 1]
    middle = near[:, 1:-1]
    highest = middle.max(axis=1)
    peaks = (middle >= near[:, :-2]) & (middle >= near[:, 2:])
    peaks &= middle >= _FIRST_PEAK * highest[:, None]
    voiced = (highest > _VOICED) & peaks.any(axis=1)
    return np.asarray(peaks[voiced].argmax(axis=1) + _SHORTEST)
