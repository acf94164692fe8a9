"""Sums that no line states but that follow from the prices just spoken."""

import re
from collections.abc import Sequence
from decimal import Decimal
from itertools import product

from knowledge.amounts import Amount, amounts
from knowledge.claims import numbers

_TOTAL = re.compile(r"^Together that makes (.+)\.$")
# Beyond these, so many sums are possible that one of them fits by chance.
_MOST_SENTENCES, _MOST_AMOUNTS, _MOST_TIMES = 4, 6, 20


def total_of(amount: Amount) -> str:
    """The sentence that states a total."""
    return f"Together that makes {amount}."


def adds_up(sentence: str, before: Sequence[str], question: str) -> bool:
    """Whether a sentence states the correct total of the prices in the sentences before it.

    Each of those contributes one price or several, once or as often as a number in the question
    says: "two singles and a return".

    Args:
        sentence: "Together that makes £13.50."
        before: The sentences of the answer that have passed so far.
        question: What was asked.
    """
    said = _TOTAL.match(sentence)
    total = amounts(said[1]) if said else ()
    if len(total) != 1 or not 0 < len(before) <= _MOST_SENTENCES:
        return False
    named = [
        (at, amount.value)
        for at, text in enumerate(before)
        for amount in amounts(text)
        if amount.unit in (total[0].unit, "")
    ]
    if len(named) > _MOST_AMOUNTS:
        return False
    asked = {int(number) for number in numbers(question) if number.isdigit()}
    times = (0, 1, *[count for count in sorted(asked) if 1 < count <= _MOST_TIMES][:2])
    for counts in product(times, repeat=len(named)):
        added = sum((value * count for (_, value), count in zip(named, counts, strict=True)), _NONE)
        used = {at for (at, _), count in zip(named, counts, strict=True) if count}
        if added == total[0].value and sum(counts) > 1 and len(used) == len(before):
            return True
    return False


_NONE = Decimal()
