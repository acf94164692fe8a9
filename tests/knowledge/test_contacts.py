"""What counts as a contact detail, and what looks like one."""

import pytest

from knowledge.contacts import TELEPHONE, has_contact, reaches
from knowledge.telling import is_none, is_nothing, without_contact

CELLS = ("None.", "no", "\u2013", "n/a", "-", "none left")


@pytest.mark.parametrize(
    "number",
    ["01632 960 112", "+43 660 555 0199", "(912) 555-4321", "1-800-555-0199", "555-0134"],
)
def test_a_number_that_somebody_can_dial(number: str) -> None:
    assert reaches(f"Call us on {number}.")


@pytest.mark.parametrize(
    "text", ["2014 - 2019", "2019-03-01", "10.30-12.45", "from 1,000 to 2,000", "ISO 62304"]
)
def test_years_and_spans_are_no_telephone_numbers(text: str) -> None:
    assert not TELEPHONE.search(text)


def test_a_job_keeps_its_years_when_contact_details_are_left_out() -> None:
    line = "Atelier Verdure · 2014 - 2019 · noor@noor.example · https://noor.example"

    assert without_contact(line) == "Atelier Verdure · 2014 - 2019"
    assert has_contact("see verdure.example/team")


def test_a_cell_that_says_none_is_told_but_one_with_a_dash_is_not() -> None:
    assert [cell for cell in CELLS if is_none(cell)] == list(CELLS[:5])
    assert [cell for cell in CELLS if is_nothing(cell)] == list(CELLS[2:5])
