"""Whisper base on CTranslate2, decoding audio in a window no longer than it needs.

Whisper's encoder expects 30 s, which costs as much for 2 s of speech as for 30. But it accepts a
shorter window: 6 s, or the utterance followed by 3 s of zero *feature* frames, costs a fifth. In a
short window the decoder tends to repeat itself. Requiring timestamps prevents that, since they tell
the decoder where the speech ended.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from models.catalogue import load_whisper

SAMPLE_RATE = 16_000
MAX_SECS = 30.0
"""Maximum length of window and audio."""

_FRAMES_A_SEC = 100
_TICK_SECS = 0.02
_PAD_SECS = 3.0
# A segment that ends this close to the end of the audio is the last one.
_END_SECS = 0.3
# The limit on tokens, per second of audio and in addition, that cuts a repetitive decoding short.
_TOKENS_A_SEC = 7
_TOKENS_MORE = 14
_HINT_TOKENS = 96
# Four words or more repeated at once, or anything said four times in a row.
_LOOP = re.compile(r"\b((?:\w+\W+){3,}\w+)\W+\1\b|\b(\w.{0,60}?)(?:\W+\2\b){3,}", re.IGNORECASE)

Samples = npt.NDArray[np.float32]


def repeats_itself(text: str) -> bool:
    """Whether a decoder has gone round in circles: nobody says so much twice."""
    return _LOOP.search(text) is not None


@dataclass(frozen=True, slots=True)
class Decoding:
    """The decoding of one window.

    Parameters:
        text: The words; may be empty.
        no_speech_prob: Whisper's probability that there is no speech, 0 to 1.
        avg_logprob: Mean log probability of the tokens, including timestamps.
        complete: Whether the decoder stopped before its limit, without repeating itself.
        encoded: The encoder's output, for decoding again.
    """

    text: str
    no_speech_prob: float
    avg_logprob: float
    complete: bool
    encoded: Any


class WhisperModel:
    """Greedy decoding of English speech. Thread-safe."""

    def __init__(self, model: Any) -> None:
        """Wrap a multilingual ``faster_whisper.WhisperModel``; use :meth:`load` instead."""
        from faster_whisper.tokenizer import Tokenizer
        from faster_whisper.transcribe import get_suppressed_tokens

        self._model = model
        self._tokenizer = Tokenizer(model.hf_tokenizer, True, "transcribe", "en")
        self._suppressed = list(get_suppressed_tokens(self._tokenizer, [-1]))
        self._timestamps = int(self._tokenizer.timestamp_begin)
        self._prompt: list[int] = model.get_prompt(self._tokenizer, [], without_timestamps=False)
        self._hint_prompt = lru_cache(maxsize=16)(self._make_hint_prompt)

    @classmethod
    def load(cls, *, workers: int, threads_per_worker: int) -> Self:
        """Load the model; takes a second.

        Args:
            workers: Number of concurrent decodings.
            threads_per_worker: Threads per decoding.

        Raises:
            WeightsError: As :func:`models.catalogue.load_whisper`.
        """
        return cls(load_whisper(threads=threads_per_worker, workers=workers))

    def decode(self, samples: Samples, window_secs: float) -> Decoding:
        """Decode some audio.

        Args:
            samples: 16 kHz mono in -1 to 1, at most 30 s; best with a peak near 1.
            window_secs: Minimum length of the window.
        """
        import ctranslate2

        secs = len(samples) / SAMPLE_RATE
        features = self._model.feature_extractor(samples)
        frames = int(min(MAX_SECS, max(window_secs, secs + _PAD_SECS)) * _FRAMES_A_SEC)
        frames += frames % 2  # the encoder halves the number of frames
        window = np.zeros((1, features.shape[0], frames), np.float32)
        features = features[:, :frames]
        window[0, :, : features.shape[1]] = features
        encoded = self._model.model.encode(ctranslate2.StorageView.from_array(window))
        max_tokens = int(_TOKENS_A_SEC * secs) + _TOKENS_MORE
        result = self._generate(encoded, self._prompt, max_tokens)
        tokens = result.sequences_ids[0]
        text = self._spoken(tokens, secs)
        return Decoding(
            text=text,
            no_speech_prob=float(result.no_speech_prob),
            avg_logprob=float(result.scores[0]),
            complete=len(tokens) < max_tokens and not repeats_itself(text),
            encoded=encoded,
        )

    def decode_with_hint(self, decoding: Decoding, names: tuple[str, ...]) -> str:
        """Decode the same audio again, with names as a hint.

        Args:
            decoding: The decoding without a hint.
            names: The names, the most useful first; those that fit into 96 tokens are used.

        Returns:
            The text, which is only good for correcting names: see
            :func:`processors.stt.hot_words.correct_names`.
        """
        max_tokens = len(self._tokenizer.encode(decoding.text)) + 6
        result = self._generate(decoding.encoded, self._hint_prompt(names), max_tokens)
        return self._words(result.sequences_ids[0])

    def _generate(self, encoded: Any, prompt: list[int], max_tokens: int) -> Any:
        return self._model.model.generate(
            encoded,
            [prompt],
            beam_size=1,
            # CTranslate2 generates at most min(max_length / 2, max_length - prompt) tokens.
            max_length=max(2 * max_tokens, max_tokens + len(prompt)),
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
        # With timestamps, the decoder continues the list of names instead of transcribing.
        prompt = self._model.get_prompt(self._tokenizer, [], without_timestamps=True)
        return [self._tokenizer.sot_prev, *tokens, *prompt]

    def _spoken(self, tokens: Sequence[int], secs: float) -> str:
        """Return the words up to the first segment that ends where the audio does."""
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
