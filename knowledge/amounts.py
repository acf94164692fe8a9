"""Extracts the sums of money in a text, so that they can be compared and added up."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d{1,2})?|\d+(?:[.,]\d{1,2})?(?!\d)"
_WORDS = r"euros?|pounds?|dollars?|kroner|kronor|cents?|pence|francs?|eur|usd|gbp|chf|dkk|sek|nok"
_MONEY = re.compile(
    rf"([€£$¥])\s?({_NUMBER})|(?<![\w.,])({_NUMBER})\s?(?:([€£$¥])|({_WORDS})\b)", re.IGNORECASE
)
_BARE = re.compile(r"(?<![\w.,:€£$¥])(\d+[.,]\d{2})(?![\w:]|[.,]\d|\s?(?:%|kg|g|km|m|l|cl)\b)")
_SIGNS = {"euro": "€", "eur": "€", "pound": "£", "gbp": "£", "dollar": "$", "usd": "$"}


@dataclass(frozen=True, slots=True)
class Amount:
    """A sum of money.

    Parameters:
        value: The number.
        unit: The currency's sign, or its name in lower case and the singular; empty for a price
            without a currency.
    """

    value: Decimal
    unit: str

    def __str__(self) -> str:
        """As written: "£13.50", "4 kroner"."""
        whole = self.value == self.value.to_integral_value()
        figure = f"{int(self.value):,}" if whole else f"{self.value:,.2f}"
        if not self.unit:
            return figure
        return f"{figure} {self.unit}" if self.unit.isalpha() else f"{self.unit}{figure}"


def amounts(text: str) -> tuple[Amount, ...]:
    """Extract the sums of a text, in order.

    Prices without a currency count only if there are no others. They have two decimals and no unit
    of measure after them: "Crème brûlée 7.50".
    """
    found = tuple(_priced(text))
    if found:
        return found
    return tuple(Amount(_value(match[1]), "") for match in _BARE.finditer(text))


def _priced(text: str) -> Iterator[Amount]:
    for match in _MONEY.finditer(text):
        before, first, second, after, word = match.groups()
        unit = before or after or _unit(word)
        yield Amount(_value(first or second), unit)


def _unit(word: str) -> str:
    word = word.lower()
    singular = word.removesuffix("s")
    return _SIGNS.get(singular, singular)


def _value(written: str) -> Decimal:
    if re.search(r",\d{1,2}$", written):
        written = written.replace(",", ".")
    return Decimal(written.replace(",", ""))
