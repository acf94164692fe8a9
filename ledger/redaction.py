"""Redaction: what people said is taken out of the files that Viva writes beside the database."""

import json
import os
import re
from collections.abc import Callable, Iterable
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any


def redact(path: Path, redacted: Callable[[Any], Any]) -> int:
    """Take something out of lines of JSON, in place: others may append to the file meanwhile.

    Args:
        path: The file; it need not exist.
        redacted: Of a line's value (its text, where it is no JSON): what remains of it, which may
            not be longer; ``None`` to leave it as it is.

    Returns:
        How many lines were changed.

    Raises:
        OSError: The file cannot be read or written.
        ValueError: What remains of a line is longer.
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
                    raise ValueError("what remains of a line is longer than it was")
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
    """Remove files that were last written before a moment.

    Args:
        files: The files.
        than: Unix seconds.

    Returns:
        How many there were.

    Raises:
        OSError: One of them cannot be removed.
    """
    old = [file for file in files if file.is_file() and file.stat().st_mtime < than]
    for file in old:
        file.unlink(missing_ok=True)
    return len(old)


def remove_mails(folder: Path, names: Iterable[str]) -> int:
    """Remove the mails in a folder that name somebody or something, as ``.eml`` files.

    Args:
        folder: It need not exist.
        names: Addresses, or ids of calls.

    Returns:
        How many there were.

    Raises:
        OSError: One of them cannot be read or removed.
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
    except ValueError:
        return text.decode(errors="replace")
