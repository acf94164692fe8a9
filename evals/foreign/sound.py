"""Reads the two voices of a call from sound files, at the rates of a recording."""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from recording.recording import AGENT_RATE, CALLER_RATE

Samples = npt.NDArray[np.int16]

_RIFF = struct.Struct("<4sI4s")
_CHUNK = struct.Struct("<4sI")
_UNKNOWN = 0xFFFFFFFF

LONGEST_SECS = 7200.0
"""Longest call: two hours take some 2 GB of memory."""

EDGE_SECS = 0.1
"""Kept before and after what a transcript says is somebody's in a mixture of both voices."""


class SoundError(Exception):
    """A file cannot be used as the sound of a call; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Voices:
    """The sound of a call, on one time line.

    Parameters:
        caller: 16-bit mono at 16 kHz.
        agent: 16-bit mono at 24 kHz; empty if the agent is not in the files.
        trouble: What is missing of a file that was cut; empty if it is whole.
    """

    caller: Samples
    agent: Samples
    trouble: str = ""

    @property
    def secs(self) -> float:
        """The length of the longer one."""
        return max(len(self.caller) / CALLER_RATE, len(self.agent) / AGENT_RATE)


def two_channels(path: Path, *, caller_right: bool = False) -> Voices:
    """The caller in one channel, the agent in the other.

    Raises:
        SoundError: The file cannot be read, or has not two channels.
    """
    channels, rate, trouble = _read(path)
    if channels.shape[1] != 2:
        advice = (
            "A file with the caller alone needs no option; for two files use --caller and --agent."
            if channels.shape[1] == 1
            else "Export the caller and the agent as two channels, or as a file each."
        )
        raise SoundError(f"{path} has {_count(channels)}; --stereo needs two. {advice}")
    left, right = (_mono(channels[:, side]) for side in (0, 1))
    caller, agent = (right, left) if caller_right else (left, right)
    return Voices(_at(caller, rate, CALLER_RATE), _at(agent, rate, AGENT_RATE), trouble)


def two_files(caller: Path, agent: Path | None) -> Voices:
    """A file for each voice, which begin at the same moment; without ``agent``, it is silent.

    Raises:
        SoundError: A file cannot be read, or has more than one channel.
    """
    voices = []
    troubles = []
    for path, rate in ((caller, CALLER_RATE), (agent, AGENT_RATE)):
        if path is None:
            voices.append(np.zeros(0, np.int16))
            continue
        channels, found, trouble = _read(path)
        troubles.append(trouble)
        if channels.shape[1] != 1:
            stereo = "If they are the caller and the agent, use --stereo; otherwise mix"
            advice = stereo if channels.shape[1] == 2 else "Mix"
            raise SoundError(
                f"{path} has {_count(channels)}, and one voice is wanted. {advice} them down first."
            )
        voices.append(_at(_mono(channels[:, 0]), found, rate))
    return Voices(voices[0], voices[1], " ".join(filter(None, troubles)))


def unmixed(
    path: Path, caller: list[tuple[float, float]], agent: list[tuple[float, float]]
) -> Voices:
    """Both voices in one channel, divided by the times at which each speaks.

    Where both speak at once, each has the mixture.

    Raises:
        SoundError: The file cannot be read, or has more than one channel.
    """
    mixed = two_files(path, None)
    agents = soxr.resample(_only(mixed.caller, agent), CALLER_RATE, AGENT_RATE)
    return Voices(_only(mixed.caller, caller), agents, mixed.trouble)


def _only(whole: Samples, when: list[tuple[float, float]]) -> Samples:
    kept = np.zeros_like(whole)
    for start, end in when:
        first = max(0, round((start - EDGE_SECS) * CALLER_RATE))
        last = max(first, round((end + EDGE_SECS) * CALLER_RATE))
        kept[first:last] = whole[first:last]
    return kept


def _read(path: Path) -> tuple[npt.NDArray[np.float32], int, str]:
    """Samples from -1 to 1, a column a channel, their rate in Hz, and what is missing of them."""
    try:
        with path.open("rb") as stream, soundfile.SoundFile(stream) as file:
            secs = file.frames / file.samplerate
            if secs > LONGEST_SECS:
                raise SoundError(
                    f"{path} is {secs / 60:.0f} minutes long; at most {LONGEST_SECS / 60:.0f} can "
                    "be imported. Cut it into calls."
                )
            samples = file.read(dtype="float32", always_2d=True)
            rate = int(file.samplerate)
            lacks = file.frames - len(samples)
        lacks = lacks or _cut_frames(path)
    except OSError as error:
        raise SoundError(f"{path} cannot be read: {error.strerror or error}.") from None
    except soundfile.LibsndfileError as error:
        raise SoundError(
            f"{path} cannot be read as sound ({error.error_string.rstrip('.')}). WAV (16-bit, "
            "mu-law and others), FLAC, Ogg and MP3 can."
        ) from None
    if not samples.size:
        raise SoundError(f"{path} has no samples.")
    if not np.isfinite(samples).all():
        raise SoundError(f"{path} has samples that are no numbers. Export it again.")
    trouble = ""
    if lacks > 0:
        there = len(samples) / rate
        trouble = f"{path.name} is cut: {there:.1f} s of {there + lacks / rate:.1f} s are there."
    return samples, rate, trouble


def _cut_frames(path: Path) -> int:
    """How many frames a WAV file announces beyond its end; libsndfile does not say."""
    with path.open("rb") as file:
        head = file.read(_RIFF.size)
        if len(head) < _RIFF.size or head[:4] != b"RIFF":
            return 0
        frame_bytes, size = 0, path.stat().st_size
        while len(chunk := file.read(_CHUNK.size)) == _CHUNK.size:
            id, length = _CHUNK.unpack(chunk)
            if id == b"data":
                # 0 and the greatest are what recorders write that do not know the length.
                unknown = length in (0, _UNKNOWN) or not frame_bytes
                return 0 if unknown else max(0, file.tell() + length - size) // frame_bytes
            at = file.tell()
            if id == b"fmt ":
                frame_bytes = int.from_bytes(file.read(14)[12:], "little")
            file.seek(at + length + length % 2)
    return 0


def _mono(channel: npt.NDArray[np.float32]) -> Samples:
    return np.asarray(np.clip(np.round(channel * 32768.0), -32768, 32767), np.int16)


def _at(samples: Samples, rate: int, wanted: int) -> Samples:
    return samples if rate == wanted else np.asarray(soxr.resample(samples, rate, wanted))


def _count(channels: npt.NDArray[np.float32]) -> str:
    count = channels.shape[1]
    return "one channel" if count == 1 else f"{count} channels"
