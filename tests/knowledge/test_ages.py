"""Ages, as rules limit them and callers state them."""

import pytest

from knowledge.ages import AgeRule, age_rules, as_aged, stated_age


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("Children under 14 are not admitted.", [("under 14", 14, True)]),
        ("Anybody who is at least 18 years old may join.", [("at least 18 years old", 18, False)]),
        ("Members over 70 are exempt.", [("over 70", 70, False)]),
        ("Guests of 65 and over pay half.", [("65 and over", 65, False)]),
        ("Everybody from the age of 16 needs a licence.", [("from the age of 16", 16, False)]),
        ("Children up to 12 years travel free.", [("up to 12 years", 12, True)]),
        ("Members who have paid for at least 3 years may vote.", []),
        ("Guests get a discount after a stay of at least 3 nights.", []),
        ("Members get up to 20 % off.", []),
        ("Whoever moves more than 30 km, over 30 km that is, may leave.", []),
        ("Sheds may measure up to 24 square metres.", []),
    ],
)
def test_a_rule_by_age_is_about_people_and_years(
    text: str, rules: list[tuple[str, int, bool]]
) -> None:
    assert age_rules(text) == tuple(AgeRule(*rule) for rule in rules)


@pytest.mark.parametrize(
    ("said", "age"),
    [
        ("I'm 74, do I have to help?", 74),
        ("She is seventy-four, is she exempt?", 74),
        ("Can my ten-year-old swim?", 10),
        ("My son is aged 9.", 9),
        ("I'm fine, thanks.", None),
        ("I'm at gate 12, where do I go?", None),
        ("Is it 5 miles?", None),
    ],
)
def test_an_age_is_what_somebody_says_to_be(said: str, age: int | None) -> None:
    stated = stated_age(said)
    assert (stated[0] if stated else None) == age


def test_a_question_is_read_with_the_nearest_rule_that_includes_the_age() -> None:
    rules = [
        rule
        for text in ("Children under 14", "Persons under 18", "Members over 70")
        for rule in age_rules(text)
    ]
    assert as_aged("Can my ten-year-old swim?", rules) == "Can my child under 14 swim?"
    assert as_aged("May my 15-year-old daughter join?", rules) == "May my daughter under 18 join?"
    assert as_aged("I'm 74, do I help?", rules) == "I'm over 70, do I help?"
    assert as_aged("I'm 40, do I help?", rules) == "I'm 40, do I help?"
