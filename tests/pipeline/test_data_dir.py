"""What people said is nobody else's to read, whoever made the folder that it is kept in."""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from conversation.frames import EscalationFrame
from ledger.store.database import Database
from ledger.store.entry import Entry
from ledger.store.spool import Spool
from pipeline.data_dir import LEAST_FREE_BYTES, check_room, make_private
from pipeline.escalations import Escalations
from recording.writer import create
from settings import Settings
from tests.ledger.records import a_call

pytestmark = pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose users share what they create."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home)
    before = os.umask(0o022)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    """The mode of a folder and of everything in it."""
    return {
        str(path.relative_to(folder)): stat.S_IMODE(path.lstat().st_mode)
        for path in (folder, *folder.rglob("*"))
    }


def made_beforehand(folder: Path) -> Path:
    for name in ("spool/pending-1.jsonl", "recordings/c-1.mcap", "outbox/old/1.eml", "viva.db"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    (folder / "notes.sh").write_text("")
    (folder / "notes.sh").chmod(0o777)
    return folder


def test_what_was_there_before_becomes_private(tmp_path: Path) -> None:
    folder = made_beforehand(tmp_path / "data")
    assert make_private(folder) == []
    assert {mode for name, mode in modes(folder).items() if (folder / name).is_file()} == {0o600}
    assert {mode for name, mode in modes(folder).items() if (folder / name).is_dir()} == {0o700}
    assert len(modes(folder)) == 10


def test_what_links_lead_to_stays_as_it_is(tmp_path: Path) -> None:
    folder = made_beforehand(tmp_path / "data")
    elsewhere = made_beforehand(tmp_path / "elsewhere")
    (folder / "models").symlink_to(elsewhere)
    (folder / "prices.toml").symlink_to(elsewhere / "viva.db")
    before = modes(elsewhere)
    assert make_private(folder) == []
    assert modes(elsewhere) == before


def test_a_directory_that_is_not_vivas_alone_keeps_its_other_files(tmp_path: Path) -> None:
    home = made_beforehand(tmp_path / "home")
    home.chmod(0o755)
    (said,) = make_private(home)
    assert "holds more than Viva's files" in said
    found = modes(home)
    assert (found["."], found["notes.sh"]) == (0o755, 0o777)
    assert found["viva.db"] == found["recordings/c-1.mcap"] == 0o600
    assert found["spool"] == 0o700
    everybodys = made_beforehand(tmp_path / "everybodys")
    everybodys.chmod(0o1777)
    (said,) = make_private(everybodys)
    assert modes(everybodys)["."] == 0o1777
    assert modes(everybodys)["viva.db"] == 0o600


def test_what_cannot_be_changed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = made_beforehand(tmp_path / "data")

    def refuse(_handle: int, _mode: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchmod", refuse)
    said = make_private(folder)
    assert said[0].startswith(f"{folder} can be read by other users (755), and its mode cannot be")
    assert said[-1] == "Other users can read 7 more files of DATA_DIR."
    assert make_private(tmp_path / "nowhere") == []


async def test_what_is_written_is_private_in_a_folder_that_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    Database.open(Settings(_env_file=None, data_dir=folder)).close()  # type: ignore[call-arg]
    frame = EscalationFrame(turn=1, question="Who?")
    await Escalations(folder / "escalations.jsonl").add("c-1", frame)
    spool = Spool(folder / "spool")
    entry = Entry.of_call(a_call("c-1"))
    spool.append([entry])
    spool.reject(entry, "not a record")
    create(folder / "recordings" / "c-1.mcap").close()
    for name, mode in modes(folder).items():
        assert name == "." or mode in (0o600, 0o700), name


def test_a_disk_that_is_full_has_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_room(tmp_path)
    full = shutil.disk_usage(tmp_path)._replace(free=LEAST_FREE_BYTES - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: full)
    with pytest.raises(OSError, match="has 15 MB left"):
        check_room(tmp_path)
