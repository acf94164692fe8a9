"""What callers say is opened in spreadsheets, and run by none."""

import pytest

from ledger.log.cells import inert


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+SUM(1,1)", "-2+3", "@SUM(1)", " =1", "\t=1", "\r=1", "\n=1", "\tone", "＝1+1",  # noqa: RUF001
     "＋1", "－1", "＠SUM(1)"],  # noqa: RUF001
)  # fmt: skip
def test_a_formula_is_a_text(text: str) -> None:
    assert inert(text).startswith("'")
    assert inert(text).replace("'", "") == text


@pytest.mark.parametrize("end", [";", "\t", "\n", "\r\n", "; "])
def test_a_formula_behind_what_may_end_a_cell_is_a_text(end: str) -> None:
    separator = end.rstrip(" ")
    assert inert(f"Who?{end}=1") == f"Who?{separator}'{end.removeprefix(separator)}=1"


@pytest.mark.parametrize(
    "value",
    [
        "Who is Grace?",
        "One.\n\nTwo; three",
        "a+b@example.com",
        "1906-12-09",
        "It's 1 - 2",
        "",
        5,
        -5,
        0.5,
        None,
    ],
)
def test_anything_else_stays_as_it_is(value: object) -> None:
    assert inert(value) == value


def test_a_list_is_json() -> None:
    assert inert(["education", "a;=1"]) == '["education", "a;\'=1"]'
    assert inert(True) == "true"
