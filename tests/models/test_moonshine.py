"""Moonshine's graphs are kept whole, and its text is made of its tokens."""

import hashlib
import subprocess
from pathlib import Path

import numpy as np
import pytest

from client.wav import read_wav
from models import moonshine_graphs
from models.moonshine import Moonshine, said_once, vocabulary
from models.moonshine_graphs import UnavailableError, graphs

WHAT_ABOUT_YALE = np.frombuffer(
    read_wav(Path(__file__).parents[1] / "audio" / "what-about-yale-rms.wav"), "<i2"
).astype(np.float32) / np.float32(32_768)


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


@pytest.fixture(scope="module")
def model() -> Moonshine:
    return Moonshine.load()


def test_silence_and_half_a_word_have_no_text(model: Moonshine) -> None:
    assert model.decode(np.zeros(16_000, np.float32)).text == ""
    assert model.decode(np.full(1_000, 0.5, np.float32)).text == ""


def test_a_draft_saves_time_where_it_is_right_and_changes_nothing(model: Moonshine) -> None:
    runs: list[list[int]] = []
    decoder = model._decoder

    class Counted:
        get_outputs = decoder.get_outputs

        @staticmethod
        def run(_: None, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
            runs.append(feeds["input_ids"][0].tolist())
            found: list[np.ndarray] = decoder.run(None, feeds)
            return found

    whole = model.decode(WHAT_ABOUT_YALE)
    counted = Moonshine(model._encoder, Counted, model._vocabulary)
    *most, last = whole.tokens
    for draft, expected in (
        (whole.tokens, [[1], list(whole.tokens)]),
        (most, [[1], most, [last]]),
        ([*most, last + 1, last], [[1], [*most, last + 1, last], [last]]),
    ):
        runs.clear()
        again = counted.decode(WHAT_ABOUT_YALE, draft=draft)
        assert (again.text, again.tokens) == (whole.text, whole.tokens)
        assert again.avg_logprob == pytest.approx(whole.avg_logprob, abs=0.05)
        assert runs == expected


@pytest.mark.parametrize(
    ("text", "secs", "once"),
    [
        ("What time is it? What time is it?", 0.9, "What time is it?"),
        ("Set a timer for 10 minutes set a timer for 10", 1.5, "Set a timer for 10 minutes"),
        ("Next, next.", 0.35, "Next,"),
        ("No, no.", 0.7, "No, no."),
        ("two two", 0.6, "two two"),
        ("What is it that you know about it?", 1.0, "What is it that you know about it?"),
    ],
)
def test_speech_that_is_given_twice_is_said_once(text: str, secs: float, once: str) -> None:
    assert said_once(text, secs) == once


def test_doubtful_speech_is_decoded_in_other_ways(model: Moonshine) -> None:
    first = model.decode(WHAT_ABOUT_YALE)
    again = model.decode_again(first)
    assert again.avg_logprob >= first.avg_logprob
    assert again.complete
    nothing = model.decode(np.zeros(16_000, np.float32))
    assert model.decode_again(nothing) == nothing
