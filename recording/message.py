"""One message of a recording."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

RATES = (8_000, 48_000)
"""Lowest and highest sample rate of audio, in Hz."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message.

    Parameters:
        at: Seconds after the call's start.
        topic: Such as ``"/stt/TranscriptionFrame"``.
        data: Its fields, by its topic's schema.
    """

    at: float
    topic: str
    data: Mapping[str, Any]

    @property
    def stage(self) -> str:
        """The first part of its topic: ``"stt"`` of ``"/stt/TranscriptionFrame"``."""
        return self.topic.split("/")[1]

    @property
    def kind(self) -> str:
        """The last part of its topic: ``"TranscriptionFrame"`` of ``"/stt/TranscriptionFrame"``."""
        return self.topic.rpartition("/")[2]

    def pcm(self) -> bytes:
        """Its samples, 16 bits each; zeros if redacted."""
        return pcm_of(self.data)

    @property
    def samples(self) -> int:
        """Number of samples in it."""
        return samples_of(self.data)


def pcm_of(data: Mapping[str, Any]) -> bytes:
    """The samples of an audio message's data; zeros if redacted."""
    audio = data["data"]
    if isinstance(audio, bytes):
        return audio
    return base64.b64decode(audio) if audio else bytes(2 * data.get("samples", 0))


_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def audio_misfit(data: Mapping[str, Any]) -> str:
    """What is wrong with the audio of a message, in words; empty if it can be decoded."""
    audio = data["data"]
    written = audio.encode("utf-8", "replace")
    padding = written.translate(None, _BASE64)  # a fifth of the time of decoding it
    if len(written) % 4 or padding not in (b"", b"=", b"==") or not written.endswith(padding):
        return "has data, which is no base64"
    if (len(written) // 4 * 3 - len(padding)) % 2:
        return "has half a sample"
    if not RATES[0] <= data["sample_rate"] <= RATES[1]:
        return f"has sample_rate {data['sample_rate']}, which is no rate of speech"
    if data["number_of_channels"] != 1:
        return f"has {data['number_of_channels']} channels, where 1 is read"
    return "has less than no samples" if data.get("samples", 0) < 0 else ""


def samples_of(data: Mapping[str, Any]) -> int:
    """Number of samples in an audio message's data."""
    audio = data["data"]
    if isinstance(audio, bytes):
        return len(audio) // 2
    if not audio:
        return int(data.get("samples", 0))
    return (len(str(audio)) // 4 * 3 - str(audio)[-2:].count("=")) // 2
