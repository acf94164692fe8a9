"""Waveforms and audio clips of recorded voices, for a page."""

import base64
import io
import math

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

CLIP_RATE = 16_000
"""A clip's sample rate, in Hz."""

SAMPLE_BYTES = 2
"""Bytes of a 16-bit sample."""

_COMPRESSION = 0.9
"""libsndfile's compression level of 24 kbit/s: both voices can be told apart and understood."""

# MPEG-2 layer III: frames of 576 samples, at 24 kbit/s of 108 bytes. Encoders begin and end with a
# few more than the samples fill.
_FRAME_SAMPLES = 576
_FRAME_BYTES = 108
_MORE_FRAMES = 4

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


def clip(
    caller: bytes, agent: bytes, start: float, end: float, *, caller_rate: int, agent_rate: int
) -> bytes:
    """Make an MP3 file of a part of a call: 16 kHz, caller left, agent right.

    A decoder puts some 0.07 s of silence before it.

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
    both = np.stack((left[:length], right[:length]), axis=1)
    file = io.BytesIO()
    soundfile.write(
        file,
        both.astype(np.float32) / 32_768,  # libsndfile 1.2.0 garbles an MP3 file of 16-bit samples
        CLIP_RATE,
        format="MP3",
        bitrate_mode="CONSTANT",
        compression_level=_COMPRESSION,
    )
    return file.getvalue()


def clip_bytes(secs: float) -> int:
    """The size of a clip as a ``data:`` URI, in bytes, at most."""
    frames = math.ceil(secs * CLIP_RATE / _FRAME_SAMPLES) + _MORE_FRAMES
    return math.ceil(frames * _FRAME_BYTES / 3) * 4 + 32


def data_uri(mp3: bytes) -> str:
    """An MP3 file as a ``data:`` URI."""
    return f"data:audio/mpeg;base64,{base64.b64encode(mp3).decode()}"


def _at_clip_rate(samples: Samples, rate: int) -> Samples:
    if rate == CLIP_RATE or not len(samples):
        return samples
    resampled = soxr.resample(samples, rate, CLIP_RATE)
    return np.asarray(resampled, np.int16)
