"""What is refused, and what only sounds like it."""

import json
from pathlib import Path

import pytest

from knowledge.check.sensitive import topic_of
from knowledge.loading.document import Document, load


@pytest.fixture(scope="module")
def cv() -> Document:
    return load()


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("What was her salary?", "salary"),
        ("what salaries did she get", "salary"),
        ("How much did Grace earn in the Navy?", "salary"),
        ("How much was she paid?", "salary"),
        ("What did she earn?", "salary"),
        ("What's Grace Hopper's income?", "salary"),
        ("Could I see her references?", "references"),
        ("Who could vouch for her?", "references"),
        ("How can I contact her?", "contact details"),
        ("What's her e-mail?", "contact details"),
        ("Where does she live?", "contact details"),
        ("Where does she work, and where does she live?", "contact details"),
        ("Was she in good health?", "health"),
        ("How did she die?", "health"),
        ("How old was she then?", "age"),
        ("At what age did she start?", "age"),
        ("Is she married?", "family"),
        ("Did she have children?", "family"),
        ("Who was her mother?", "family"),
        ("Tell me about Hopper's father.", "family"),
        ("Who did she vote for?", "beliefs"),
    ],
)
def test_a_question_on_a_sensitive_topic_is_recognised(cv: Document, text: str, topic: str) -> None:
    found = topic_of(text, cv)
    assert found is not None
    assert found.name == topic


@pytest.mark.parametrize(
    "text",
    [
        "Where did she work in her early age?",
        "How much did she contribute to COBOL?",
        "Which degrees did she earn?",
        "What did she earn her PhD in?",
        "When did she die?",
        "Where was she born?",
        "What does COBOL refer to?",
        "Who was her boss at Harvard?",
        "What family of machines did UNIVAC belong to?",
        "Did she address the committee?",
        "What did she work on as a programmer?",
        "Did she pay attention to standards?",
        "I'll ask something else.",
        "What was the contract with the Navy?",
        "In which part of the Navy did she serve?",
        "How old were the pupils?",
        "Where does she live and work?",
        "She lived and worked in New York.",
        "Where is she working and living?",
    ],
)
def test_what_only_sounds_like_one_is_let_through(cv: Document, text: str) -> None:
    assert topic_of(text, cv) is None


@pytest.mark.parametrize(
    "text",
    [
        "My daughter wants to study mathematics. Where did she study?",
        "My wife asked me to find out which languages she designed.",
        "I have been sick all week, so tell me something about COBOL.",
        "I voted today. What is she best known for?",
    ],
)
def test_the_callers_own_affairs_are_not_hers(cv: Document, text: str) -> None:
    assert topic_of(text, cv) is None


@pytest.mark.parametrize(
    "text",
    [
        "Ist sie verheiratet?",
        "Wie alt ist sie?",
        "Was verdient sie?",
        "Welche Krankheit hatte sie?",
        "Quel \u00e2ge a-t-elle ?",
        "\u00bfEst\u00e1 casada?",
        "Is she married?",
    ],
)
def test_a_cv_in_another_language_refuses_the_same(tmp_path: Path, text: str) -> None:
    path = tmp_path / "cv.md"
    path.write_text(
        "---\nlanguage: de\n---\n# Klara Winter\n\n"
        "## Beruf\n\nSeit 2015 leitet sie die Werkstatt.\n\n"
        "## Ausbildung\n\nLehre in Kiel.\n",
        encoding="utf-8",
    )
    document = load(path)
    assert topic_of(text, document) is not None
    assert document.skipped == ()


def test_a_cv_in_a_language_without_lists_is_warned_of(tmp_path: Path) -> None:
    path = tmp_path / "cv.md"
    path.write_text(
        "---\nlanguage: pl\n---\n# Jan Nowak\n\n## Experience\n\nKowal.\n\n## Skills\n\nKucie.\n",
        encoding="utf-8",
    )
    (warning,) = load(path).skipped
    assert "sensitive topics are known in en, de, fr, es" in warning


def test_an_employers_name_is_nobodys_health(tmp_path: Path) -> None:
    path = tmp_path / "resume.json"
    work = {"company": "Cancer Hospital Lund", "position": "Nurse", "startDate": "2019"}
    path.write_text(json.dumps({"basics": {"name": "Ada Berg"}, "work": [work]}))
    nurse = load(path)

    assert topic_of("She works at the Cancer Hospital Lund.", nurse) is None
    assert topic_of("Was she in hospital for cancer?", nurse) is not None
    assert topic_of("Does she have a medical condition?", nurse) is not None
    assert topic_of("Has she certified a medical device?", nurse) is None


TEACHER = """# Maria Lindgren

## Experience

### Oak Primary School, Leeds

- Taught a class of 24 children.
- Looked after kids with hearing loss.

### St Luke's Hospital, Leeds

- Told stories to the sick on the children's ward.

## Education

BA in Education.

## Languages

Swedish.
"""


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Document:
    path = tmp_path_factory.mktemp("teacher") / "cv.md"
    path.write_text(TEACHER)
    return load(path)


@pytest.mark.parametrize(
    "text",
    [
        "How many children were in her class?",
        "How old were the children?",
        "What age group did she teach?",
        "Has she worked with children?",
        "Did she have experience with kids?",
        "Which hospital did she work at?",
        "What did she do at St Luke's Hospital?",
        "Taught a class of 24 children.",
        "She told stories to the sick on the children's ward.",
    ],
)
def test_those_somebody_works_with_are_not_her_family(teacher: Document, text: str) -> None:
    assert topic_of(text, teacher) is None


@pytest.mark.parametrize(
    "text",
    [
        "Does she have children?",
        "How many children has she?",
        "Are her children at that school?",
        "Children?",
        "How old are her kids?",
        "Is she married with children?",
        "Did she take her children to class?",
        "How old is she?",
        "Has she been in hospital?",
        "Was she treated in a hospital?",
        "Was she ever sick while she worked there?",
    ],
)
def test_a_teachers_own_children_and_health_stay_private(teacher: Document, text: str) -> None:
    assert topic_of(text, teacher) is not None


def test_a_line_about_the_subjects_own_children_makes_all_of_them_private(tmp_path: Path) -> None:
    path = tmp_path / "cv.md"
    path.write_text(TEACHER + "\n## Personal details\n\nMarried, two children.\n")
    mother = load(path)

    assert topic_of("What about the children?", mother) is not None
    assert topic_of("How many children were in her class?", mother) is not None
