"""Redaction: removes what people said from the files beside the database."""

import json
import os
import re
from collections.abc import Callable, Iterable
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any


def redact(path: Path, redacted: Callable[[Any], Any]) -> int:
    """Redact lines of JSON in place, while other processes may append to the file.

    Args:
        path: The file; it need not exist.
        redacted: Maps a line's value (its text, if it is not JSON) to what remains, which must
            not be longer; ``None`` keeps the line.

    Returns:
        Number of lines changed.

    Raises:
        OSError: The file cannot be read or written.
        ValueError: A redacted line is longer than it was.
    """
    if not path.exists():
        return 0
    changed = 0
    with path.open("r+b") as file:
        at = 0
        for line in file.read().splitlines(keepends=True):
            text = line.rstrip(b"\n")
            remains = redacted(_value(text))
            if remains is not None:
                new = json.dumps(remains, ensure_ascii=False).encode().ljust(len(text))
                if len(new) > len(text):
                    raise ValueError("a redacted line is longer than it was")
                if new != text:
                    file.seek(at)
                    file.write(new)
                    changed += 1
            at += len(line)
        if changed:
            file.flush()
            os.fsync(file.fileno())
    return changed


def remove_older(files: Iterable[Path], than: float) -> int:
    """Remove files last modified before a point in time.

    Args:
        files: The files.
        than: Unix seconds.

    Returns:
        Number of files removed.

    Raises:
        OSError: A file cannot be removed.
    """
    old = [file for file in files if file.is_file() and file.stat().st_mtime < than]
    for file in old:
        file.unlink(missing_ok=True)
    return len(old)


def remove_mails(folder: Path, names: Iterable[str]) -> int:
    """Remove the ``.eml`` files of a directory that mention given names.

    Args:
        folder: The directory; it need not exist.
        names: Addresses, or call ids.

    Returns:
        Number of files removed.

    Raises:
        OSError: A file cannot be read or removed.
    """
    any_name = "|".join(re.escape(name) for name in names)
    named = re.compile(rf"(?<![\w.+-])({any_name})(?![\w-])", re.IGNORECASE)
    removed = 0
    for file in sorted(folder.glob("*.eml")):
        mail = message_from_bytes(file.read_bytes(), policy=policy.default)
        texts = [str(value) for value in mail.values()]
        texts += [
            str(part.get_content()) for part in mail.walk() if part.get_content_maintype() == "text"
        ]
        if any(map(named.search, texts)):
            file.unlink(missing_ok=True)
            removed += 1
    return removed


def _value(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text.decode(errors="replace")
