"""A vendor is one file: what each declares is whole, and one more file is one more vendor."""

import re
from collections import Counter
from pathlib import Path

import pytest
from pydantic import Field, SecretStr

from knowledge.loading.document import load
from ledger.money.prices import Prices
from pipeline import vendors
from pipeline.vendor import VendorSettings
from pipeline.vendors import (
    STAGES,
    VENDORS,
    Context,
    Vendor,
    find_vendors,
    of_stage,
)
from processors.declarations import DeclarationError
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
    own = context.settings.for_vendor(AcmeSettings)
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
    (module,) = (var for var in vars(vendors).values() if getattr(var, "VENDOR", None) is vendor)
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
    settings = Counter(
        name for owner in declared for name in vars(owner).get("__annotations__", ())
    )
    assert max(settings.values()) == 1


def test_auto_tries_each_in_its_place_and_ends_with_what_runs_here() -> None:
    for stage in STAGES:
        places = [vendor.auto for vendor in of_stage(stage) if vendor.auto is not None]
        assert places == sorted(set(places))
        assert of_stage(stage)[-1].kind == "embedded"
        assert of_stage(stage)[-1].auto is not None
    assert [vendor.name for vendor in of_stage("brain") if vendor.auto is not None] == [
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
    settings_of = including([*(vendor.settings for vendor in VENDORS), acme.settings])
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
    with pytest.raises(SettingsError, match=r"ACME_SPEED='-1': it must be more than 0"):
        settings_of.load(acme_speed="-1")
    assert acme.missing(settings_of.load()) == "not set: ACME_API_KEY"


@pytest.mark.parametrize(
    ("wrong", "instead", "told"),
    [
        (
            "VENDOR = Vendor(",
            "vendor = Vendor(",
            r"acme.py: it must declare VENDOR = Vendor\(…\)\.",
        ),
        ('stage="tts"', 'stage="speech"', "stage is 'speech'; allowed: vad, stt, brain, tts"),
        ('name="acme"', 'name="Acme TTS"', "name is 'Acme TTS'; allowed: lower-case letters"),
        ('kind="cloud"', 'kind="saas"', "kind is 'saas'; allowed: embedded, cloud"),
        ('    label="Acme",\n', "", "missing 1 required positional argument: 'label'"),
        ("label=", "lable=", "unexpected keyword argument 'lable'"),
        (
            '("acme_api_key",)',
            '("acme_api_key")',
            r"required is 'acme_api_key'; it must be a tuple",
        ),
        (
            '("acme_api_key",)',
            '("acme_key",)',
            "required has 'acme_key', which AcmeSettings does not",
        ),
        ("build=build", "build='build'", "build is 'build'; it must be a function"),
        ("auto=1", "auto='first'", "auto is 'first'; it must be a whole number"),
        ("build=build", "build=build, modules=(1,)", r"modules\[0\] is 1; it must be text"),
        (
            "build=build",
            "build=build, address=('acme_voice',)",
            "address is .*; it must be a tuple of 2: text, text",
        ),
        (
            "build=build",
            "build=build, early_answers='sometimes'",
            "early_answers is 'sometimes'; allowed: pauses, predicted, judged, never",
        ),
        ("build=build", "build=build, unfit='no'", "unfit is 'no'; it must be a function or None"),
        (
            "build=build",
            "build=build, modules=('.',)",
            r"modules has '\.'; it must be a module's na",
        ),
        ("build=build", "build=build, first_token_secs=-1", "first_token_secs is -1; it must be 0"),
        (
            "Field(1.0, gt=0",
            'Field("fast", gt=0',
            "acme_speed has the default 'fast'; it must be a",
        ),
        ("Field(1.0, gt=0", "Field(-1.0, gt=0", "acme_speed has the default -1.0; it must be more"),
        ("acme_speed: float", "for_vendor: float", "AcmeSettings.for_vendor is a word of"),
        ('label="Acme"', 'label=" "', "label is empty; people read it"),
        ('name="acme"', 'name="auto"', "name is 'auto'; allowed: .*, but not 'auto'"),
        ("from typing import Any", "exit(3)", r"line 6: it ends the program \(SystemExit: 3\)"),
        ("settings=AcmeSettings", "settings=Price", "it must be a class of VendorSettings"),
        ("Field(None, des", "Field(des", "AcmeSettings.acme_api_key has no default"),
        (', description="Acme\'s voice."', "", "AcmeSettings.acme_voice has no description"),
        ("per_thousand_characters", "per_character", "usd has 'per_character'; allowed: per_m"),
        (
            'Decimal("0.01")',
            "0.01",
            r"usd\['per_thousand_characters'\] is 0.01; it must be a Decim",
        ),
        ("date(2026, 1, 1)", "'2026-01-01'", "since is '2026-01-01'; it must be a day, such as"),
        (
            "from typing import Any",
            "import acme_sdk",
            "line 6: ModuleNotFoundError: No module named",
        ),
        ("def build(", "def build((", r"line \d+: SyntaxError: "),
    ],
)
def test_what_is_wrong_in_a_file_is_said_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str, instead: str, told: str
) -> None:
    assert wrong in ACME
    with pytest.raises(DeclarationError, match=rf"/acme\.py.*{told}|{told}") as refused:
        found_in(tmp_path, monkeypatch, acme=ACME.replace(wrong, instead))
    assert re.match(r"vendors_of_\w+/acme\.py(, line \d+)?: ", str(refused.value))


def test_two_files_with_one_name_or_setting_are_both_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        DeclarationError, match=r"b\.py: name is 'acme', which .*/a\.py has already"
    ):
        found_in(tmp_path, monkeypatch, a=ACME, b=ACME)
    other = ACME.replace('name="acme"', 'name="zeta"').replace("AcmeSettings", "ZetaSettings")
    folder = tmp_path / "again"
    folder.mkdir()
    with pytest.raises(
        DeclarationError, match=r"z\.py: ZetaSettings\.acme_api_key is a setting that"
    ):
        found_in(folder, monkeypatch, a=ACME, z=other)


def test_a_setting_of_the_servers_is_not_a_vendors() -> None:
    class Greedy(VendorSettings):
        """Of a vendor that would listen on the server's port."""

        port: int = Field(1, description="A port.")

    with pytest.raises(DeclarationError, match=r"Greedy\.port is PORT, a setting of the server's"):
        including([Greedy])


def test_settings_of_a_vendor_that_was_not_found_are_not_to_be_had() -> None:
    class Unknown(VendorSettings):
        """Of no vendor."""

    with pytest.raises(TypeError, match="no vendor declares the settings Unknown"):
        Settings.load().for_vendor(Unknown)
