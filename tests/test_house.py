"""The rules of the house that no linter knows."""

import ast
import tomllib
from pathlib import Path

import pytest

from pipeline.settings import Settings, SettingsError, example
from pipeline.vendors import STAGES, choose

ROOMS = (
    *("accounts", "ledger", "operating", "pipeline", "processors", "recording", "transports"),
    *("knowledge", "models", "evals"),
)


def test_env_example_lists_every_setting() -> None:
    assert Path(".env.example").read_text() == example() + "\n"


def test_nothing_below_imports_the_server_or_the_command() -> None:
    for room in ROOMS:
        for module in Path(room).glob("*.py"):
            for node in ast.walk(ast.parse(module.read_text())):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom):
                    names = [node.module or ""]
                assert not {"server", "cli"} & {name.split(".")[0] for name in names}, module


def test_a_module_is_at_most_400_lines() -> None:
    modules = [*Path().glob("*.py"), *(one for room in ROOMS for one in Path(room).glob("*.py"))]
    modules += [*Path("web").glob("*.js"), *Path("web").glob("*.css")]
    long = {str(one): n for one in modules if (n := len(one.read_text().splitlines())) > 400}
    assert not long


def test_every_package_is_built() -> None:
    built = tomllib.loads(Path("pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    packages = {
        str(one.parent).replace("/", ".") for room in ROOMS for one in Path(room).rglob("*.py")
    }
    assert set(built) == packages


def test_a_wrong_setting_is_named_with_its_value_and_what_is_allowed() -> None:
    with pytest.raises(SettingsError, match=r"PORT='99999'|PORT=99999: .*65535"):
        Settings.load(port=99999)
    with pytest.raises(SettingsError, match=r"BARGE_IN='maybe'.*'duck' or 'instant'"):
        Settings.load(barge_in="maybe")


def test_an_unknown_vendor_is_named_with_those_that_exist() -> None:
    with pytest.raises(
        SettingsError, match=r"STT='siri' is unknown; allowed: auto, deepgram, .*whisper"
    ):
        choose(Settings.load(stt="siri"))


def test_with_no_key_at_all_every_stage_is_embedded() -> None:
    chosen = choose(Settings(_env_file=None))  # type: ignore[call-arg]
    assert [chosen[stage].vendor.kind for stage in STAGES] == ["embedded"] * len(STAGES)


def test_an_empty_setting_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KNOWLEDGE", "")
    assert Settings.load().knowledge is None
