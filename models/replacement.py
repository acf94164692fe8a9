"""Replaces a file with a finished one, and refuses to replace anything but a file.

Renaming a file onto a path removes what was there: as root, ``--out /dev/null`` would replace the
device with a plain file, for every program on the machine.
"""

import errno
import stat
from pathlib import Path

_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


def check_replaceable(path: Path) -> None:
    """Refuse a path that exists and is not a regular file.

    Raises:
        OSError: It is something else, or that is unknown.
    """
    try:
        kind = stat.S_IFMT(path.lstat().st_mode)
    except FileNotFoundError:
        return
    if kind != stat.S_IFREG:
        what = _KINDS.get(kind, "something else")
        raise OSError(errno.EEXIST, f"it is {what}, and only a file is replaced", str(path))


def replace(finished: Path, path: Path) -> None:
    """Rename a finished file onto a path.

    Raises:
        OSError: The path is not a regular file, or the file cannot be renamed.
    """
    check_replaceable(path)
    finished.replace(path)
