"""``viva document check``: a document is tried without a call."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from evals.commands.document import app


@pytest.fixture
def inn(tmp_path: Path) -> Path:
    path = tmp_path / "inn.md"
    path.write_text(
        "# Inn\n\n## Rooms\n\n| Room | Price |\n| --- | --- |\n"
        "| Single | 90 euros |\n| Double | 120 euros |\n",
        encoding="utf-8",
    )
    return path


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.output


def test_a_check_prints_every_sentence_with_its_line(inn: Path) -> None:
    code, said = run("document", "check", str(inn))
    assert code == 0
    assert "Inn (en, not a CV)" in said
    assert "7  For Single, the price is 90 euros." in said


def test_a_document_that_cannot_be_used_is_refused_in_words(tmp_path: Path) -> None:
    code, _ = run("document", "check", str(tmp_path / "nowhere.md"))
    assert code == 2
