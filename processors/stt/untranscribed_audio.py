"""The caller's audio for which a recogniser elsewhere has not given its final words."""


class UntranscribedAudio:
    """Audio on its way to a recogniser, kept until it is transcribed.

    What was sent and not yet transcribed when a connection drops must be sent once more. Places in
    the audio are counted in bytes from the call's beginning.

    Parameters:
        max_bytes: The most that is kept; beyond it the oldest is lost.
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
        """Where the audio ends: how much there has been in all."""
        return self._start + len(self._audio)

    @property
    def unsent(self) -> int:
        """How many bytes :meth:`take` has not given."""
        return self.end - max(self._sent, self._start)

    @property
    def audio(self) -> bytes:
        """All that is kept."""
        return bytes(self._audio)

    def add(self, audio: bytes) -> None:
        """The caller's next audio."""
        self._audio += audio
        self._drop_before(self.end - self._max_bytes)

    def take(self, max_bytes: int) -> bytes:
        """The next audio to send, empty when there is none."""
        begin = max(self._sent, self._start) - self._start
        audio = bytes(self._audio[begin : begin + max_bytes])
        self._sent = self._start + begin + len(audio)
        return audio

    def heard(self, upto: int) -> None:
        """Everything before a place is transcribed."""
        self._drop_before(min(upto, self._sent))

    def keep_last(self, keep_bytes: int) -> None:
        """Nothing was said: what is sent need not be kept but for the last bit.

        What is not sent is let go too: there is a connection, and it is soon sent, or there is
        none, and nobody misses silence.
        """
        if len(self._audio) > 2 * keep_bytes:
            self._drop_before(self.end - keep_bytes)

    def rewind(self) -> int:
        """Send everything that is kept once more; the place where that begins."""
        self._sent = self._start
        return self._start

    def _drop_before(self, place: int) -> None:
        if place > self._start:
            place = min(place, self.end)
            del self._audio[: place - self._start]
            self._start = place
