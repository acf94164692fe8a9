"""Places both voices of a recording on the call's time line."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from recording.message import Message

Samples = npt.NDArray[np.int16]

SMALLEST_GAP_SECS = 0.06
"""Shorter gaps between two chunks are network jitter, not silence."""

INTERRUPTED = "bot-interrupted"


def heard_by_viva(messages: Iterable[Message], sample_rate: int, secs: float) -> Samples:
    """Place the caller's audio, with gaps as silence.

    A chunk cannot have been spoken later than it arrived, nor later than the chunk after it, so
    audio that the network delayed is moved back to where it belongs.

    Args:
        messages: Those of ``/caller/audio``.
        sample_rate: In Hz.
        secs: Length of the call.
    """
    pieces = [(message.at, np.frombuffer(message.pcm(), "<i2")) for message in messages]
    starts: list[int] = []
    next_start = np.inf
    for at, piece in reversed(pieces):
        next_start = min(at * sample_rate, next_start) - len(piece)
        starts.append(round(next_start))
    placed: list[tuple[int, Samples]] = []
    cursor = 0
    for start, (_, piece) in zip(reversed(starts), pieces, strict=True):
        if start - cursor >= SMALLEST_GAP_SECS * sample_rate:
            cursor = start
        placed.append((cursor, piece))
        cursor += len(piece)
    return _mix(placed, max(round(secs * sample_rate), cursor))


def heard_by_caller(messages: Iterable[Message], sample_rate: int, secs: float) -> Samples:
    """Place the agent's audio as it was played: chunk after chunk, cut at interruptions.

    Args:
        messages: Those of ``/agent/audio`` and ``/agent/page``.
        sample_rate: In Hz.
        secs: Length of the call.
    """
    placed: list[tuple[int, Samples]] = []
    cursor = 0
    for message in messages:
        now = round(message.at * sample_rate)
        if message.topic == "/agent/audio":
            piece = np.frombuffer(message.pcm(), "<i2")
            start = max(cursor, now)
            placed.append((start, piece))
            cursor = start + len(piece)
        elif message.data.get("type") == INTERRUPTED:
            while placed and placed[-1][0] + len(placed[-1][1]) > now:
                start, piece = placed.pop()
                if start < now:
                    placed.append((start, piece[: now - start]))
                    break
            cursor = min(cursor, now)
    return _mix(placed, max(round(secs * sample_rate), cursor))


def _mix(placed: list[tuple[int, Samples]], length: int) -> Samples:
    line = np.zeros(length, np.int16)
    for start, piece in placed:
        line[start : start + len(piece)] = piece
    return line
