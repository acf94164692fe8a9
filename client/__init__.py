"""The other end of the wire: callers without a browser, and their WAV files."""

from client.caller import Caller, CallerError, HeardTurn
from client.wav import INPUT_RATE, OUTPUT_RATE, WavError, read_wav, write_wav

__all__ = [
    "INPUT_RATE",
    "OUTPUT_RATE",
    "Caller",
    "CallerError",
    "HeardTurn",
    "WavError",
    "read_wav",
    "write_wav",
]
