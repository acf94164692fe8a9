"""The fixture ``viva_session`` for tests of one's own document.

In ``conftest.py``::

    pytest_plugins = ["evals.text.pytest_plugin"]

and in a test, with pytest-asyncio::

    async def test_where_she_studied(viva_session):
        async with viva_session("cv.md") as session:
            (await session.ask("Where did she study?")).says("Porto").cites("education")
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from evals.text.session import TextSession, load_engines
from evals.text.session import viva_session as open_session
from knowledge.loading.document import Document, load
from pipeline.engines import Engines
from settings import Settings

Opened = Callable[..., AbstractAsyncContextManager[TextSession]]


@pytest.fixture(scope="session")
def viva_session() -> Iterator[Opened]:
    """:func:`evals.text.session.viva_session`; an embedded brain is loaded once for all tests."""
    kept: dict[tuple[str, str], Engines] = {}

    @asynccontextmanager
    async def opened(
        document: Document | Path | str | None = None, *, brain: str = ""
    ) -> AsyncIterator[TextSession]:
        settings = Settings.load(brain=brain or None)
        read = (
            document
            if isinstance(document, Document)
            else load(Path(document) if document else None)
        )
        key = (read.sha256, settings.brain)
        engines = kept.get(key) or await load_engines(read, settings)
        # Connections to a cloud belong to a test's event loop.
        embedded = all(vendor.kind == "embedded" for vendor in engines.choices["brain"].vendors)
        if embedded:
            kept[key] = engines
        try:
            async with open_session(engines=engines) as session:
                yield session
        finally:
            if not embedded:
                await engines.close()

    yield opened
    for engines in kept.values():
        asyncio.run(engines.close())
