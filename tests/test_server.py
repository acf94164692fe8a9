"""The server as a whole, before it listens."""

from pathlib import Path

from loguru import logger

from knowledge.loading.document import load
from pipeline.choice import choose
from server import Server
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
