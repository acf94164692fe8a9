"""Sums of money that a text names."""

from decimal import Decimal

import pytest

from knowledge.amounts import Amount, amounts


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Private patients pay a deposit of £250.", "£250"),
        ("One wash is €2.50, the dryer is €1.50.", "€2.50 €1.50"),
        ("Der Eintritt kostet 4,50 €.", "€4.50"),
        ("A family ticket costs 160 kroner.", "160 kroner"),
        ("Delivery is free from 50 euros.", "€50"),
        ("With the large battery it is €3,690.", "€3,690"),
        ("It was sold for $1,250,000.", "$1,250,000"),
        ("Crème brûlée, 7.50", "7.50"),
        ("A carafe of half a litre is 14.00, a glass 4.80.", "14 4.80"),
        ("We open at 7.30 pm, tickets are £4.", "£4"),
        ("The room is 4.50 m wide and 2.75 km away.", ""),
        ("Ring 01632 555 0188 until 17:30.", ""),
        ("It was built in 1911.", ""),
    ],
)
def test_are_read_as_they_are_written(text: str, named: str) -> None:
    assert " ".join(map(str, amounts(text))) == named


def test_are_known_by_value_and_currency() -> None:
    assert amounts("£4 a day") == (Amount(Decimal(4), "£"),)
    assert amounts("4 pounds a day") == amounts("£4.00 a day")
    assert amounts("4 pounds a day") != amounts("4 euros a day")
