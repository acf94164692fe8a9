"""Whisper base as an engine shared by all calls: thread pool, plausibility checks and retries."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from models.catalogue import whisper_files
from processors.pool import Pool
from processors.stt.hot_words import correct_names, spell_names
from processors.stt.whisper.model import (
    MAX_SECS,
    SAMPLE_RATE,
    Decoding,
    Samples,
    WhisperModel,
)

_WINDOW_SECS = 6.0
_INTERIM_WINDOW_SECS = 4.0
_RETRY_SECS = 12.0
_PEAK = 0.9
_SILENCE_PEAK = 1e-3  # -60 dBFS: an open microphone and nobody speaking

# Thresholds tuned by hand on tests/audio (113 recordings, 6 s window), and on nothing else. There,
# speech has no_speech_prob up to 0.31 and avg_logprob from -0.98; backchannels up to 0.30 and from
# -1.68; audio without words from 0.51 and up to -1.46. How an utterance is cut shifts all of these,
# so -1.45 loses an occasional "uh-huh".
_NO_SPEECH = 0.4
_SURE = -0.5
_DOUBT = -0.85
_NONSENSE = -1.45
_INTERIM_DOUBT = -1.1
_HINT = -0.5


class EngineBusyError(Exception):
    """The engine's queue is full, or no worker is free for an interim transcription."""


class SpeechDecoder(Protocol):
    """Decodes audio: :class:`~processors.stt.whisper.model.WhisperModel`."""

    def decode(self, samples: Samples, window_secs: float) -> Decoding:
        """Decode some audio in a window of at least this length."""
        ...

    def decode_with_hint(self, decoding: Decoding, names: tuple[str, ...]) -> str:
        """Decode the same audio again, with names as a hint, and return the text."""
        ...


@dataclass(frozen=True, slots=True)
class Transcript:
    """The transcript of some audio.

    Parameters:
        text: The words; may be empty.
        no_speech_prob: Whisper's probability that there is no speech, 0 to 1.
        avg_logprob: Mean log probability of the tokens, including timestamps.
        delay_secs: Time from the request to the result, including the time in the queue.
        fell_back: Whether the audio was decoded again in a longer window.
    """

    text: str = ""
    no_speech_prob: float = 0.0
    avg_logprob: float = 0.0
    delay_secs: float = 0.0
    fell_back: bool = False


class WhisperEngine:
    """Transcribes for all calls of a process, in threads of its own."""

    def __init__(self, decoder: SpeechDecoder, *, workers: int = 2, max_waiting: int = 32) -> None:
        """Create the engine; :meth:`load` does so with Whisper base.

        Args:
            decoder: The model; called from several threads at once.
            workers: Number of threads, and so of concurrent transcriptions.
            max_waiting: Maximum number of queued transcriptions.

        Raises:
            ValueError: An argument is below 1.
        """
        _check(workers=workers, max_waiting=max_waiting)
        self._decoder = decoder
        self._workers = workers
        self._max_pending = workers + max_waiting
        self.pool = Pool(workers, "whisper")

    @classmethod
    def load(
        cls,
        *,
        workers: int = 2,
        threads_per_worker: int = 1,
        max_waiting: int = 32,
        progress: Callable[[str, float], None] | None = None,
    ) -> Self:
        """Load Whisper base from its packages and warm it up; takes seconds.

        Args:
            workers: Number of concurrent transcriptions.
            threads_per_worker: Threads per transcription.
            max_waiting: Maximum number of queued transcriptions.
            progress: Called with a description of each step and the share done, 0 to 1.

        Raises:
            ValueError: An argument is below 1.
            WeightsError: The weights are missing, or their hash is not the catalogue's.
        """
        _check(workers=workers, threads_per_worker=threads_per_worker, max_waiting=max_waiting)
        report = progress or (lambda _step, _share: None)
        report("reading Whisper's weights", 0.0)
        weights = whisper_files()
        report("loading Whisper", 0.4)
        model = WhisperModel.load(weights, workers=workers, threads_per_worker=threads_per_worker)
        report("warming up Whisper", 0.8)
        model.decode(np.zeros(SAMPLE_RATE, np.float32), _WINDOW_SECS)
        report("Whisper is ready", 1.0)
        return cls(model, workers=workers, max_waiting=max_waiting)

    @property
    def spare(self) -> bool:
        """Whether an interim transcription would still leave a worker for a final one."""
        return self.pool.pending < max(1, self._workers - 1)

    @property
    def pending(self) -> int:
        """Number of transcriptions running or queued."""
        return self.pool.pending

    async def transcribe(
        self, pcm: bytes | Samples, *, hotwords: Sequence[str] = (), final: bool = True
    ) -> Transcript:
        """Transcribe some audio.

        A final transcription is decoded again in a longer window if the first decoding is empty,
        improbable, repetitive or longer than its limit. If its tokens are less than certain, names
        are corrected by a second decoding with ``hotwords`` as a hint. If Whisper detects no
        speech, or the tokens are too improbable, the text is empty: Whisper turns noise into
        fluent sentences.

        Cancelling removes the request from the queue. A transcription that has started runs on,
        and its result is discarded.

        Args:
            pcm: Audio at 16 kHz mono, float32 in -1 to 1 or s16le bytes; at most 30 s.
            hotwords: Names that callers may say, the most useful first.
            final: ``False`` for an interim transcription, which is decoded once, is empty if its
                tokens are improbable, and is never queued: check :attr:`spare` first.

        Raises:
            EngineBusyError: The queue is full, or no worker is free for an interim transcription.
            ValueError: The audio is longer than 30 s, or has half a sample.
        """
        if self.pending >= (self._max_pending if final else self._workers):
            raise EngineBusyError(f"{self.pending} utterances are being transcribed or waiting")
        samples, names = _samples(pcm), tuple(hotwords)
        requested_at = time.monotonic()
        run = self._final if final else self._interim
        decoding, text, fell_back = await asyncio.get_running_loop().run_in_executor(
            self.pool, run, samples, names
        )
        return Transcript(
            text=spell_names(text, names),
            no_speech_prob=decoding.no_speech_prob,
            avg_logprob=decoding.avg_logprob,
            delay_secs=time.monotonic() - requested_at,
            fell_back=fell_back,
        )

    def close(self) -> None:
        """Release the threads as they become idle; queued requests are cancelled."""
        self.pool.shutdown(wait=False, cancel_futures=True)

    def _final(self, samples: Samples, names: tuple[str, ...]) -> tuple[Decoding, str, bool]:
        samples, peak = _normalised(samples)
        if peak < _SILENCE_PEAK:
            return _SILENCE, "", False
        decoding = self._decoder.decode(samples, _WINDOW_SECS)
        fell_back = _doubtful(decoding) and not _wordless(decoding)
        if fell_back:
            secs = len(samples) / SAMPLE_RATE
            window = _RETRY_SECS if secs < _RETRY_SECS / 2 else MAX_SECS
            longer = self._decoder.decode(samples, window)
            failed = not decoding.text or not decoding.complete
            if longer.avg_logprob > decoding.avg_logprob or failed:
                decoding = longer
        if _wordless(decoding) or decoding.avg_logprob < _NONSENSE:
            return decoding, "", fell_back
        text = decoding.text
        if text and names and decoding.avg_logprob < _HINT:
            text = correct_names(text, self._decoder.decode_with_hint(decoding, names), names)
        return decoding, text, fell_back

    def _interim(self, samples: Samples, _: tuple[str, ...]) -> tuple[Decoding, str, bool]:
        samples, peak = _normalised(samples)
        if peak < _SILENCE_PEAK:
            return _SILENCE, "", False
        decoding = self._decoder.decode(samples, _INTERIM_WINDOW_SECS)
        # no_speech_prob is no help here: audio that ends in mid-word often has a high one.
        plausible = decoding.complete and decoding.avg_logprob >= _INTERIM_DOUBT
        return decoding, decoding.text if plausible else "", False


_SILENCE = Decoding(text="", no_speech_prob=1.0, avg_logprob=0.0, complete=True, encoded=None)


def _check(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name} is {count}: it must be at least 1")


def _wordless(decoding: Decoding) -> bool:
    return decoding.no_speech_prob > _NO_SPEECH and decoding.avg_logprob < _SURE


def _doubtful(decoding: Decoding) -> bool:
    return not decoding.text or not decoding.complete or decoding.avg_logprob < _DOUBT


def _samples(pcm: bytes | Samples) -> Samples:
    if isinstance(pcm, bytes):
        if len(pcm) % 2:
            raise ValueError(f"pcm is {len(pcm)} bytes: 16-bit samples are an even number")
        samples = np.frombuffer(pcm, "<i2").astype(np.float32) * np.float32(1 / 32_768)
    else:
        samples = pcm
    if len(samples) > MAX_SECS * SAMPLE_RATE:
        secs = len(samples) / SAMPLE_RATE
        raise ValueError(f"pcm is {secs:.1f} s: it must be at most {MAX_SECS:.0f} s")
    return samples


def _normalised(samples: Samples) -> tuple[Samples, float]:
    """Scale the peak to 0.9, and return it as it was; silence is not scaled."""
    peak = float(np.abs(samples).max(initial=0.0))
    return (samples * np.float32(_PEAK / peak) if peak >= _SILENCE_PEAK else samples), peak
