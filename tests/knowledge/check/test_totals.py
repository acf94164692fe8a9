"""Totals that follow from the prices just said."""

import pytest

from knowledge.check.totals import adds_up

LAUNDRY = ("One wash is €2.50.", "The dryer is €1.50.")
FARES = ("For Adult, the single is £6.50 and the return is £9.00.",)
MENU = ("Steak frites costs €24.00.", "Mousse au chocolat costs 6.50.")


@pytest.mark.parametrize(
    ("total", "before", "question"),
    [
        ("€4", LAUNDRY, "What do a wash and the dryer cost together?"),
        ("€4.00", LAUNDRY, "What do a wash and the dryer cost together?"),
        ("€6.50", LAUNDRY, "How much are two washes and the dryer in total?"),
        ("€30.50", MENU, "How much is a steak and a chocolate mousse altogether?"),
        ("£15.50", FARES, "What do a single and a return cost together?"),
        ("£13", FARES, "What are two singles in total?"),
    ],
)
def test_what_adds_up_may_be_said(total: str, before: tuple[str, ...], question: str) -> None:
    assert adds_up(f"Together that makes {total}.", before, question)


@pytest.mark.parametrize(
    ("total", "before", "question"),
    [
        ("€5", LAUNDRY, "What do a wash and the dryer cost together?"),
        ("€2.50", LAUNDRY, "What do a wash and the dryer cost together?"),
        ("£4", LAUNDRY, "What do a wash and the dryer cost together?"),
        ("€6.50", LAUNDRY, "What do a wash and the dryer cost together?"),  # nobody asked for two
        ("£6.50", FARES, "What does a single cost in total?"),
        ("€4", (), "What do a wash and the dryer cost together?"),
        ("€4 and a tip", (), "What do a wash and the dryer cost together?"),
    ],
)
def test_what_does_not_may_not(total: str, before: tuple[str, ...], question: str) -> None:
    assert not adds_up(f"Together that makes {total}.", before, question)


def test_another_sentence_is_no_total() -> None:
    assert not adds_up("She earned €4 in all.", LAUNDRY, "What did she earn in all?")
