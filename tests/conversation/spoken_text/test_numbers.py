"""Numbers in words, against num2words, which takes a hundred times as long."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from num2words import num2words

from conversation.spoken_text import numbers

WHOLE = st.one_of(st.integers(0, 2_000), st.integers(0, 10**15 - 1))


@given(WHOLE)
def test_english_numbers_are_those_of_num2words(number: int) -> None:
    assert numbers.english(number) == num2words(number).replace(",", "")


@given(WHOLE)
def test_english_ranks_are_those_of_num2words(number: int) -> None:
    assert numbers.english_ordinal(number) == num2words(number, to="ordinal").replace(",", "")


@given(st.integers(1000, 2099))
def test_english_years_are_those_of_num2words(year: int) -> None:
    assert numbers.english_year(year) == num2words(year, to="year").replace(",", "")


@given(st.integers(0, 10**6 - 1))
def test_german_numbers_are_those_of_num2words(number: int) -> None:
    # Of 301000 it makes "dreihunderteinstausend".
    said = num2words(number, lang="de").replace("einstausend", "eintausend")
    assert numbers.german(number) == said


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (1_000_000, "eine Million"),
        (2_000_001, "zwei Millionen eins"),
        (1_301_000, "eine Million dreihunderteintausend"),
        (21_000_000_000, "einundzwanzig Milliarden"),
    ],
)
def test_large_german_numbers_are_nouns(number: int, said: str) -> None:
    assert numbers.german(number) == said


@given(st.integers(1, 99))
def test_german_ranks_are_those_of_num2words(number: int) -> None:
    assert numbers.german_ordinal(number) + "e" == num2words(number, lang="de", to="ordinal")


@given(st.integers(1100, 2099))
def test_german_years_are_those_of_num2words(year: int) -> None:
    said = num2words(year, lang="de", to="year")
    assert numbers.german_year(year) == re.sub("^(ein)(?=tausend)", "ein", said)


@pytest.mark.parametrize(
    ("numeral", "number"),
    [("IV", 4), ("XIV", 14), ("LVIII", 58), ("MCMXC", 1990), ("IIII", 0), ("VX", 0), ("CIVIL", 0)],
)
def test_a_roman_numeral_is_a_number_and_other_letters_are_none(numeral: str, number: int) -> None:
    assert numbers.roman(numeral) == number
