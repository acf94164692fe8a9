"""The server as a whole: what it says at start, and when it ends by itself."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from knowledge.loading.document import load
from pipeline.choice import choose
from pipeline.loading import LoadingError
from server import Server, serve
from settings import Settings


def test_it_logs_which_front_matter_it_leaves_to_other_tools(tmp_path: Path) -> None:
    page = tmp_path / "about.md"
    page.write_text("---\ntitle: Ada\nlayout: post\ntags: [cv]\n---\n# Ada\n## Work\nShe wrote.\n")
    settings = Settings.load(data_dir=tmp_path, auth="off")
    logged: list[str] = []
    sink = logger.add(lambda message: logged.append(message.record["message"]), level="INFO")
    try:
        Server(settings, load(page), choose(settings))
    finally:
        logger.remove(sink)
    assert "about.md: front matter of other tools, ignored: layout, tags" in logged


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (ValueError("voice is 7"), "ValueError: voice is 7. Correct that, or set another vendor"),
        (
            ImportError("No module named 'sdk'"),
            "ImportError: No module named 'sdk'. Run `make install`, or set another vendor",
        ),
    ],
)
async def test_it_ends_when_a_vendor_cannot_be_loaded(
    tmp_path: Path, raised: Exception, told: str
) -> None:
    """It listens while it loads; without this it would go on, and refuse every call."""

    def load_nothing(*_: Any) -> None:
        raise raised

    settings = Settings.load(data_dir=tmp_path, auth="off", port=0)
    choices = choose(settings)
    vendor = dataclasses.replace(choices["vad"].vendor, load=load_nothing)
    choices = {**choices, "vad": dataclasses.replace(choices["vad"], vendor=vendor)}
    addresses: list[str] = []
    server = Server(settings, load(), choices)
    expected = rf"^VAD={vendor.name} cannot be loaded.*: {re.escape(told)}"
    with pytest.raises(LoadingError, match=expected):
        await serve(server, listening=lambda address, _link: addresses.append(address))
    assert len(addresses) == 1, "it said where it listens"
