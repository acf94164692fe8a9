"""The spool on disk: nothing is lost, nothing is taken twice, and nothing is left behind."""

import errno
import json
import os
import sys
from io import FileIO
from pathlib import Path
from typing import Any

import pytest

from conversation.records import CallRecord, TurnRecord, Used
from ledger.store.entry import Entry
from ledger.store.spool import MAX_LINE_BYTES, REFUSED, TAKEN_BYTES, Spool
from tests.ledger.records import NOON, a_call, a_call_that_ended, a_turn


def turn(number: int, **more: Any) -> Entry:
    return Entry.of_turn(a_turn(number=number, **more))


def numbers(entries: list[Entry]) -> list[int]:
    return [entry.row["number"] for entry in entries]


def drained(spool: Spool) -> list[int]:
    """The numbers of all records, which the database takes."""
    seen: list[int] = []
    while entries := spool.read_batch():
        seen += numbers(entries)
        spool.discard_batch()
    assert spool.waiting == 0
    return seen


def files(folder: Path) -> list[str]:
    return sorted(file.name.partition("-")[0] for file in folder.iterdir())


def test_a_record_is_the_same_after_its_time_on_disk(tmp_path: Path) -> None:
    records: list[CallRecord | TurnRecord] = [
        a_call(),
        a_call_that_ended(),
        a_turn(question="Zoë\nsaid “no”\u2028"),
        TurnRecord(call="c-1", number=1, at=NOON, used=Used(audio_seconds=0.1 + 0.2)),
    ]
    entries = [
        Entry.of_turn(record) if isinstance(record, TurnRecord) else Entry.of_call(record)
        for record in records
    ]
    spool = Spool(tmp_path)
    spool.append(entries)
    taken = spool.read_batch()
    assert taken == entries
    assert [entry.values() for entry in taken] == [entry.values() for entry in entries]


def test_what_was_taken_stays_until_it_is_forgotten(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    spool.append([turn(1), turn(2)])
    assert numbers(spool.read_batch()) == [1, 2]
    spool.append([turn(3)])
    assert numbers(spool.read_batch()) == [1, 2, 3]
    assert spool.waiting == 3
    spool.discard_batch()
    assert (spool.waiting, spool.read_batch()) == (0, [])
    spool.append([turn(4)])
    assert numbers(spool.read_batch()) == [4]
    spool.discard_batch()
    spool.close()
    assert files(tmp_path / "spool") == []


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    Spool(tmp_path / "spool").append([turn(1)])
    assert (tmp_path / "spool").stat().st_mode & 0o077 == 0


def test_it_is_taken_in_parts_and_in_order(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    text = "x" * (TAKEN_BYTES // 10)
    for number in range(25):
        spool.append([turn(number, answer=text)])
    spool.append([turn(25, answer=3 * TAKEN_BYTES * "x")])
    seen: list[int] = []
    parts = 0
    while entries := spool.read_batch():
        seen += numbers(entries)
        parts += 1
        spool.discard_batch()
    assert seen == list(range(26))
    assert parts > 3


def test_a_full_disk_takes_all_of_what_it_is_given_or_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(FileIO):
        def write(self, data: bytes) -> int:  # type: ignore[override]
            return super().write(data[:100])

    spool = Spool(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr("ledger.store.spool.FileIO", Full)
        with pytest.raises(OSError, match="full"):
            spool.append([turn(1)])
        assert (spool.waiting, spool.read_batch()) == (0, [])
    spool.close()
    spool.append([turn(2)])
    assert numbers(spool.read_batch()) == [2]


def test_files_of_the_dead_are_taken_over_oldest_first_and_before_ones_own(
    tmp_path: Path,
) -> None:
    for number in (1, 2):
        dead = Spool(tmp_path)
        dead.append([turn(number)])
        dead.close()
    spool = Spool(tmp_path)
    spool.append([turn(3)])
    assert spool.adopt() == 2
    assert spool.waiting == 3
    assert drained(spool) == [1, 2, 3]
    spool.close()
    assert files(tmp_path) == []


def test_a_file_is_taken_over_once(tmp_path: Path) -> None:
    dead = Spool(tmp_path)
    dead.append([turn(1)])
    dead.close()
    first, second = Spool(tmp_path), Spool(tmp_path)
    assert (first.adopt(), second.adopt()) == (1, 0)
    first.close()
    assert second.adopt() == 1


def test_a_file_that_somebody_emptied_does_not_hold_up_the_rest(tmp_path: Path) -> None:
    for number in (1, 2):
        dead = Spool(tmp_path)
        dead.append([turn(number)])
        dead.close()
    spool = Spool(tmp_path)
    spool.adopt()
    min(tmp_path.iterdir()).write_text("")
    assert numbers(spool.read_batch()) == [2]
    spool.discard_batch()
    assert spool.waiting == 0


def test_garbage_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / "pending-1.jsonl").write_bytes(b"\xff\n{}\n" + turn(1).to_line().encode() + b'{"ta')
    spool = Spool(tmp_path)
    spool.adopt()
    assert numbers(spool.read_batch()) == [1]
    spool.discard_batch()
    assert (spool.read_batch(), spool.waiting) == ([], 0)
    assert files(tmp_path) == [REFUSED]
    aside = [json.loads(line) for line in (tmp_path / REFUSED).read_text().splitlines()]
    assert [entry["record"] for entry in aside] == ["\N{REPLACEMENT CHARACTER}\n", "{}\n", '{"ta']


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 100_000,
        b'{"table": "turn", "row": ' + b'{"a": ' * 100_000,
        b'{"table": "turn", "row": {"checks": ' + b"[" * 300 + b"]" * 300 + b"}}",
        b'{"table": "turn", "row": {"number": ' + b"9" * 5000 + b"}}",
        b'{"table": "turn", "row": "x"}',
        b'{"table": "mail", "row": {}}',
        b"\xff\xfe{\x00}\x00",
        b"\r\x00",
        b"",
    ],
    ids=[
        "open lists",
        "open objects",
        "nested lists",
        "a huge number",
        "no row",
        "another table",
        "UTF-16",
        "a carriage return",
        "nothing",
    ],
)
def test_any_line_that_is_no_record_is_set_aside(tmp_path: Path, line: bytes) -> None:
    whole = [turn(number).to_line().encode() for number in (1, 2)]
    (tmp_path / "pending-1.jsonl").write_bytes(whole[0] + line + b"\n" + whole[1])
    spool = Spool(tmp_path)
    assert spool.adopt() == 3
    assert drained(spool) == [1, 2]
    (aside,) = [json.loads(kept) for kept in (tmp_path / REFUSED).read_bytes().split(b"\n") if kept]
    assert aside["record"] == line.decode(errors="replace") + "\n"


def test_many_lines_of_garbage_are_one_line_in_the_log(tmp_path: Path, log: list[str]) -> None:
    (tmp_path / "pending-1.jsonl").write_bytes(b"She said no.\n" * 1000)
    spool = Spool(tmp_path)
    spool.adopt()
    assert (spool.read_batch(), spool.waiting) == ([], 0)
    assert len((tmp_path / REFUSED).read_text().splitlines()) == 1000
    (told,) = log
    assert "1000 invalid lines" in told
    assert "She said" not in told


@pytest.mark.skipif(sys.platform == "win32", reason="pipes and links in a directory are POSIX")
def test_what_is_no_file_is_told_and_left_alone(tmp_path: Path, log: list[str]) -> None:
    folder = tmp_path / "spool"
    (folder / "pending-1.jsonl").mkdir(parents=True)
    os.mkfifo(folder / "pending-2.jsonl")
    (tmp_path / "notes.txt").write_text("Not the spool's.\n")
    (folder / "pending-3.jsonl").symlink_to(tmp_path / "notes.txt")
    (folder / "pending-4.jsonl").symlink_to(folder / "pending-4.jsonl")
    (folder / "pending-5.jsonl").write_text(turn(5).to_line())
    spool = Spool(folder)
    assert spool.adopt() == 1
    assert numbers(spool.read_batch()) == [5]
    spool.discard_batch()
    assert (tmp_path / "notes.txt").read_text() == "Not the spool's.\n"
    for name in ("pending-1", "pending-2", "pending-3", "pending-4"):
        assert sum(f"{name}.jsonl is left alone" in line for line in log) == 1


def test_a_line_without_end_holds_up_nothing_but_its_file(tmp_path: Path, log: list[str]) -> None:
    lines = [turn(number).to_line().encode() for number in (1, 2, 3)]
    (tmp_path / "pending-1.jsonl").write_bytes(lines[0] + b"\0" * (MAX_LINE_BYTES + TAKEN_BYTES))
    (tmp_path / "pending-2.jsonl").write_bytes(lines[1])
    spool = Spool(tmp_path)
    spool.append([turn(3)])
    assert spool.adopt() == 3
    assert drained(spool) == [1, 2, 3]
    spool.close()
    assert sum("pending-1.jsonl is left alone" in line for line in log) == 1
    assert files(tmp_path) == ["pending"]


def test_a_file_that_its_disk_fails_to_read_holds_up_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: list[str]
) -> None:
    class Failing(FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    spool = Spool(tmp_path)
    with monkeypatch.context() as patched:
        (tmp_path / "pending-1.jsonl").write_text(turn(1).to_line())
        patched.setattr("ledger.store.spool.FileIO", Failing)
        assert spool.adopt() == 0
    spool.append([turn(2)])
    assert numbers(spool.read_batch()) == [2]
    assert any("pending-1.jsonl is left alone: Input/output error" in line for line in log)
