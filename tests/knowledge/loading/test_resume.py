"""JSON Resume: told in sentences, cited by line, silent about what is private."""

import json
from pathlib import Path
from typing import Any

import pytest

from knowledge import Document, DocumentError, load

RESUME = Path(__file__).parent / "resume.json"


@pytest.fixture(scope="module")
def resume() -> Document:
    return load(RESUME)


def saved(folder: Path, fields: Any) -> Path:
    path = folder / "cv.json"
    path.write_text(fields if isinstance(fields, str) else json.dumps(fields), encoding="utf-8")
    return path


def test_its_title_is_whose_it_is(resume: Document) -> None:
    assert (resume.title, resume.subtitle) == ("Amara Okafor", "Structural engineer")
    assert "work/larkfield-bridges" in resume.section_ids
    assert "education/university-of-sheffield" in resume.section_ids


def test_facts_are_sentences_that_stand_alone(resume: Document) -> None:
    told = [line.text for section in resume.sections for line in section.lines]
    assert (
        "Amara Okafor works at Larkfield Bridges as a Lead engineer in Bristol since April 2017."
        in told
    )
    assert (
        "Amara Okafor worked at Halloran and Partners as a Graduate engineer "
        "from September 2012 to March 2017." in told
    )
    assert any("on 16 November 2021" in text for text in told)


def test_lines_point_into_the_file(resume: Document) -> None:
    source = RESUME.read_text(encoding="utf-8").split("\n")
    opened = next(
        line
        for line in resume.section("work/larkfield-bridges").lines
        if "Severn Beach" in line.text
    )
    assert "Designed the Severn Beach footbridge" in source[opened.number - 1]


def test_contact_details_and_references_are_not_told(resume: Document) -> None:
    text = "\n".join(section.text for section in resume.sections)
    for private in ("example.org", "7946", "Harbour Row", "BS1", "best graduate", "Sir Peter"):
        assert private not in text


def test_null_and_empty_are_absent(tmp_path: Path) -> None:
    document = load(
        saved(
            tmp_path,
            {
                "basics": {"name": "Bo", "label": None, "summary": ""},
                "work": [{"name": "Acme", "startDate": "2020", "endDate": ""}],
            },
        )
    )
    assert document.section("work/acme").lines[1].text == "Bo works at Acme since 2020."


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ("{", r"it is not JSON: .* at line 1"),
        ([], r"it is a JSON list; it must be an object"),
        ({}, r"basics\.name is missing"),
        (
            {"basics": {"name": "Bo"}, "work": [{"startDate": "May 2020"}]},
            r"work\.0\.startDate is 'May 2020': .*pattern",
        ),
        (
            {"basics": {"name": "Bo"}, "skills": [{"keywords": "C"}]},
            r"skills\.0\.keywords is 'C': .*list",
        ),
    ],
)
def test_a_bad_field_is_named(tmp_path: Path, fields: Any, complaint: str) -> None:
    with pytest.raises(DocumentError, match=complaint):
        load(saved(tmp_path, fields))
