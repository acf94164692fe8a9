"""Numbers that follow from a sentence's own years and lists need no record."""

import pytest

from knowledge.check.reckoning import reckoned


@pytest.mark.parametrize(
    ("sentence", "left"),
    [
        (
            "She was there for five years, from 1944 to 1949.",
            "She was there from 1944 to 1949.",
        ),
        ("She taught from 1931 and was promoted ten years later.",
         "She taught from 1931 and was promoted in 1941."),
        ("She had two nicknames: Amazing Grace and Grandma COBOL.",
         "She had nicknames: Amazing Grace and Grandma COBOL."),
        ("She won several awards, including the Goode Award and the Medal of Technology.",
         "She won awards, including the Goode Award and the Medal of Technology."),
    ],
)  # fmt: skip
def test_what_a_sentence_reckons_itself_is_taken_out(sentence: str, left: str) -> None:
    assert " ".join(reckoned(sentence).split()) == left


@pytest.mark.parametrize(
    "sentence",
    [
        "She was there for six years, from 1944 to 1949.",
        "She was there for five years.",
        "She had three nicknames: Amazing Grace and Grandma COBOL.",
        "She won several awards.",
        "She won two awards, including the Goode Award and the Medal of Technology.",
        "She retired in 1971 at the age of five years.",
    ],
)
def test_a_number_that_does_not_fit_stays(sentence: str) -> None:
    assert reckoned(sentence) == sentence
