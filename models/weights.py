"""Weights in installed packages, identified by their SHA-256.

The packages are not imported: most are third-party uploads whose code must not run.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path


class WeightsError(RuntimeError):
    """Weights are missing, or their hash is not the expected one; the message says which."""


@dataclass(frozen=True, slots=True)
class Weights:
    """A file of weights in an installed package.

    Parameters:
        package: The distribution that contains it.
        path: Its path within the distribution.
        sha256: Its expected hash, in hexadecimal; empty for a part of a file that has one.
    """

    package: str
    path: str
    sha256: str = ""

    def read(self) -> bytes:
        """Read the file.

        Raises:
            WeightsError: The package or file is missing, or the hash is not the expected one.
        """
        raw = self.locate().read_bytes()
        if self.sha256:
            verify(raw, self.sha256, name=f"{self.package}: {self.path}")
        return raw

    def locate(self) -> Path:
        """Return the file's path on this machine.

        Raises:
            WeightsError: The package or file is missing.
        """
        try:
            path = Path(str(distribution(self.package).locate_file(self.path)))
        except PackageNotFoundError as error:
            raise WeightsError(
                f"the package {self.package} is not installed; run `make install`"
            ) from error
        if not path.is_file():
            raise WeightsError(f"the installed package {self.package} has no file {self.path}")
        return path


def verify(raw: bytes, sha256: str, *, name: str) -> None:
    """Check bytes against their expected hash.

    Raises:
        WeightsError: The hash differs; the message begins with ``name``.
    """
    _compare(hashlib.sha256(raw).hexdigest(), sha256, name=name)


def join(files: Sequence[Weights], path: Path, *, sha256: str) -> None:
    """Write some files joined, without reading them at once.

    Args:
        files: The files, or the parts of one, in order.
        path: Where to.
        sha256: The expected hash of what is written.

    Raises:
        WeightsError: A package or file is missing, the hash is not the expected one, or the file
            cannot be written.
    """
    digest = hashlib.sha256()
    sources = [file.locate() for file in files]
    try:
        with path.open("wb") as joined:
            for piece in _pieces(sources):
                digest.update(piece)
                joined.write(piece)
    except OSError as error:
        raise WeightsError(
            f"{path} cannot be written: {error.strerror or error}. It takes "
            f"{sum(source.stat().st_size for source in sources) / 1e6:.0f} MB for a moment; set "
            "TMPDIR to a folder with room for it"
        ) from error
    _compare(digest.hexdigest(), sha256, name=f"{files[0].package}: {path.name}")


def sha256_of(files: Sequence[Weights]) -> str:
    """Return the hash of some files joined, in hexadecimal, without reading them at once.

    Raises:
        WeightsError: A package or file is missing.
        OSError: A file cannot be read.
    """
    digest = hashlib.sha256()
    for piece in _pieces([file.locate() for file in files]):
        digest.update(piece)
    return digest.hexdigest()


def _pieces(paths: Sequence[Path]) -> Iterator[bytes]:
    for path in paths:
        with path.open("rb") as source:
            while piece := source.read(1 << 20):
                yield piece


def _compare(got: str, sha256: str, *, name: str) -> None:
    if got != sha256:
        raise WeightsError(f"{name} has SHA-256 {got}: it must be {sha256}")
