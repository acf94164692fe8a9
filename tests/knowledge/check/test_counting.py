"""How many there are is right when the cited sections hold so many."""

from pathlib import Path

from knowledge.check.counting import counts
from knowledge.loading.document import load


def test_only_the_number_of_items_answers_how_many(tmp_path: Path) -> None:
    path = tmp_path / "doc.md"
    path.write_text(
        "# Days\n## Talks\n- Glass, by Ada Holt\n- Stone, by Bo Lind\n- Wood, by Ada Holt\n",
        encoding="utf-8",
    )
    cited = [load(path).section("talks")]
    assert counts("How many talks are there?", cited) == {"3"}
    assert counts("How many talks does Ada Holt give?", cited) == {"3", "2"}
    assert counts("Which talks are there?", cited) == frozenset()
