"""What is made of several records: totals, other days; and documents too long to be embedded."""

import threading
from pathlib import Path

import pytest

from conversation.frames import Exchange
from evals.text.answers import decide
from knowledge.loading.document import Document, load
from knowledge.search.query import as_ruled, as_titled, in_other_words, is_fragment, resumed
from knowledge.search.reader import Finding, Reader
from processors.brain.extractive import ExtractiveBrain
from tests.knowledge.search.conftest import WordModels

FESTIVAL = """# Kiln festival

## Thursday 5 June

| Time | What | Where |
| --- | --- | --- |
| 11:00 | Workshop on glazes | Kiln hall |
| 12:00 | Lunch | Orangery |

## Friday 6 June

| Time | What | Where |
| --- | --- | --- |
| 12:30 | Lunch | Terrace |

## Saturday 7 June

| Time | What | Where |
| --- | --- | --- |
| 13:00 | Lunch | Orangery |
{more}
## Prices

| What | € |
| --- | --- |
| Day ticket | 18.00 |
| Poster | 6.50 |
| Mug | 9.00 |
"""
SUNDAY = """
## Sunday 8 June

| Time | What | Where |
| --- | --- | --- |
| 12:15 | Lunch | Terrace |
"""


def festival(folder: Path, more: str = "") -> tuple[ExtractiveBrain, Document]:
    path = folder / "festival.md"
    path.write_text(FESTIVAL.replace("{more}", more), encoding="utf-8")
    document = load(path)
    return ExtractiveBrain.load(document), document


@pytest.mark.usefixtures("word_models")
class TestOtherDays:
    def test_what_differs_by_day_is_asked_back(self, tmp_path: Path) -> None:
        brain, document = festival(tmp_path, SUNDAY)
        asked = decide(brain, document, "When is lunch?", ())
        assert (asked.decision, asked.text, asked.sections) == ("respond", "On which day?", ())
        history = [Exchange("When is lunch?", asked.text, (), "respond")]
        answered = decide(brain, document, "On Saturday.", history)
        assert answered.decision == "respond"
        assert "13:00" in answered.text
        assert answered.sections == ("saturday-7-june",)

    def test_few_days_are_said_one_after_another(self, tmp_path: Path) -> None:
        brain, document = festival(tmp_path)
        answered = decide(brain, document, "When is lunch?", ())
        assert all(time in answered.text for time in ("12:00", "12:30", "13:00"))
        assert len(answered.sections) == 3

    def test_who_says_the_day_is_answered(self, tmp_path: Path) -> None:
        brain, document = festival(tmp_path, SUNDAY)
        answered = decide(brain, document, "When is lunch on Friday?", ())
        assert "12:30" in answered.text
        assert "13:00" not in answered.text


@pytest.mark.usefixtures("word_models")
class TestTotals:
    @pytest.mark.parametrize(
        ("asked", "total"),
        [
            ("How much are a poster and a mug together?", "€15.50"),
            ("What do a day ticket and a poster cost in total?", "€24.50"),
            ("How much is two posters and a mug altogether?", "€22"),
        ],
    )
    def test_are_added_up(self, asked: str, total: str, tmp_path: Path) -> None:
        brain, document = festival(tmp_path)
        answered = decide(brain, document, asked, ())
        assert answered.text.endswith(f"Together that makes {total}.")
        assert answered.sections == ("prices",)
        assert answered.confidence == "medium"

    def test_are_not_guessed_where_a_price_is_missing(self, tmp_path: Path) -> None:
        brain, document = festival(tmp_path)
        answered = decide(brain, document, "How much are a poster and a T-shirt together?", ())
        assert "Together" not in answered.text


TRAMS = """# Trams

## Fares

| Ticket | Single | Return |
| --- | --- | --- |
| Adult | £6.50 | £9.00 |
| Child | £3.20 | £4.50 |

A family return, an adult and up to three children, is £24.

## Speed

The highest speed is 40 knots in the old town and is 70 in the valley.

## Plans

| Plan | Requests | Burst |
| --- | --- | --- |
| Team | 300 | 50 |
| Enterprise | 3,000 | 500 |

## Programme

- Doors: 18:00

| Time | Event |
| --- | --- |
| 18:30 | Brass band |
| 23:30 | Lantern parade |

## Days

| Cake | Days |
| --- | --- |
| Walnut cake | Friday, Saturday |
"""


def trams(folder: Path) -> tuple[ExtractiveBrain, Document]:
    path = folder / "trams.md"
    path.write_text(TRAMS, encoding="utf-8")
    document = load(path)
    return ExtractiveBrain.load(document), document


@pytest.mark.usefixtures("word_models")
class TestWhichOfSeveral:
    def test_a_row_is_meant_by_its_label_and_its_column(self, tmp_path: Path) -> None:
        brain, document = trams(tmp_path)
        answered = decide(brain, document, "How much is a return for an adult?", ())
        assert answered.text.startswith("For Adult")

    def test_what_has_no_price_does_not_say_how_much(self, tmp_path: Path) -> None:
        brain, document = trams(tmp_path)
        told = decide(brain, document, "How many requests on the enterprise plan?", ())
        assert "3,000" in told.text
        asked = decide(brain, document, "How much is the enterprise plan?", ())
        assert asked.decision == "escalate"

    def test_the_last_is_sought_among_those_that_have_a_time(self, tmp_path: Path) -> None:
        brain, document = trams(tmp_path)
        answered = decide(brain, document, "Which is the last event of the programme?", ())
        assert "Lantern parade" in answered.text

    def test_other_days_answer_whether_it_is_on_this_one(self, tmp_path: Path) -> None:
        brain, document = trams(tmp_path)
        answered = decide(brain, document, "Is there walnut cake on a Monday?", ())
        assert "Friday, Saturday" in answered.text


GYM = """# Anvil Gym

Questions: desk@anvil.example, 0151 555 0140.

## Plans

| Plan | Price per month | Minimum term |
| --- | --- | --- |
| Flex | 39.90 € | none |
| Plus | 34.90 € | 12 months |
| Student | 19.90 € | 6 months |

## Rules

1. Children under 14 are not admitted to the weights.
2. The pool has a quorum when 25 members are present.

## Staff

| Office | Holder |
| --- | --- |
| Treasurer | Neil Farquhar |
"""


@pytest.mark.usefixtures("word_models")
class TestRules:
    @pytest.mark.parametrize(
        ("asked", "says"),
        [
            ("What's the cheapest plan?", "19.90"),
            ("Which plan is the most expensive?", "39.90"),
            ("Is there a plan without a minimum term?", "Flex"),
            ("How can I reach you by phone?", "0151 555 0140"),
            ("How do I get in touch?", "desk@anvil.example"),
            ("Are ten-year-olds admitted to the weights?", "under 14"),
        ],
    )
    def test_are_found_in_the_words_of_the_document(
        self, asked: str, says: str, tmp_path: Path
    ) -> None:
        answered = decide(*gym(tmp_path), asked, ())
        assert answered.decision == "respond"
        assert says in answered.text

    @pytest.mark.parametrize(
        "asked",
        ["What is the phone number of the treasurer?", "How many members are there?"],
    )
    def test_do_not_say_what_they_do_not_hold(self, asked: str, tmp_path: Path) -> None:
        assert decide(*gym(tmp_path), asked, ()).decision == "escalate"


def gym(folder: Path) -> tuple[ExtractiveBrain, Document]:
    path = folder / "gym.md"
    path.write_text(GYM, encoding="utf-8")
    document = load(path)
    return ExtractiveBrain.load(document), document


@pytest.mark.parametrize(
    ("before", "said", "whole"),
    [
        (
            "How fast may I drive in the old town?",
            "And in the valley?",
            "How fast may I drive in the valley?",
        ),
        ("Is it free for adults?", "What about for children?", "Is it free for children?"),
        ("Who talks on stage?", "And with enterprise?", "Who talks on stage with enterprise?"),
        ("The stage.", "And with enterprise?", ""),
        ("Who talks at noon?", "And at what time do you close?", ""),
        ("At noon who talks?", "And at one?", ""),
    ],
)
def test_a_fragment_takes_the_place_of_its_like(before: str, said: str, whole: str) -> None:
    assert resumed(before, said) == whole


@pytest.mark.parametrize(
    ("said", "fragment"),
    [
        ("in the outer harbour?", True),
        ("And with enterprise?", True),
        ("In which year was that?", False),
        ("Opening hours?", False),
        ("For how long?", False),
    ],
)
def test_a_fragment_is_no_question_of_its_own(said: str, fragment: bool) -> None:
    assert is_fragment(said) is fragment


def test_whos_and_wheres_are_questions_in_other_words_too() -> None:
    assert in_other_words("Where's it held?") == in_other_words("Where is it held?") != ""


def test_qualifications_are_degrees_but_a_degree_in_something_is_that() -> None:
    assert in_other_words("What qualifications does she have?")
    assert in_other_words("Does she have a university degree?")
    assert in_other_words("Does she have a degree in law?") == ""


def rooms(folder: Path) -> Document:
    """A document of 699 rooms with chairs, and a yard with bicycles."""
    told = "\n".join(f"## Room {n}\n\nRoom {n} has {n + 3} chairs.\n" for n in range(1, 700))
    path = folder / "rooms.md"
    path.write_text(f"# Rooms\n\n{told}\n## Parking\n\nBicycles stand in the yard.\n")
    return load(path)


def test_of_a_long_document_only_what_may_answer_is_embedded(
    word_models: WordModels, tmp_path: Path
) -> None:
    document = rooms(tmp_path)
    brain = ExtractiveBrain.load(document)
    assert not any("chairs" in text for text in word_models.embedded)
    answered = decide(brain, document, "Where do bicycles stand?", ())
    assert answered.text == "Bicycles stand in the yard."
    assert sum("chairs" in text for text in word_models.embedded) < 30


def test_the_rest_of_a_long_document_is_embedded_meanwhile_and_kept(
    word_models: WordModels, tmp_path: Path
) -> None:
    document = rooms(tmp_path)
    for expected in (699, 0):  # the next start reads them
        word_models.embedded.clear()
        brain = ExtractiveBrain.load(document, tmp_path / "vectors")
        brain.embed_in_background()
        for thread in threading.enumerate():
            if thread.name == "vectors":
                thread.join(60)
        assert sum("chairs" in text for text in word_models.embedded) == expected
        brain.close()


CODE = """# Road code of Sandria

## Blue zones

1. Parking discs are required. The longest time is two hours.
2. Holders of a badge may park without limit.

## Winter tyres

Winter tyres are compulsory from 15 November to 15 March.

## Courts

The Ministry of Roads hears appeals. A third of the judges are lawyers.
"""


def first(folder: Path, question: str) -> Finding:
    path = folder / "code.md"
    path.write_text(CODE, encoding="utf-8")
    reader = Reader(load(path))
    return reader.search(reader.index.parse_query(question))[0]


@pytest.mark.usefixtures("word_models")
@pytest.mark.parametrize(
    "question",
    [
        "What do winter tyres cost?",  # told of winter tyres, but no price
        "Where can I buy winter tyres?",  # nor a shop
        "How many judges are there?",  # told of judges, but not how many
        "Does it count in Norway?",  # a name that the document lacks
        "Who is the minister of roads?",  # which is no Ministry misheard
        "Is there a lighthouse?",
    ],
)
def test_what_is_near_the_question_but_cannot_answer_it_is_known(
    tmp_path: Path, question: str
) -> None:
    assert first(tmp_path, question).features.lacks


@pytest.mark.usefixtures("word_models")
@pytest.mark.parametrize(
    "question",
    ["When are winter tyres compulsory?", "How long may parking discs take, what is the time?"],
)
def test_what_can_answer_lacks_nothing(tmp_path: Path, question: str) -> None:
    assert not first(tmp_path, question).features.lacks


def test_what_one_must_not_do_is_asked_in_the_words_of_rules() -> None:
    assert as_ruled("When must I not overtake?") == "When is it forbidden to overtake?"
    assert as_ruled("Where can't we park?") == "Where is it forbidden to park?"
    assert as_ruled("Can you not wait?") == "Can you not wait?"


CV = """# Bo Lind

**Smith and farrier**
Ghent, Belgium | bo@lind.example

## Work

- Farrier, Tarn Stables, since May 2019
- Smith, Lamotte Forge, 2013 to 2019
- Apprentice, Old Mill, 2009 to 2012

## Education

- MSc Metallurgy, Delft, 2018

## Talks

| Time | Session | Speaker |
| --- | --- | --- |
| 9:00 | Iron | Bo Lind |
"""


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("Who did he work for before Lamotte?", "Apprentice, Old Mill, 2009 to 2012."),
        ("What did he do before Tarn Stables?", "Smith, Lamotte Forge, 2013 to 2019."),
        ("Where is he based?", "The CV gives Ghent, Belgium."),
    ],
)
def test_a_cv_tells_the_job_before_and_the_town(asked: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "cv.md"
    path.write_text(CV, encoding="utf-8")
    document = load(path)
    brain = ExtractiveBrain.load(document)
    try:
        assert decide(brain, document, asked, ()).text == told
        first = decide(brain, document, "Who did he work for before Old Mill?", ())
        assert first.text != "Smith, Lamotte Forge, 2013 to 2019."
        heard = Exchange("Where does he work?", "Farrier, Tarn Stables, since May 2019.", ("work",))
        assert "May 2019" in decide(brain, document, "Since when?", (heard,)).text
    finally:
        brain.close()


def test_a_degree_is_asked_for_by_its_letters() -> None:
    knows = frozenset(("msc", "bsc", "ba")).__contains__
    assert as_titled("Where did she get her master's?", knows) == "Where did she get her MSc?"
    assert as_titled("Where did she get her bachelor's?", knows).endswith("bachelor's?")
    assert as_titled("Where did she get her doctorate?", knows).endswith("doctorate?")


INN = """# The Quay Inn

Harbour Street 9, Whitby. Ring 01947 555 061 for a table.

## Pizza (evenings only)

Marinara is our oldest.
"""


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("What's your address?", "Harbour Street 9"),
        ("What number do I ring to book a table?", "01947 555 061"),
        ("Can I get a pizza in the evenings?", "evenings only"),
    ],
)
def test_an_inn_tells_where_it_is_and_what_its_headings_say(
    asked: str, told: str, tmp_path: Path
) -> None:
    path = tmp_path / "inn.md"
    path.write_text(INN, encoding="utf-8")
    document = load(path)
    brain = ExtractiveBrain.load(document)
    try:
        assert told in decide(brain, document, asked, ()).text
    finally:
        brain.close()


TOOL = """# fathom

Finds large files. Version 2 came out in October 2023, at a party in Delft.

## Installation

| System | Command |
| --- | --- |
| Ubuntu | `apt install fathom-disk` |
| macOS | `brew install fathom` |

## Menu

- Burrata with tomatoes, six pieces
"""


def test_another_system_than_those_of_a_table_is_passed_on(tmp_path: Path) -> None:
    path = tmp_path / "tool.md"
    path.write_text(TOOL, encoding="utf-8")
    document = load(path)
    brain = ExtractiveBrain.load(document)

    def ask(asked: str, *before: Exchange) -> str:
        return decide(brain, document, asked, before).text

    try:
        assert "apt install" in ask("How do I install it on Ubuntu?")
        assert "brew install" in ask("How do I install it on Mac?")
        assert decide(brain, document, "How do I install it on Fedora?", ()).decision == "escalate"
        first = decide(brain, document, "When did version 2 come out?", ())
        heard = Exchange("When did version 2 come out?", first.text, first.sections, "respond")
        assert "Delft" in ask("And where was that?", heard)
        assert "six pieces" in ask("How many pieces are in the barata?")
    finally:
        brain.close()
