"""A buffer of the caller's audio that a cloud recogniser has not finally transcribed."""


class UntranscribedAudio:
    """Buffers audio until it is transcribed, so that it can be sent again on a new connection.

    Positions in the audio are counted in bytes from the start of the call.

    Parameters:
        max_bytes: Size of the buffer; beyond it, the oldest audio is dropped.
    """

    def __init__(self, *, max_bytes: int) -> None:
        if max_bytes < 2:
            raise ValueError(f"max_bytes is {max_bytes}: it must be at least one sample, 2")
        self._max_bytes = max_bytes
        self._audio = bytearray()
        self._start = 0
        self._sent = 0

    @property
    def end(self) -> int:
        """The position at which the audio ends: all bytes added so far."""
        return self._start + len(self._audio)

    @property
    def sent(self) -> int:
        """The position up to which :meth:`next_unsent` has returned the audio."""
        return max(self._sent, self._start)

    @property
    def unsent(self) -> int:
        """Number of bytes that :meth:`next_unsent` has not returned."""
        return self.end - self.sent

    @property
    def audio(self) -> bytes:
        """The buffered audio."""
        return bytes(self._audio)

    def add(self, audio: bytes) -> None:
        """Append audio."""
        self._audio += audio
        self._drop_before(self.end - self._max_bytes)

    def next_unsent(self, max_bytes: int) -> bytes:
        """Return up to ``max_bytes`` of the next audio to send; empty if there is none."""
        begin = self.sent - self._start
        audio = bytes(self._audio[begin : begin + max_bytes])
        self._sent = self._start + begin + len(audio)
        return audio

    def mark_transcribed(self, upto: int) -> None:
        """Drop the audio before a position, which has been transcribed."""
        self._drop_before(min(upto, self._sent))

    def trim_to(self, keep_bytes: int) -> None:
        """Drop all but the last bytes, because there was no speech in the rest.

        Unsent audio is dropped, too. While connected, audio is sent long before that; while
        disconnected, lost silence does no harm.
        """
        if len(self._audio) > 2 * keep_bytes:
            self._drop_before(self.end - keep_bytes)

    def rewind(self, position: int = 0) -> int:
        """Mark the buffered audio from a position on as unsent, and return where it starts."""
        self._sent = max(self._start, min(position, self.sent))
        return self._sent

    def _drop_before(self, position: int) -> None:
        if position > self._start:
            position = min(position, self.end)
            del self._audio[: position - self._start]
            self._start = position
