"""What an answer claims is found again in what it cites, however it is put."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from num2words import num2words

from knowledge.check.support import supporting_lines, unsupported_claims
from knowledge.claims import numbers, years
from knowledge.loading.document import Line, Section
from knowledge.words import sentences

TEXT = (
    "Education",
    "She earned her PhD in mathematics from Yale University in 1934.",
    "She worked on the Harvard Mark II from 1944\u201349 for the United States Navy.",
    "The Association for Computing Machinery met on 9 September 1947 with 1,000 guests.",
    "FLOW-MATIC, first called B-0, was made by three people in America.",
)
CITED = [
    Section(
        "education",
        "Education",
        2,
        tuple(
            Line(at, text, "heading" if at == 1 else "item", "education")
            for at, text in enumerate(TEXT, start=1)
        ),
    )
]


@pytest.mark.parametrize(
    "sentence",
    [
        "Hopper earned her doctorate at Yale in nineteen thirty-four.",
        "Yale's PhD was hers in the 1930s.",
        "In the thirties she was at Yale.",
        "That was in the twentieth century.",
        "She was on the Mark 2 until 1949.",
        "She worked on the Mark two for the US Navy.",
        "The ACM met in September with a thousand guests.",
        "The ACM met on the ninth of September.",
        "Flow-Matic was once called B-0.",
        "It was made by 3 Americans.",
        "However, I am only an AI.",
        "One of them was first at it.",
        "Grace Hopper was at Yale.",
    ],
)
def test_what_the_text_or_the_question_says_is_supported(sentence: str) -> None:
    assert unsupported_claims(sentence, CITED, "Tell me about Grace Hopper") == ()


@pytest.mark.parametrize(
    ("sentence", "claims"),
    [
        ("She earned her PhD in 1935.", ("1935",)),
        ("She studied at Princeton and at Yale.", ("Princeton",)),
        ("Boeing hired her.", ("Boeing",)),
        ("Princeton University gave her a degree.", ("Princeton",)),
        ("She met Alan Turing in October.", ("Alan", "Turing", "October")),
        ("She worked on the Mark IV.", ("IV",)),
        ("In the fifties she moved on.", ("fifties",)),
        ("That was in the nineteenth century.", ("nineteenth",)),
        ("There were two thousand and five guests.", ("two thousand and five",)),
        ("It took twelve days.", ("twelve",)),
        ("She joined IBM. Then NASA.", ("IBM", "NASA")),
    ],
)
def test_what_they_do_not_say_is_named(sentence: str, claims: tuple[str, ...]) -> None:
    assert unsupported_claims(sentence, CITED, "") == claims


def test_nothing_cited_supports_only_what_was_asked() -> None:
    assert unsupported_claims("Yes, I can hear you.", [], "Can you hear me?") == ()
    assert unsupported_claims("She was at Yale.", [], "Was she at Yale?") == ()
    assert unsupported_claims("She was at Yale.", [], "Where was she?") == ("Yale",)


@given(st.integers(min_value=2, max_value=999_999))
def test_numbers_are_the_same_in_words_and_digits(number: int) -> None:
    assert str(number) in numbers(f"There were {num2words(number)} of them.")
    assert str(number) in numbers(f"There were {number:,} of them.")


@given(st.integers(min_value=1100, max_value=2099))
def test_years_are_the_same_as_spoken_and_as_written(year: int) -> None:
    spoken = num2words(year, to="year")
    assert years(f"It was in {spoken}.") == (year,)
    assert years(f"It was in {year}.") == (year,)


@given(st.integers(min_value=2, max_value=100))
def test_ordinals_are_numbers(number: int) -> None:
    assert numbers(f"the {num2words(number, to='ordinal')} time") == {str(number)}
    assert numbers(f"the {num2words(number, to='ordinal_num')} time") == {str(number)}


def test_a_sentence_rests_on_the_lines_it_repeats() -> None:
    assert supporting_lines(TEXT[1], CITED) == (2,)
    assert supporting_lines("Yale gave her a PhD in mathematics.", CITED) == (2,)
    assert supporting_lines("The Mark II was Harvard's, FLOW-MATIC was not.", CITED) == (3, 5)
    assert supporting_lines("Bananas are yellow.", CITED) == ()


@given(st.text(max_size=200))
def test_any_text_can_be_checked(text: str) -> None:
    for claim in unsupported_claims(text, CITED, ""):
        assert claim
    assert supporting_lines(text, CITED) == tuple(sorted(set(supporting_lines(text, CITED))))


def test_sentences_do_not_end_at_abbreviations() -> None:
    assert sentences("Dr. Hopper left the U.S. Navy. Then she met J. Mauchly. Why?") == (
        "Dr. Hopper left the U.S. Navy.",
        "Then she met J. Mauchly.",
        "Why?",
    )
