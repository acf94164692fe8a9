"""WAV files at the rates of the wire: 16 kHz in, 24 kHz out."""

import struct
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soxr

INPUT_RATE = 16_000
OUTPUT_RATE = 24_000
SPEECH_RMS = 0.03
"""Level above which a 10 ms window of a normalised file counts as speech."""

MAX_BYTES = 256 * 1024 * 1024
"""Size limit of a file: 24 minutes at 48 kHz in stereo."""

MIN_RATE, MAX_RATE = 4_000, 192_000
MAX_CHANNELS = 32

_PCM, _EXTENSIBLE = 0x0001, 0xFFFE
_ENCODINGS = {
    0x0002: "ADPCM",
    0x0003: "floating-point",
    0x0006: "A-law",
    0x0007: "mu-law",
    0x0011: "ADPCM",
    0x0055: "MP3",
}
# Of the GUID of an extensible header's encoding, what follows its first two bytes.
_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")
_UNKNOWN_SIZE = 0xFFFFFFFF
_ID_AND_SIZE = struct.Struct("<4sI")
_FORMAT = struct.Struct("<HHIIHH")


class WavError(Exception):
    """A file cannot be read as speech; the text says why."""


def read_wav(path: Path) -> bytes:
    """Read a WAV file as PCM s16le, mono, 16 kHz.

    The header may be extensible, have no sizes, as a recorder that writes to a pipe leaves them, or
    announce more than there is: then what there is counts.

    Raises:
        WavError: The file is not 16-bit PCM WAV; the text says what it is.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise WavError(f"{path}: cannot be read as WAV: {error.strerror or error}") from None
    if len(content) > MAX_BYTES:
        raise WavError(f"{path}: it has more than {MAX_BYTES} bytes, which is the limit")
    try:
        found = _parse(content)
    except WavError as error:
        raise WavError(f"{path}: {error}") from None
    samples = found.samples.reshape(-1, found.channels).mean(axis=1)
    if found.rate != INPUT_RATE:
        samples = soxr.resample(samples, found.rate, INPUT_RATE)
    return bytes(np.clip(samples, -32768, 32767).astype(np.int16).tobytes())


@dataclass(frozen=True, slots=True)
class _Wav:
    """Samples of all channels in turn, whole frames of them."""

    rate: int
    channels: int
    samples: npt.NDArray[np.int16]


def _parse(content: bytes) -> _Wav:
    if content[:4] in (b"RIFX", b"FORM"):
        raise WavError("its samples are big-endian; little-endian WAV (RIFF) is needed")
    if content[:4] not in (b"RIFF", b"RF64", b"BW64") or content[8:12] != b"WAVE":
        raise WavError("cannot be read as WAV: it does not begin with RIFF and WAVE")
    layout: tuple[int, int] | None = None
    for id, body in _chunks(content):
        if id == b"fmt ":
            layout = _layout(body)
        elif id == b"data":
            if layout is None:
                raise WavError("cannot be read as WAV: its samples come before their format")
            rate, channels = layout
            frame = 2 * channels
            samples = np.frombuffer(body[: len(body) // frame * frame], np.dtype("<i2"))
            if not len(samples):
                raise WavError("it has no samples")
            return _Wav(rate, channels, samples)
    raise WavError(f"cannot be read as WAV: it has no {'samples' if layout else 'format'}")


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Id and body of each chunk; the last one's is what there is of it."""
    _, announced = _ID_AND_SIZE.unpack_from(content)
    at = 12
    while at + _ID_AND_SIZE.size <= len(content):
        id, size = _ID_AND_SIZE.unpack_from(content, at)
        at += _ID_AND_SIZE.size
        if id == b"data" and (size == _UNKNOWN_SIZE or (size == 0 and announced == 0)):
            size = len(content) - at
        yield id, content[at : at + size]
        at += size + size % 2


def _layout(body: bytes) -> tuple[int, int]:
    """Rate and channels of a format, if it is one that can be read."""
    if len(body) < _FORMAT.size:
        raise WavError("cannot be read as WAV: its format is cut short")
    encoding, channels, rate, _, frame, bits = _FORMAT.unpack_from(body)
    if encoding == _EXTENSIBLE and body[26:40] == _GUID_TAIL:
        (encoding,) = struct.unpack_from("<H", body, 24)
    if encoding != _PCM:
        named = _ENCODINGS.get(encoding, f"format {encoding:#06x}")
        raise WavError(f"its samples are {named}; 16-bit PCM is needed")
    if bits != 16:
        raise WavError(f"{bits}-bit samples; 16-bit PCM is needed")
    if not 1 <= channels <= MAX_CHANNELS:
        raise WavError(f"it has {channels} channels; 1 to {MAX_CHANNELS} are allowed")
    if frame != 2 * channels:
        raise WavError(
            f"a frame of it has {frame} bytes, where {channels} 16-bit samples have {2 * channels}"
        )
    if not MIN_RATE <= rate <= MAX_RATE:
        raise WavError(f"its rate is {rate} Hz; {MIN_RATE} to {MAX_RATE} are allowed")
    return rate, channels


def speech_secs(pcm: bytes) -> tuple[float, float]:
    """Where the first word of a recording begins and the last ends, in seconds from its start."""
    samples = np.frombuffer(pcm, np.int16).astype(np.float32)
    if len(samples):
        samples -= np.median(samples)  # a cheap microphone's constant offset is no speech
    peak = float(np.abs(samples).max(initial=0.0))
    if peak == 0.0:
        return 0.0, 0.0
    window = INPUT_RATE // 100
    frames = samples[: len(samples) // window * window].reshape(-1, window) / peak
    loud = np.flatnonzero(np.sqrt((frames**2).mean(axis=1)) > SPEECH_RMS)
    return (float(loud[0] * 0.01), float((loud[-1] + 1) * 0.01)) if len(loud) else (0.0, 0.0)


def speech_end_secs(pcm: bytes) -> float:
    """Where the last word of a recording ends, in seconds from its start."""
    return speech_secs(pcm)[1]


def write_wav(path: Path, audio: bytes, rate: int = OUTPUT_RATE) -> None:
    """Write PCM s16le, mono as a WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(audio)
