"""Waveforms and audio clips of recorded voices, for a page."""

import base64
import struct

import numpy as np
import numpy.typing as npt
import soxr

CLIP_RATE = 16_000
"""A clip's sample rate, in Hz."""

SAMPLE_BYTES = 2
"""Bytes of a 16-bit sample."""

_MU_LAW = 7
"""WAV's format code of G.711 µ-law."""

_BIAS = 132
_CLIP = 32_635

Samples = npt.NDArray[np.int16]


def cut(pcm: bytes, rate: int, start: float, end: float) -> Samples:
    """Cut a part out of a voice; beyond its ends there is silence.

    Args:
        pcm: 16-bit mono PCM.
        rate: The sample rate, in Hz.
        start: Seconds from its first sample.
        end: Seconds from its first sample.
    """
    first, last = round(start * rate), max(round(start * rate), round(end * rate))
    stretch = np.zeros(last - first, np.int16)
    there = np.frombuffer(pcm, "<i2", count=len(pcm) // SAMPLE_BYTES)[max(0, first) : max(0, last)]
    at = max(0, -first)
    stretch[at : at + len(there)] = there
    return stretch


def loudest(pcm: bytes) -> int:
    """The 99.9th percentile of a voice's amplitude; 0 for silence."""
    samples = np.abs(np.frombuffer(pcm, "<i2", count=len(pcm) // SAMPLE_BYTES).astype(np.int32))
    samples = samples[samples > 0]
    return int(np.quantile(samples, 0.999)) if len(samples) else 0


def outline(samples: Samples, columns: int, full: int) -> list[float]:
    """The peak amplitude of each of several equal parts, 0 to 1.

    Args:
        samples: The samples.
        columns: The number of parts.
        full: The amplitude that counts as 1.
    """
    if not len(samples) or not full:
        return [0.0] * columns
    edges = np.linspace(0, len(samples), columns + 1).astype(int)
    starts = np.minimum(edges[:-1], len(samples) - 1)
    peaks = np.maximum.reduceat(np.abs(samples.astype(np.int32)), starts)
    return [round(min(1.0, float(peak) / full), 3) for peak in peaks]


def mu_law(samples: Samples) -> bytes:
    """Encode samples as G.711 µ-law, a byte each (ITU-T G.711, 11/88)."""
    wide = samples.astype(np.int32)
    sign = np.where(wide < 0, 0x80, 0)
    magnitude = np.minimum(np.abs(wide), _CLIP) + _BIAS
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    return bytes((~(sign | (exponent << 4) | mantissa) & 0xFF).astype(np.uint8).tobytes())


def clip(
    caller: bytes, agent: bytes, start: float, end: float, *, caller_rate: int, agent_rate: int
) -> bytes:
    """Make a WAV file of a part of a call: µ-law, 16 kHz, caller left, agent right.

    Args:
        caller: The caller's voice from the call's start, 16-bit mono PCM.
        agent: The agent's voice from the call's start, 16-bit mono PCM.
        start: Seconds after the call's start.
        end: Seconds after the call's start.
        caller_rate: The sample rate of the caller's voice, in Hz.
        agent_rate: The sample rate of the agent's voice, in Hz.
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
    """The size of a clip as a ``data:`` URI, in bytes."""
    return round(secs * CLIP_RATE) * 2 * 4 // 3 + 128


def data_uri(wav: bytes) -> str:
    """A WAV file as a ``data:`` URI."""
    return f"data:audio/wav;base64,{base64.b64encode(wav).decode()}"


def _at_clip_rate(samples: Samples, rate: int) -> Samples:
    if rate == CLIP_RATE or not len(samples):
        return samples
    resampled = soxr.resample(samples, rate, CLIP_RATE)
    return np.asarray(resampled, np.int16)
