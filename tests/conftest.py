"""What the tests share: the loaded engines, a running server, the recordings."""

import asyncio
import dataclasses
import functools
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest
from aiohttp.test_utils import BaseTestServer, TestServer
from loguru import logger

from knowledge.document import load
from pipeline import clock
from pipeline.engines import Engines
from pipeline.settings import Settings
from pipeline.vendors import choose
from server import Server

pytest_plugins = ["pytester", "tests.databases", "tests.lateness"]

AUDIO = Path(__file__).parent / "audio"
TODAY = time.time()
"""When virtual time begins in calls whose prices are looked up."""

logger.remove()
logger.add(sys.stderr, level="WARNING")


def in_virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Hold a test's calls in virtual time, in which engines take what they really took.

    Server, caller and simulators must all be of this process; their sockets are real.
    """

    @functools.wraps(test)
    def held(*args: Any, **kwargs: Any) -> None:
        clock.run(test(*args, **kwargs), start=TODAY, counted=True)

    return held


@pytest.fixture(scope="session")
def engines() -> Engines:
    """Every embedded engine, loaded once for all tests."""
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    document = load()
    choices = choose(settings)
    return asyncio.run(Engines.load(settings, document, choices, lambda _label, _share: None))


ServerFactory = Callable[..., Any]


@pytest.fixture
def serving(engines: Engines, tmp_path: Path) -> ServerFactory:
    """A server in this process, with settings of the test's own."""

    @asynccontextmanager
    async def serve(**overrides: Any) -> AsyncIterator[tuple[Server, BaseTestServer]]:
        settings = engines.settings.model_copy(
            update={"data_dir": tmp_path, "auth": "off", **overrides}
        )
        ours = dataclasses.replace(engines, settings=settings)
        server = Server(settings, engines.document, engines.choices, engines=ours)
        async with TestServer(server.app()) as listening:
            yield server, listening

    return serve
