"""JSON Resume: told in sentences, cited by line, silent about what is private."""

import json
from pathlib import Path
from typing import Any

import pytest

from knowledge.loading.document import Document, DocumentError, load

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


@pytest.mark.parametrize(
    ("summary", "told"),
    [
        ("For the park.", "Bo Lind received Prix from Ordre on 14 May 2022, for the park."),
        ("It is rare.", "Bo Lind received Prix from Ordre on 14 May 2022. It is rare."),
    ],
)
def test_the_summary_of_an_award_ends_its_sentence_or_is_one(
    tmp_path: Path, summary: str, told: str
) -> None:
    award = {"title": "Prix", "date": "2022-05-14", "awarder": "Ordre", "summary": summary}
    resume = load(saved(tmp_path, {"basics": {"name": "Bo Lind"}, "awards": [award]}))
    assert told in [line.text for section in resume.sections for line in section.lines]


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
    ],
)
def test_a_file_that_is_no_resume_is_refused(tmp_path: Path, fields: Any, complaint: str) -> None:
    with pytest.raises(DocumentError, match=complaint):
        load(saved(tmp_path, fields))


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        ("2019-01", "Present", "works at Acme since January 2019."),
        ("2019-01", " ", "works at Acme since January 2019."),
        ("2019-01", "2099-01", "works at Acme since January 2019."),
        ("2023-9-28", None, "works at Acme since 28 September 2023."),
        ("2020-05-01T00:00:00.000Z", "2021", "worked at Acme from 1 May 2020 to 2021."),
        (2019, 2020, "worked at Acme from 2019 to 2020."),
        ("May 2019", "June 1st, 2020", "worked at Acme from May 2019 to 1 June 2020."),
        ("05/2019", "Summer 2020", "worked at Acme from May 2019 to 2020."),
    ],
)
def test_dates_are_read_as_people_write_them(
    tmp_path: Path, start: Any, end: Any, said: str
) -> None:
    work = [{"name": "Acme", "startDate": start, "endDate": end}]
    document = load(saved(tmp_path, {"basics": {"name": "Bo"}, "work": work}))
    assert document.section("work/acme").lines[1].text == f"Bo {said}"
    assert document.skipped == ()


def test_the_names_of_older_schemas_are_known(tmp_path: Path) -> None:
    document = load(
        saved(
            tmp_path,
            {
                "basics": {"name": "Bo", "location": "Oslo"},
                "work": [{"company": "Acme", "highlights": ["**Built** <b>it</b>.", None, ""]}],
                "education": [{"institution": "NTNU", "gpa": 1.3}],
                "skills": [{"name": "Tools", "keywords": "C"}],
            },
        )
    )
    told = [line.text for section in document.sections for line in section.lines]
    assert {"Bo is based in Oslo.", "Bo works at Acme.", "Built it."} <= set(told)
    assert {"The score there was 1.3.", "Tools: C."} <= set(told)


def test_what_cannot_be_used_is_named_and_the_rest_is_served(tmp_path: Path) -> None:
    document = load(
        saved(
            tmp_path,
            {
                "basics": {"name": "Bo"},
                "work": [{"name": "Acme", "startDate": "long ago"}, 7],
                "awards": "none",
            },
        )
    )
    assert document.section("work/acme").lines[1].text == "Bo works at Acme."
    start, number, awards = document.skipped
    assert "work.0.startDate is left out" in start
    assert "'long ago'" in start or "must be a date" in start
    assert "work.1 is left out: it is '7', not an object" in number
    assert "awards is left out: it is 'none', not a list" in awards


def test_a_byte_order_mark_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "bom.json"
    path.write_bytes(b'\xef\xbb\xbf{"basics": {"name": "Bo", "summary": "Bo forges."}}')
    assert load(path).title == "Bo"
