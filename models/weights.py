"""Files of weights inside installed packages, each known by its SHA-256.

The packages are not imported: most are third-party re-uploads whose code must not run.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path


class WeightsError(RuntimeError):
    """Weights are missing, or differ from those that were measured; the message says which."""


@dataclass(frozen=True, slots=True)
class Weights:
    """One file of weights.

    Parameters:
        package: The distribution that carries it.
        path: Where it lies in there.
        sha256: The hash of the file that was measured, in hexadecimal; empty where only the file
            that it is a part of has one.
    """

    package: str
    path: str
    sha256: str = ""

    def read(self) -> bytes:
        """The file's bytes.

        Raises:
            WeightsError: The package or the file is missing, or the file is another one.
        """
        raw = self.locate().read_bytes()
        if self.sha256:
            verify(raw, self.sha256, name=f"{self.package}: {self.path}")
        return raw

    def locate(self) -> Path:
        """Where the file lies on this machine.

        Raises:
            WeightsError: The package or the file is missing.
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
    """Compare bytes with the hash of what was measured.

    Raises:
        WeightsError: They differ; the message begins with ``name``.
    """
    got = hashlib.sha256(raw).hexdigest()
    if got != sha256:
        raise WeightsError(f"{name} has SHA-256 {got}: it must be {sha256}")


def sha256_of(files: Sequence[Weights]) -> str:
    """The hash of files joined, read a piece at a time, in hexadecimal.

    Raises:
        WeightsError: A package or a file is missing.
        OSError: A file cannot be read.
    """
    digest = hashlib.sha256()
    for file in files:
        with file.locate().open("rb") as source:
            while piece := source.read(1 << 20):
                digest.update(piece)
    return digest.hexdigest()
