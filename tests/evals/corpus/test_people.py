"""Anyone's recordings of people become calls: who asks, and who talks over the voice."""

import wave
from pathlib import Path

import numpy as np
import pytest

from evals.corpus.people import scenarios
from evals.scoring.voices import VoicesError


def spoken(path: Path, secs: float = 1.0, level: int = 8_000) -> None:
    wav = (level * np.sin(np.arange(round(16_000 * secs)) / 5)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(wav.tobytes())


def test_each_recording_asks_and_others_talk_behind_or_over(tmp_path: Path) -> None:
    rows = ["file\ttext\tgroup"]
    for number in range(3):
        spoken(tmp_path / f"{number}.wav")
        rows.append(f"{number}.wav\tGood morning, number {number}.\tgroup {number}")
    (tmp_path / "index.tsv").write_text("\n".join(rows))
    meeting = tmp_path / "dialogue"
    meeting.mkdir()
    spoken(meeting / "a_m1.wav", 5.0)
    (meeting / "m.rttm").write_text(
        "SPEAKER m1 1 1.0 0.4 <NA> <NA> one <NA> <NA>\n"
        "SPEAKER m1 1 2.0 0.4 <NA> <NA> one <NA> <NA>\n"
        "SPEAKER m1 1 2.2 0.4 <NA> <NA> two <NA> <NA>\n"
        "SPEAKER m1 1 3.5 1.4 <NA> <NA> one <NA> <NA>\n"
    )
    calls = scenarios(tmp_path)
    assert [(call.name, [line.kind for line in call.lines]) for call in calls] == [
        ("far-001", ["question", "background"]),
        ("far-002", ["question", "background"]),
        ("over-003", ["bargein"]),
        ("brief-001", ["question", "backchannel"]),
    ]
    caller, behind = calls[0].lines
    assert caller.text == "Good morning, number 0."
    assert 20 * np.log10(np.std(caller.samples) / np.std(behind.samples)) == pytest.approx(20, 0.1)
    assert len(calls[3].lines[1].samples) == pytest.approx(0.5 * 16_000, 0.01), "the one alone"


def test_a_folder_in_which_nobody_says_a_known_text_is_refused(tmp_path: Path) -> None:
    spoken(tmp_path / "a.wav")
    (tmp_path / "index.tsv").write_text("file\ttext\tgroup\na.wav\tSLOTS: tea\torders")
    with pytest.raises(VoicesError, match="nobody to call"):
        scenarios(tmp_path)
