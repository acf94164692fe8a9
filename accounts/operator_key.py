"""The operator's key: who can read it on this machine may do all that an admin may."""

import os
import re
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from settings import SettingsError

FILE = "operator-key"
KEY_BYTES = 32

_KEY = re.compile(r"[0-9a-f]{64}")


def path(data_dir: Path) -> Path:
    """Where the key is."""
    return data_dir / FILE


def read(data_dir: Path) -> str | None:
    """The key, 64 hex digits; ``None`` where no server has started yet, or it may not be read.

    Raises:
        SettingsError: There is something else in its place.
    """
    try:
        key = path(data_dir).read_text("ascii", "replace").strip()
    except OSError:
        return None
    if not _KEY.fullmatch(key):
        raise SettingsError(
            f"{path(data_dir)} holds no key of 64 hex digits; remove it and start the server, "
            "which makes a new one."
        )
    return key


def make(data_dir: Path) -> str:
    """The key, made if there is none; only the owner may read it.

    Raises:
        SettingsError: It can be neither read nor made.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (key := read(data_dir)) is None:
            _write(data_dir, secrets.token_hex(KEY_BYTES))
            key = path(data_dir).read_text("ascii").strip()
    except OSError as error:
        raise SettingsError(
            f"{path(data_dir)} cannot be read or made ({error.strerror or error}). "
            "Set DATA_DIR to a folder of your own."
        ) from None
    with suppress(OSError):
        path(data_dir).chmod(0o600)  # a copy or a restored backup may have widened it
    return key


def _write(data_dir: Path, key: str) -> None:
    """Put a key in place, whole, unless another process was faster: then its key is the key."""
    handle, name = tempfile.mkstemp(prefix=f".{FILE}-", dir=data_dir)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(key + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(name, path(data_dir))
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            Path(name).replace(path(data_dir))
    finally:
        Path(name).unlink(missing_ok=True)
