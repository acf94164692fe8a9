"""Opus on the wire: the caller's voice decoded, Viva's encoded (RFC 6716, by libopus in PyAV).

A page that can, sends and gets Opus: 16 and 32 kbit/s where PCM takes 256 and 384. Inside Viva all
is PCM; what a codec needs beside its packets stays here.
"""

import struct
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from conversation.turns import INPUT_SAMPLE_RATE, OUTPUT_SAMPLE_RATE

if TYPE_CHECKING:
    import av

FRAME_SAMPLES = OUTPUT_SAMPLE_RATE // 50
"""Samples of the voice in a packet: 20 ms."""

LOOKAHEAD_SAMPLES = OUTPUT_SAMPLE_RATE // 400 + OUTPUT_SAMPLE_RATE // 250
"""By how much libopus's encoder delays what it is given: 6.5 ms."""

VOICE_BITS_PER_SEC = 32_000
"""The voice's bit rate."""

COMPLEXITY = "5"
"""Of libopus's 0 to 10. A second of voice takes 6 ms of CPU at 5, 18 ms at 10."""

MAX_PACKET_BYTES = 1_500
"""Maximum size of a packet from a page; 120 ms at 64 kbit/s have 960."""

_DECODED_RATE = 48_000  # whatever was encoded
_HEADER = struct.Struct("<HH")
_LENGTH = struct.Struct("<H")


class OpusError(ValueError):
    """The bytes are no packet of Opus; the text says why."""


def load() -> None:
    """Import the codec's library, which takes a quarter of a second: not on the event loop."""
    import_module("av")


def _context(mode: str) -> Any:
    av = import_module("av")
    context = av.CodecContext.create("libopus", mode)
    context.layout = "mono"
    return context


class OpusDecoder:
    """Decodes the caller's voice, a packet a message."""

    def __init__(self) -> None:
        self._decoder: av.AudioCodecContext = _context("r")
        self._packet = import_module("av").Packet
        self._error = import_module("av").FFmpegError

    def decode(self, packet: bytes) -> bytes:
        """Decode a packet.

        Args:
            packet: Speech of up to 8 kHz, 120 ms at most; what lies above would fold over.

        Returns:
            PCM s16le, mono, 16 kHz.

        Raises:
            OpusError: It is none.
        """
        if not 0 < len(packet) <= MAX_PACKET_BYTES:
            raise OpusError(
                f"audio message of {len(packet)} bytes; Opus has 1 to {MAX_PACKET_BYTES}"
            )
        try:
            frames = self._decoder.decode(self._packet(packet))
        except self._error as error:
            raise OpusError(f"audio message is no packet of Opus: {error.strerror}") from None
        step = _DECODED_RATE // INPUT_SAMPLE_RATE
        return b"".join(frame.to_ndarray()[0, ::step].tobytes() for frame in frames)


class OpusEncoder:
    """Encodes Viva's voice to messages.

    A message is two numbers of 16 bits, how many samples are to be played and how many before them
    to be skipped, and packets of 20 ms, each behind its length in 16 bits. So the samples played
    are those given, one for one, though packets have a fixed length and the codec a delay.
    """

    def __init__(self) -> None:
        av = import_module("av")
        self._frame = av.AudioFrame
        self._encoder = _context("w")
        self._encoder.sample_rate = OUTPUT_SAMPLE_RATE
        self._encoder.format = "s16"
        self._encoder.bit_rate = VOICE_BITS_PER_SEC
        self._encoder.options = {
            "application": "audio",
            "frame_duration": "20",
            "compression_level": COMPLEXITY,
        }
        self._held = b""  # less than a packet
        self._owed = 0  # samples given that no message has played
        self._skip = LOOKAHEAD_SAMPLES

    def encode(self, pcm: bytes) -> bytes:
        """Encode voice.

        Args:
            pcm: PCM s16le, mono, 24 kHz.

        Returns:
            A message; empty while there is too little for a packet.
        """
        self._owed += len(pcm) // 2
        return self._message(pcm)

    def rest(self) -> bytes:
        """The message with all that is left of the voice; empty if there is nothing."""
        if not self._owed:
            return b""
        behind = len(self._held) // 2 + LOOKAHEAD_SAMPLES
        message = self._message(bytes(2 * (LOOKAHEAD_SAMPLES + -behind % FRAME_SAMPLES)))
        self._skip = LOOKAHEAD_SAMPLES
        return message

    def drop(self) -> None:
        """Forget what is left: the voice was interrupted."""
        self._held, self._owed, self._skip = b"", 0, LOOKAHEAD_SAMPLES

    def _message(self, pcm: bytes) -> bytes:
        samples = np.frombuffer(self._held + pcm, np.int16)
        whole = len(samples) // FRAME_SAMPLES * FRAME_SAMPLES
        self._held = samples[whole:].tobytes()
        if not whole:
            return b""
        packets = [
            bytes(packet)
            for piece in samples[:whole].reshape(-1, FRAME_SAMPLES)
            for packet in self._encoder.encode(self._framed(piece))
        ]
        skipped, self._skip = self._skip, 0
        played = min(whole - skipped, self._owed)
        self._owed -= played
        parts = (_LENGTH.pack(len(packet)) + packet for packet in packets)
        return _HEADER.pack(played, skipped) + b"".join(parts)

    def _framed(self, samples: np.ndarray) -> Any:
        frame = self._frame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate = OUTPUT_SAMPLE_RATE
        return frame
