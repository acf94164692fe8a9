"""A recording written anew: repaired, or without what may not be kept."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from recording.mcap_file import McapFile
from recording.message import Message
from recording.recording import Recording
from recording.writer import create

CUT = "The recording was cut short, by a crash perhaps."

_NS = 1_000_000_000


def repair(recording: Recording, path: Path) -> None:
    """Write a recording that was cut as a whole file, with every message that could be read.

    Args:
        recording: The recording.
        path: The new file; the old one's own to replace it.

    Raises:
        OSError: It cannot be written; a file that was there is as it was.
    """
    trouble = recording.trouble or ("" if recording.whole else CUT)
    rewrite(path, recording.metadata, recording.messages, trouble=trouble)


def rewrite(
    path: Path, metadata: Mapping[str, str], messages: Iterable[Message], *, trouble: str = ""
) -> None:
    """Write a whole recording; the file is there once all of it is.

    Args:
        path: Its file; one that is there is replaced.
        metadata: As it was.
        messages: In order.
        trouble: Why it ends before its call; empty if it does not.

    Raises:
        OSError: It cannot be written; a file that was there is as it was.
    """
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
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
