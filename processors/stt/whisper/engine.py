"""The embedded recogniser as an engine shared by all calls: thread pool, checks and retries.

Moonshine decodes first, where its package exists: it takes less than half of Whisper's time, makes
fewer errors, and gives no text for noise. What it is not sure of it decodes again, in two other
ways. Whisper decodes what remains doubtful, corrects names, hears single words better, and is the
only one elsewhere.
"""

import asyncio
import math
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, Self

import numpy as np
from loguru import logger
from rapidfuzz import fuzz

from conversation.utterance import is_backchannel
from models import moonshine
from models.moonshine_graphs import UnavailableError
from processors.pool import Pool
from processors.stt.dictation import as_written
from processors.stt.hot_words import correct_names, may_mean_names, spell_names
from processors.stt.whisper.model import (
    MAX_SECS,
    SAMPLE_RATE,
    Decoding,
    Samples,
    WhisperModel,
    repeats_itself,
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
# Of 24 stretches of noise, none that was taken for silence had the same text as probable as this in
# two windows; a string of fifteen digits had, with no_speech_prob 0.87 and 0.84.
_REPEATED = -1.1
_SAME_TEXT = 80
_HINT = -0.5
# Mean log probabilities of Moonshine, tuned on every second of 69 recordings of people with a text,
# and on 22 noisy copies of such (docs/benchmarks.md has the figures).
_MOONSHINE_SURE = -0.15
_MOONSHINE_DOUBT = -0.25
_MOONSHINE_INTERIM_DOUBT = -0.6
_WHISPER_SHARE = 0.5
"""What Whisper's mean log probability is multiplied by to be compared with Moonshine's: of what
both hear rightly, Whisper's tokens are that much less probable."""
# Speech as short as one word: of 30 synthetic words Moonshine has 12 wrong or several times,
# Whisper in a window of 12 s one; of ten digits of people five, and none.
_WORD_SECS = 0.55
_WORD_WINDOW_SECS = 12.0

# Shares of texts without a wrong word among 99 recordings of people: of 41 that Moonshine was sure
# of, 34; of 56 where both models agreed, 48; of 43 where they did not, 8.
_SURE_CONFIDENCE = 0.8
_FAIRLY_SURE_CONFIDENCE = 0.5  # five of ten with a log probability between the two thresholds
_AGREED_CONFIDENCE = 0.85
_DISAGREED_CONFIDENCE = 0.2
# Of eight recordings of people that only Whisper gave a text for, five.
_ALONE_CONFIDENCE = 0.6
_AGREED = 95.0
"""Percentage of like letters from which two texts agree: of ten such, seven were wholly right."""


class EngineBusyError(Exception):
    """The engine's queue is full, or no worker is free for an interim transcription."""


class SpeechDecoder(Protocol):
    """Decodes audio in a window: :class:`~processors.stt.whisper.model.WhisperModel`."""

    def decode(self, samples: Samples, window_secs: float) -> Decoding:
        """Decode some audio in a window of at least this length."""
        ...

    def decode_with_hint(self, decoding: Decoding, names: tuple[str, ...]) -> str:
        """Decode the same audio again, with names as a hint, and return the text."""
        ...


class EnglishDecoder(Protocol):
    """Decodes audio as long as it is: :class:`~models.moonshine.Moonshine`."""

    def decode(self, samples: Samples, *, draft: Sequence[int] = ()) -> moonshine.Decoding:
        """Decode some audio, whose text may begin with the draft's tokens."""
        ...

    def decode_again(self, first: moonshine.Decoding) -> moonshine.Decoding:
        """Decode the same audio in other ways, and return the most probable decoding."""
        ...


@dataclass(frozen=True, slots=True)
class Transcript:
    """The transcript of some audio.

    Parameters:
        text: The words; may be empty.
        no_speech_prob: Whisper's probability that there is no speech, 0 to 1; 0 if it was not
            asked.
        avg_logprob: Mean log probability of the tokens of the model whose text it is.
        delay_secs: Time from the request to the result, including the time in the queue.
        fell_back: Whether Whisper decoded the audio again in a longer window.
        confidence: Probability that no word is wrong, from the models' agreement and their tokens;
            1 where nothing is known.
        tokens: What the model that is asked first has heard, for transcribing the same speech and
            more.
    """

    text: str = ""
    no_speech_prob: float = 0.0
    avg_logprob: float = 0.0
    delay_secs: float = 0.0
    fell_back: bool = False
    confidence: float = 1.0
    tokens: tuple[int, ...] = field(default=(), repr=False, compare=False)


class WhisperEngine:
    """Transcribes for all calls of a process, in threads of its own."""

    def __init__(
        self,
        decoder: SpeechDecoder,
        *,
        first: EnglishDecoder | None = None,
        workers: int = 2,
        max_waiting: int = 32,
    ) -> None:
        """Create the engine; :meth:`load` does so with Whisper base and Moonshine.

        Args:
            decoder: The model; called from several threads at once, as is ``first``.
            first: The model that is asked first, if there is one.
            workers: Number of threads, and so of concurrent transcriptions.
            max_waiting: Maximum number of queued transcriptions.

        Raises:
            ValueError: An argument is below 1.
        """
        _check(workers=workers, max_waiting=max_waiting)
        self._decoder = decoder
        self._first = first
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
        folders: Sequence[Path] = (),
        progress: Callable[[str, float], None] | None = None,
    ) -> Self:
        """Load Whisper base and Moonshine from their packages and warm them up; takes seconds.

        Where Moonshine cannot be used, a warning says why.

        Args:
            workers: Number of concurrent transcriptions.
            threads_per_worker: Threads per transcription.
            max_waiting: Maximum number of queued transcriptions.
            folders: Where Moonshine's graphs may be kept if the installation lacks them.
            progress: Called with a description of each step and the share done, 0 to 1.

        Raises:
            ValueError: An argument is below 1.
            WeightsError: The weights are missing, or their hash is not the catalogue's.
        """
        _check(workers=workers, threads_per_worker=threads_per_worker, max_waiting=max_waiting)
        report = progress or (lambda _step, _share: None)
        report("loading Whisper", 0.0)
        model = WhisperModel.load(workers=workers, threads_per_worker=threads_per_worker)
        report("warming up Whisper", 0.8)
        model.decode(np.zeros(SAMPLE_RATE, np.float32), _WINDOW_SECS)
        report("loading Moonshine", 0.9)
        first = None
        try:
            first = moonshine.Moonshine.load(folders, threads=threads_per_worker)
        except UnavailableError as why:
            logger.warning("Moonshine is not used: {}. Whisper recognises speech alone.", why)
        report("Whisper is ready", 1.0)
        return cls(model, first=first, workers=workers, max_waiting=max_waiting)

    @property
    def spare(self) -> bool:
        """Whether an interim transcription would still leave a worker for a final one."""
        return self.pool.pending < max(1, self._workers - 1)

    @property
    def pending(self) -> int:
        """Number of transcriptions running or queued."""
        return self.pool.pending

    async def transcribe(
        self,
        pcm: bytes | Samples,
        *,
        hotwords: Sequence[str] = (),
        final: bool = True,
        beginning: Transcript | None = None,
    ) -> Transcript:
        """Transcribe some audio.

        The text is Moonshine's if its tokens are certain. If they are less than that, it decodes
        the audio in other ways. If even the most probable of its decodings is doubtful, or has
        words like a name, Whisper decodes the audio, too: names are corrected by a decoding with
        ``hotwords`` as a hint, whether the two agree is in ``confidence``, and the text of a
        doubtful one is Whisper's if that is more probable. The text of a single word, unless it is
        a backchannel, is Whisper's.

        The text is Whisper's, too, if Moonshine's is empty, repetitive or longer than its limit.
        Whisper then decodes again in a longer window if its first decoding is empty, improbable,
        repetitive or longer than its limit. If Moonshine gave no text and Whisper detects no
        speech, or its tokens are too improbable, the text is empty: Whisper turns noise into fluent
        sentences.

        Cancelling removes the request from the queue. A transcription that has started runs on,
        and its result is discarded.

        Args:
            pcm: Audio at 16 kHz mono, float32 in -1 to 1 or s16le bytes; at most 30 s.
            hotwords: Names that callers may say, the most useful first.
            final: ``False`` for an interim transcription, which is decoded once, is empty if its
                tokens are improbable, and is never queued: check :attr:`spare` first.
            beginning: The transcript of the beginning of the same audio, if there is one, with
                which this takes less time.

        Raises:
            EngineBusyError: The queue is full, or no worker is free for an interim transcription.
            ValueError: The audio is longer than 30 s, or has half a sample.
        """
        if self.pending >= (self._max_pending if final else self._workers):
            raise EngineBusyError(f"{self.pending} utterances are being transcribed or waiting")
        samples, names = _samples(pcm), tuple(hotwords)
        requested_at = time.monotonic()
        draft = beginning.tokens if beginning else ()
        heard = await asyncio.get_running_loop().run_in_executor(
            self.pool, self._hear, samples, names, draft, final
        )
        delay_secs = time.monotonic() - requested_at
        text = as_written(spell_names(heard.text, names), names)
        return replace(heard, text=text, delay_secs=delay_secs)

    def close(self) -> None:
        """Release the threads as they become idle; queued requests are cancelled."""
        self.pool.shutdown(wait=False, cancel_futures=True)

    def _hear(
        self, samples: Samples, names: tuple[str, ...], draft: tuple[int, ...], final: bool
    ) -> Transcript:
        normalised, peak = _normalised(samples)
        if peak < _SILENCE_PEAK:
            return _SILENCE
        if self._first is None:
            return self._by_whisper(normalised, names) if final else self._interim(normalised)
        first = self._first.decode(samples, draft=draft)
        if final:
            heard = self._final(self._first, first, normalised, names)
        elif _usable(first, _MOONSHINE_INTERIM_DOUBT):
            heard = Transcript(first.text, avg_logprob=first.avg_logprob)
        else:
            heard = self._interim(normalised)
        return replace(heard, tokens=first.tokens)

    def _final(
        self,
        decoder: EnglishDecoder,
        first: moonshine.Decoding,
        normalised: Samples,
        names: tuple[str, ...],
    ) -> Transcript:
        if first.text and first.speech_secs < _WORD_SECS and not is_backchannel(first.text):
            decoding = self._decoder.decode(normalised, _WORD_WINDOW_SECS)
            whispered = bool(decoding.text) and decoding.complete
            return self._heard(first, decoding, names, whispered=whispered)
        if _usable(first, _MOONSHINE_SURE):
            return Transcript(
                first.text, avg_logprob=first.avg_logprob, confidence=_SURE_CONFIDENCE
            )
        best = decoder.decode_again(first)
        if not _usable(best):
            heard = self._by_whisper(normalised, names, spoken=bool(best.text))
            confidence = _confidence(best.text, heard.text)
            if not heard.text and best.complete:
                heard = replace(heard, text=best.text, avg_logprob=best.avg_logprob)
            return replace(heard, confidence=confidence)
        certain = best.avg_logprob >= _MOONSHINE_DOUBT
        if certain and not may_mean_names(best.text, names):
            return Transcript(
                best.text, avg_logprob=best.avg_logprob, confidence=_FAIRLY_SURE_CONFIDENCE
            )
        decoding = self._decoder.decode(normalised, _WINDOW_SECS)
        doubtful = best.avg_logprob < min(_MOONSHINE_DOUBT, _WHISPER_SHARE * decoding.avg_logprob)
        whispered = doubtful and bool(decoding.text) and decoding.complete
        return self._heard(best, decoding, names, whispered=whispered)

    def _heard(
        self,
        best: moonshine.Decoding,
        decoding: Decoding,
        names: tuple[str, ...],
        *,
        whispered: bool,
    ) -> Transcript:
        """Whisper's text or Moonshine's, with corrected names."""
        text, logprob = best.text, best.avg_logprob
        if whispered:
            text, logprob = decoding.text, decoding.avg_logprob
        if names:
            text = correct_names(text, self._decoder.decode_with_hint(decoding, names), names)
        confidence = _confidence(best.text, decoding.text)
        return Transcript(text, decoding.no_speech_prob, logprob, confidence=confidence)

    def _by_whisper(
        self, samples: Samples, names: tuple[str, ...], *, spoken: bool = False
    ) -> Transcript:
        """Whisper's transcript; ``spoken`` if it is known that the audio holds words."""
        decoding = self._decoder.decode(samples, _WINDOW_SECS)
        fell_back = _doubtful(decoding) and (spoken or not _wordless(decoding))
        if fell_back:
            secs = len(samples) / SAMPLE_RATE
            window = _RETRY_SECS if secs < _RETRY_SECS / 2 else MAX_SECS
            longer = self._decoder.decode(samples, window)
            failed = not decoding.text or not decoding.complete
            if longer.avg_logprob > decoding.avg_logprob or failed:
                decoding = longer
        elif not spoken and _wordless(decoding) and decoding.avg_logprob >= _NONSENSE:
            # A short window inflates the probability of silence: for one question it is 0.56 in
            # 6 s, 0.26 in 12 s and 0.14 in 30 s, with the same right words each time. What is made
            # of noise is another sentence in each window.
            longer = self._decoder.decode(samples, _RETRY_SECS)
            spoken = _repeated(decoding, longer)
            decoding, fell_back = longer, True
        probability, logprob = decoding.no_speech_prob, decoding.avg_logprob
        if logprob < _NONSENSE or (_wordless(decoding) and not spoken):
            return Transcript("", probability, logprob, fell_back=fell_back)
        text = decoding.text
        if text and names and logprob < _HINT:
            text = correct_names(text, self._decoder.decode_with_hint(decoding, names), names)
        return Transcript(text, probability, logprob, fell_back=fell_back)

    def _interim(self, normalised: Samples) -> Transcript:
        decoding = self._decoder.decode(normalised, _INTERIM_WINDOW_SECS)
        # no_speech_prob is no help here: audio that ends in mid-word often has a high one.
        plausible = decoding.complete and decoding.avg_logprob >= _INTERIM_DOUBT
        text = decoding.text if plausible else ""
        return Transcript(text, decoding.no_speech_prob, decoding.avg_logprob)


_SILENCE = Transcript(no_speech_prob=1.0)


def _check(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name} is {count}: it must be at least 1")


def _usable(first: moonshine.Decoding, least: float = -math.inf) -> bool:
    probable = first.avg_logprob >= least
    return bool(first.text) and first.complete and probable and not repeats_itself(first.text)


def _confidence(text: str, whispered: str) -> float:
    """The probability that no word is wrong, from what both models have heard."""
    if not text:
        return _ALONE_CONFIDENCE
    one, other = (" ".join(re.findall(r"\w+", said.casefold())) for said in (text, whispered))
    return _AGREED_CONFIDENCE if fuzz.ratio(one, other) >= _AGREED else _DISAGREED_CONFIDENCE


def _repeated(decoding: Decoding, longer: Decoding) -> bool:
    """Whether two windows gave the same words, neither of them as a guess."""
    both = (decoding, longer)
    sure = all(segment.complete and segment.avg_logprob >= _REPEATED for segment in both)
    return sure and fuzz.ratio(decoding.text, longer.text) >= _SAME_TEXT


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
