"""Numbers and names count only beside the words that they stand beside in the record."""

import pytest

from knowledge.check.entailment import entailed
from knowledge.loading.section import Line, Section

TEXT = (
    "Texts cost €0.14 a word, and subtitles cost €9 a minute.",
    "Bikes are kept for 30 days.",
    "The workshop is in Room 5 and starts at 14:30.",
    "Mayor Holm opens the fair with Chair Lund.",
    "The bar is open on Friday from 18:00 to 23:00.",
)
CITED = [
    Section(
        "facts",
        "Facts",
        2,
        tuple(Line(at, text, "item", "facts") for at, text in enumerate(TEXT, start=1)),
    )
]


def refused(sentence: str) -> str:
    return entailed(sentence, CITED, title="Village fair", free="Viva").refused


@pytest.mark.parametrize(
    ("true", "false"),
    [
        ("Subtitles are 9 euros a minute.", "Subtitles are 9 euros a word."),
        ("Texts cost 14 cents a word.", "Texts cost 14 cents a minute."),
        ("Bikes are kept for thirty days.", "Bikes are kept for a day."),
        ("The workshop is in room 5.", "The workshop is in room 14."),
        ("The workshop starts at half past two.", "The workshop starts at two."),
        ("Mayor Holm opens the fair.", "Mayor Lund opens the fair."),
    ],
)
def test_what_stands_beside_another_word_is_refused(true: str, false: str) -> None:
    assert not refused(true)
    assert refused(false)


@pytest.mark.parametrize(
    "sentence",
    [
        "It depends on what you need: texts cost 14 cents a word.",
        "I'm afraid bikes are kept for thirty days.",
    ],
)
def test_what_only_leads_to_a_statement_claims_nothing(sentence: str) -> None:
    assert not refused(sentence)


def test_what_it_leads_to_is_checked() -> None:
    assert refused("It depends on what you need: texts cost 15 cents a word.")
    assert refused("I'm afraid bikes are sold after thirty days.")
