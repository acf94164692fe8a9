"""Models that are done at once: they know words, not what words mean."""

import re
from collections.abc import Sequence
from zlib import crc32

import numpy as np
import numpy.typing as npt
import pytest

from knowledge.search import reader, retrieval, vector_cache
from knowledge.search.embedding import DIMENSIONS, Vectors


class WordModels:
    """Stands for both models: texts are alike as far as they share words.

    Attributes:
        embedded: The texts that were embedded, in order.
    """

    def __init__(self) -> None:
        self.embedded: list[str] = []

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.embedded += texts
        vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        for at, text in enumerate(texts):
            for word in _words(text):
                vectors[at, crc32(word.encode()) % DIMENSIONS] = 1.0
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit: Vectors = vectors / np.maximum(length, 1e-6)
        return unit

    def embed_tokens(self, text: str) -> tuple[Vectors, list[tuple[int, int]]]:
        words = list(re.finditer(r"\w+", text))
        return self.embed([word[0] for word in words]), [word.span() for word in words]

    def is_common(self, word: str) -> bool:
        return word in ("money", "minister")

    def scores(self, question: str, passages: Sequence[str]) -> npt.NDArray[np.float32]:
        asked = _words(question)
        shared = [len(asked & _words(passage)) / len(asked) for passage in passages]
        return np.array([16 * share - 4 for share in shared], dtype=np.float32)


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w{3,}", text.lower()))


@pytest.fixture
def word_models(monkeypatch: pytest.MonkeyPatch) -> WordModels:
    models = WordModels()
    monkeypatch.setattr(vector_cache, "minilm", lambda: models)
    monkeypatch.setattr(retrieval, "minilm", lambda: models)
    monkeypatch.setattr(reader, "cross_encoder", lambda: models)
    return models
