"""Moonshine's graphs are kept whole, and its text is made of its tokens."""

import hashlib
import subprocess
from pathlib import Path

import numpy as np
import pytest

from models import moonshine_graphs
from models.moonshine import Moonshine, vocabulary
from models.moonshine_graphs import UnavailableError, graphs


def keep(folder: Path) -> None:
    """Write graphs as they are kept."""
    for source in (moonshine_graphs.ENCODER, moonshine_graphs.DECODER):
        graph = source.path.encode()
        path = moonshine_graphs._path(folder, source)
        path.write_bytes(hashlib.sha256(graph).digest() + graph)


def test_graphs_that_are_kept_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(tmp_path)
    monkeypatch.setattr(moonshine_graphs, "installed", lambda: True)
    monkeypatch.setattr(moonshine_graphs, "ENVIRONMENT", tmp_path / "none")
    assert graphs([tmp_path]).encoder == moonshine_graphs.ENCODER.path.encode()


def test_graphs_that_are_broken_are_made_anew_in_a_process_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(tmp_path)
    path = moonshine_graphs._path(tmp_path, moonshine_graphs.DECODER)
    path.write_bytes(path.read_bytes()[:-1])

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        if command[-1] != str(tmp_path):
            return subprocess.CompletedProcess(command, 1, "", "none: Permission denied")
        keep(tmp_path)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(moonshine_graphs, "installed", lambda: True)
    monkeypatch.setattr(moonshine_graphs, "ENVIRONMENT", tmp_path / "none")
    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(UnavailableError, match="could not be made: none: Permission denied"):
        graphs()
    assert graphs([tmp_path]).decoder == moonshine_graphs.DECODER.path.encode()


def test_another_platform_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moonshine_graphs, "installed", lambda: False)
    with pytest.raises(UnavailableError, match="only for Linux on x86-64"):
        graphs()


def test_tokens_are_lengths_and_bytes() -> None:
    long = b"x" * 200
    raw = b"\x00" + b"\x03abc" + b"\x06<0x41>" + bytes([200 - 128 + 128, 1]) + long
    assert vocabulary(raw) == [b"", b"abc", b"A", long]


def test_silence_and_half_a_word_have_no_text() -> None:
    model = Moonshine.load()
    assert model.decode(np.zeros(16_000, np.float32)).text == ""
    assert model.decode(np.full(1_000, 0.5, np.float32)).text == ""
