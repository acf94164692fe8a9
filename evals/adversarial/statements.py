"""False and true statements about documents, as a language model would speak them.

A file of statements belongs to the document of its name (``documents/`` here or beside;
``grace-hopper`` is the bundled CV). Its lines are::

    @ section, section    what the statements below cite
    ? question            what was asked
    = kind: sentence      a true statement
    ! kind: sentence      a false one

The rules were written with those under ``tuning`` in sight; those under ``measured`` are for
measuring only.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from knowledge.loading.document import Document, load

Half = Literal["tuning", "measured"]
HALVES: tuple[Half, ...] = ("tuning", "measured")
_FOLDER = Path(__file__).parent
_DOCUMENTS = (_FOLDER / "documents", _FOLDER.parent / "documents")
_BUNDLED = "grace-hopper"


@dataclass(frozen=True, slots=True)
class Statement:
    """One sentence that a brain may answer.

    Parameters:
        document: Name of the document.
        half: ``tuning``, in sight of which the rules were written, or ``measured``.
        true: Whether the document says so.
        kind: The kind of lie or truth.
        sections: Ids of the sections that it cites.
        question: What was asked.
        sentence: What is answered.
    """

    document: str
    half: Half
    true: bool
    kind: str
    sections: tuple[str, ...]
    question: str
    sentence: str


@cache
def document(name: str) -> Document:
    """The document of that name."""
    if name == _BUNDLED:
        return load()
    found = (path for folder in _DOCUMENTS for path in sorted(folder.rglob(f"{name}.*")))
    return load(next(path for path in found if path.suffix != ".toml"))


def statements() -> Iterator[Statement]:
    """All statements, in order."""
    for half in HALVES:
        for path in sorted(_FOLDER.joinpath(half).glob("*.txt")):
            yield from _read(path, half)


def _read(path: Path, half: Half) -> Iterator[Statement]:
    sections: tuple[str, ...] = ()
    question = ""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        mark, text = line[:1], line[2:].strip()
        if mark == "@":
            sections = tuple(id.strip() for id in text.split(",") if id.strip())
        elif mark == "?":
            question = text
        elif mark in ("=", "!"):
            kind, colon, sentence = text.partition(": ")
            if not colon:
                raise ValueError(f"{path.name}:{number}: no kind before {text!r}")
            yield Statement(path.stem, half, mark == "=", kind, sections, question, sentence)
        elif line.strip():
            raise ValueError(f"{path.name}:{number}: {line!r} is no statement")
