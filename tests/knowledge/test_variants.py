"""British and American spellings of a word are the same word."""

import pytest

from knowledge.words import spaced, stem

PAIRS = """
licence license, licences licenses, licensed licenced, defence defense, practise practice,
colour color, coloured colored, neighbourhood neighborhood, favourites favorites, labour labor,
centre center, centred centered, metres meters, kilometre kilometer, theatre theater,
organise organize, organisation organization, specialised specialized, analyse analyze,
travelled traveled, cancelling canceling, modelling modeling, fuelled fueled,
catalogue catalog, dialogues dialogs, paediatric pediatric, anaesthetic anesthetic,
archaeology archeology, foetus fetus, judgement judgment, ageing aging, programmes programs,
grey gray, tyres tires, moulded molded, ploughing plowing, enrolment enrollment, jewellery jewelry
"""


def test_a_word_is_one_in_both_spellings() -> None:
    pairs = [spaced(pair) for pair in PAIRS.split(",")]
    assert [pair for pair in pairs if stem(pair[0]) != stem(pair[1])] == []


@pytest.mark.parametrize(
    "pair",
    ["four for", "hour hor", "prize prise", "organ organise", "tour tor", "read red",
     "wetter weter", "metric meter", "selling seling", "programmer program"],
)  # fmt: skip
def test_other_words_stay_apart(pair: str) -> None:
    one, other = spaced(pair)
    assert stem(one) != stem(other)
