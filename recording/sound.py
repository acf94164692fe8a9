"""Renders a recording as stereo: the caller left, the agent as it was played right."""

import io
import wave

import numpy as np
import soxr

from recording.recording import AGENT_RATE, CALLER_RATE, Recording


def stereo_wav(recording: Recording) -> bytes:
    """Render a stereo WAV file, 16 bits at 24 kHz; redacted audio becomes silence.

    Args:
        recording: The recording.
    """
    caller = np.frombuffer(recording.caller_audio(), "<i2")
    agent = np.frombuffer(recording.agent_audio(), "<i2")
    left = soxr.resample(caller, CALLER_RATE, AGENT_RATE)
    both = np.zeros((max(len(left), len(agent)), 2), "<i2")
    both[: len(left), 0] = left
    both[: len(agent), 1] = agent
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(AGENT_RATE)
        file.writeframes(both.tobytes())
    return content.getvalue()
