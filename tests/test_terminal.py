"""What commands print."""

import pytest
from rich.table import Table

from terminal import output, print_error, wrap

LONG = "EMBED_ORIGINS: 'example.com' is not the origin of a site; write it as https://example.com."
PATH = "/srv/" + 100 * "x" + "/:x:/[red].md"


def test_an_error_is_wrapped_between_words_and_a_path_stays_whole() -> None:
    lines = wrap(f"{LONG}\n{PATH} is no file", 40).splitlines()
    assert lines[0] == "EMBED_ORIGINS: 'example.com' is not the"
    assert lines[1].startswith("  origin of a site")
    assert PATH in lines
    assert all(len(line) <= 40 or line == PATH for line in lines)


def test_what_goes_to_a_file_is_not_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    print_error(f"{LONG} {PATH}")
    assert capsys.readouterr().err == f"viva: {LONG} {PATH}\n"


def test_in_a_file_a_row_of_a_table_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    table = Table("question", "answer", box=None, pad_edge=False)
    table.add_row("Where did she study?", LONG)
    output().print(table)
    assert f"Where did she study?  {LONG}" in capsys.readouterr().out.splitlines()
