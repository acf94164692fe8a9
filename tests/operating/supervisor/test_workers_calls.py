"""Calls over two workers that share a database, its money, and a port."""

import pytest

from tests.databases import preferably
from tests.operating.many_calls import play


@pytest.mark.thorough
@pytest.mark.real_time
@preferably("postgresql")
async def test_calls_are_spread_the_cap_holds_and_a_dead_worker_takes_only_its_own_with_it(
    database_url: str,
) -> None:
    outcome = await play(4, database_url=database_url, workers=2, beyond=1)
    assert outcome.faults() == []
    assert outcome.written["hangup"] == outcome.went_on + 1
