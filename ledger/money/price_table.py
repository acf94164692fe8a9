"""Price tables: the vendors' published prices, and an operator's ``prices.toml``."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any, Literal

from conversation.records import MICROS
from pipeline.vendor import Price, PricedBy
from pipeline.vendors import VENDORS
from settings import SettingsError

Ttl = Literal["5m", "1h"]
"""Lifetime of a prompt cache entry."""

Table = Mapping[str, Sequence[Price]]
"""Prices by vendor name."""

_PER: Mapping[PricedBy, tuple[str, int]] = {
    "per_million_input_tokens": ("input_tokens", 1_000_000),
    "per_million_output_tokens": ("output_tokens", 1_000_000),
    "per_million_cache_read_tokens": ("cache_read_tokens", 1_000_000),
    "per_million_cache_write_tokens_5m": ("cache_write_tokens", 1_000_000),
    "per_million_cache_write_tokens_1h": ("cache_write_tokens", 1_000_000),
    "per_thousand_characters": ("characters", 1_000),
    "per_minute_of_audio": ("audio_seconds", 60),
}
"""Each price field: the unit of :class:`~conversation.records.Used`, and how many it prices."""

_DESCRIBING = ("vendor", "model", "from", "source", "free")
_OF_CACHES = ("cache_read_tokens", "cache_write_tokens")


class PriceError(SettingsError):
    """A price table is invalid; the message names the entry, the field and what is allowed."""


def published_prices() -> Table:
    """The published prices that the vendors' modules declare, see :mod:`pipeline.vendors`."""
    return {vendor.name: vendor.prices for vendor in VENDORS}


def specificity(price: Price, model: str) -> int:
    """How specifically a price matches a model; 0 if it does not."""
    if model in price.models:
        return len(model) + 2
    prefixes = [model[:-1] for model in price.models if model.endswith("*")]
    return max((len(prefix) + 1 for prefix in prefixes if model.startswith(prefix)), default=0)


def unit_prices(price: Price, cache_ttl: Ttl) -> dict[str, Fraction]:
    """Micro-dollars per unit of :class:`~conversation.records.Used`.

    Without a price for its cache, a vendor charges cached tokens as input.
    """
    other = "1h" if cache_ttl == "5m" else "5m"
    rates = {
        unit: Fraction(price.usd[field]) * MICROS / per
        for field, (unit, per) in _PER.items()
        if field in price.usd and not field.endswith(other)
    }
    if "input_tokens" in rates:
        for unit in _OF_CACHES:
            rates.setdefault(unit, rates["input_tokens"])
    return rates


def parse_prices(text: str, name: str) -> Table:
    """Parse a price table.

    Args:
        text: TOML.
        name: Its name in error messages.

    Raises:
        PriceError: The table is invalid.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PriceError(f"{name} is not TOML: {error}.") from None
    entries = table.pop("price", [])
    if table or not isinstance(entries, list):
        raise PriceError(
            f"{name} has {', '.join(table) or 'price'} at its top level; allowed: entries that "
            "begin with [[price]]."
        )
    prices: dict[str, list[Price]] = {}
    for at, entry in enumerate(entries, 1):
        vendor, price = _entry(entry, f"{name}, entry {at}")
        prices.setdefault(vendor, []).append(price)
    return prices


def _entry(entry: Any, name: str) -> tuple[str, Price]:
    if not isinstance(entry, dict):
        raise PriceError(f"{name} is {entry!r}; allowed: entries that begin with [[price]].")
    if unknown := [field for field in entry if field not in (*_DESCRIBING, *_PER)]:
        allowed = ", ".join((*_DESCRIBING, *_PER))
        raise PriceError(f"{name}: {unknown[0]} is unknown; allowed: {allowed}.")
    vendor, source = _text(entry, "vendor", name), _text(entry, "source", name)
    if vendor not in (known := [known_vendor.name for known_vendor in VENDORS]):
        raise PriceError(f"{name}: vendor = {vendor!r}; allowed: {', '.join(known)}.")
    model, since, free = entry.get("model"), entry.get("from"), entry.get("free", False)
    models: list[Any] = model if isinstance(model, list) else [model]
    if not models or not all(isinstance(model, str) and model for model in models):
        raise PriceError(
            f"{name}: model = {model!r}; allowed: a model id in quotes, or several in "
            'brackets; "gpt-*" matches all that begin so, "*" all.'
        )
    if not isinstance(since, date) or isinstance(since, datetime):
        raise PriceError(f"{name}: from = {since!r}; allowed: a day, such as 2026-01-31.")
    usd = {field: _usd(entry[field], field, name) for field in _PER if field in entry}
    if not isinstance(free, bool) or free == bool(usd):
        raise PriceError(
            f"{name}: free = {json.dumps(free, default=str)} with {len(usd)} prices; allowed: "
            "free = true, or at least one price."
        )
    return vendor, Price(since, source, usd, tuple(models), free)


def _text(entry: Mapping[str, Any], field: str, name: str) -> str:
    value = entry.get(field)
    if not isinstance(value, str) or not value.strip():
        raise PriceError(f"{name}: {field} = {value!r}; allowed: text in quotes.")
    return value


def _usd(value: Any, field: str, name: str) -> Decimal:
    try:
        usd = Decimal(value) if isinstance(value, str) else None
    except InvalidOperation:
        usd = None
    if usd is None or not usd.is_finite() or usd < 0:
        raise PriceError(
            f"{name}: {field} = {json.dumps(value, default=str, ensure_ascii=False)}; allowed: US "
            'dollars in quotes, "0" or more, such as "0.25".'
        )
    return usd
