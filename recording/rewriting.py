"""Rewrites a recording: repaired or redacted."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from models.replacement import check_replaceable, replace
from recording.mcap_file import McapFile
from recording.message import Message
from recording.recording import Recording
from recording.writer import create

CUT = "The recording was cut short, by a crash perhaps."

_NS = 1_000_000_000


def repair(recording: Recording, path: Path) -> None:
    """Write a cut recording as a complete file, with every message that could be read.

    Args:
        recording: The recording.
        path: The new file; the old file's path to replace it.

    Raises:
        OSError: It cannot be written; an existing file is unchanged.
    """
    trouble = recording.trouble or ("" if recording.whole else CUT)
    rewrite(path, recording.metadata, recording.messages, trouble=trouble)


def rewrite(
    path: Path, metadata: Mapping[str, str], messages: Iterable[Message], *, trouble: str = ""
) -> None:
    """Write a complete recording atomically.

    Args:
        path: The file; an existing one is replaced.
        metadata: The metadata.
        messages: The messages, in order.
        trouble: Why it ends before its call; empty if it does not.

    Raises:
        OSError: It cannot be written; an existing file is unchanged.
    """
    check_replaceable(path)
    start_ns = round(float(metadata["started_at"]) * _NS)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with create(unfinished) as stream:
            file = McapFile(stream, metadata)
            for message in messages:
                file.write(start_ns + round(message.at * _NS), message.topic, message.data)
            file.finish(trouble)
            stream.flush()
            os.fsync(stream.fileno())
        replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
