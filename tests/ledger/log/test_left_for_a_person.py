"""What counts as handed to a person: not what nobody has understood."""

from ledger.log.entries import list_entries
from ledger.log.filter import Filter
from ledger.log.totals import compute_totals
from ledger.store.database import Database
from tests.ledger.records import TODAY, a_call_that_ended, a_turn, keep

THAT_DAY = Filter(since=TODAY, until=TODAY)


def test_what_was_not_understood_is_left_for_nobody(database: Database) -> None:
    reasons = ("unsupported", "unclear", "fault", "unclear")
    turns = [
        a_turn("c-1", number, decision="escalate", reason=reason)
        for number, reason in enumerate(reasons, 1)
    ]
    keep(database, a_call_that_ended("c-1"), *turns)
    with database.reading() as session:
        (shown,) = list_entries(session, THAT_DAY, limit=10).calls
        totals, days = compute_totals(session, THAT_DAY)
    assert shown["escalations"] == totals.escalations == 2
    assert [day.escalations for day in days.values()] == [2]
