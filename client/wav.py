"""WAV files at the rates of the wire: 16 kHz in, 24 kHz out."""

import wave
from pathlib import Path

import numpy as np
import soxr

INPUT_RATE = 16_000
OUTPUT_RATE = 24_000
SPEECH_RMS = 0.03
"""Level above which a 10 ms window of a normalised file counts as speech."""


class WavError(Exception):
    """A file cannot be read as speech; the text says why."""


def read_wav(path: Path) -> bytes:
    """Read a WAV file as PCM s16le, mono, 16 kHz.

    Raises:
        WavError: The file is not 16-bit PCM WAV; the text says what it is.
    """
    try:
        with wave.open(str(path), "rb") as file:
            width, channels, rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
            pcm = file.readframes(file.getnframes())
    except (OSError, wave.Error, EOFError) as error:
        raise WavError(f"{path}: cannot be read as WAV: {error}") from None
    if width != 2:
        raise WavError(f"{path}: {8 * width}-bit samples; 16-bit PCM is needed")
    samples = np.frombuffer(pcm, np.int16).reshape(-1, channels).mean(axis=1)
    if rate != INPUT_RATE:
        samples = soxr.resample(samples, rate, INPUT_RATE)
    return bytes(np.clip(samples, -32768, 32767).astype(np.int16).tobytes())


def speech_end_secs(pcm: bytes) -> float:
    """Where the last word of a recording ends, in seconds from its start."""
    samples = np.frombuffer(pcm, np.int16).astype(np.float32)
    peak = float(np.abs(samples).max(initial=0.0))
    if peak == 0.0:
        return 0.0
    window = INPUT_RATE // 100
    frames = samples[: len(samples) // window * window].reshape(-1, window) / peak
    loud = np.flatnonzero(np.sqrt((frames**2).mean(axis=1)) > SPEECH_RMS)
    return float((loud[-1] + 1) * 0.01) if len(loud) else 0.0


def write_wav(path: Path, audio: bytes, rate: int = OUTPUT_RATE) -> None:
    """Write PCM s16le, mono as a WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(audio)
