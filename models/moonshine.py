"""Moonshine base-en: decodes English audio of any length.

The cost of its encoder grows with the length of the audio, whereas Whisper's takes a fixed window.
It accepts no hints. It gives no text for noise, and sometimes none for clear speech either; and it
tends to say short speech twice.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from models.moonshine_graphs import Graphs, graphs
from models.noise import noise_share, reduced
from models.sessions import open_session
from models.weights import Weights

TOKENIZER = Weights(
    "moonshine-cpp",
    "moonshine_cpp/models/base-en/tokenizer.bin",
    "04670d78994d030185c3dd843c60591788fed0a56cc6750747bd326825f13ca9",
)

_RATE = 16_000
_PEAK = 0.9  # of the samples, to which every recording is scaled
_LAYERS = 8
_HEADS = 8
_HEAD_SIZE = 52
_BEGIN = 1
_END = 2
_SPECIAL = 3
"""Token ids below this are not text."""

_TOKENS_A_SEC = 6.5  # the makers' bound; more is a loop
_TOKENS_MORE = 6  # for very short audio
_LEAST_SECS = 0.2  # shorter audio is less than the encoder's first window and one frame
_PUNCTUATION = re.compile(r"\W")
_WORDS_A_SEC = 5.0  # what is said faster is looked at for a repetition
_LEAST_CUT = 3
"""Words of a text whose repetition may lack the last."""
_BYTE = re.compile(rb"<0x([0-9A-F]{2})>")
_SPACE = "\u2581"
_QUOTES = " \"'"
"""Quotation marks around a text, which an initial hesitation causes."""

# What is trimmed: windows quieter than this share of the loudest or, up to a larger share, hardly
# louder than the quiet ones. Silence around speech makes Moonshine give no text: of 8 recordings
# with seconds of it that had none, 4 had all their words once it was left out.
_WINDOW = _RATE // 100
_LOUD = 0.05
_ABOVE_QUIET = 3.0
_NOISY = 0.2
_MARGIN_SECS = 0.15

_BEAMS = 3  # of the second decoding; the likelier of the two is taken
_NOISE_SHARE = 0.05
"""Share of noise from which it is reduced: of recordings without noise few have more, and there it
gained nothing."""

Samples = npt.NDArray[np.float32]
_Past = dict[str, npt.NDArray[np.float32]]
"""The decoder's keys and values, [texts, heads, tokens, 52], by their names."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """The decoding of some audio.

    Parameters:
        text: The words; empty when there are none.
        avg_logprob: Mean log probability of the tokens, the end among them.
        complete: Whether the decoder ended by itself, and not because of its bound.
        speech_secs: Length of the audio from the first loud moment to the last.
        tokens: The text's tokens, which a decoding of the same speech and more may begin with.
        encoded: The encoder's output, for decoding again; ``None`` if nothing was decoded.
        audio: What was encoded: [1, samples], trimmed, with its peak at 0.9.
    """

    text: str
    avg_logprob: float
    complete: bool
    speech_secs: float = 0.0
    tokens: tuple[int, ...] = field(default=(), repr=False, compare=False)
    encoded: Any = field(default=None, repr=False, compare=False)
    audio: Any = field(default=None, repr=False, compare=False)


def said_once(text: str, secs: float) -> str:
    """A text without its repetition: Moonshine may give "What time is it? What time is it?".

    Args:
        text: The text.
        secs: How long the speech is: what is really said twice takes its time.

    Returns:
        The first half, if the whole text comes twice, the second time perhaps without its end, and
        faster than anybody speaks.
    """
    words = text.split()
    if len(words) <= _WORDS_A_SEC * secs:
        return text
    plain = [_PUNCTUATION.sub("", word).casefold() for word in words]
    for size in range((len(words) + 1) // 2, len(words)):
        again = plain[size:]
        whole = len(again) == size or (size >= _LEAST_CUT and len(again) == size - 1)
        if whole and plain[: len(again)] == again:
            return " ".join(words[:size])
    return text


@dataclass(frozen=True, slots=True)
class _Beam:
    """A text in the making: its tokens and the sum of their log probabilities."""

    tokens: list[int]
    logprob: float

    @property
    def mean(self) -> float:
        """Mean log probability of its tokens."""
        return self.logprob / len(self.tokens)


class Moonshine:
    """Decoding of English speech. Thread-safe."""

    def __init__(self, encoder: Any, decoder: Any, vocabulary: Sequence[bytes]) -> None:
        self._encoder = encoder
        self._decoder = decoder
        self._vocabulary = vocabulary
        self._outputs = [
            output.name.replace("present", "past_key_values") for output in decoder.get_outputs()
        ]

    @classmethod
    def load(cls, folders: Sequence[Path] = (), *, threads: int = 1) -> Self:
        """Load the model; takes 0.4 s, longer the first time on a machine.

        Args:
            folders: Folders that may contain its graphs, besides the environment.
            threads: Threads per decoding.

        Raises:
            UnavailableError: It cannot be used here.
            WeightsError: The hash of a file is not the expected one.
        """
        return cls.from_graphs(graphs(folders), threads=threads)

    @classmethod
    def from_graphs(cls, found: Graphs, *, threads: int = 1) -> Self:
        """Create the model from its graphs."""
        return cls(
            open_session(found.encoder, threads=threads),
            open_session(found.decoder, threads=threads),
            vocabulary(TOKENIZER.read()),
        )

    def decode(self, samples: Samples, *, draft: Sequence[int] = ()) -> Decoding:
        """Decode some audio greedily.

        Args:
            samples: 16 kHz mono in -1 to 1; silence around the speech is trimmed.
            draft: Tokens that the text may begin with, such as those of an earlier decoding of the
                beginning of the audio. They save time where they are right, and change nothing
                where they are not.
        """
        begin, end = _speech(samples)
        margin = round(_MARGIN_SECS * _RATE)
        trimmed = samples[max(0, begin - margin) : end + margin]
        speech_secs = (end - begin) / _RATE
        peak = float(np.abs(trimmed).max(initial=0.0))
        if peak == 0.0 or len(trimmed) < _LEAST_SECS * _RATE:
            return Decoding("", 0.0, True, speech_secs)
        audio = (trimmed * np.float32(_PEAK / peak))[np.newaxis]
        encoded = self._encoder.run(None, {"input_values": audio})[0]
        first = Decoding("", 0.0, True, speech_secs, (), encoded, audio)
        return self._greedy(first, encoded, draft)

    def decode_again(self, first: Decoding) -> Decoding:
        """Decode audio of which the first decoding is not sure; takes about twice as long.

        Args:
            first: The greedy decoding.

        Returns:
            The most probable complete decoding among it, one by beam search, and one of the audio
            with less noise, if there is some.
        """
        if first.encoded is None:
            return first
        found = [first, self._search(first, first.encoded)]
        if noise_share(first.audio[0]) >= _NOISE_SHARE:
            quieter = reduced(first.audio[0])
            quieter *= np.float32(_PEAK / np.abs(quieter).max())
            encoded = self._encoder.run(None, {"input_values": quieter[np.newaxis]})[0]
            found.append(self._greedy(first, encoded, first.tokens))
        return max(found, key=lambda one: (bool(one.text and one.complete), one.avg_logprob))

    def _greedy(self, of: Decoding, encoded: Any, draft: Sequence[int]) -> Decoding:
        """Decode the encoder's output up to the end or the bound, token by token.

        Args:
            of: A decoding of the same audio, whose text is replaced.
            encoded: The encoder's output.
            draft: Tokens that are checked all at once.
        """
        bound = _bound(of)
        logprobs, past = self._step([[_BEGIN]], encoded, _nothing(), first=True)
        tokens: list[int] = []
        total = 0.0
        if draft := draft[: bound - 1]:
            # A pass over all of it takes as long as some three tokens one after another.
            checked, longer = self._step([draft], encoded, past)
            logprobs = np.concatenate([logprobs, checked], axis=1)
            best = logprobs[0].argmax(axis=1)
            while len(tokens) < len(draft) and draft[len(tokens)] == best[len(tokens)]:
                total += float(logprobs[0, len(tokens), best[len(tokens)]])
                tokens.append(draft[len(tokens)])
            past = _shortened(longer, 1 + len(tokens))
            logprobs = logprobs[:, len(tokens)]
        else:
            logprobs = logprobs[:, -1]
        while True:
            token = int(logprobs[0].argmax())
            tokens.append(token)
            total += float(logprobs[0, token])
            if token == _END or len(tokens) == bound:
                break
            each, past = self._step([[token]], encoded, past)
            logprobs = each[:, -1]
        return self._decoding(of, _Beam(tokens, total))

    def _search(self, of: Decoding, encoded: Any) -> Decoding:
        """Decode the encoder's output by beam search; arguments are those of :meth:`_greedy`.

        Returns:
            The text with the highest mean log probability.
        """
        going: list[_Beam] = [_Beam([], 0.0)]
        ended: list[_Beam] = []
        past = _nothing()
        for length in range(1, _bound(of) + 1):
            last = [[beam.tokens[-1] if beam.tokens else _BEGIN] for beam in going]
            repeated = np.repeat(encoded, len(going), axis=0)
            each, past = self._step(last, repeated, past, first=length == 1)
            logprobs = each[:, -1]
            longer = [
                (row, _Beam([*beam.tokens, int(token)], beam.logprob + float(row_of[token])))
                for row, (beam, row_of) in enumerate(zip(going, logprobs, strict=True))
                for token in np.argpartition(row_of, -_BEAMS)[-_BEAMS:]
            ]
            longer.sort(key=lambda item: -item[1].logprob)
            best = longer[:_BEAMS]
            ended += [beam for _, beam in best if beam.tokens[-1] == _END]
            kept = [(row, beam) for row, beam in best if beam.tokens[-1] != _END]
            going = [beam for _, beam in kept]
            if not kept or len(ended) >= _BEAMS:
                break
            rows = [row for row, _ in kept]
            if rows != list(range(len(logprobs))):
                past = {name: value[rows] for name, value in past.items()}
        return self._decoding(of, max(ended or going, key=lambda beam: beam.mean))

    def _step(
        self, tokens: Sequence[Sequence[int]], encoded: Any, past: _Past, *, first: bool = False
    ) -> tuple[npt.NDArray[np.float32], _Past]:
        """Decode further tokens of each text.

        Args:
            tokens: As many of each text.
            encoded: The encoder's output, for each text.
            past: What the decoder keeps of the tokens before, as it was returned for them.
            first: Whether there are none before.

        Returns:
            The log probabilities of what follows each token, [texts, tokens, vocabulary], and what
            the decoder keeps.
        """
        feeds = {
            "input_ids": np.array(tokens, np.int64),
            "encoder_hidden_states": encoded,
            "use_cache_branch": np.array([not first]),
            **past,
        }
        logits, *present = self._decoder.run(None, feeds)
        # What was made of the encoder's output is made once.
        kept = past | {
            name: value
            for name, value in zip(self._outputs[1:], present, strict=True)
            if first or ".decoder." in name
        }
        peaks = logits.max(axis=-1, keepdims=True)
        logits -= peaks + np.log(np.exp(logits - peaks).sum(axis=-1, keepdims=True))
        return logits, kept

    def _decoding(self, of: Decoding, beam: _Beam) -> Decoding:
        ended = beam.tokens[-1] == _END
        return replace(
            of,
            text=said_once(self._text(beam.tokens), of.speech_secs),
            avg_logprob=beam.mean,
            complete=ended,
            tokens=tuple(beam.tokens[:-1] if ended else beam.tokens),
        )

    def _text(self, tokens: Sequence[int]) -> str:
        raw = b"".join(self._vocabulary[token] for token in tokens if token >= _SPECIAL)
        return raw.decode(errors="replace").replace(_SPACE, " ").strip(_QUOTES)


def vocabulary(raw: bytes) -> list[bytes]:
    """Parse ``tokenizer.bin``: for each token its length, in one byte or two, and its bytes."""
    tokens = []
    at = 0
    while at < len(raw):
        length = raw[at]
        at += 1
        if length >= 128:
            length += 128 * raw[at] - 128
            at += 1
        token = raw[at : at + length]
        at += length
        byte = _BYTE.fullmatch(token)
        tokens.append(bytes([int(byte[1], 16)]) if byte else token)
    return tokens


def _bound(of: Decoding) -> int:
    """The most tokens that a text of some audio may have, its end among them."""
    return int(_TOKENS_A_SEC * of.audio.shape[1] / _RATE) + _TOKENS_MORE


def _nothing() -> _Past:
    """What the decoder keeps before the first token."""
    empty = np.zeros((1, _HEADS, 0, _HEAD_SIZE), np.float32)
    return {
        f"past_key_values.{layer}.{side}.{kind}": empty
        for layer in range(_LAYERS)
        for side in ("decoder", "encoder")
        for kind in ("key", "value")
    }


def _shortened(past: _Past, length: int) -> _Past:
    """What the decoder kept of the first tokens."""
    return {
        name: value[:, :, :length] if ".decoder." in name else value for name, value in past.items()
    }


def _speech(samples: Samples) -> tuple[int, int]:
    """The samples from the first loud moment to the last; all, if none is."""
    windows = samples[: len(samples) // _WINDOW * _WINDOW].reshape(-1, _WINDOW)
    if not len(windows):
        return 0, len(samples)
    level = np.sqrt(np.square(windows).mean(axis=1))
    loudest, quiet = float(level.max()), float(np.percentile(level, 10))
    least = max(_LOUD * loudest, min(_ABOVE_QUIET * quiet, _NOISY * loudest))
    loud = np.flatnonzero(level > least)
    if not len(loud):
        return 0, len(samples)
    return int(loud[0]) * _WINDOW, (int(loud[-1]) + 1) * _WINDOW
