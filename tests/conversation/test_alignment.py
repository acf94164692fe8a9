"""Which shown words have been heard, by the words that were spoken for them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversation.alignment import WordAlignment

SPOKEN = "She came on the twelfth of March nineteen ninety-nine, to Yale."
SHOWN = "She came on 12 March 1999, to Yale."


@pytest.mark.parametrize(
    ("last_word", "heard"),
    [
        ("She", "She"),
        ("on", "She came on"),
        ("the", "She came on"),
        ("twelfth", "She came on"),
        ("of", "She came on 12"),
        ("March", "She came on 12 March"),
        ("nineteen", "She came on 12 March"),
        ("ninety-nine,", "She came on 12 March 1999,"),
        ("Yale.", SHOWN),
    ],
)
def test_a_number_counts_as_heard_with_its_last_word(last_word: str, heard: str) -> None:
    spoken_end = SPOKEN.index(last_word) + len(last_word)
    assert SHOWN[: WordAlignment(SPOKEN, SHOWN).end_after(spoken_end)] == heard


def test_what_is_shown_and_not_spoken_is_heard_with_the_next_word() -> None:
    aligned = WordAlignment("She led it until then.", "She led it (UNIVAC) until then (1959).")
    assert [aligned.words_after(number) for number in range(6)] == [0, 1, 2, 3, 5, 7]


def test_one_word_for_several_and_several_for_one() -> None:
    assert [WordAlignment("forexample this", "e. g. this").words_after(n) for n in range(3)] == [
        0, 2, 3,
    ]  # fmt: skip
    markup = '<phoneme alphabet="ipa" ph="jun">UNIVAC</phoneme> ran.'
    assert [WordAlignment(markup, "UNIVAC ran.").words_after(n) for n in range(5)] == [
        0,
        0,
        0,
        1,
        2,
    ]


@given(st.text(max_size=60), st.integers(0, 60))
def test_a_text_that_is_spoken_as_it_is_shown_is_heard_to_the_letter(text: str, end: int) -> None:
    assert WordAlignment(text, text).end_after(end) == end


words = st.lists(st.sampled_from(["to", "Yale", "12", "twelve", "March", "!", "of"]), max_size=8)


@given(words.map(" ".join), words.map(" ".join))
def test_what_was_heard_only_grows_and_ends_with_all_of_it(spoken: str, shown: str) -> None:
    aligned = WordAlignment(spoken, shown)
    ends = [aligned.end_after(end) for end in range(len(spoken) + 1)]
    assert ends == sorted(ends)
    if spoken:
        assert ends[-1] == len(shown)
