"""Graphs that are made of the packages' model files, kept as files of their own.

``make install`` makes them, into the environment. A file's name says of what it was made and by
which onnxruntime, and it begins with the hash of the rest: what is not right is made again.
"""

import hashlib
import sys
import tempfile
from pathlib import Path

import onnxruntime

from models.replacement import replace
from models.weights import Weights

ENVIRONMENT = Path(sys.prefix) / "share" / "viva"
"""Where an installation keeps them."""

_DIGEST_BYTES = 32


def path(folder: Path, source: Weights, *, made_as: int) -> Path:
    """The file of a graph.

    Args:
        folder: Where it is kept.
        source: The file that it is made of.
        made_as: Number of the way in which it is made, from 1.
    """
    made_by = f"{source.sha256} {made_as} {onnxruntime.__version__}"
    key = hashlib.sha256(made_by.encode()).hexdigest()[:12]
    return folder / f"{Path(source.path).stem}-{key}.onnx"


def read(file: Path) -> bytes | None:
    """Read a graph; ``None`` if it is not there or not whole."""
    try:
        raw = file.read_bytes()
    except OSError:
        return None
    digest, graph = raw[:_DIGEST_BYTES], raw[_DIGEST_BYTES:]
    return graph if hashlib.sha256(graph).digest() == digest else None


def write(file: Path, graph: bytes) -> None:
    """Write a graph; its folder is made if it is missing.

    Raises:
        OSError: The folder cannot be written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as written:
        written.write(hashlib.sha256(graph).digest() + graph)
    Path(written.name).chmod(0o644)
    replace(Path(written.name), file)  # two who make it at once write the same
