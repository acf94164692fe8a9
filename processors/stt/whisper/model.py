"""Whisper base on CTranslate2, hearing one stretch of audio in a window no longer than it needs.

Whisper's encoder is made for 30 s and costs as much for 2 s of speech as for 30, but it takes a
shorter window: 6 s, or the utterance and 3 s of zero *feature* frames behind it, cost a fifth. A
short window invites the decoder to go round in circles; that it must write timestamps keeps it
from it, for then it knows where the speech ended.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 16_000
MAX_SECS = 30.0
"""The longest window, and the longest audio."""

_FRAMES_A_SEC = 100
_TICK_SECS = 0.02
_PAD_SECS = 3.0
# How close to the end of the audio a segment may end and be the last.
_END_SECS = 0.3
_TOKENS_A_SEC = 7
_TOKENS_MORE = 14
_HINT_TOKENS = 96
# A stretch of four words or more said twice on end, or anything said four times.
_LOOP = re.compile(r"\b((?:\w+\W+){3,}\w+)\W+\1\b|\b(\w.{0,60}?)(?:\W+\2\b){3,}", re.IGNORECASE)

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Hearing:
    """One decoding of one window.

    Parameters:
        text: The words; empty when there are none.
        no_speech_prob: Whisper's probability that there is no speech, 0 to 1.
        avg_logprob: Mean log probability of the tokens, timestamps included.
        whole: Whether the decoder ended by itself and said nothing over and over.
        encoded: The encoder's output, to decode again.
    """

    text: str
    no_speech_prob: float
    avg_logprob: float
    whole: bool
    encoded: Any


class WhisperModel:
    """The weights, and greedy decoding of English with them; its methods may run in any thread."""

    def __init__(self, model: Any) -> None:
        """Take a multilingual ``faster_whisper.WhisperModel``; :meth:`load` makes one."""
        from faster_whisper.tokenizer import Tokenizer
        from faster_whisper.transcribe import get_suppressed_tokens

        self._model = model
        self._tokenizer = Tokenizer(model.hf_tokenizer, True, "transcribe", "en")
        self._suppressed = list(get_suppressed_tokens(self._tokenizer, [-1]))
        self._timestamps = int(self._tokenizer.timestamp_begin)
        self._prompt: list[int] = model.get_prompt(self._tokenizer, [], without_timestamps=False)
        self._hint_prompt = lru_cache(maxsize=16)(self._make_hint_prompt)

    @classmethod
    def load(cls, weights: dict[str, bytes], *, workers: int, threads_per_worker: int) -> Self:
        """Make the model from its files; takes a second.

        Args:
            weights: What :func:`models.catalogue.whisper_files` gave; emptied.
            workers: How many windows are decoded at once.
            threads_per_worker: Threads of one decoding.
        """
        import faster_whisper

        return cls(
            faster_whisper.WhisperModel(
                "whisper-base",
                device="cpu",
                compute_type="int8",
                cpu_threads=threads_per_worker,
                num_workers=workers,
                files=weights,
            )
        )

    def hear(self, samples: Samples, window_secs: float) -> Hearing:
        """Decode some audio.

        Args:
            samples: 16 kHz mono within -1 to 1, at most 30 s; a peak near 1 is heard best.
            window_secs: The shortest window to hear it in.
        """
        import ctranslate2

        secs = len(samples) / SAMPLE_RATE
        features = self._model.feature_extractor(samples)
        frames = int(min(MAX_SECS, max(window_secs, secs + _PAD_SECS)) * _FRAMES_A_SEC)
        frames += frames % 2  # the encoder halves them
        window = np.zeros((1, features.shape[0], frames), np.float32)
        kept = features[:, :frames]
        window[0, :, : kept.shape[1]] = kept
        encoded = self._model.model.encode(ctranslate2.StorageView.from_array(window))
        bound = int(_TOKENS_A_SEC * secs) + _TOKENS_MORE
        result = self._generate(encoded, self._prompt, bound)
        tokens = result.sequences_ids[0]
        text = self._spoken(tokens, secs)
        return Hearing(
            text=text,
            no_speech_prob=float(result.no_speech_prob),
            avg_logprob=float(result.scores[0]),
            whole=len(tokens) < bound and _LOOP.search(text) is None,
            encoded=encoded,
        )

    def hear_names(self, hearing: Hearing, names: tuple[str, ...]) -> str:
        """Decode what was heard once more, with names as a hint.

        Args:
            hearing: What was heard without.
            names: The names, the most useful first; as many as 96 tokens hold are used.

        Returns:
            The text. It is not fit to be used as it is: see :func:`processors.stt.hot_words.blend`.
        """
        bound = len(self._tokenizer.encode(hearing.text)) + 6
        result = self._generate(hearing.encoded, self._hint_prompt(names), bound)
        return self._words(result.sequences_ids[0])

    def _generate(self, encoded: Any, prompt: list[int], bound: int) -> Any:
        return self._model.model.generate(
            encoded,
            [prompt],
            beam_size=1,
            # CTranslate2 makes at most min(max_length / 2, max_length - prompt) tokens.
            max_length=max(2 * bound, bound + len(prompt)),
            max_initial_timestamp_index=1,
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=self._suppressed,
        )[0]

    def _make_hint_prompt(self, names: tuple[str, ...]) -> list[int]:
        tokens: list[int] = []
        for name in names:
            more = self._tokenizer.encode(f", {name}" if tokens else f" {name}")
            if len(tokens) + len(more) > _HINT_TOKENS:
                break
            tokens += more
        # With timestamps it would go on with the list instead of listening.
        prompt = self._model.get_prompt(self._tokenizer, [], without_timestamps=True)
        return [self._tokenizer.sot_prev, *tokens, *prompt]

    def _spoken(self, tokens: Sequence[int], secs: float) -> str:
        """The words up to the first segment that ends where the audio does."""
        words: list[int] = []
        for token in tokens:
            if token < self._timestamps:
                words.append(token)
            elif words and (token - self._timestamps) * _TICK_SECS >= secs - _END_SECS:
                break
        return self._words(words)

    def _words(self, tokens: Sequence[int]) -> str:
        text: str = self._tokenizer.decode([t for t in tokens if t < self._tokenizer.eot])
        return text.strip()
