"""Names, corrected from a second hearing; and nothing but names."""

from hypothesis import given
from hypothesis import strategies as st

from processors.stt.hot_words import correct_names, spell_names

NAMES = ("Grace Hopper", "COBOL", "FLOW-MATIC", "Eckert-Mauchly Computer Corporation", "Vassar")


def test_a_name_heard_with_hints_replaces_what_it_was_taken_for() -> None:
    heard = correct_names("What was her role in cobalt?", "What was her role in COBOL", NAMES)
    assert heard == "What was her role in COBOL?"


def test_a_name_misspelt_with_hints_is_spelt_as_the_document_does() -> None:
    assert correct_names("Tell me about formatics.", "Tell me about FOMATIC", NAMES) == (
        "Tell me about FLOW-MATIC."
    )
    joined = correct_names(
        "She joined the effort Mockley firm.", "She joined the Eckert-Mochly firm", NAMES
    )
    assert joined == "She joined the Eckert-Mauchly firm."


def test_a_pair_of_words_is_corrected_one_by_one() -> None:
    assert correct_names("and a wassail", "and at Vassar", NAMES) == "and a Vassar"


def test_what_is_no_name_stays_as_it_was_first_heard() -> None:
    said = "8 of spades, 4 of clubs."
    assert correct_names(said, "Eight of spades, four of clothes", (*NAMES, "Late Night")) == said


def test_a_name_that_was_only_added_is_not_believed() -> None:
    assert (
        correct_names("What is that?", "What is that COBOL FLOW-MATIC Vassar", NAMES)
        == "What is that?"
    )


def test_a_hint_that_goes_round_in_circles_changes_nothing() -> None:
    assert correct_names("Who designed it?", "COBOL COBOL COBOL COBOL COBOL COBOL", NAMES) == (
        "Who designed it?"
    )


def test_names_are_spelt_as_the_document_spells_them() -> None:
    assert spell_names("Was flow matic, or Flowmatic, Cobol's heir?", NAMES) == (
        "Was FLOW-MATIC, or FLOW-MATIC, COBOL's heir?"
    )
    assert spell_names("She had grace, at college.", NAMES) == "She had grace, at college."


words = st.lists(
    st.sampled_from(["what", "was", "her", "role", "in", "cobalt", "vassar", "the", "a", "8"]),
    max_size=8,
)


@given(said=words, hinted=words)
def test_every_word_is_one_that_was_heard_or_a_name(said: list[str], hinted: list[str]) -> None:
    known = {*said, "COBOL", "FLOW-MATIC", "Vassar", *" ".join(NAMES).split()}
    assert set(correct_names(" ".join(said), " ".join(hinted), NAMES).split()) <= known
