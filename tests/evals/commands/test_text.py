"""``viva ask`` and ``viva eval``: three CVs of one's own, and twelve questions about them."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evals.commands.text import app
from evals.text.pytest_plugin import Opened, viva_session
from tests.engines import vectors
from tests.evals.text.scripted import CV

__all__ = ["viva_session"]  # the fixture


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DATA_DIR", str(vectors().parent))
    monkeypatch.setenv("BRAIN", "extractive")
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "ana.md").write_text(CV, "utf-8")
    return tmp_path


def viva(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def test_a_question_is_answered_with_its_section(folder: Path) -> None:
    code, said = viva("ask", "Where did she study?", "--document", folder / "ana.md")
    assert (code, said.splitlines()[1]) == (0, "[respond, high] education")
    assert "Porto" in said.splitlines()[0]


def test_a_file_of_questions_is_held_against_what_is_expected(folder: Path) -> None:
    questions = folder / "questions.toml"
    questions.write_text(
        'document = "ana.md"\n'
        '[[questions]]\nask = "Where did she study?"\nsays = ["Porto"]\nsections = ["education"]\n'
        '[[questions]]\nask = "What does she earn?"\ndecision = "sensitive"\n'
        '[[questions]]\nask = "Where does she work?"\nsays = ["Google"]\n',
        "utf-8",
    )
    junit, html = folder / "report.xml", folder / "report.html"
    code, said = viva("eval", questions, "--junit", junit, "--html", html)
    assert code == 1
    assert said.splitlines()[-1] == "2 of 3 questions as expected."
    assert "FAILED  Ana Sousa: Where does she work?" in said
    assert "why: no line of the document, as it was read, says that" in said
    assert 'failures="1"' in junit.read_text("utf-8")
    assert "Farfetch" in html.read_text("utf-8")


def test_a_section_that_the_document_does_not_have_is_named_before_anything_is_asked(
    folder: Path,
) -> None:
    questions = folder / "questions.toml"
    asked = '[[questions]]\nask = "Where did she study?"\nsections = ["educaton"]\n'
    questions.write_text(f'document = "ana.md"\n{asked}', "utf-8")
    code, said = viva("eval", questions)
    assert code == 2
    told = "Ana Sousa has no section 'educaton'; did you mean education?"
    assert told in " ".join(said.split())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("eval", "nowhere.toml"), "nowhere.toml: there is no such file"),
        (("eval", "q.toml", "--criteria", "kind"), "--criteria has 'kind'; allowed: faithful"),
        (("eval", "q.toml", "--criteria", "tone"), "--criteria, --labels, --verdicts and"),
        (("eval", "q.toml"), "1 question has a criterion in words, such as 'Why?'"),
        (("eval", "q.toml", "--judge", "gemini"), "--judge is 'gemini'; allowed: openai, claude"),
        (("eval", "q.toml", "--skip-criteria", "--document", "no.md"), "no.md"),
        (("ask", "Why?", "--brain", "oracle"), "BRAIN='oracle' is unknown; allowed: auto"),
    ],
)
def test_what_cannot_be_asked_ends_with_2_and_says_why(
    arguments: tuple[str, ...], told: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    Path("q.toml").write_text('[[questions]]\nask = "Why?"\nexpect = "a reason"\n', "utf-8")
    code, said = viva(*arguments)
    assert code == 2
    assert told in said.replace("\n", " ")


async def test_a_test_of_one_s_own_asks_in_two_lines(folder: Path, viva_session: Opened) -> None:
    async with viva_session(folder / "ana.md") as session:
        reply = await session.ask("Where did she study?")
    reply.says("Porto").cites("education")
    async with viva_session(folder / "ana.md") as again:
        assert again.engines is session.engines, "one brain for all tests"


def test_a_report_that_cannot_be_written_loses_no_outcome(folder: Path) -> None:
    questions = folder / "questions.toml"
    questions.write_text('[[questions]]\nask = "Where did she study?"\n', "utf-8")
    arguments = ("--document", folder / "ana.md", "--junit", folder / "no" / "report.xml")
    code, said = viva("eval", questions, *arguments)
    assert code == 2
    assert "1 of 1 question as expected." in said
    assert "report.xml cannot be written: No such file or directory." in said.replace("\n", "")


def test_replies_can_be_had_as_json(folder: Path) -> None:
    code, said = viva("ask", "Where did she study?", "--document", folder / "ana.md", "--json")
    (reply,) = json.loads(said)
    assert (code, reply["decision"], reply["sections"]) == (0, "respond", ["education"])
