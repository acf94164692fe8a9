"""The spool on disk: nothing is lost, nothing is taken twice, and nothing is left behind."""

import json
from io import FileIO
from pathlib import Path
from typing import Any

import pytest

from conversation.records import CallRecord, TurnRecord, Used
from ledger.store.entry import Entry
from ledger.store.spool import REFUSED, TAKEN_BYTES, Spool
from tests.ledger.records import NOON, a_call, a_call_that_ended, a_turn


def turn(number: int, **more: Any) -> Entry:
    return Entry.of_turn(a_turn(number=number, **more))


def numbers(entries: list[Entry]) -> list[int]:
    return [entry.row["number"] for entry in entries]


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
    seen = []
    while entries := spool.read_batch():
        seen += numbers(entries)
        spool.discard_batch()
    assert seen == [1, 2, 3]
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
