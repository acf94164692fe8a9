"""Several processes, some of them killed, against one cap: :mod:`tests.ledger.money.admission`."""

from pathlib import Path

import pytest

from tests.databases import preferably
from tests.ledger.money import admission


@pytest.mark.thorough
@preferably("postgresql")
def test_processes_that_are_killed_neither_exceed_the_cap_nor_leak_a_hold(
    database_url: str, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    seen = admission.run(database_url, 3.0, notes)
    assert seen.killed >= admission.PROCESSES // 2
    assert seen.expired > 0
    assert seen.samples > 0
    assert 0 < seen.most <= admission.CAP + seen.excess
    assert seen.wrong == 0
    assert (seen.leaked, seen.left) == (0, 0)
    assert seen.settled <= seen.spent <= seen.tried
