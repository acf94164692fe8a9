"""The recogniser that all calls of a process share: Whisper base, its guards, and its workers."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from models.catalogue import whisper_files
from processors.pool import Pool
from processors.stt.hot_words import blend, spelt
from processors.stt.whisper.model import (
    MAX_SECS,
    SAMPLE_RATE,
    Hearing,
    Samples,
    WhisperModel,
)

_WINDOW_SECS = 6.0
_INTERIM_WINDOW_SECS = 4.0
_RETRY_SECS = 12.0
_PEAK = 0.9
_SILENCE_PEAK = 1e-3  # -60 dBFS: an open line, and nobody on it

# Set by hand on tests/audio (113 recordings, 6 s window), so not tested on any other audio. Words:
# no_speech_prob to 0.31, avg_logprob from -0.98. Backchannels: to 0.30, from -1.68. No words: from
# 0.51, to -1.46; but the edges of a cut move all of these, and -1.45 keeps not every "uh-huh".
_NO_SPEECH = 0.4
_SURE = -0.5
_DOUBT = -0.85
_NONSENSE = -1.45
_INTERIM_DOUBT = -1.1
_HINT = -0.5


class EngineBusyError(Exception):
    """The engine has as much to do as it may have."""


class Ear(Protocol):
    """What hears: :class:`~processors.stt.whisper.model.WhisperModel`."""

    def hear(self, samples: Samples, window_secs: float) -> Hearing:
        """Decode some audio in a window of at least so long."""
        ...

    def hear_names(self, hearing: Hearing, names: tuple[str, ...]) -> str:
        """Decode what was heard once more, with names as a hint."""
        ...


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said in a stretch of audio.

    Parameters:
        text: The words; empty when there are none.
        no_speech_prob: Whisper's probability that there is no speech, 0 to 1.
        avg_logprob: Mean log probability of the tokens, timestamps included.
        delay_secs: From the request to the text, waiting included.
        fell_back: Whether the short window was doubted and a longer one used.
    """

    text: str = ""
    no_speech_prob: float = 0.0
    avg_logprob: float = 0.0
    delay_secs: float = 0.0
    fell_back: bool = False


class WhisperEngine:
    """Transcribes for all calls; used from the event loop, it works in ``workers`` threads."""

    def __init__(self, ear: Ear, *, workers: int = 2, max_waiting: int = 32) -> None:
        """Put workers behind an ear; :meth:`load` does it for Whisper base.

        Args:
            ear: Hears one stretch of audio at a time, in any thread.
            workers: How many utterances are heard at once.
            max_waiting: How many more may wait.

        Raises:
            ValueError: A number is less than 1.
        """
        _check(workers=workers, max_waiting=max_waiting)
        self._ear = ear
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
        """Load Whisper base from its packages, check it, and warm it up; takes seconds.

        Args:
            workers: How many utterances are heard at once.
            threads_per_worker: Threads of one decoding.
            max_waiting: How many utterances more may wait.
            progress: Called with what is being done and the share done, 0 to 1.

        Raises:
            ValueError: A number is less than 1.
            WeightsError: The weights are missing, or are not the ones that were measured.
        """
        _check(workers=workers, threads_per_worker=threads_per_worker, max_waiting=max_waiting)
        tell = progress or (lambda _what, _share: None)
        tell("reading Whisper's weights", 0.0)
        weights = whisper_files()
        tell("loading Whisper", 0.4)
        ear = WhisperModel.load(weights, workers=workers, threads_per_worker=threads_per_worker)
        tell("warming up Whisper", 0.8)
        ear.hear(np.zeros(SAMPLE_RATE, np.float32), _WINDOW_SECS)
        tell("Whisper is ready", 1.0)
        return cls(ear, workers=workers, max_waiting=max_waiting)

    @property
    def spare(self) -> bool:
        """Whether a worker is free that no final transcription can need at once."""
        return self.pool.pending < max(1, self._workers - 1)

    @property
    def pending(self) -> int:
        """How many transcriptions are being made or wait."""
        return self.pool.pending

    async def transcribe(
        self, pcm: bytes | Samples, *, hotwords: Sequence[str] = (), final: bool = True
    ) -> Transcript:
        """Hear what is said.

        A final transcription is guarded. It is heard again in a longer window when nothing was
        heard, the tokens were improbable, their number hit its bound, or the text goes round in
        circles. Where the tokens were less than sure, names are corrected from a second decoding
        that is given ``hotwords``. What Whisper itself takes for no speech, or can only guess at,
        is empty: from noise it makes sentences as fluent as any.

        Cancelling the call takes it from the queue; what has begun runs on, unheard.

        Args:
            pcm: 16 kHz mono, float32 within -1 to 1 or 16-bit bytes; at most 30 s.
            hotwords: Names that may be said, the most useful first.
            final: An interim transcription is heard once, has no text when a guard doubts it, and
                never waits: look at :attr:`spare` first.

        Raises:
            EngineBusyError: Too many are waiting, or for an interim: no worker is free.
            ValueError: The audio is longer than 30 s, or has half a sample.
        """
        if self.pending >= (self._max_pending if final else self._workers):
            raise EngineBusyError(f"{self.pending} utterances are being transcribed or waiting")
        samples, names = _samples(pcm), tuple(hotwords)
        asked = time.monotonic()
        hear = self._final if final else self._interim
        hearing, text, fell_back = await asyncio.get_running_loop().run_in_executor(
            self.pool, hear, samples, names
        )
        return Transcript(
            text=spelt(text, names),
            no_speech_prob=hearing.no_speech_prob,
            avg_logprob=hearing.avg_logprob,
            delay_secs=time.monotonic() - asked,
            fell_back=fell_back,
        )

    def close(self) -> None:
        """Give the threads back, once what they are doing is done."""
        self.pool.shutdown(wait=False, cancel_futures=True)

    def _final(self, samples: Samples, names: tuple[str, ...]) -> tuple[Hearing, str, bool]:
        samples, peak = _levelled(samples)
        if peak < _SILENCE_PEAK:
            return _SILENCE, "", False
        hearing = self._ear.hear(samples, _WINDOW_SECS)
        fell_back = _doubtful(hearing) and not _wordless(hearing)
        if fell_back:
            secs = len(samples) / SAMPLE_RATE
            window = _RETRY_SECS if secs < _RETRY_SECS / 2 else MAX_SECS
            longer = self._ear.hear(samples, window)
            if longer.avg_logprob > hearing.avg_logprob or not hearing.text or not hearing.whole:
                hearing = longer
        if _wordless(hearing) or hearing.avg_logprob < _NONSENSE:
            return hearing, "", fell_back
        text = hearing.text
        if text and names and hearing.avg_logprob < _HINT:
            text = blend(text, self._ear.hear_names(hearing, names), names)
        return hearing, text, fell_back

    def _interim(self, samples: Samples, _: tuple[str, ...]) -> tuple[Hearing, str, bool]:
        samples, peak = _levelled(samples)
        if peak < _SILENCE_PEAK:
            return _SILENCE, "", False
        hearing = self._ear.hear(samples, _INTERIM_WINDOW_SECS)
        # Half a word is often taken for no speech; what really is none is less probable than this.
        words = hearing.whole and hearing.avg_logprob >= _INTERIM_DOUBT
        return hearing, hearing.text if words else "", False


_SILENCE = Hearing(text="", no_speech_prob=1.0, avg_logprob=0.0, whole=True, encoded=None)


def _check(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name} is {count}: it must be at least 1")


def _wordless(hearing: Hearing) -> bool:
    return hearing.no_speech_prob > _NO_SPEECH and hearing.avg_logprob < _SURE


def _doubtful(hearing: Hearing) -> bool:
    return not hearing.text or not hearing.whole or hearing.avg_logprob < _DOUBT


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


def _levelled(samples: Samples) -> tuple[Samples, float]:
    """Raise the peak to where Whisper hears best, and say where it was."""
    peak = float(np.abs(samples).max(initial=0.0))
    return (samples * np.float32(_PEAK / peak) if peak >= _SILENCE_PEAK else samples), peak
