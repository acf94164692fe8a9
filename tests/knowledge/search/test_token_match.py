"""A question is compared with a text word by word."""

from typing import cast

import pytest

from knowledge.search.embedding import MiniLM
from knowledge.search.token_match import Match, matches
from tests.knowledge.search.conftest import WordModels


@pytest.fixture
def model() -> MiniLM:
    return cast(MiniLM, WordModels())


def test_the_word_that_a_text_lacks_is_its_least_match(model: MiniLM) -> None:
    plain, vegan = matches(
        model,
        "How much is the vegan croissant?",
        ["Butter croissant: how much is the question", "vegan croissant"],
    )
    assert plain.least == 0.0
    assert plain.content == 0.5
    assert vegan.least == vegan.content == pytest.approx(1.0)
    assert 0 < vegan.all < plain.all < 1


def test_a_question_of_function_words_matches_by_all_of_them(model: MiniLM) -> None:
    (found,) = matches(model, "Where was that?", ["That was here"])
    assert found.content == found.least == found.all
    assert found.all == pytest.approx(2 / 3)


def test_no_words_match_nothing(model: MiniLM) -> None:
    assert matches(model, "", []) == []
    assert Match() == Match(0.0, 0.0, 0.0)
