"""Replaces a file by a finished one, and nothing else than a file.

To rename a file onto a path is to remove whatever was there: ``--out /dev/null``, as root, would
leave a plain file in place of the device, for every program of the machine.
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
    """Refuse a path at which there is something else than a regular file, or nothing.

    Raises:
        OSError: There is; or it cannot be found out.
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
        OSError: There is something else than a regular file, or it cannot be renamed.
    """
    check_replaceable(path)
    finished.replace(path)
