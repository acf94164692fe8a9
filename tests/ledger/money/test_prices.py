"""What vendors charge: what they publish, an operator's own prices, and costs to the micro."""

import re
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversation.records import Used, in_micros
from ledger.money.price_table import published_prices, unit_prices
from ledger.money.prices import PriceError, Prices, check_prices
from pipeline.choice import choose
from pipeline.vendors import VENDORS, Price, Vendor
from settings import Settings, SettingsError

KEYS = dict.fromkeys(
    (
        "deepgram_api_key", "assemblyai_api_key", "soniox_api_key", "anthropic_api_key",
        "groq_api_key", "openrouter_api_key", "elevenlabs_api_key", "cartesia_api_key",
    ),
    "a-key",
)  # fmt: skip


def on(day: str) -> Callable[[], float]:
    """A clock that stands at noon of a day."""
    noon = datetime.fromisoformat(f"{day}T12:00:00+00:00")
    return noon.timestamp


def prices(day: str = "2026-11-24", **kwargs: Any) -> Prices:
    return Prices.load(clock=on(day), **kwargs)


def own(folder: Path, text: str, day: str = "2026-11-24") -> Prices:
    path = folder / "prices.toml"
    path.write_text(text)
    return Prices.load(path, clock=on(day))


def settings(**overrides: Any) -> Settings:
    return Settings(_env_file=None, **{**KEYS, **overrides})  # type: ignore[call-arg]


# What the vendors publish.


def test_every_published_price_says_where_it_is_published_and_is_not_of_the_future() -> None:
    for vendor in VENDORS:
        for price in vendor.prices:
            assert price.since <= datetime.now(UTC).date(), price
            assert price.free is (vendor.kind == "embedded"), price
            assert price.free is not bool(price.usd), price
            assert price.free or price.source.startswith("https://"), price
            assert all(usd.is_finite() and usd >= 0 for usd in price.usd.values()), price
            assert not unit_prices(price, "5m").keys() - {field.name for field in fields(Used)}, (
                price
            )


def test_what_runs_on_this_machine_is_free_whatever_its_model() -> None:
    used = Used(10_000, 10_000, 10_000, 10_000, 10_000, 10_000.0)
    for vendor in VENDORS:
        if vendor.kind == "embedded":
            assert prices().cost(vendor.name, "any", used) == 0
            assert prices().price(vendor.name, "") is not None


def test_a_turn_of_claude_haiku_costs_what_anthropic_says() -> None:
    used = Used(
        input_tokens=1_200, output_tokens=90, cache_read_tokens=4_300, cache_write_tokens=100
    )
    for model in ("claude-haiku-4-5", "claude-haiku-4-5-20251001"):
        assert prices().cost("claude", model, used) == 1_200 + 450 + 430 + 125
        assert prices(cache_ttl="1h").cost("claude", model, used) == 1_200 + 450 + 430 + 200


def test_a_minute_of_deepgram_and_a_thousand_characters_of_elevenlabs() -> None:
    assert prices().cost("deepgram", "nova-3", Used(audio_seconds=60.0)) == 9_000
    assert prices().cost("elevenlabs", "eleven_flash_v2_5", Used(characters=1_000)) == 40_000


def test_several_languages_at_once_cost_more_with_deepgram() -> None:
    minute = Used(audio_seconds=60.0)
    for language, micros in (("en-GB", 9_000), ("de", 9_000), ("multi", 10_500), ("MULTI", 10_500)):
        of = prices(settings=settings(deepgram_language=language))
        assert of.cost("deepgram", "nova-3", minute) == micros
    # An operator's own price takes precedence, whatever the language.
    of = Prices(
        published_prices(),
        own={"deepgram": (Price(date(2026, 1, 1), "here", {"per_minute_of_audio": Decimal(1)}),)},
        settings=settings(deepgram_language="multi"),
        clock=on("2026-11-24"),
    )
    assert of.cost("deepgram", "nova-3", minute) == 1_000_000


def test_the_price_is_that_of_the_day() -> None:
    thousand = Used(characters=1_000)
    costs = [
        prices(day).cost("elevenlabs", "eleven_flash_v2_5", thousand)
        for day in ("2026-06-08", "2026-06-09", "2026-10-05", "2026-10-06", "2030-01-01")
    ]
    assert costs == [0, 50_000, 50_000, 40_000, 40_000]
    flash = prices().price("elevenlabs", "eleven_flash_v2_5", date(2026, 7, 1))
    assert flash is not None
    assert flash.since == date(2026, 6, 9)


def test_a_vendor_or_a_model_without_a_price_costs_nothing() -> None:
    assert prices().cost("claude", "claude-of-tomorrow", Used(input_tokens=1_000_000)) == 0
    assert prices().cost("nobody", "", Used(characters=1_000_000)) == 0


# Exact, and rounded once.

FRACTIONS = """
[[price]]
vendor = "openai"
model = "*"
from = 2026-01-01
source = "here"
per_million_input_tokens = "0.3"
per_million_output_tokens = "0.25"
per_thousand_characters = "0.0005"
per_minute_of_audio = "0.000001"
"""


def test_a_cost_is_rounded_half_up_once(tmp_path: Path) -> None:
    cost = own(tmp_path, FRACTIONS).cost
    assert [cost("openai", "", Used(characters=n)) for n in range(5)] == [0, 1, 1, 2, 2]
    # 0.3 + 0.25 of a micro-dollar: apart each is less than half of one.
    assert cost("openai", "", Used(input_tokens=1)) == 0
    assert cost("openai", "", Used(output_tokens=1)) == 0
    assert cost("openai", "", Used(input_tokens=1, output_tokens=1)) == 1
    assert [cost("openai", "", Used(audio_seconds=s)) for s in (29.9, 30.0, 89.9)] == [0, 1, 1]


def test_a_vendor_without_a_price_for_its_cache_charges_it_as_input(tmp_path: Path) -> None:
    cost = own(tmp_path, FRACTIONS).cost
    assert cost("openai", "", Used(cache_read_tokens=10)) == 3
    assert cost("openai", "", Used(cache_write_tokens=10)) == 3


tokens = st.integers(0, 10**7)
use = st.builds(Used, tokens, tokens, tokens, tokens, tokens, st.floats(0, 10**5))


@given(use, st.sampled_from(["claude", "deepgram", "elevenlabs"]))
def test_a_cost_is_the_exact_one_to_half_a_micro_dollar(used: Used, vendor: str) -> None:
    usd = {
        "claude": used.input_tokens * Fraction(1, 10**6)
        + used.output_tokens * Fraction(5, 10**6)
        + used.cache_read_tokens * Fraction(1, 10**7)
        + used.cache_write_tokens * Fraction(5, 4 * 10**6),
        "deepgram": Fraction(Decimal(str(used.audio_seconds))) * Fraction(9, 60_000),
        "elevenlabs": used.characters * Fraction(4, 10**5),
    }[vendor]
    model = {"claude": "claude-haiku-4-5", "deepgram": "nova-3", "elevenlabs": "eleven_flash_v2_5"}
    cost = prices().cost(vendor, model[vendor], used)
    assert -Fraction(1, 2) < cost - usd * 10**6 <= Fraction(1, 2)


# An operator's own.


def test_an_operators_price_comes_first_even_if_it_is_older(tmp_path: Path) -> None:
    ours = own(
        tmp_path,
        '[[price]]\nvendor = "elevenlabs"\nmodel = "eleven_flash*"\nfrom = 2026-01-01\n'
        'source = "our contract"\nper_thousand_characters = "0.03"\n',
    )
    assert ours.cost("elevenlabs", "eleven_flash_v2_5", Used(characters=1_000)) == 30_000
    assert ours.cost("elevenlabs", "eleven_turbo_v2_5", Used(characters=1_000)) == 40_000
    assert ours.cost("deepgram", "nova-3", Used(audio_seconds=60.0)) == 9_000


def test_the_closest_model_counts_and_then_the_latest_day(tmp_path: Path) -> None:
    entry = (
        '[[price]]\nvendor = "groq"\nmodel = {}\nfrom = {}\nsource = "here"\n'
        'per_million_input_tokens = "{}"\n'
    )
    ours = own(
        tmp_path,
        entry.format('"*"', "2026-11-01", 1)
        + entry.format('["llama-*", "qwen-*"]', "2026-02-01", 2)
        + entry.format('"llama-8b"', "2026-01-01", 3)
        + entry.format('"llama-8b"', "2026-03-01", 4)
        + entry.format('"llama-8b"', "2027-01-01", 5),
    )
    million = Used(input_tokens=10**6)
    costs = [ours.cost("groq", model, million) for model in ("gpt", "qwen-3", "llama-8b")]
    assert costs == [10**6, 2 * 10**6, 4 * 10**6]


def test_a_server_takes_the_table_in_its_data_directory(tmp_path: Path) -> None:
    (tmp_path / "prices.toml").write_text(FRACTIONS)
    of = Prices.for_settings(
        settings(data_dir=tmp_path, claude_cache_ttl="1h"), clock=on("2026-11-24")
    )
    assert of.cost("openai", "llama", Used(characters=4)) == 2
    assert of.cost("claude", "claude-haiku-4-5", Used(cache_write_tokens=100)) == 200
    none = Prices.for_settings(settings(data_dir=tmp_path / "nowhere"))
    assert none.price("openai", "llama") is None


WHOLE = {
    "vendor": '"groq"',
    "model": '"m"',
    "from": "2026-01-01",
    "source": '"here"',
    "per_million_input_tokens": '"1"',
}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"vendor": '"grok"'}, r"entry 2: vendor = 'grok'; allowed: .*deepgram, .*groq"),
        ({"vendor": "7"}, r"entry 2: vendor = 7; allowed: text in quotes"),
        ({"source": '" "'}, r"entry 2: source = ' '; allowed: text in quotes"),
        ({"model": '""'}, r"entry 2: model = ''; allowed: a model id"),
        ({"model": "[]"}, r"entry 2: model = \[\]; allowed"),
        ({"from": '"2026-01-01"'}, r"entry 2: from = '2026-01-01'; allowed: a day, such as 2026"),
        ({"from": "2026-01-01T00:00:00Z"}, r"entry 2: from = .*; allowed: a day"),
        ({"per_million_input_tokens": "1.5"}, r"per_million_input_tokens = 1\.5; allowed: US doll"),
        ({"per_million_input_tokens": '"-1"'}, r'tokens = "-1"; allowed: .*"0" or more'),
        ({"per_million_input_tokens": '"…"'}, r'tokens = "…"; allowed: US dollars in quotes'),
        ({"per_million_input_tokens": '"inf"'}, r'tokens = "inf"; allowed: US dollars in quotes'),
        ({"per_character": '"1"'}, r"per_character is unknown; allowed: vendor, .*per_thousand_ch"),
        ({"free": "true"}, r"free = true with 1 prices; allowed: free = true, or at least one"),
        ({"per_million_input_tokens": None}, r"free = false with 0 prices; allowed"),
    ],
)
def test_a_wrong_entry_is_named_with_its_value_and_what_is_allowed(
    tmp_path: Path, changed: dict[str, str | None], told: str
) -> None:
    lines = {**WHOLE, **changed}
    wrong = "\n".join(f"{name} = {value}" for name, value in lines.items() if value is not None)
    with pytest.raises(PriceError, match=told) as error:
        own(tmp_path, f"{FRACTIONS}\n[[price]]\n{wrong}\n")
    assert str(tmp_path / "prices.toml") in str(error.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "price = 1",
            r"has price at its top level; allowed: entries that begin with \[\[price\]\]",
        ),
        ("prices = []", r"has prices at its top level"),
        ("price = [1]", r"entry 1 is 1; allowed: entries that begin"),
        ("[[price]", r"is not TOML: .*line 1"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(PriceError, match=told):
        own(tmp_path, text)


def test_a_table_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(PriceError, match=r"nowhere.toml cannot be read: .*No such file"):
        Prices.load(tmp_path / "nowhere.toml")


# A cap needs every price.


def test_all_that_is_chosen_by_default_has_a_price() -> None:
    for chosen in (settings(), Settings(_env_file=None)):  # type: ignore[call-arg]
        assert prices().missing(choose(chosen), chosen) == []


def test_without_a_cap_nobody_asks_for_prices() -> None:
    chosen = settings(stt="soniox")
    check_prices(prices(), choose(chosen), chosen)


@pytest.mark.parametrize(
    "wanted",
    [
        {"stt": "deepgram,soniox"},
        {"stt": "deepgram", "deepgram_model": "nova-9"},
        {"brain": "claude,openai", "brain_base_url": "http://127.0.0.1", "brain_model": 'a "b"'},
        {"brain": "openrouter", "openrouter_model": "who/knows"},
        {"claude_model": "claude-haiku-9"},
        {"tts": "hibari,cartesia", "cartesia_voice_id": "v"},
    ],
)
def test_under_a_cap_a_vendor_without_a_price_is_refused_with_the_lines_to_add(
    tmp_path: Path, wanted: dict[str, str]
) -> None:
    chosen = settings(data_dir=tmp_path, daily_spend_cap_usd=Decimal(5), **wanted)
    with pytest.raises(SettingsError) as error:
        check_prices(prices(), choose(chosen), chosen)
    told = str(error.value)
    assert told.startswith("DAILY_SPEND_CAP_USD=5 cannot be enforced without all prices.")
    assert f"Add to {tmp_path / 'prices.toml'}" in told
    lines = told[told.index("[[price]]") :]

    # As they stand they are refused; filled in, they are all that was missing.
    with pytest.raises(PriceError, match=r'= "…"; allowed: US dollars'):
        own(tmp_path, lines)
    check_prices(own(tmp_path, lines.replace("…", "0.25")), choose(chosen), chosen)


CHOOSABLE = [
    (vendor, setting)
    for vendor in VENDORS
    if vendor.kind == "cloud"
    for setting in ([vendor.model_setting] if vendor.model_setting else [""])
]
KNOWN = sorted({model for vendor in VENDORS for price in vendor.prices for model in price.models})
USES: dict[str, tuple[str, ...]] = {
    "stt": ("audio_seconds",),
    "tts": ("characters",),
    "brain": ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"),
}


@given(
    chosen=st.sampled_from(CHOOSABLE),
    model=st.sampled_from([model for model in KNOWN if model != "*"])
    | st.from_regex(r"[a-z0-9][a-z0-9./:_-]{0,30}", fullmatch=True),
    language=st.sampled_from(["en-GB", "de", "multi"]),
    ttl=st.sampled_from(["5m", "1h"]),
    cap=st.sampled_from(["daily_spend_cap_usd", "call_spend_cap_usd"]),
)
def test_every_model_that_can_be_chosen_has_all_its_prices_or_is_refused_under_a_cap(
    chosen: tuple[Vendor, str], model: str, language: str, ttl: str, cap: str
) -> None:
    vendor, setting = chosen
    wanted: dict[str, Any] = {vendor.stage: vendor.name, cap: Decimal(5), "claude_cache_ttl": ttl}
    wanted |= {"deepgram_language": language, "cartesia_voice_id": "v"}
    wanted |= {"brain_base_url": "http://127.0.0.1", "brain_model": "m", "openrouter_model": "m"}
    one = settings(**(wanted | ({setting: model} if setting else {})))
    try:
        choices = choose(one)
    except SettingsError:
        assert vendor.unfit is not None, "a model that cannot do the stage at all"
        assert vendor.unfit(one)
        return
    of = Prices.load(clock=on("2026-11-24"), settings=one, cache_ttl=ttl)  # type: ignore[arg-type]
    try:
        check_prices(of, {vendor.stage: choices[vendor.stage]}, one)
    except SettingsError:
        assert of.missing({vendor.stage: choices[vendor.stage]}, one)
    else:
        for unit in USES[vendor.stage]:
            assert of.cost(vendor.name, vendor.model_of(one), Used(**{unit: 10**6})) > 0, unit


def test_a_price_that_lacks_what_the_stage_is_charged_by_is_no_price(tmp_path: Path) -> None:
    half = own(
        tmp_path,
        '[[price]]\nvendor = "claude"\nmodel = "*"\nfrom = 2026-01-01\nsource = "here"\n'
        'per_million_input_tokens = "1"\nper_million_output_tokens = "5"\n'
        'per_million_cache_write_tokens_1h = "2"\n',
    )
    chosen = settings()
    (told,) = half.missing(choose(chosen), chosen)
    assert re.match(
        r"BRAIN=claude has no price for claude-haiku-5-5 \(per_million_cache_read_tokens, "
        r"per_million_cache_write_tokens_5m\)\. Add to data/prices\.toml",
        told,
    )


def test_a_cap_is_never_rounded_up() -> None:
    assert in_micros(None) is None
    assert in_micros(Decimal("0.0000019")) == 1
    assert in_micros(Decimal("12.345678")) == 12_345_678
