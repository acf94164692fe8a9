"""A finished file takes the place of a file, and of nothing else."""

import os
import socket
from pathlib import Path

import pytest

from models.replacement import check_replaceable, replace


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    path = tmp_path / ".finished"
    path.write_text("new")
    return path


def test_a_file_is_replaced_and_an_absent_one_made(finished: Path, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    replace(finished, path)
    assert path.read_text() == "new"
    finished.write_text("newer")
    replace(finished, path)
    assert path.read_text() == "newer"


@pytest.mark.parametrize("kind", ["a directory", "a symbolic link", "a pipe", "a socket"])
def test_whatever_else_is_there_stays(kind: str, finished: Path, tmp_path: Path) -> None:
    path = tmp_path / "there"
    with socket.socket(socket.AF_UNIX) as listening:
        match kind:
            case "a directory":
                path.mkdir()
            case "a symbolic link":
                path.symlink_to(tmp_path / "elsewhere")
            case "a pipe":
                os.mkfifo(path)
            case _:
                listening.bind(str(path))
        before = path.lstat().st_ino
        with pytest.raises(OSError, match=f"it is {kind}"):
            replace(finished, path)
    assert path.lstat().st_ino == before
    assert finished.read_text() == "new"


def test_a_device_is_told_before_anything_is_written() -> None:
    with pytest.raises(OSError, match="it is a device"):
        check_replaceable(Path(os.devnull))


def test_nothing_of_viva_renames_without_this() -> None:
    """What else renames would replace a device by a file, run by root."""
    folders = "accounts client conversation evals knowledge ledger models operating pipeline"
    sources = [
        module
        for folder in [*folders.split(), "processors", "recording", "transports", "simulators"]
        for module in Path(folder).rglob("*.py")
    ]
    renaming = [
        str(module)
        for module in [*sources, *Path().glob("*.py")]
        if module.name != "replacement.py"
        for line in module.read_text("utf-8").splitlines()
        if ".rename(" in line
        or "os.replace(" in line
        or (".replace(" in line and "," not in line and "path" in line.partition(".replace(")[2])
    ]
    assert renaming == []
