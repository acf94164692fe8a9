"""Adds up what several things cost: "How much are a wash and the dryer together?"."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from rapidfuzz.distance import JaroWinkler

from knowledge.amounts import Amount, amounts
from knowledge.check.totals import total_of
from knowledge.claims import numbers, word_forms
from knowledge.records import Record, Statement
from knowledge.search.query import GENERIC
from knowledge.search.reader import Reader
from knowledge.words import STOPWORDS, spaced, stem, tokens

_ADDS = re.compile(
    r"\b(?:together|altogether|in total|in all|all in all|combined|total|plus)\b", re.IGNORECASE
)
_PRICED = re.compile(
    r"\b(?:how much|costs?|price|pay|paid|come to|comes to|fees?|fares?|charge)\b", re.IGNORECASE
)
_BETWEEN = re.compile(r"\s*(?:\band\b|\bplus\b|\bwith\b|,|\+)\s*", re.IGNORECASE)
_NOT_NAMED = frozenset(
    map(
        stem,
        spaced(
            "together altogether total all combined plus how much cost costs price pay paid fee "
            "fare charge charges sum would be is are does do if take buy order get both"
        ),
    )
)
_MOST_WORDS, _MOST_PARTS, _MOST_TIMES = 48, 3, 20  # of the question; of what is added; of a part
_ALIKE = 0.93  # Jaro-Winkler: chocolate, chocolat
_HELD = 0.4  # least share of a part's words that a statement must have
_MEANT = 0.5  # cosine above which the words do not matter


@dataclass(frozen=True, slots=True)
class _Priced:
    record: Record
    statement: Statement
    amount: Amount
    times: int


def total(reader: Reader, asked: str) -> tuple[tuple[str, ...], tuple[Record, ...]] | None:
    """Answer a question for a total: its sentences, and the records that support them.

    Parameters:
        reader: The document.
        asked: The question.

    Returns:
        One sentence for each price, then one with the total; ``None`` if the question asks for no
        total, or if a price is missing or uncertain.
    """
    if not (_ADDS.search(asked) and _PRICED.search(asked)):
        return None
    parts = [part for part in _BETWEEN.split(asked.rstrip(" ?.!")) if _named(part)]
    if not 1 <= len(parts) <= _MOST_PARTS:
        return None
    found = [_price(reader, part, asked) for part in parts]
    priced = [item for item in found if item is not None]
    units = {item.amount.unit for item in priced if item.amount.unit}
    if len(priced) < len(parts) or len(units) > 1 or sum(item.times for item in priced) < 2:
        return None
    texts = list(dict.fromkeys(item.statement.text for item in priced))
    value = sum((item.amount.value * item.times for item in priced), Decimal())
    texts.append(total_of(Amount(value, units.pop() if units else "")))
    if sum(len(text.split()) for text in texts) > _MOST_WORDS:
        return None
    return tuple(texts), tuple(dict.fromkeys(item.record for item in priced))


def _named(part: str) -> frozenset[str]:
    """Stems of the thing that a part of the question names."""
    return frozenset(
        word
        for token in tokens(part)
        if token.key not in STOPWORDS
        and not numbers(token.text)
        and (word := stem(token.key)) not in _NOT_NAMED
        and (word not in GENERIC or word in ("day", "year", "first"))
    )


def _price(reader: Reader, part: str, asked: str) -> _Priced | None:
    named = _named(part)
    meant = reader.index.similarity(part)
    best: tuple[float, _Priced] | None = None
    counted = [int(n) for n in numbers(part) if n.isdigit() and 1 < int(n) <= _MOST_TIMES]
    for at, (record, statement) in enumerate(reader.told):
        amount = _amount(record, statement, named, asked)
        if amount is None:
            continue
        share = 0.7 * _share(named, word_forms(statement.text)) + 0.3 * _share(named, record.says)
        if share < _HELD and meant[at] < _MEANT:
            continue
        times = 1
        if counted and str(counted[0]) not in numbers(statement.text):
            times = counted[0]
        score = share + 0.5 * float(meant[at])
        if best is None or score > best[0]:
            best = score, _Priced(record, statement, amount, times)
    return best[1] if best else None


def _amount(
    record: Record, statement: Statement, named: frozenset[str], asked: str
) -> Amount | None:
    """The price of a part in a statement; ``None`` if there is none, or it is ambiguous."""
    all_ = amounts(statement.text)
    if len(all_) < 2:
        return all_[0] if all_ else None
    if record.cells:
        options = [(head, found[0]) for head, cell in record.cells if (found := amounts(cell))]
        return _of_column(options, named) or _of_column(options, _named(asked))
    before = [_share(named, word_forms(text)) for text in _ahead(statement.text, all_)]
    top = max(before)
    return all_[before.index(top)] if top and before.count(top) == 1 else None


def _of_column(options: Sequence[tuple[str, Amount]], named: frozenset[str]) -> Amount | None:
    shares = [len(named & word_forms(head)) for head, _ in options]
    top = max(shares, default=0)
    return options[shares.index(top)][1] if top and shares.count(top) == 1 else None


def _ahead(text: str, all_: Sequence[Amount]) -> list[str]:
    """For each price of a text, the words between the previous price and it."""
    pieces = re.split(r"\d[\d.,]*", text)
    return pieces[: len(all_)]


def _share(named: frozenset[str], forms: frozenset[str]) -> float:
    held = sum(
        word in forms
        or (len(word) > 4 and any(JaroWinkler.similarity(word, form) >= _ALIKE for form in forms))
        for word in named
    )
    return held / len(named) if named else 0.0
