"""Recorded voices as a page can show and play them: outlines, and short clips of both."""

import base64
import struct

import numpy as np
import numpy.typing as npt
import soxr

CLIP_RATE = 16_000
"""Samples a second of a clip, a channel."""

SAMPLE_BYTES = 2
"""PCM s16le."""

_MU_LAW = 7
"""WAV's number for G.711 µ-law."""

_BIAS = 132
_CLIP = 32_635

Samples = npt.NDArray[np.int16]


def cut(pcm: bytes, rate: int, start: float, end: float) -> Samples:
    """A stretch of mono PCM s16le, silence where there is none.

    Args:
        pcm: The voice.
        rate: Its samples a second.
        start: Seconds from its first sample.
        end: Seconds likewise.
    """
    first, last = round(start * rate), max(round(start * rate), round(end * rate))
    stretch = np.zeros(last - first, np.int16)
    there = np.frombuffer(pcm, "<i2", count=len(pcm) // SAMPLE_BYTES)[max(0, first) : max(0, last)]
    at = max(0, -first)
    stretch[at : at + len(there)] = there
    return stretch


def loudest(pcm: bytes) -> int:
    """The amplitude that all but a thousandth of a voice's samples stay below, 0 in silence."""
    samples = np.abs(np.frombuffer(pcm, "<i2", count=len(pcm) // SAMPLE_BYTES).astype(np.int32))
    samples = samples[samples > 0]
    return int(np.quantile(samples, 0.999)) if len(samples) else 0


def outline(samples: Samples, columns: int, full: int) -> list[float]:
    """How loud each of so many equal parts of a stretch is: its highest amplitude, 0 to 1.

    Args:
        samples: The stretch.
        columns: How many parts.
        full: The amplitude that counts as 1.
    """
    if not len(samples) or not full:
        return [0.0] * columns
    edges = np.linspace(0, len(samples), columns + 1).astype(int)
    starts = np.minimum(edges[:-1], len(samples) - 1)
    peaks = np.maximum.reduceat(np.abs(samples.astype(np.int32)), starts)
    return [round(min(1.0, float(peak) / full), 3) for peak in peaks]


def mu_law(samples: Samples) -> bytes:
    """Samples as G.711 µ-law, a byte each (ITU-T G.711, 11/88)."""
    wide = samples.astype(np.int32)
    sign = np.where(wide < 0, 0x80, 0)
    magnitude = np.minimum(np.abs(wide), _CLIP) + _BIAS
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    return bytes((~(sign | (exponent << 4) | mantissa) & 0xFF).astype(np.uint8).tobytes())


def clip(
    caller: bytes, agent: bytes, start: float, end: float, *, caller_rate: int, agent_rate: int
) -> bytes:
    """A WAV file of a stretch of a call: µ-law, 16 kHz, the caller left and the agent right.

    Args:
        caller: The caller's voice, mono PCM s16le from the call's start.
        agent: The agent's voice, likewise.
        start: Seconds after the call's start.
        end: Seconds likewise.
        caller_rate: Samples a second of the caller's voice.
        agent_rate: Samples a second of the agent's.
    """
    left = _at_clip_rate(cut(caller, caller_rate, start, end), caller_rate)
    right = _at_clip_rate(cut(agent, agent_rate, start, end), agent_rate)
    length = min(len(left), len(right))
    both = np.stack((left[:length], right[:length]), axis=1).reshape(-1)
    data = mu_law(both)
    form = struct.pack("<HHIIHHH", _MU_LAW, 2, CLIP_RATE, 2 * CLIP_RATE, 2, 8, 0)
    fact = struct.pack("<I", length)
    chunks = b"".join(
        name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)
        for name, body in ((b"fmt ", form), (b"fact", fact), (b"data", data))
    )
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def clip_bytes(secs: float) -> int:
    """Bytes that a clip of so many seconds takes in a page, as :func:`data_uri` writes it."""
    return round(secs * CLIP_RATE) * 2 * 4 // 3 + 128


def data_uri(wav: bytes) -> str:
    """A WAV file as the address of itself."""
    return f"data:audio/wav;base64,{base64.b64encode(wav).decode()}"


def _at_clip_rate(samples: Samples, rate: int) -> Samples:
    if rate == CLIP_RATE or not len(samples):
        return samples
    resampled = soxr.resample(samples, rate, CLIP_RATE)
    return np.asarray(resampled, np.int16)
