"""Vendor prices, and the cost of usage.

Prices are exact fractions of micro-dollars; a cost is rounded once, half up, to a whole number.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from fractions import Fraction
from pathlib import Path

from conversation.records import Used
from ledger.money.price_table import (
    PriceError,
    Table,
    Ttl,
    parse_prices,
    published_prices,
    specificity,
    unit_prices,
)
from pipeline.choice import Choice
from pipeline.vendor import PricedBy
from pipeline.vendors import Price, Stage, Vendor
from pipeline.vendors.claude import ClaudeSettings
from settings import Settings, SettingsError

__all__ = ["PriceError", "Prices", "check_prices"]

FILE = "prices.toml"
"""File name of an operator's price table in ``DATA_DIR``."""


class Prices:
    """Prices of all vendors; implements :class:`~conversation.records.Tariff`.

    Parameters:
        prices: Published prices; of equally specific ones, the latest applies.
        own: The operator's prices, which take precedence.
        settings: They select among prices that depend on settings.
        cache_ttl: Lifetime of cache entries, which affects their price.
        clock: Returns Unix seconds.
    """

    def __init__(
        self,
        prices: Table,
        *,
        own: Table | None = None,
        settings: Settings | None = None,
        cache_ttl: Ttl = "5m",
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._tables = (own or {}, prices)
        self._settings = settings
        self._cache_ttl = cache_ttl
        self._clock = clock or time.time

    @classmethod
    def load(
        cls,
        path: Path | None = None,
        *,
        settings: Settings | None = None,
        cache_ttl: Ttl = "5m",
        clock: Callable[[], float] | None = None,
    ) -> "Prices":
        """The published prices, and an operator's own.

        Args:
            path: The operator's price table, if any.
            settings: As for the class.
            cache_ttl: ``CLAUDE_CACHE_TTL``.
            clock: Returns Unix seconds.

        Raises:
            PriceError: A table is invalid.
        """
        own: Table | None = None
        if path is not None:
            try:
                own = parse_prices(path.read_text(encoding="utf-8"), str(path))
            except (OSError, UnicodeDecodeError) as error:
                raise PriceError(f"{path} cannot be read: {error}.") from None
        return cls(published_prices(), own=own, settings=settings, cache_ttl=cache_ttl, clock=clock)

    @classmethod
    def for_settings(
        cls, settings: Settings, *, clock: Callable[[], float] | None = None
    ) -> "Prices":
        """The prices for a server's settings; ``DATA_DIR/prices.toml`` wins if it exists.

        Raises:
            PriceError: A table is invalid.
        """
        path = settings.data_dir / FILE
        own = path if path.exists() else None
        cache_ttl = settings.for_vendor(ClaudeSettings).claude_cache_ttl
        return cls.load(own, settings=settings, cache_ttl=cache_ttl, clock=clock)

    @property
    def today(self) -> date:
        """The current UTC day."""
        return datetime.fromtimestamp(self._clock(), UTC).date()

    @property
    def newest(self) -> date:
        """The latest start date of a published price."""
        return max(price.since for prices in self._tables[1].values() for price in prices)

    def price(self, vendor: str, model: str, day: date | None = None) -> Price | None:
        """The price that applies on a day, today by default; ``None`` if there is none."""
        day = day or self.today
        for table in self._tables:
            fitting = [
                price
                for price in table.get(vendor, ())
                if specificity(price, model)
                and price.since <= day
                and price.applies(self._settings)
            ]
            if fitting:
                return max(
                    fitting,
                    key=lambda price: (specificity(price, model), len(price.only_if), price.since),
                )
        return None

    def cost(self, vendor: str, model: str, used: Used) -> int:
        """Cost of today's usage in micro-dollars, rounded half up; 0 without a price.

        Args:
            vendor: The vendor's name in settings.
            model: The model; empty if the vendor has only one.
            used: The usage.
        """
        price = self.price(vendor, model)
        if price is None:
            return 0
        charged = unit_prices(price, self._cache_ttl).items()
        cost = sum(
            (Fraction(str(getattr(used, unit))) * rate for unit, rate in charged), Fraction()
        )
        return (2 * cost.numerator + cost.denominator) // (2 * cost.denominator)

    def missing(self, choices: Mapping[Stage, Choice], settings: Settings) -> list[str]:
        """For each chosen vendor, reserves included, without a complete price: the lines to add."""
        where = settings.data_dir / FILE
        troubles = []
        for stage, choice in choices.items():
            for vendor in choice.vendors:
                model = vendor.model_of(settings)
                price = self.price(vendor.name, model)
                if price is not None and price.free:
                    continue
                needed = self._needed(stage, vendor)
                absent = [field for field in needed if price is None or field not in price.usd]
                if absent:
                    of_model = f" for {model}" if model else ""
                    troubles.append(
                        f"{stage.upper()}={vendor.name} has no price{of_model} "
                        f"({', '.join(absent)}). Add to {where}, with its prices in dollars:"
                        f"\n\n{_entry_of(vendor, model, needed, self.today)}"
                    )
        return troubles

    def _needed(self, stage: Stage, vendor: Vendor) -> tuple[PricedBy, ...]:
        """The price fields that a stage's usage needs."""
        if stage == "vad":
            return ()
        if stage == "stt":
            return ("per_minute_of_audio",)
        if stage == "tts":
            return ("per_thousand_characters",)
        tokens: tuple[PricedBy, ...] = ("per_million_input_tokens", "per_million_output_tokens")
        if vendor.caches_from is not None:
            written: PricedBy = (
                "per_million_cache_write_tokens_5m"
                if self._cache_ttl == "5m"
                else "per_million_cache_write_tokens_1h"
            )
            tokens += ("per_million_cache_read_tokens", written)
        return tokens


def _entry_of(vendor: Vendor, model: str, needed: Iterable[str], day: date) -> str:
    """The lines of a price entry, with blanks for the prices."""
    lines = [
        "[[price]]",
        f"vendor = {json.dumps(vendor.name)}",
        f"model = {json.dumps(model or '*')}",
        f"from = {day.isoformat()}",
        'source = "where the price is published"',
        *(f'{field} = "…"' for field in needed),
    ]
    if vendor.name == "openai":
        lines.append("# or, in place of its prices, for a machine of your own: free = true")
    return "\n".join(lines)


def check_prices(prices: Prices, choices: Mapping[Stage, Choice], settings: Settings) -> None:
    """Refuse to start under a spend cap if the price of a vendor is unknown.

    Raises:
        SettingsError: A cap is set and a price is missing; the message has the lines to add.
    """
    caps = {
        "DAILY_SPEND_CAP_USD": settings.daily_spend_cap_usd,
        "CALL_SPEND_CAP_USD": settings.call_spend_cap_usd,
    }
    kept = [f"{name}={usd}" for name, usd in caps.items() if usd is not None]
    if kept and (troubles := prices.missing(choices, settings)):
        raise SettingsError(
            f"{' and '.join(kept)} cannot be enforced without all prices.\n" + "\n\n".join(troubles)
        )
