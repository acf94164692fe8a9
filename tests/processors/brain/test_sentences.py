"""Sentences of an answer: let go when they are whole, whatever the pieces they come in."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.brain.sentences import SentenceStream, plain_text

SENTENCES = (
    "Dr. Hopper taught mathematics at Vassar.",
    "She joined the U.S. Navy in 1943.",
    "Her Ph.D. was from Yale.",
    "It ran 3.5 times as fast as A-0.",
    "G. M. Hopper wrote the manual with J. Presper Eckert Jr. and others.",
    "Prof. Aiken, i.e. Howard, was at the Eckert-Mauchly Computer Corp. from 1949.",
    "It took approx. 3 hours (vol. 2, p. 5) at 5 p.m. on Monday.",
    "Rear Adm. Hopper retired!",
    "Did she?",
    "Really?!",
    'They called it "a bug" in the log.',
    "She was born (in New York).",
    '"Yes." was all she said.',
    "Version 2.0 came in Sept. 1959.",
)


def pieces(text: str, places: list[int]) -> list[str]:
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


def cut(stream: SentenceStream, pieces: list[str]) -> list[str]:
    return [sentence for piece in pieces for sentence in stream.feed(piece)] + stream.close()


@given(st.lists(st.sampled_from(SENTENCES), max_size=4), st.lists(st.integers(0), max_size=30))
def test_sentences_are_the_same_however_they_arrive(said: list[str], places: list[int]) -> None:
    text = " ".join(said)
    assert cut(SentenceStream(), pieces(text, places)) == said
    assert cut(SentenceStream(), list(text)) == said


@given(st.text(alphabet='ab A.,;:!?"()\n-1—', max_size=200), st.lists(st.integers(0), max_size=9))
def test_no_word_is_lost_or_changed(text: str, places: list[int]) -> None:
    stream = SentenceStream(max_chars=50)
    assert "".join("".join(cut(stream, pieces(text, places))).split()) == "".join(text.split())


def test_a_sentence_is_let_go_with_the_first_letter_of_the_next() -> None:
    stream = SentenceStream()
    assert stream.feed("She joined the U.S. ") == []
    assert stream.feed("Navy in 1943. ") == []
    assert stream.feed("S") == ["She joined the U.S. Navy in 1943."]
    assert stream.feed("he left in 1986.") == []
    assert stream.close() == ["She left in 1986."]
    assert stream.close() == []


def test_a_line_ends_a_sentence() -> None:
    assert cut(SentenceStream(), ["Vassar\nYale", "\n\nHarvard"]) == ["Vassar", "Yale", "Harvard"]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_very_long_sentence_is_let_go_by_the_clause(size: int) -> None:
    clause = "and then she wrote a compiler for another machine, "
    text = clause * 12 + "which is all."
    cuts = cut(SentenceStream(), [text[at : at + size] for at in range(0, len(text), size)])
    assert " ".join(cuts) == text
    assert all(len(part) <= 240 and part.endswith((",", ".")) for part in cuts)
    assert len(cuts) == 3


def test_a_very_long_word_does_not_hold_up_the_voice() -> None:
    cuts = cut(SentenceStream(), ["x" * 600])
    assert [len(part) for part in cuts] == [240, 240, 120]


@pytest.mark.parametrize(
    ("sentence", "heard"),
    [
        ("**Bold** and _slanted_ and `code`.", "Bold and slanted and code."),
        ("## Education", "Education"),
        ("- Vassar", "Vassar"),
        ("2) Yale", "Yale"),
        ("> quoted", "quoted"),
        ("See [her CV](https://example.org/cv).", "See her CV."),
        ("C# and F# and A-0, 3 * 4.", "C# and F# and A-0, 3 4."),
        ("snake_case", "snake case"),
        ("  too   many\tspaces ", "too many spaces"),
        ("1943.", "1943."),
        ("---", ""),
        ("**", ""),
        ("", ""),
    ],
)
def test_what_is_spoken_is_plain_text(sentence: str, heard: str) -> None:
    assert plain_text(sentence) == heard


def test_a_limit_that_cuts_every_clause_is_refused() -> None:
    with pytest.raises(ValueError, match="max_chars is 10; it must be over 40"):
        SentenceStream(max_chars=10)
