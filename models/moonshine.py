"""Moonshine base-en: decodes English audio of any length.

The cost of its encoder grows with the length of the audio, whereas Whisper's takes a fixed window.
It accepts no hints. It gives no text for noise, and sometimes none for clear speech either.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from models.moonshine_graphs import Graphs, graphs
from models.sessions import open_session
from models.weights import Weights

TOKENIZER = Weights(
    "moonshine-cpp",
    "moonshine_cpp/models/base-en/tokenizer.bin",
    "04670d78994d030185c3dd843c60591788fed0a56cc6750747bd326825f13ca9",
)

_RATE = 16_000
_PEAK = 0.9
_LAYERS = 8
_HEADS = 8
_HEAD_SIZE = 52
_BEGIN = 1
_END = 2
_SPECIAL = 3
"""Token ids below this are not text."""

_TOKENS_A_SEC = 6.5  # the makers' bound; more is a loop
_TOKENS_MORE = 6
_LEAST_SECS = 0.2  # shorter audio is less than the encoder's first window and one frame
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

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Decoding:
    """The decoding of some audio.

    Parameters:
        text: The words; empty when there are none.
        avg_logprob: Mean log probability of the tokens, the end among them.
        complete: Whether the decoder ended by itself, and not because of its bound.
    """

    text: str
    avg_logprob: float
    complete: bool


class Moonshine:
    """Greedy decoding of English speech. Thread-safe."""

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

    def decode(self, samples: Samples) -> Decoding:
        """Decode some audio.

        Args:
            samples: 16 kHz mono in -1 to 1; silence around the speech is trimmed.
        """
        samples = _trimmed(samples)
        peak = float(np.abs(samples).max(initial=0.0))
        if peak == 0.0 or len(samples) < _LEAST_SECS * _RATE:
            return Decoding("", 0.0, True)
        audio = (samples * np.float32(_PEAK / peak))[np.newaxis]
        encoded = self._encoder.run(None, {"input_values": audio})[0]
        bound = int(_TOKENS_A_SEC * len(samples) / _RATE) + _TOKENS_MORE
        tokens, logprobs = self._decode(encoded, bound)
        complete = tokens[-1] == _END
        return Decoding(self._text(tokens), float(np.mean(logprobs)), complete)

    def _decode(self, encoded: Any, bound: int) -> tuple[list[int], list[float]]:
        """Decode greedily up to the end or the limit; return tokens and log probabilities."""
        nothing = np.zeros((1, _HEADS, 0, _HEAD_SIZE), np.float32)
        past = {
            f"past_key_values.{layer}.{side}.{kind}": nothing
            for layer in range(_LAYERS)
            for side in ("decoder", "encoder")
            for kind in ("key", "value")
        }
        tokens: list[int] = []
        logprobs: list[float] = []
        token = _BEGIN
        while len(tokens) < bound and token != _END:
            feeds = {
                "input_ids": np.array([[token]], np.int64),
                "encoder_hidden_states": encoded,
                "use_cache_branch": np.array([bool(tokens)]),
                **past,
            }
            output = self._decoder.run(None, feeds)
            # What was made of the encoder's output is made once.
            past |= {
                name: value
                for name, value in zip(self._outputs[1:], output[1:], strict=True)
                if not tokens or ".decoder." in name
            }
            logits = output[0][0, -1]
            token = int(logits.argmax())
            tokens.append(token)
            # The likeliest token's log probability is minus the log of the sum below.
            logprobs.append(-float(np.log(np.exp(logits - logits[token]).sum())))
        return tokens, logprobs

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


def _trimmed(samples: Samples) -> Samples:
    """Trim the silence around the speech."""
    windows = samples[: len(samples) // _WINDOW * _WINDOW].reshape(-1, _WINDOW)
    if not len(windows):
        return samples
    level = np.sqrt(np.square(windows).mean(axis=1))
    loudest, quiet = float(level.max()), float(np.percentile(level, 10))
    least = max(_LOUD * loudest, min(_ABOVE_QUIET * quiet, _NOISY * loudest))
    loud = np.flatnonzero(level > least)
    if not len(loud):
        return samples
    margin = round(_MARGIN_SECS * _RATE)
    begin, end = int(loud[0]) * _WINDOW - margin, (int(loud[-1]) + 1) * _WINDOW + margin
    return samples[max(0, begin) : end]
