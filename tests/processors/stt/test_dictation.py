"""What is dictated is written as people write it, and nothing else is touched."""

import pytest

from processors.stt.dictation import as_written

NAMES = ("COBOL", "Grace Hopper", "Howard Aiken", "Eckert-Mauchly Computer Corporation")


@pytest.mark.parametrize(
    ("heard", "written"),
    [
        ("Was it nineteen forty three?", "Was it 1943?"),
        ("And in nineteen o six, then?", "And in 1906, then?"),
        ("Since two thousand and seven", "Since 2007"),
        ("From nineteen hundred and six to nineteen eighty-six.", "From 1906 to 1986."),
        ("My number is o, two, o, seven, nine, four.", "My number is 020794."),
        ("It's five five five, zero one four seven", "It's 5550147"),
        ("zero, seven, seven, double, zero, nine hundred, one, two", "0770090012"),
        ("I. K. E. N..", "IKEN."),
        ("It's spelled H-o-p-p-e-r.", "It's spelled Hopper."),
        ("C. O. B. O. L.. please", "COBOL. please"),
        ("M A U C H L Y", "Mauchly"),
    ],
)
def test_numbers_and_letters_are_written_as_people_do(heard: str, written: str) -> None:
    assert as_written(heard, NAMES) == written


@pytest.mark.parametrize(
    "heard",
    [
        "one, two, three",
        "Two or three of the twenty five people",
        "Two thousand five hundred of the nineteen eighties",
        "Her Ph.D. from the U. S. Navy was A-0, wasn't it?",
        "I have a B in the sixteen twenties.",
        "Call 555-0147.",
        "",
    ],
)
def test_other_words_stay_as_they_are(heard: str) -> None:
    assert as_written(heard, NAMES) == heard
