"""What code makes of a document's lines may be said; what only looks like it may not."""

from pathlib import Path

from knowledge.check.recital import recites
from knowledge.loading.document import load


def test_only_what_the_cited_records_say_is_a_recital(tmp_path: Path) -> None:
    path = tmp_path / "doc.md"
    path.write_text(
        "# Inn\n\n## Rooms\n\n| Room | Price |\n| --- | --- |\n| Single | 90 euros |\n"
        "| Double | 120 euros |\n\n## Meals\n\nBreakfast is served until noon.\n",
        encoding="utf-8",
    )
    document = load(path)
    rooms, meals = document.section("rooms"), document.section("meals")
    said = "For Double, the price is 120 euros."
    assert recites(said, [rooms], document, "How much is a double?")
    assert not recites(said, [meals], document, "How much is a double?")
    assert not recites("For Double, the price is 90 euros.", [rooms], document, "How much?")
    two = "There are two, namely Single and Double."
    assert recites(two, [rooms], document, "How many rooms are there?")
    assert not recites(two.replace("two", "five"), [rooms], document, "How many rooms are there?")
    assert not recites(two.replace("Double", "Suite"), [rooms], document, "How many rooms?")
