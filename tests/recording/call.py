"""A short call made by hand: what a recorder would write of it."""

from pathlib import Path
from typing import Any

import numpy as np

from recording.frames import raw_audio
from recording.metadata import metadata
from recording.writer import InlineWriter, Recordings
from settings import Settings

STARTED_AT = 1_800_000_000.25
START_NS = round(STARTED_AT * 1e9)


def about(call: str = "c-test", **changes: str) -> dict[str, str]:
    """The metadata of a call."""
    settings = Settings.load(anthropic_api_key="sk-ant-secret")
    return {
        **metadata(
            call=call,
            started_at=STARTED_AT,
            document="Ada",
            document_hash="f" * 64,
            settings=settings,
            vendors={"stt": "whisper", "brain": "extractive", "tts": "hibari", "vad": "silero"},
            models={"whisper": "base"},
            consent="told",
        ),
        **changes,
    }


def tone(samples: int, level: int) -> bytes:
    """Samples that are all the same, so that it can be seen where they end up."""
    return np.full(samples, level, "<i2").tobytes()


def messages(secs: float = 3.0) -> list[tuple[int, str, dict[str, Any]]]:
    """A caller who speaks all the time, and is answered after a second: (ns, topic, data)."""
    told: list[tuple[float, str, dict[str, Any]]] = []
    for step in range(int(secs * 50)):
        at = 0.02 * (step + 1)
        told.append((at, "/caller/audio", raw_audio(tone(320, step + 1), 16_000)))
        if step % 5 == 0 and at > 1:
            told.append((at, "/agent/audio", raw_audio(tone(2400, 1000 + step), 24_000)))
    told.append((0.5, "/vad/VADUserStartedSpeakingFrame", {"start_secs": 0.096}))
    told.append((0.9, "/stt/TranscriptionFrame", {"text": "Where is it?", "finalized": True}))
    told.sort(key=lambda message: message[0])
    return [(START_NS + round(at * 1e9), topic, data) for at, topic, data in told]


def record(path: Path, secs: float = 3.0, writer: Recordings | None = None) -> None:
    """Write the call to a file."""
    file = (writer or InlineWriter()).open(path, about())
    for at_ns, topic, data in messages(secs):
        file.write(at_ns, topic, data)
    file.close()
