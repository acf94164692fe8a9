"""Menus: bare prices and letters for allergens are told in words."""

from pathlib import Path

import pytest

from knowledge.loading.document import load
from knowledge.records import records

KEY = "Prices in pounds. Letters are allergens: **G** gluten, **M** milk, **E** egg.\n\n"


def said(folder: Path, text: str) -> list[str]:
    path = folder / "menu.md"
    path.write_text(f"# Inn\n\n{text}", encoding="utf-8")
    return [statement.text for record in records(load(path)) for statement in record.statements]


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (
            "- Burrata with orange (v) M 11",
            "Burrata with orange (vegetarian) costs £11, contains milk.",
        ),
        (
            "- Fritto misto \u2014 squid, prawns \u2014 G E \u2014 12.5",
            "Fritto misto, squid, prawns costs £12.5, contains gluten and egg.",
        ),
        ("- Olives from Puglia 4", "Olives from Puglia cost £4."),
        (
            "- Lemonade: glass 3, jug (a litre) 9.50",
            "The lemonade is glass £3, jug (a litre) £9.50.",
        ),
        ("- Corkage £10 a bottle", "Corkage costs £10 a bottle."),
        ("- A table for 6", "A table for 6."),
        ("- Open since 1998", "Open since 1998."),
        ("- Orders until 14.30", "Orders until 14.30."),
        ("- Ring 01947 555 061", "Ring 01947 555 061."),
    ],
)
def test_a_dish_is_told_with_its_price_and_allergens(
    tmp_path: Path, written: str, told: str
) -> None:
    assert said(tmp_path, f"{KEY}## Food\n\n{written}\n")[-1] == told


def test_what_a_dish_is_made_of_follows_its_price(tmp_path: Path) -> None:
    dish = "## Pasta\n\n**Ravioli di zucca** (v) 16 \u00b7 G E\nPumpkin and sage butter.\n"
    assert said(tmp_path, KEY + dish)[-2:] == [
        "Ravioli di zucca (vegetarian) costs £16.",
        "Pumpkin and sage butter, contains gluten and egg.",
    ]


def test_prices_of_a_table_have_the_sign_and_counts_do_not(tmp_path: Path) -> None:
    table = "## Pizza\n\n| | 30 cm | Seats | |\n|---|---|---|---|\n| Marinara | 9 | 4 | vg |\n"
    assert said(tmp_path, KEY + table)[-1] == (
        "For Marinara, the 30 cm is £9, the seats are 4 and it is vegan."
    )


def test_numbers_of_other_documents_are_no_prices(tmp_path: Path) -> None:
    assert said(tmp_path, "## Marking\n\n- Group M 11\n- Lane 4\n- Class (v) 3\n") == [
        "Group M 11.",
        "Lane 4.",
        "Class (v) 3.",
    ]
