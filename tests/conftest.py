"""What the tests share: virtual time, a running server, the recordings."""

import telemetry  # noqa: F401 - before anything that has some  # isort: skip

import dataclasses
import functools
import gc
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import BaseTestServer, TestServer
from hypothesis import settings as hypothesis_settings
from loguru import logger
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from evals.replay import virtual_time
from pipeline.engines import Engines
from server import Server

pytest_plugins = ["pytester", "tests.databases", "tests.engines", "tests.lateness"]

AUDIO = Path(__file__).parent / "audio"
TODAY = time.time()
"""When virtual time begins in calls whose prices are looked up."""

# Examples a property: enough to notice a change that breaks it, or enough to find what nobody
# thought of. `make test-thorough` asks for the latter by --hypothesis-profile.
hypothesis_settings.register_profile("ci", max_examples=25, deadline=None)
hypothesis_settings.register_profile("thorough", max_examples=500, deadline=None)
hypothesis_settings.load_profile("ci")

LONG_FIRST = ("end_to_end", "operating", "evals", "web")
"""Folders whose single modules take the longest: begun last, one would run on alone at the end. In
this order, too, a worker goes from one module of the page to the next in the same browser."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        return LONG_FIRST.index(folder) if folder in LONG_FIRST else len(LONG_FIRST)

    items.sort(key=place)


SHARING = ("tests/web/", "tests/evals/replay/")
"""Folders whose modules share what takes long to make, a browser and held calls: whole to one
worker, where the others' modules go each to whichever worker is free."""


class ByFileOrFolder(LoadFileScheduling):  # type: ignore[misc]
    """Gives a worker a module at a time, or a folder."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return next((folder for folder in SHARING if file.startswith(folder)), file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFileOrFolder | None:
    return ByFileOrFolder(config, log) if config.getvalue("dist") == "loadfile" else None


# What importing all modules has made is kept for good. Looking through it for what can be freed
# takes 0.4 s each time.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


logger.remove()
logger.add(sys.stderr, level="WARNING")


def in_virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Hold a test's calls in virtual time, in which engines take what they computed.

    What else the machine does takes none, so that a busy one holds the same calls. Server, caller
    and simulators must all be of this process; their sockets are real.
    """

    @functools.wraps(test)
    def held(*args: Any, **kwargs: Any) -> None:
        virtual_time.run(
            test(*args, **kwargs), start=TODAY, counted=True, counted_by=virtual_time.cpu_clock
        )

    return held


def with_instant_engines(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Hold a test in virtual time in which engines take none: the same steps on any machine."""

    @functools.wraps(test)
    def held(*args: Any, **kwargs: Any) -> None:
        virtual_time.run(test(*args, **kwargs))

    return held


ServerFactory = Callable[..., Any]


@pytest.fixture
def serving(engines: Engines, data_dir: Path) -> ServerFactory:
    """A server in this process, with settings of the test's own; late, it refuses nobody."""

    @asynccontextmanager
    async def serve(**overrides: Any) -> AsyncIterator[tuple[Server, BaseTestServer]]:
        settings = engines.settings.model_copy(
            update={"data_dir": data_dir, "auth": "off", "max_lag_secs": 60.0, **overrides}
        )
        ours = dataclasses.replace(engines, settings=settings)
        server = Server(settings, engines.document, engines.choices, engines=ours)
        async with TestServer(server.app()) as listening:
            yield server, listening

    return serve
