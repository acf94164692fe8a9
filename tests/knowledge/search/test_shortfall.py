"""What is near a question but cannot answer it is told from what can."""

from pathlib import Path

import pytest

from knowledge.loading.document import load
from knowledge.records import Record, records
from knowledge.search.query import parse_query
from knowledge.search.shortfall import falls_short


def unlike(word: str, others: frozenset[str]) -> float:
    """No other word means the same."""
    return float(word in others)


def recorded(folder: Path, line: str) -> Record:
    path = folder / "rules.md"
    path.write_text(f"# Rules of the house\n\n## Part 2: Stays\n\n{line}\n")
    return records(load(path))[-1]


@pytest.mark.parametrize(
    ("line", "answered", "not_answered"),
    [
        (
            "First aiders: Lena Brandt (ward A), Suleiman Koroma (ward C).",
            "Who is the first aider on ward C?",
            "Who is the first aider on ward B?",
        ),
        (
            "A day ticket costs 22 francs, an annual one 150 francs.",
            "What does a ticket cost for a year?",
            "What does a ticket cost for a week?",
        ),
        (
            "The night supplement is 2.40 an hour, the Sunday supplement 3.10.",
            "How much is the Sunday supplement?",
            "How much is the bank holiday supplement?",
        ),
        (
            "The permit costs 120 francs, for schools 40 francs.",
            "How much is the permit for a school?",
            "How much is the permit for a film crew?",
        ),
        (
            "The deposit for bikes is 50 pounds.",
            "How much is the deposit?",
            "How much is a battery?",
        ),
        (
            "Children eat half portions at half price.",
            "How much do children pay?",
            "How much do dogs pay?",
        ),
        (
            "It is granted to persons over 20 years who are insured for 3 million francs.",
            "What is it insured for?",
            "How long is the licence valid?",
        ),
        (
            "The last talk is given by Jens Thorup.",
            "Who gives the last talk?",
            "Who sponsors the last talk?",
        ),
        (
            "The secretary is Ann Lee.",
            "Who is the secretary?",
            "Who is the treasurer of the house?",
        ),
        (
            "Full-time staff have 28 days of leave a year.",
            "How much leave do full-time staff get?",
            "How much leave do apprentices get?",
        ),
        (
            "Apply to Gareth Pugh, training lead.",
            "What is Gareth Pugh's training?",
            "What's Gareth Pugh's extension?",
        ),
        (
            "From 15 March to 30 June nobody leaves the paths.",
            "When must nobody leave the paths?",
            "How big is the reserve?",
        ),
        ("The parcel weighs 3 kg.", "How heavy is the parcel?", "How far is the parcel?"),
        ("The bin is yellow.", "What colour is the bin?", "How heavy is the bin?"),
        (
            "Full-time staff have 28 days of leave a year.",
            "How long is the leave of full-timers?",
            "How long is the leave of part-timers?",
        ),
        (
            "A single to the harbour is 4 crowns.",
            "What does a single cost?",
            "What does a return cost?",
        ),
        (
            "Lunch is served in the hall from noon.",
            "When is lunch?",
            "When is dinner?",
        ),
        (
            "The almond croissant, 2.60, is vegan.",
            "How much is a vegan croissant?",
            "How much is a gluten-free croissant?",
        ),
        (
            "Students pay half the price.",
            "Do students pay less?",
            "Do pensioners pay less?",
        ),
        (
            "Overtime is agreed beforehand, on form B.",
            "Which form do I need?",
            "Which ladder do I need?",
        ),
        (
            "She translated at Lamotte Languages in Brussels; her manager was Jan Smets.",
            "Who was her manager there?",
            "Who was her accountant there?",
        ),
        (
            "The concert begins at 19:30 and lasts until midnight.",
            "When does the concert end?",
            "How heavy is the concert?",
        ),
        ("Dinner is at 19:30.", "When is dinner?", "When does the dinner end?"),
        (
            "The film is at 20:00 in the library.",
            "When does the library open for the film?",
            "When does the library close?",
        ),
    ],
)
def test_a_record_falls_short_of_what_it_does_not_tell(
    tmp_path: Path, line: str, answered: str, not_answered: str
) -> None:
    record = recorded(tmp_path, line)
    assert not falls_short(parse_query(answered), record, unlike)
    assert falls_short(parse_query(not_answered), record, unlike)


def test_another_word_for_it_is_told_by_its_meaning(tmp_path: Path) -> None:
    record = recorded(tmp_path, "Youth members pay 12 pounds.")
    asked = parse_query("What's the fee for lads?")
    assert falls_short(asked, record, unlike)
    assert not falls_short(asked, record, lambda word, others: 0.8)


def test_an_age_falls_under_a_rule_and_not_under_a_word(tmp_path: Path) -> None:
    record = recorded(tmp_path, "Children from 6 to 15 pay 8 pounds.")
    assert not falls_short(parse_query("How much is it for my ten-year-old?"), record, unlike)
