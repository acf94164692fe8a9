"""What the tests of operating share: a log to read, and logging left as it was found."""

import io
import logging
import sys
from collections.abc import Iterator

import pytest
from loguru import logger

from operating.logs import FLOORS


@pytest.fixture
def log() -> Iterator[list[str]]:
    """The messages that are logged, at INFO and above."""
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(line.record["message"]), level="INFO")
    yield lines
    logger.remove(sink)


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where logs are written to; when the test is over, logging is as it was."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in FLOORS}
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
