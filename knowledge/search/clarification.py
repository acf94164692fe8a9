"""Asks the caller back if several records answer a question that does not say which it means."""

from collections.abc import Sequence

from knowledge.moments import moments
from knowledge.records import Record
from knowledge.search.query import Query
from knowledge.search.reader import Finding, Reader
from knowledge.words import stem, tokens

ON_WHICH_DAY = "On which day?"
CLARIFICATIONS = (ON_WHICH_DAY,)
"""The only question that is asked back."""


def of_other_days(reader: Reader, query: Query, findings: Sequence[Finding]) -> tuple[Record, ...]:
    """Find records that say of other days what the best one says of its day, such as lunch.

    Returns:
        All of them with the best, in the document's order; none if the question names a day, if
        only one day has such a record, or if the answer is the same for all days.
    """
    asked = moments(query.text)
    if not findings or asked.days or asked.dates or query.clauses > 1 or "list" in query.wants:
        return ()
    best = findings[0].record
    about = _stems(best.about)
    if not best.cells or not about or not about & _stems(query.text):
        return ()
    alike = [record for record in reader.records if record.cells and _stems(record.about) == about]
    days = {_day(record) for record in alike}
    if len(alike) < 2 or len(days) < len(alike) or (frozenset(), frozenset()) in days:
        return ()
    if len({tuple(cell for _, cell in record.cells) for record in alike}) == 1:
        return ()
    return tuple(alike)


def _day(record: Record) -> tuple[frozenset[int], frozenset[tuple[int, int]]]:
    when = record.moments
    return when.days, when.dates


def _stems(text: str) -> frozenset[str]:
    return frozenset(stem(token.key) for token in tokens(text))
