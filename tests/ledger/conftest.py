"""The ledger's tests run on both databases."""

from collections.abc import Iterator

import pytest
from loguru import logger

from tests.databases import ENGINES, of_engine


@pytest.fixture(params=ENGINES)
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A database of the test's own, on both engines: their statements differ."""
    yield from of_engine(request)


@pytest.fixture
def log() -> Iterator[list[str]]:
    """What is logged."""
    lines: list[str] = []
    sink = logger.add(lines.append, format="{level} {message}", level="DEBUG")
    yield lines
    logger.remove(sink)
