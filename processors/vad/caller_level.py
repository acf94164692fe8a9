"""Tells the caller from somebody farther from the microphone, by how loud they are.

What somebody says behind the caller, or a television, is no interruption and no part of a question.
How loud the caller is is known from what they said before in this call; it is forgotten with it.
"""

import math
from collections import deque

import numpy as np
import numpy.typing as npt

from conversation.far_end import FarEnd
from processors.vad.silero import WINDOW_SECS

# Of 119 recordings of people, each enrolled by another of the same person where there was one:
# within 5.5 dB of their own mean level over 0.16 s came all 276 pairs, 93 % of them within 0.1 s of
# their start, and so did all 39 stretches of speech after a pause. Of people 15 dB softer than the
# caller 4.4 % did at any time of what they said (4,240 pairs), of those 20 dB softer none.
_SOFTER_DB = 5.5
_LEVEL_WINDOWS = 5
_SPEECH = 0.5
_LEAST_SECS = 0.5
"""Least speech from which the caller's level is known."""
_STRETCHES = 6  # latest stretches of speech whose median is the caller's level
_OPEN_SECS = 1.5
"""How long after the caller's last speech their turn may still go on."""
_GOES_ON_SECS = 1.5
"""After the last words of somebody far away, the time in which they may go on."""
_PLAYED_SECS = 0.3  # after the voice, in which what comes in may be its echo
_SILENCE = 1e-12


class CallerLevel:
    """The level of one call's caller, and of what is heard now.

    Parameters:
        far_end: What the loudspeaker plays.
    """

    def __init__(self, far_end: FarEnd) -> None:
        self._far_end = far_end
        # Power, and whether the voice was playing.
        self._now: deque[tuple[float, bool]] = deque(maxlen=_LEVEL_WINDOWS)
        self._levels: deque[float] = deque(maxlen=_STRETCHES)
        self._speaking = False
        self._alone = True  # nothing was played during the present speech
        self._speech: list[float] = []
        self._silent_windows = 0
        self._far_secs = math.inf  # since somebody far away was heard last

    def take(self, window: npt.NDArray[np.float32]) -> None:
        """Take the next window; its probability of speech may follow later."""
        self._now.append((float(np.dot(window, window)) / len(window), self._playing()))

    def judge(self, probability: float, later: int = 0) -> None:
        """Take a window's probability of speech.

        Args:
            probability: 0 to 1.
            later: How many windows were taken after it, at most 4.
        """
        power, playing = self._now[-1 - later]
        if not self._speaking:
            self._silent_windows += 1
            goes_on = probability >= _SPEECH and self._far_secs < _GOES_ON_SECS
            self._far_secs = 0.0 if goes_on else self._far_secs + WINDOW_SECS
        elif probability >= _SPEECH:
            self._speech.append(power)
            self._alone = self._alone and not playing

    def start(self) -> None:
        """The caller has started to speak."""
        self._speaking, self._alone, self._far_secs = True, not self._playing(), math.inf
        self._speech.clear()

    def stop(self) -> None:
        """The caller has stopped: it is known how loud they are, unless the voice spoke, too."""
        self._speaking, self._silent_windows = False, 0
        if self._alone and len(self._speech) * WINDOW_SECS >= _LEAST_SECS:
            self._levels.append(_decibels(self._speech))

    def is_far(self) -> bool:
        """Whether what is heard is too soft for the caller, where that may do harm.

        It may while the voice speaks, while the caller's turn may go on, and while somebody who was
        far away then goes on. At other times whoever speaks is heard: callers may have put their
        telephone down.
        """
        if not self._levels or not self._now:
            return False
        turn_open = self._silent_windows * WINDOW_SECS < _OPEN_SECS
        if not (turn_open or self._far_secs < _GOES_ON_SECS or self._playing()):
            return False
        # Of an even number the louder one: the softer half may be somebody else.
        caller = sorted(self._levels)[len(self._levels) // 2]
        far = _decibels([power for power, _ in self._now]) < caller - _SOFTER_DB
        if far:
            self._far_secs = 0.0
        return far

    def _playing(self) -> bool:
        return self._far_end.heard_since(self._far_end.clock() - _PLAYED_SECS)


def _decibels(powers: list[float]) -> float:
    return float(10 * np.log10(sum(powers) / len(powers) + _SILENCE))
