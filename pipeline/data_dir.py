"""Keeps ``DATA_DIR`` private to the user who runs Viva, since it holds what people said."""

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700

OTHERS = 0o077
"""Permission bits of the group and of other users."""

VIVAS = frozenset(
    (
        *(
            "dialects.json",
            "escalations.jsonl",
            "models",
            "operator-key",
            "outbox",
            "prices.toml",
            "recordings",
        ),
        *("spool", "vectors", "viva.db", "viva.db-journal", "viva.db-shm", "viva.db-wal"),
    )
)
"""Viva's files and folders, in a directory that is not its own."""

LEAST_FREE_BYTES = 16 << 20
"""Least free space: what a few calls write to the ledger, its log and the spool."""

MOST_TOLD = 3
"""Maximum number of paths named among those that stay readable."""


def private_opener(path: str, flags: int) -> int:
    """Open a file for :func:`open`, so that one which it creates is private."""
    return os.open(path, flags, PRIVATE_FILE)


def check_room(folder: Path) -> None:
    """Check that a folder has room for what a call writes.

    Raises:
        OSError: There is less than :data:`LEAST_FREE_BYTES`, or the space is unknown.
    """
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE_BYTES:
        raise OSError(errno.ENOSPC, f"{folder} has {free >> 20} MB left", str(folder))


def make_private(folder: Path) -> list[str]:
    """Make everything in a folder unreadable for other users of the machine.

    A folder that is not Viva's alone keeps its mode, and so do its other files: the working
    directory, a home directory, or one that everybody may write to. Links are not followed.

    Returns:
        Sentences on what other users can still read, and why.
    """
    if os.name != "posix" or not folder.is_dir():
        return []
    shared = _is_shared(folder)
    failed = [] if shared else _narrow(folder, PRIVATE_FOLDER)
    for path in _within(folder, only=VIVAS if shared else None):
        failed += _narrow(path, PRIVATE_FOLDER if path.is_dir() else PRIVATE_FILE)
    said = failed[:MOST_TOLD]
    if len(failed) > MOST_TOLD:
        said.append(f"Other users can read {len(failed) - MOST_TOLD} more files of DATA_DIR.")
    if shared and (mode := stat.S_IMODE(folder.stat().st_mode)) & OTHERS:
        said.append(
            f"DATA_DIR={folder} holds more than Viva's files, so that it stays readable for other "
            f"users ({mode:o}). Set DATA_DIR to a directory of its own."
        )
    return said


def _is_shared(folder: Path) -> bool:
    """Whether a folder is used for more than Viva."""
    found = folder.resolve()
    others = {Path.cwd()}
    with suppress(RuntimeError):  # a user without a home directory
        others.add(Path.home().resolve())
    within = {parent for other in others for parent in (other, *other.parents)}
    return found in within or bool(found.stat().st_mode & stat.S_ISVTX)


def _within(folder: Path, only: frozenset[str] | None) -> Iterator[Path]:
    """Files and folders in a folder, each folder before what is in it."""
    try:
        inside = sorted(folder.iterdir())
    except OSError:
        return  # told by _narrow, or by whoever needs it
    for path in inside:
        kept = path.is_file() or path.is_dir()
        if path.is_symlink() or not kept or (only is not None and path.name not in only):
            continue
        yield path
        if path.is_dir():
            yield from _within(path, None)


def _narrow(path: Path, mode: int) -> list[str]:
    """Make a file or folder private; returns a sentence if that is not possible."""
    was = 0
    try:
        was = stat.S_IMODE(path.lstat().st_mode)
        if not was & OTHERS:
            return []
        # Not by its name: it may have become a link to something else meanwhile.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            os.fchmod(handle, mode)
        finally:
            os.close(handle)
    except FileNotFoundError:  # another process has removed it
        return []
    except OSError as error:
        return [
            f"{path} can be read by other users ({was:o}), and its mode cannot be changed: "
            f"{error.strerror}. Let the user who runs Viva own it."
        ]
    return []
