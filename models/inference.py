"""Inputs and outputs of the models' sessions, shared by calls and checks."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from models import catalogue
from models.silero_graph import HIDDEN, ROW

Floats = npt.NDArray[np.float32]

SAMPLE_RATE = 16_000
SILERO_WINDOW = 512
"""Number of samples in one of silero's windows."""

SMART_TURN_SAMPLES = 8 * SAMPLE_RATE

MOST_WINDOWS = 3
"""Number of windows of one stream that may be inferred at once."""

_CONTEXT = ROW - SILERO_WINDOW


class SileroMemory:
    """Silero's recurrent state for one stream of windows, and those that wait for inference.

    Attributes:
        waiting: Number of windows that wait, at most :data:`MOST_WINDOWS`.
    """

    def __init__(self) -> None:
        # The row after the last is for the samples before the next window only.
        self._rows = np.zeros((MOST_WINDOWS + 1, ROW), np.float32)
        self._state = np.zeros((2, 1, HIDDEN), np.float32)
        self._first = 0
        self.waiting = 0

    def add(self, window: Floats) -> None:
        """Add a window, 512 samples in -1 to 1, to those that wait."""
        if self._first and not self.waiting:
            self._rows[0, :_CONTEXT] = self._rows[self._first, :_CONTEXT]
            self._first = 0
        at = self._first + self.waiting
        self._rows[at, _CONTEXT:] = window
        self._rows[at + 1, :_CONTEXT] = window[-_CONTEXT:]
        self.waiting += 1

    def clear(self) -> None:
        """Reset the state; windows that wait are heard as if nothing had come before them."""
        self._rows[self._first, :_CONTEXT] = 0.0
        self._state = np.zeros((2, 1, HIDDEN), np.float32)

    def drop(self) -> None:
        """Drop the windows that wait."""
        self._first += self.waiting
        self.waiting = 0

    @staticmethod
    def infer(session: Any, memories: Sequence["SileroMemory"], steps: int) -> list[list[float]]:
        """Infer the next windows of streams, and update their states.

        Args:
            session: From :func:`models.catalogue.silero_session`.
            memories: The streams.
            steps: How many windows of each; no more than wait in any.

        Returns:
            For each stream, the probabilities of its windows.
        """
        if len(memories) == 1:
            one = memories[0]
            rows = one._rows[one._first : one._first + steps, np.newaxis]
            state = one._state
        else:
            parts = [memory._rows[memory._first : memory._first + steps] for memory in memories]
            rows = np.stack(parts, axis=1)
            state = np.concatenate([memory._state for memory in memories], axis=1)
        output, state = session.run(None, {"input": rows, "state": state})
        for index, memory in enumerate(memories):
            memory._state = np.ascontiguousarray(state[:, index : index + 1])
            memory._first += steps
            memory.waiting -= steps
        probabilities: list[list[float]] = output.T.tolist()
        return probabilities


def smart_turn_probability(session: Any, samples: Floats) -> float:
    """Return the probability that the speaker has finished their turn.

    Args:
        session: From :func:`models.catalogue.smart_turn_session`.
        samples: At 16 kHz, in -1 to 1; at most 8 s. Shorter speech is padded at the front.
    """
    from pipecat.audio.turn.smart_turn._whisper_features import compute_whisper_log_mel_features

    padded = np.zeros(SMART_TURN_SAMPLES, np.float32)
    padded[SMART_TURN_SAMPLES - len(samples) :] = samples
    mel = compute_whisper_log_mel_features(padded, do_normalize=True)
    (output,) = session.run(None, {"input_features": mel[np.newaxis]})
    return float(output[0, 0])


def minilm_tokenizer() -> Tokenizer:
    """Load MiniLM's tokenizer, without padding, which would make vectors depend on their batch.

    Raises:
        WeightsError: Its file is missing, or its hash is not the catalogue's.
    """
    tokenizer = Tokenizer.from_str(catalogue.MINILM_TOKENIZER.read().decode())
    tokenizer.enable_truncation(max_length=256)  # what the model was trained with
    tokenizer.no_padding()
    return tokenizer


def minilm_vectors(session: Any, ids: npt.NDArray[np.int64]) -> Floats:
    """Return unit vectors, ``[n, 384]``, of texts of one length, given as ids ``[n, length]``."""
    return _unit(_minilm_states(session, ids).mean(axis=1))


def minilm_token_vectors(session: Any, ids: npt.NDArray[np.int64]) -> Floats:
    """Return a unit vector of each token of a text in its context, ``[length, 384]``."""
    return _unit(_minilm_states(session, ids[np.newaxis])[0])


def _minilm_states(session: Any, ids: npt.NDArray[np.int64]) -> Floats:
    feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    feeds["token_type_ids"] = np.zeros_like(ids)
    states: Floats = session.run(None, feeds)[0]
    return states


def _unit(vectors: Floats) -> Floats:
    unit: Floats = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
    return unit


def reranker_tokenizer() -> Tokenizer:
    """Load the cross-encoder's tokenizer, which encodes question and passage as a pair.

    Raises:
        WeightsError: Its file is missing, or its hash is not the catalogue's.
    """
    tokenizer = Tokenizer.from_str(catalogue.RERANKER_TOKENIZER.read().decode())
    tokenizer.enable_truncation(max_length=128)
    tokenizer.no_padding()
    return tokenizer


def reranker_logit(session: Any, ids: Sequence[int], kinds: Sequence[int]) -> float:
    """Return how well a passage answers a question, about -11 (not at all) to 11.

    Args:
        session: From :func:`models.catalogue.reranker_session`.
        ids: Token ids of the pair.
        kinds: 0 for each token of the question, 1 for each of the passage.
    """
    given = np.array([ids], np.int64)
    feeds = {
        "input_ids": given,
        "attention_mask": np.ones_like(given),
        "token_type_ids": np.array([kinds], np.int64),
    }
    return float(session.run(None, feeds)[0][0, 0])
