"""The other end of the wire: its protocol without I/O, callers without a browser, WAV files."""

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
