"""All settings of Viva: one typed object, with the server's own and those that vendors declare.

A vendor declares its settings in its module of :mod:`pipeline.vendors`; :class:`Settings` combines
them with those of :mod:`server_settings`.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias, get_args

from dotenv.parser import parse_stream
from pydantic import SecretStr, create_model
from pydantic.fields import FieldInfo
from rapidfuzz.distance import DamerauLevenshtein

from pipeline.vendor import VendorSettings
from pipeline.vendors import VENDORS
from processors.declarations import DeclarationError
from server_settings import (
    ENV_ENCODING,
    ENV_FILE,
    ServerSettings,
    SettingsError,
    values_by_source,
)

__all__ = [
    "ENV_ENCODING",
    "ENV_FILE",
    "ServerSettings",
    "Settings",
    "SettingsError",
    "current",
    "example",
    "including",
    "known_names",
    "meant_by",
    "without_effect",
]

_HIDDEN = "***"
_CREDENTIALS = re.compile(r"(://)[^/@\s]*@")  # of an address

MOST_MEANT = 3
"""Most settings that are named when one of their names was probably meant."""

LONG_CHARS = 7
"""Names at least this long may have two typing errors and still be suggested; shorter ones, one."""


def including(declared: Iterable[type[VendorSettings]]) -> type[ServerSettings]:
    """The class of all settings: the server's, and those that vendors declare.

    Args:
        declared: The vendors' classes; duplicates are allowed, since vendors may share one.

    Raises:
        DeclarationError: A vendor declares a setting of the server's.
    """
    given = dict.fromkeys(declared)
    for declaration in given:
        for name in declaration.model_fields.keys() & ServerSettings.model_fields.keys():
            raise DeclarationError(
                f"{declaration.__module__.replace('.', '/')}.py: {declaration.__name__}.{name} is "
                f"{name.upper()}, a setting of the server's. Give it another name, which begins "
                "with the vendor's."
            )
    # One that another extends comes with it. The fields of the last base come first.
    own = [
        declaration
        for declaration in given
        if not any(issubclass(other, declaration) for other in given if other is not declaration)
    ]
    bases: Any = (*reversed(own), ServerSettings)
    made: type[ServerSettings] = create_model(
        "Settings", __base__=bases, __module__=__name__, __doc__=_ALL
    )
    return made


_ALL = """All settings of one server; :meth:`ServerSettings.for_vendor` gives a vendor's, typed."""

if TYPE_CHECKING:
    Settings: TypeAlias = ServerSettings
else:
    Settings = including(vendor.settings for vendor in VENDORS)


@cache
def known_names() -> frozenset[str]:
    """The names of all settings in upper case."""
    return frozenset(
        name.upper() for field in Settings.model_fields for name in Settings.names_of(field)
    )


def meant_by(name: str) -> tuple[str, ...]:
    """The settings that an unknown name probably means; empty if it is one, or is like none.

    It has a few typing errors, begins with a setting's name, or is the beginning of some.

    Args:
        name: In upper case.
    """
    known = known_names()
    if name in known or len(name) < len("PORT"):
        return ()
    if (bare := name.removeprefix("VIVA_")) in known:
        return (bare,)
    mistakes = {setting: DamerauLevenshtein.distance(name, setting) for setting in known}
    nearest = min(sorted(mistakes), key=mistakes.__getitem__)
    if mistakes[nearest] <= (1 if len(name) < LONG_CHARS else 2):
        return (nearest,)
    if begun := [setting for setting in known if _begins(name, setting)]:
        return (max(begun, key=len),)
    continued = [setting for setting in known if _begins(setting, name)]
    return tuple(sorted(continued, key=lambda setting: (len(setting), setting))[:MOST_MEANT])


def _begins(name: str, start: str) -> bool:
    """Whether a name begins with the words of another."""
    return name.startswith(f"{start}_") or ("_" in start and name.startswith(start))


def without_effect(environment: Mapping[str, str] = os.environ) -> list[str]:
    """What sets nothing: lines of ``.env`` that are none, and names that mean others.

    One sentence each.

    The environment is everybody's: of it, only names of several words are looked at.
    """
    said: list[str] = []
    lines: list[tuple[str, str]] = []
    if ENV_FILE.is_file():
        with ENV_FILE.open(encoding=ENV_ENCODING) as file:
            read = list(parse_stream(file))
        said += [
            f"{ENV_FILE}, line {line.original.line}: {line.original.string.strip()[:40]!r} sets "
            "nothing; write NAME=value."
            for line in read
            if line.error
        ]
        lines = [
            (f"{ENV_FILE}, line {line.original.line}", str(line.key)) for line in read if line.key
        ]
    lines += [("the environment", name) for name in environment if "_" in name]
    for where, name in lines:
        meant = meant_by(name.upper())
        if where == "the environment":
            meant = tuple(setting for setting in meant if "_" in setting)
        if meant:
            said.append(f"{where}: {name} is unknown; did you mean {' or '.join(meant)}?")
    return said


def current(settings: ServerSettings, error: SettingsError | None = None) -> str:
    """Every setting that is in force, and where it is set; keys and passwords are hidden.

    Args:
        settings: The settings.
        error: What is wrong with those that are invalid, which are shown as they are set.
    """
    sources = values_by_source(env_file=error is None or bool(error.names))
    invalid = {settings.field_named(name) for name in error.names} if error else set()
    lines = []
    for name, _ in _in_order(type(settings)):
        names = type(settings).names_of(name)
        where = next((at for at, set_ in sources.items() if set_.keys() & set(names)), "default")
        value = getattr(settings, name)
        if name in invalid:
            value = next(sources[where][known] for known in names if known in sources[where])
            where += ", invalid"
        lines.append(f"{name.upper()}={_shown(value)}  ({where})")
    return "\n".join(lines)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return _HIDDEN if value.get_secret_value() else ""
    return _CREDENTIALS.sub(rf"\1{_HIDDEN}@", str(value))


def example(settings: type[ServerSettings] = Settings) -> str:
    """The text of ``.env.example``: each setting with its default and meaning."""
    lines = ["# All settings with their defaults. Copy to .env and uncomment what you change.", ""]
    for name, field in _in_order(settings):
        allowed = get_args(field.annotation)
        choices = (
            f" One of: {', '.join(allowed)}."
            if allowed and all(isinstance(value, str) for value in allowed)
            else ""
        )
        default = "" if field.default is None else field.default
        lines += [f"# {field.description}{choices}", f"#{name.upper()}={default}", ""]
    return "\n".join(lines)


def _in_order(settings: type[ServerSettings]) -> Iterator[tuple[str, FieldInfo]]:
    """The fields in order: vendors' settings follow those that choose vendors."""
    fields, own = settings.model_fields, ServerSettings.model_fields
    for name in own:
        yield name, fields[name]
        if name == "vad":
            yield from ((other, fields[other]) for other in fields if other not in own)
