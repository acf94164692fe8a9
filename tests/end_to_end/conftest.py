"""Servers in processes of their own, loaded once for all tests that call them."""

import functools
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.end_to_end.running import Viva

LIGHTHOUSE = """# Larkspur lighthouse

## The tower
- The tower was built in 1887 by the engineer Margaret Dunmore.
- It stands on a reef of granite, thirty-one metres above the sea.

## Visits
- The tower is open to visitors on Saturdays from ten to four.
- A boat leaves the harbour of Larkspur every half hour.
"""

Servers = Callable[[str], Viva]


@pytest.fixture(scope="package", autouse=True)
def _certificates_read_once() -> Iterator[None]:
    """Every client of a vendor reads the certificates of all authorities, which takes 33 ms.

    A server on the cloud stack has four of them; here they speak to simulators, without TLS.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", functools.cache(ssl.create_default_context))
        yield


@pytest.fixture(scope="package")
def lighthouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A document that is not the bundled CV."""
    path = tmp_path_factory.mktemp("knowledge") / "lighthouse.md"
    path.write_text(LIGHTHOUSE)
    return path


@pytest.fixture(scope="package")
def servers() -> Iterator[Servers]:
    """A loaded server for a document ('' is the bundled CV), kept until a test ends it."""
    running: dict[str, Viva] = {}

    def server_for(knowledge: str) -> Viva:
        if knowledge not in running or not running[knowledge].running:
            running[knowledge] = Viva(KNOWLEDGE=knowledge)
        return running[knowledge].loaded()

    yield server_for
    for viva in running.values():
        viva.kill()
