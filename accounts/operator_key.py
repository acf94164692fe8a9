"""The operator's key: a file that gives admin rights to whoever can read it."""

import os
import re
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from models.replacement import replace
from settings import SettingsError

FILE = "operator-key"
KEY_BYTES = 32

_KEY = re.compile(r"[0-9a-f]{64}")


def path(data_dir: Path) -> Path:
    """Path of the key file."""
    return data_dir / FILE


def read(data_dir: Path) -> str | None:
    """The key, 64 hex digits; ``None`` if it does not exist yet or cannot be read.

    Raises:
        SettingsError: The file holds something else.
    """
    try:
        key = path(data_dir).read_text("ascii", "replace").strip()
    except OSError:
        return None
    if not _KEY.fullmatch(key):
        raise SettingsError(
            f"{path(data_dir)} does not hold a key of 64 hex digits; remove it and start the "
            "server, which creates a new one."
        )
    return key


def load_or_create(data_dir: Path) -> str:
    """The key; created if it does not exist. Only the owner may read it.

    Raises:
        SettingsError: The file can be neither read nor created.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (key := read(data_dir)) is None:
            _write(data_dir, secrets.token_hex(KEY_BYTES))
            key = path(data_dir).read_text("ascii").strip()
    except OSError as error:
        raise SettingsError(
            f"{path(data_dir)} cannot be read or created ({error.strerror or error}). "
            "Set DATA_DIR to a directory of your own."
        ) from None
    with suppress(OSError):
        path(data_dir).chmod(0o600)  # a copy or a restored backup may have widened it
    return key


def _write(data_dir: Path, key: str) -> None:
    """Create the key file atomically; if another process has created one first, that one stays."""
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
        except OSError:  # a file system without hard links
            replace(Path(name), path(data_dir))
    finally:
        Path(name).unlink(missing_ok=True)
