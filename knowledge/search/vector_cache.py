"""Caches the vectors of a document's texts in a file, so that the next start is faster.

The file is named after the hashes of the document and the model, and holds a vector for the digest
of each text. Texts that are not in it are computed and added, so a version of Viva with other texts
never gets wrong vectors. A file that is unreadable, or was written for another document or model,
counts as missing; if the folder is not writable, vectors are computed at each start.
"""

import hashlib
import os
import stat
import struct
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from loguru import logger

from knowledge.search.embedding import DIMENSIONS, MiniLM, Vectors, minilm
from models.catalogue import MINILM, MINILM_TOKENIZER
from models.replacement import replace

FOLDER = "vectors"
"""Folder of the caches in ``DATA_DIR``."""

MOST_FILES = 16
"""Number of caches kept, those used last."""

_MAGIC = b"viva vectors 1\n\0"
_DIGEST = 16  # bytes
_COUNT = struct.Struct("<I")
_SHA256 = 32
_MOST_BYTES = 64 << 20  # 40,000 texts, several times those of the largest document
_VECTOR = np.dtype("<f4")


class VectorCache:
    """The vectors of one document's texts, from the file as far as it has them.

    Parameters:
        folder: The folder of the file; ``None`` for no file.
        document: SHA-256 of the document, in hexadecimal.
        stores: Whether :meth:`save` writes the file.
    """

    def __init__(
        self, folder: Path | None = None, document: str = "", *, stores: bool = True
    ) -> None:
        self._model: MiniLM = minilm()
        key = f"{document} {MINILM.sha256} {MINILM_TOKENIZER.sha256}"
        self._key = hashlib.sha256(key.encode()).digest()
        self._path = folder / f"{self._key.hex()[:32]}.vectors" if folder is not None else None
        self._kept = _read(self._path, self._key) if self._path is not None else {}
        self._used: dict[bytes, Vectors] = {}
        self._stores = stores

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors of texts, ``[len(texts), 384]``."""
        digests = [_digest(text) for text in texts]
        missing = {
            digest: text
            for digest, text in zip(digests, texts, strict=True)
            if digest not in self._kept and digest not in self._used
        }
        computed = self._model.embed(list(missing.values()))
        self._used |= zip(missing, computed, strict=True)
        for digest in digests:
            if digest not in self._used:
                self._used[digest] = self._kept[digest]
        vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        for at, digest in enumerate(digests):
            vectors[at] = self._used[digest]
        return vectors

    def save(self) -> None:
        """Write the file if it lacks a text that was embedded, and remove the oldest files.

        Texts that were not embedded since this cache was opened are dropped.
        """
        if self._path is None or not self._stores:
            return
        try:
            used = dict(self._used)  # another thread may add to it
            if used.keys() - self._kept.keys():
                _write(self._path, self._key, used)
                _remove_oldest(self._path.parent)
            else:
                os.utime(self._path)
        except OSError as error:
            logger.info(
                "No vector cache, so each start computes them: {} ({})", self._path.parent, error
            )


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST).digest()


def _read(path: Path, key: bytes) -> dict[bytes, Vectors]:
    """The vectors of a file by the digests of their texts; none if the file is invalid."""
    try:
        # A pipe or a device in its place would block the start.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        with os.fdopen(handle, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size > _MOST_BYTES:
                return {}
            raw = file.read()
    except OSError:
        return {}
    opening = _MAGIC + key
    body, sha256 = raw[:-_SHA256], raw[-_SHA256:]
    if not body.startswith(opening) or hashlib.sha256(body).digest() != sha256:
        return {}
    (count,) = _COUNT.unpack_from(body, len(opening))
    at = len(opening) + _COUNT.size
    end = at + count * _DIGEST
    digests = [body[spot : spot + _DIGEST] for spot in range(at, end, _DIGEST)]
    vectors = np.frombuffer(body, dtype=_VECTOR, offset=end).reshape(count, DIMENSIONS)
    return dict(zip(digests, vectors.astype(np.float32), strict=True))


def _write(path: Path, key: bytes, vectors: dict[bytes, Vectors]) -> None:
    """Write a file atomically, readable by the owner only.

    Raises:
        OSError: The folder or the file cannot be written.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    matrix = np.array(list(vectors.values()), dtype=_VECTOR)
    body = b"".join([_MAGIC, key, _COUNT.pack(len(vectors)), *vectors, matrix.tobytes()])
    handle, name = tempfile.mkstemp(prefix=".writing-", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(body)
            file.write(hashlib.sha256(body).digest())
        replace(Path(name), path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def _remove_oldest(folder: Path) -> None:
    """Remove all files except those used last, and temporary files of killed writers."""
    used: list[tuple[float, Path]] = []
    for path in folder.iterdir():
        with suppress(OSError):  # another process may have removed it
            if path.suffix == ".vectors" or path.name.startswith(".writing-"):
                used.append((path.lstat().st_mtime, path))
    for _, path in sorted(used, reverse=True)[MOST_FILES:]:
        with suppress(OSError):
            path.unlink()
