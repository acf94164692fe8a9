"""A vendor is one file: what each declares is whole, and one more file is one more vendor."""

from collections import Counter
from pathlib import Path

import pytest
from pydantic import SecretStr

from knowledge.loading.document import load
from ledger.money.prices import Prices
from pipeline import vendors
from pipeline.vendors import (
    STAGES,
    VENDORS,
    Context,
    Vendor,
    VendorSettings,
    find_vendors,
    of_stage,
)
from recording.metadata import plain_settings
from settings import ServerSettings, Settings, SettingsError, example, including

EVERY = pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)

ACME = '''
"""Acme: a voice in its cloud."""

from datetime import date
from decimal import Decimal
from typing import Any

from pydantic import Field, SecretStr

from pipeline.vendor import Context, Price, RecordedText, Vendor, VendorSettings, secret


class AcmeSettings(VendorSettings):
    acme_api_key: SecretStr | None = Field(None, description="Key of Acme.")
    acme_voice: RecordedText = Field("roadrunner", description="Acme's voice.")
    acme_speed: float = Field(1.0, gt=0, description="How fast it speaks.")


def build(_: Any, context: Context) -> Any:
    own = context.settings.of(AcmeSettings)
    return f"{own.acme_voice} by {secret(own.acme_api_key)} at {own.acme_speed:g}"


VENDOR = Vendor(
    stage="tts",
    name="acme",
    label="Acme",
    kind="cloud",
    detail="a voice in Acme's cloud",
    settings=AcmeSettings,
    required=("acme_api_key",),
    build=build,
    auto=1,
    prices=(
        Price(
            date(2026, 1, 1), "https://acme.example", {"per_thousand_characters": Decimal("0.01")}
        ),
    ),
)
'''


def found_in(folder: Path, monkeypatch: pytest.MonkeyPatch, **files: str) -> tuple[Vendor, ...]:
    """The vendors of a package that is made of some files."""
    package = folder / f"vendors_of_{folder.name}"
    package.mkdir()
    for name, text in files.items():
        (package / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(folder))
    return find_vendors(package.name, [str(package)])


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Vendor:
    """One more vendor."""
    (vendor,) = found_in(tmp_path, monkeypatch, acme=ACME)
    return vendor


# Each of them


@EVERY
def test_a_vendor_says_what_it_is(vendor: Vendor) -> None:
    for text in (vendor.name, vendor.label, vendor.detail):
        assert text.strip(), vendor
    (module,) = (one for one in vars(vendors).values() if getattr(one, "VENDOR", None) is vendor)
    file = vendor.name.replace("-", "_")
    assert module.__name__ == f"pipeline.vendors.{file}", "a file is named as its vendor"


@EVERY
def test_a_vendors_settings_have_a_meaning_a_default_and_its_name(vendor: Vendor) -> None:
    own = vendor.settings.model_fields
    for name, setting in own.items():
        assert setting.description, name
        assert setting.description.endswith("."), name
        assert not setting.is_required(), name
        assert setting.annotation == Settings.model_fields[name].annotation, name
    assert {*vendor.required, *filter(None, [vendor.model_setting])} <= set(own)
    assert not {vendor.model_setting} & {*ServerSettings.model_fields}
    assert not own.keys() & ServerSettings.model_fields.keys()
    documented = Path(".env.example").read_text()
    for name, setting in own.items():
        assert f"# {setting.description}" in documented
        assert f"\n#{name.upper()}=" in documented


@EVERY
def test_a_vendor_has_a_price_or_says_why_it_has_none(vendor: Vendor) -> None:
    assert bool(vendor.prices) is not bool(vendor.unpriced)
    default = vendor.model_of(Settings(_env_file=None))  # type: ignore[call-arg]
    assert (Prices.load().price(vendor.name, default) is None) is bool(vendor.unpriced)


def test_no_two_vendors_have_a_name_or_a_setting_in_common() -> None:
    assert max(Counter(vendor.name for vendor in VENDORS).values()) == 1
    declared = {vendor.settings for vendor in VENDORS}
    settings = Counter(name for one in declared for name in vars(one).get("__annotations__", ()))
    assert max(settings.values()) == 1


def test_auto_tries_each_in_its_place_and_ends_with_what_runs_here() -> None:
    for stage in STAGES:
        places = [vendor.auto for vendor in of_stage(stage) if vendor.auto is not None]
        assert places == sorted(set(places))
        assert of_stage(stage)[-1].kind == "embedded"
        assert of_stage(stage)[-1].auto is not None
    assert [one.name for one in of_stage("brain") if one.auto is not None] == [
        "claude", "openai", "extractive",
    ]  # fmt: skip


def test_the_documentation_names_each_vendor_without_a_price() -> None:
    money = " ".join(Path("docs/money.md").read_text().split())
    for vendor in VENDORS:
        if vendor.unpriced:
            assert (vendor.label in money) or vendor.name == "openai", vendor.name


@EVERY
def test_recordings_hold_no_secret_and_no_address_of_a_vendor(vendor: Vendor) -> None:
    recorded = plain_settings(Settings(_env_file=None))  # type: ignore[call-arg]
    for name, setting in vendor.settings.model_fields.items():
        hidden = setting.annotation == SecretStr | None or name.endswith("_url")
        assert (name in recorded) is not hidden


# One more


def test_a_file_is_a_vendor_with_its_settings_and_its_price(
    acme: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings_of = including([*(one.settings for one in VENDORS), acme.settings])
    monkeypatch.setenv("ACME_API_KEY", "key-of-acme")
    monkeypatch.setenv("ACME_SPEED", "1.5")
    settings = settings_of(_env_file=None)  # type: ignore[call-arg]
    said = acme.build(acme.load(Context(settings, load()), print), Context(settings, load()))
    assert said == "roadrunner by key-of-acme at 1.5"
    assert "key-of-acme" not in repr(settings)
    recorded = plain_settings(settings)
    assert (recorded["acme_voice"], recorded["acme_speed"]) == ("roadrunner", 1.5)
    assert "acme_api_key" not in recorded
    assert "\n# Acme's voice.\n#ACME_VOICE=roadrunner\n" in example(settings_of)
    assert Prices({acme.name: acme.prices}).price("acme", "") == acme.prices[0]


def test_a_wrong_value_of_its_setting_is_named_with_what_is_allowed(acme: Vendor) -> None:
    settings_of = including([acme.settings])
    with pytest.raises(SettingsError, match=r"ACME_SPEED='-1': .*greater than 0"):
        settings_of.load(acme_speed="-1")
    assert acme.missing(settings_of.load()) == "not set: ACME_API_KEY"


def test_a_file_without_a_vendor_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AttributeError, match=r"roadrunner' has no attribute 'VENDOR'"):
        found_in(tmp_path, monkeypatch, roadrunner="")


def test_settings_of_a_vendor_that_was_not_found_are_not_to_be_had() -> None:
    class Unknown(VendorSettings):
        """Of no vendor."""

    with pytest.raises(TypeError, match="no vendor declares the settings Unknown"):
        Settings.load().of(Unknown)
