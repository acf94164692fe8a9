"""The microphone of a replayed caller: the recorded audio, its utterances moved in time."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from evals.replay.utterances import Utterance
from recording.recording import CALLER_RATE

Samples = npt.NDArray[np.int16]

ROOM_SECS = 0.5
"""Length of the silence after an utterance that is looped as room noise."""


class Microphone:
    """Reads the caller's audio with each utterance at its new time and room noise between.

    Parameters:
        audio: The caller's voice on the recording's time line, 16-bit mono PCM at 16 kHz.
        utterances: Its utterances.
    """

    def __init__(self, audio: bytes, utterances: Sequence[Utterance]) -> None:
        line = np.frombuffer(audio, np.int16)
        starts = [round(utterance.start * CALLER_RATE) for utterance in utterances]
        ends = [*starts[1:], len(line)]
        self._pieces = [line[start:end] for start, end in zip(starts, ends, strict=True)]
        self._rooms = [
            _room(piece, round((utterance.end - utterance.start) * CALLER_RATE))
            for piece, utterance in zip(self._pieces, utterances, strict=True)
        ]
        self._taken = 0
        # First sample to read, sample at which the utterance would have begun, utterance.
        self._begun: list[tuple[int, int, int]] = []

    def begin_utterance(self, utterance: int, secs: float) -> None:
        """Start an utterance.

        Args:
            utterance: Its number.
            secs: Its start, in seconds of the call; if audio past that was already read, only the
                rest of the utterance is heard.
        """
        first = round(secs * CALLER_RATE)
        self._begun.append((max(self._taken, first), first, utterance))

    def read_until(self, secs: float) -> bytes:
        """Read audio up to a time of the call: 16-bit mono PCM at 16 kHz."""
        until = round(secs * CALLER_RATE)
        parts: list[Samples] = []
        while self._taken < until:
            while len(self._begun) > 1 and self._begun[1][0] <= self._taken:
                del self._begun[0]
            end = min(until, self._begun[1][0]) if len(self._begun) > 1 else until
            parts.append(self._piece(self._taken, end))
            self._taken = end
        return np.concatenate(parts).tobytes() if parts else b""

    def _piece(self, start: int, end: int) -> Samples:
        if not self._begun or self._begun[0][0] > start:
            return np.zeros(end - start, np.int16)
        _, began, number = self._begun[0]
        piece, room = self._pieces[number], self._rooms[number]
        first, last = start - began, end - began
        part = piece[first:last]
        missing = last - max(first, len(piece))
        if missing > 0:
            at = np.arange(max(first, len(piece)) - len(piece), last - len(piece)) % len(room)
            part = np.concatenate((part, room[at]))
        return part


def _room(piece: Samples, spoken: int) -> Samples:
    """Room noise after an utterance, as a seamless loop."""
    quiet = piece[max(spoken, len(piece) - round(ROOM_SECS * CALLER_RATE)) :]
    if len(quiet) < CALLER_RATE // 20:
        return np.zeros(1, np.int16)
    return np.concatenate((quiet[::-1], quiet))
