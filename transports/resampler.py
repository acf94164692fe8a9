"""A stream of audio at any sample rate, resampled to one rate."""

from pipecat.audio.utils import create_stream_resampler


class Resampler:
    """Resamples a stream whose sample rate may change, as a caller's device or a voice changes.

    pipecat's stream resampler raises when the rate changes; here a new one takes over.

    Parameters:
        rate: Sample rate of the result, in Hz.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._from = 0
        self._stream = create_stream_resampler(clear_after_secs=None)

    async def resample(self, audio: bytes, rate: int) -> bytes:
        """Resample the next piece of the stream.

        Args:
            audio: PCM s16le, mono.
            rate: Its sample rate, in Hz.
        """
        if rate == self._rate:
            return audio
        if rate != self._from:
            self._from = rate
            self._stream = create_stream_resampler(clear_after_secs=None)
        return await self._stream.resample(audio, rate, self._rate)

    async def reset(self) -> None:
        """Drop what the stream still holds: what follows does not continue it."""
        await self._stream.reset()
