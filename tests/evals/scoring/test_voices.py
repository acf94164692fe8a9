"""Recordings of people are read, heard and counted by group."""

import wave
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evals.commands import voices as command
from evals.scoring.voices import Heard, Voice, VoicesError, by_group, cost, hear, read_folder


def record(folder: Path, name: str, *, secs: float = 1.0, width: int = 2) -> None:
    with wave.open(str(folder / name), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(width)
        file.setframerate(16_000)
        file.writeframes(bytes(width * round(secs * 16_000)))


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    for name in ("bread.wav", "number.wav", "cough.wav", "order.wav"):
        record(tmp_path, name)
    (tmp_path / "index.tsv").write_text(
        "file\tgroup\ttranscript\n"
        'bread.wav\tshop\tDo you bake "rye" bread?\n'
        "number.wav\tphone\tFive five five, three one two.\n"
        "cough.wav\tphone\t\n"
        "order.wav\tshop\tSLOTS: iced coffee | two sugars\n",
        encoding="utf-8",
    )
    return tmp_path


@dataclass(frozen=True, slots=True)
class Said:
    text: str


class Scripted:
    """A recogniser that says its texts in order."""

    def __init__(self, *texts: str) -> None:
        self._texts = iter(texts)

    async def transcribe(self, _pcm: bytes) -> Said:
        return Said(next(self._texts))


async def heard(recordings: Path, *texts: str) -> list[Heard]:
    done: list[int] = []
    found = await hear(Scripted(*texts), read_folder(recordings), done.append)
    assert done == [1, 2, 3, 4]
    return found


async def test_errors_are_counted_by_group(recordings: Path) -> None:
    found = await heard(
        recordings, "do you bake dry bread", "555-312", "", "An iced coffee with 2 sugars, please."
    )
    groups = {(group.group, group.counts): group for group in by_group(found)}
    assert [result.wrong for result in found] == [1, 0, 0, 0]
    assert groups["phone", "words"].words == 6
    assert groups["phone", "words"].recordings == 2
    assert groups["shop", "words"].error_rate == 1 / 5
    assert groups["shop", "phrases"].words == 2
    assert groups["all with a text", "words"].wrong == 1
    assert groups["all with a text", "words"].ci95 is not None


async def test_words_that_were_dropped_or_invented_are_told(recordings: Path) -> None:
    found = await heard(recordings, "", "555 3121", "Thank you.", "iced tea with two sugars")
    groups = {(group.group, group.counts): group for group in by_group(found)}
    assert [result.wrong for result in found] == [5, 1, 2, 1]
    assert (groups["shop", "words"].dropped, groups["shop", "words"].invented) == (1, 0)
    assert (groups["phone", "words"].dropped, groups["phone", "words"].invented) == (0, 1)
    assert groups["phone", "words"].error_rate == 1 / 6


def test_cost_is_by_recording_and_by_second_of_audio() -> None:
    voice = Voice("a.wav", "a", "Yes.", (), bytes(4 * 16_000))
    spent = [Heard(voice, "yes", 0, 1, delay, 0.1) for delay in (0.1, 0.2, 0.3)]
    assert cost(spent) == {
        "delay_p50_ms": 200.0,
        "delay_p95_ms": 290.0,
        "cpu_ms_a_recording": 100.0,
        "cpu_ms_a_second": 50.0,
    }


def test_every_recording_that_cannot_be_heard_is_named(recordings: Path) -> None:
    record(recordings, "long.wav", secs=31)
    record(recordings, "wide.wav", width=3)
    with (recordings / "index.tsv").open("a", encoding="utf-8") as index:
        index.write("gone.wav\tx\tHello.\nlong.wav\tx\tHello.\nwide.wav\tx\tHello.\n\tx\tHello.\n")
    with pytest.raises(VoicesError) as refused:
        read_folder(recordings)
    assert [line.partition(":")[0] for line in str(refused.value).splitlines()] == [
        f"index.tsv, line {number}" for number in (6, 7, 8, 9)
    ]
    for fault in ("gone.wav: cannot be read", "31.0 s long: at most 30", "24-bit", "not be empty"):
        assert fault in str(refused.value)


def test_a_folder_without_a_table_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(VoicesError, match=r"index\.tsv cannot be read: No such file"):
        read_folder(tmp_path)
    (tmp_path / "index.tsv").write_text("file\twords\n", encoding="utf-8")
    with pytest.raises(VoicesError, match="has no column text, group"):
        read_folder(tmp_path)
    (tmp_path / "index.tsv").write_text("file\ttext\tgroup\n", encoding="utf-8")
    with pytest.raises(VoicesError, match="names no recording"):
        read_folder(tmp_path)
    result = CliRunner().invoke(command.app, [str(tmp_path / "nowhere")])
    assert result.exit_code == 2


async def test_the_command_prints_groups_differences_and_cost(
    recordings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = await heard(recordings, "Do you bake dry bread?", "555 312", "", "iced coffee")
    monkeypatch.setattr(command, "_heard", lambda _voices: found)
    result = CliRunner().invoke(command.app, [str(recordings), "--differences"])
    assert result.exit_code == 0
    assert "Do you bake dry bread?" in result.output
    assert "20.0 %" in result.output
    assert "4 recordings: p50" in result.output
    result = CliRunner().invoke(command.app, [str(recordings), "--json"])
    assert '"heard": "iced coffee"' in result.output
