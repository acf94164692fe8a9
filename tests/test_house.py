"""Rules of the code base that no linter knows."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Set
from dataclasses import fields
from functools import cache
from importlib import import_module
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from conversation.turns import Turn
from pipeline.choice import choose
from pipeline.vendors import STAGES
from settings import Settings, SettingsError, example

LAYERS = (
    *("accounts", "client", "conversation", "evals", "knowledge", "ledger", "models", "operating"),
    *("pipeline", "processors", "recording", "simulators", "transports"),
)
ABOVE_THE_SERVER = ("evals",)

OPTIONAL = {"simulators/smtp.py: aiosmtpd"}
"""Imports of what the make target does not install: of what only tests use."""


@cache
def parsed(module: Path) -> ast.Module:
    """The syntax tree of a module."""
    return ast.parse(module.read_text())


def imported(module: Path) -> set[str]:
    """The top-level names that a module imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(parsed(module)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            names.add((node.module or "").split(".")[0])
    return names


def written_to_turns(module: str) -> list[str]:
    """Where the source of a module makes a turn, or writes into one or into the list of them.

    Only a module that imports ``conversation.turns`` can hold one. Its own attributes are its own.
    """
    if "conversation.turns" not in module:
        return []
    tree = ast.parse(module)
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    if "conversation.turns" not in modules:
        return []
    kept = {field.name for field in fields(Turn)} | {"turns", "stale"}
    found: list[str] = []
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="self")):
                pass
            case ast.Attribute(attr=name, ctx=ast.Store() | ast.Del()) if name in kept:
                found.append(f"{node.lineno}: {ast.unparse(node)}")
            case ast.Call(func=ast.Name(id="Turn" | "setattr")):
                found.append(f"{node.lineno}: {ast.unparse(node)}")
            case ast.Call(func=ast.Attribute(value=ast.Attribute(attr="turns"), attr=name)):
                if name in {"append", "clear", "extend", "insert", "pop", "remove"}:
                    found.append(f"{node.lineno}: {ast.unparse(node)}")
            case _:
                pass
    return found


@pytest.mark.parametrize(
    ("line", "writes"),
    [
        ("turn.closed = True", True),
        ("self.conversation.turn.first_audio = 1.0", True),
        ("conversation.stale += 1", True),
        ("conversation.turns.append(turn)", True),
        ("turn = Turn(1, 'Where?', 0.0)", True),
        ("setattr(turn, 'interrupted', True)", True),
        ("self.closed = turn.closed", False),
        ("conversation.close(conversation.turn)", False),
    ],
)
def test_a_write_into_a_turn_is_seen(line: str, writes: bool) -> None:
    module = f"from conversation.turns import Conversation\n{line}"
    assert bool(written_to_turns(module)) is writes


def test_only_the_conversation_writes_turns() -> None:
    modules = [
        module
        for folder in (*LAYERS, "benchmarks", "examples", "evals")
        if folder != "conversation"
        for module in Path(folder).rglob("*.py")
    ]
    assert len(modules) > 100
    for module in (*modules, Path("server.py"), Path("cli.py")):
        assert not written_to_turns(module.read_text()), module


def packages() -> dict[str, Path]:
    """The packages by name, with their ``__init__``; not those of tests."""
    found = {
        ".".join(module.parent.parts): module
        for folder in (*LAYERS, "benchmarks", "examples")
        for module in Path(folder).rglob("__init__.py")
    }
    assert len(found) > 50
    return found


def imported_from(module: Path, names: Set[str]) -> set[tuple[str, str]]:
    """What a module takes from packages that it is not in: the package and the name in it."""
    taken: set[str] = set()
    tree = parsed(module)
    aliases: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            taken |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                taken.add(f"{node.module}.{alias.name}")
                aliases[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    if not names.isdisjoint(aliases.values()):  # import migrations; migrations.upgrade(engine)
        for node in ast.walk(tree):
            match node:
                case ast.Attribute(value=ast.Name(id=held), attr=name) if held in aliases:
                    taken.add(f"{aliases[held]}.{name}")
                case _:
                    pass
    within = (".".join(module.with_suffix("").parts) + ".").replace(".__init__.", ".")
    found: set[tuple[str, str]] = set()
    for path in taken:
        parts = path.split(".")
        for length in range(1, len(parts)):
            package = ".".join(parts[:length])
            outside = package in names and not within.startswith(f"{package}.")
            if outside and not parts[length].startswith("__"):
                found.add((package, parts[length]))
    return found


def public(module: Path) -> tuple[str, ...]:
    """The names of a package's ``__all__``."""
    for node in parsed(module).body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                return tuple(ast.literal_eval(value))
            case ast.AnnAssign(target=ast.Name(id="__all__"), value=ast.expr() as value):
                return tuple(ast.literal_eval(value))
            case _:
                pass
    raise AssertionError(f"{module} has no __all__")


def test_a_package_says_what_it_is_for_and_what_others_may_import() -> None:
    declared = packages()
    names = {package: public(module) for package, module in declared.items()}
    folders = (Path(folder) for folder in (*LAYERS, "benchmarks", "examples", "deploy"))
    modules = [module for folder in folders for module in folder.rglob("*.py")]
    used: dict[tuple[str, str], Path] = {}
    for module in (*modules, *Path().glob("*.py")):
        used |= dict.fromkeys(imported_from(module, names.keys()), module)
    for package, module in declared.items():
        assert ast.get_docstring(parsed(module)), module
        for name in names[package]:
            path = Path(*package.split("."), name)
            if not (path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()):
                assert hasattr(import_module(package), name), (package, name)
            assert (package, name) in used, f"{package}.{name} is used in {package} alone"
    private = {f"{module}: {p}.{n}" for (p, n), module in used.items() if n not in names[p]}
    assert not private, "imported from outside, and not in the package's __all__"


def test_env_example_lists_every_setting() -> None:
    assert Path(".env.example").read_text() == example() + "\n"


def test_nothing_below_imports_the_server_or_the_command() -> None:
    for layer in LAYERS:
        above = {"cli"} if layer in ABOVE_THE_SERVER else {"cli", "server"}
        for module in Path(layer).rglob("*.py"):
            assert not above & imported(module), module


def test_what_vendors_are_declared_for_knows_no_vendor() -> None:
    """The settings read the vendors' files: these and what is below them cannot import them."""
    for layer in ("pipeline", "recording", "processors", "conversation", "knowledge", "models"):
        for module in Path(layer).rglob("*.py"):
            assert "settings" not in imported(module), module
    assert not {*LAYERS, "settings"} & imported(Path("server_settings.py"))


def test_what_is_printed_stands_as_it_is() -> None:
    """A console of rich's takes ``:x:`` in a path or a document for the name of a picture."""
    folders = (*LAYERS, "benchmarks")
    modules = [Path(name) for name in ("cli.py", "server.py", "terminal.py")]
    modules += [file for name in folders for file in Path(name).rglob("*.py")]
    taken = [
        module
        for module in modules
        for node in ast.walk(parsed(module))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Console"
        if not any(keyword.arg == "emoji" for keyword in node.keywords)
    ]
    assert taken == []


def test_settings_import_nothing_of_viva_but_what_vendors_declare() -> None:
    script = "import sys, settings; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    vendors = {name for name in loaded if name.split(".")[:2] == ["pipeline", "vendors"]}
    assert len(vendors) > 10
    packages = {name.split(".")[0] for name in loaded}
    assert not ({*LAYERS, "cli", "server"} - {"pipeline", "processors"}) & packages
    assert {name for name in loaded if name.startswith(("pipeline", "processors"))} == {
        *vendors, "pipeline", "pipeline.vendor", "processors", "processors.declarations",
    }  # fmt: skip
    # Nor the frameworks and SDKs that take seconds.
    assert not {"pipecat", "numpy", "anthropic", "openai", "deepgram", "elevenlabs"} & packages


def test_every_package_is_built() -> None:
    built = tomllib.loads(Path("pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    packages = {
        str(path.parent).replace("/", ".") for layer in LAYERS for path in Path(layer).rglob("*.py")
    }
    assert set(built) == packages


def test_a_wrong_setting_is_named_with_its_value_and_what_is_allowed() -> None:
    with pytest.raises(SettingsError, match=r"PORT='99999'|PORT=99999: .*65535"):
        Settings.load(port=99999)
    with pytest.raises(SettingsError, match=r"BARGE_IN='maybe': allowed: 'duck', 'instant'"):
        Settings.load(barge_in="maybe")


def test_an_unknown_vendor_is_named_with_those_that_exist() -> None:
    with pytest.raises(
        SettingsError, match=r"STT='siri' is unknown; allowed: auto, deepgram-flux, .*whisper"
    ):
        choose(Settings.load(stt="siri"))


def test_with_no_key_at_all_every_stage_is_embedded() -> None:
    chosen = choose(Settings(_env_file=None))  # type: ignore[call-arg]
    assert [chosen[stage].vendor.kind for stage in STAGES] == ["embedded"] * len(STAGES)


def test_an_empty_setting_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KNOWLEDGE", "")
    assert Settings.load().knowledge is None


@pytest.mark.parametrize(
    ("lock", "folders"),
    [
        ("requirements.lock", tuple(name for name in LAYERS if name != "evals")),
        ("requirements-bench.lock", ("benchmarks",)),
    ],
)
def test_what_is_imported_is_installed_by_the_make_target(lock: str, folders: tuple[str]) -> None:
    """``make bench`` failed on a clean clone: a module came only with what the tests need."""
    locked = {
        re.sub(r"[-_.]+", "-", name).lower()
        for name in re.findall(r"^([A-Za-z0-9._-]+)(?:\[\w+\])?==", Path(lock).read_text(), re.M)
    }
    modules = [path for folder in folders for path in Path(folder).rglob("*.py")]
    brought_by = packages_distributions()
    missing = {
        f"{module}: {name}"
        for module in modules
        for name in imported(module) & brought_by.keys()
        if name not in sys.stdlib_module_names
        and not {re.sub(r"[-_.]+", "-", of).lower() for of in brought_by[name]}
        & {*locked, "viva-voice"}
    }
    assert not missing - OPTIONAL
