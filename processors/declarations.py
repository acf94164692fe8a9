"""Finds the declarations in a folder's modules, one per module: vendors, or tools."""

import traceback
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

Declared = TypeVar("Declared")


class DeclarationError(ValueError):
    """A module cannot be used; the message names it, the error, and what is allowed."""


def find_declarations(
    package: str,
    folders: Iterable[str],
    *,
    name: str,
    kind: type[Declared],
    but: Iterable[str] = (),
) -> dict[str, Declared]:
    """Import every module of a package, and collect what each declares.

    Args:
        package: The package's name.
        folders: Its folders, as in its ``__path__``.
        name: Name of the variable in each module.
        kind: Type of the variable.
        but: Modules that declare nothing.

    Returns:
        The declarations, by the file's path from the checkout.

    Raises:
        DeclarationError: A module cannot be imported, or declares no such thing.
    """
    found: dict[str, Declared] = {}
    for module in sorted(module.name for module in iter_modules(folders)):
        if module in but:
            continue
        file = f"{package.replace('.', '/')}/{module}.py"
        try:
            declared = getattr(import_module(f"{package}.{module}"), name, None)
        except (Exception, SystemExit) as error:
            raise DeclarationError(f"{place_in(file, error)}: {_told(error)}") from error
        if not isinstance(declared, kind):
            raise DeclarationError(
                f"{file}: it must declare {name} = {kind.__name__}(…)"
                + (f"; {name} is {declared!r}." if declared is not None else ".")
            )
        found[file] = declared
    return found


def check_fields(declared: Any) -> None:
    """Check that each field of a declaration has a value of its type.

    Args:
        declared: An instance of a dataclass.

    Raises:
        DeclarationError: One has not; the message names the field, its value and what is allowed.
    """
    kind: type = type(declared)
    for name, (adapter, hint) in _types(kind).items():
        value = getattr(declared, name)
        try:
            adapter.validate_python(value)
        except ValidationError as error:
            steps = error.errors(include_url=False)[0]["loc"]
            raise DeclarationError(_refusal(name, value, hint, steps)) from None


@cache
def _types(declaration: type) -> dict[str, tuple[TypeAdapter[Any], Any]]:
    """What validates each field, and the field's type."""
    strict = ConfigDict(strict=True, arbitrary_types_allowed=True)
    hints = get_type_hints(declaration)
    return {
        field.name: (TypeAdapter(hints[field.name], config=strict), hints[field.name])
        for field in fields(declaration)
    }


def _refusal(name: str, value: Any, hint: Any, steps: Sequence[int | str]) -> str:
    """Say what is wrong at a place in a field's value, to which ``steps`` lead."""
    for step in steps:
        origin, parts = get_origin(hint), get_args(hint)
        if origin is Mapping and steps[-1] == _KEY:
            return f"{name} has {step!r}; {_allowed(parts[0])}."
        try:
            inner = value[step]
        except (LookupError, TypeError):  # a tuple that is too short
            break
        name, value, hint = f"{name}[{step!r}]", inner, parts[1 if origin is Mapping else 0]
    return f"{name} is {value!r}; {_allowed(hint)}."


_KEY = "[key]"  # pydantic's step to a key of a dictionary


def _allowed(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return f"allowed: {', '.join(map(str, get_args(hint)))}"
    return f"it must be {_words(hint)}"


_WORDS = {
    str: "text",
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    NoneType: "None",
}


def _words(hint: Any) -> str:
    """What a type allows, in words."""
    origin, parts = get_origin(hint), get_args(hint)
    if hint in _WORDS:
        return _WORDS[hint]
    if origin in (Union, UnionType):
        return " or ".join(map(_words, parts))
    if origin is type:
        return f"a class of {parts[0].__name__}"
    if origin is Callable:
        return "an async function" if get_origin(parts[-1]) is Awaitable else "a function"
    if origin is tuple and Ellipsis in parts:
        return "a tuple, as in (…,)"
    if origin is tuple:
        return f"a tuple of {len(parts)}: {', '.join(map(_words, parts))}"
    return "a dictionary" if origin is Mapping else f"a {getattr(hint, '__name__', hint)}"


def place_in(file: str, error: BaseException) -> str:
    """Return a file, and the line at which an error was raised, if that is known.

    Args:
        file: The file's path from the checkout.
        error: The error.
    """
    if isinstance(error, SyntaxError):
        return f"{file}, line {error.lineno}"
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).as_posix().endswith(f"/{file}")
    ]
    return f"{file}, line {lines[-1]}" if lines else file


def _told(error: BaseException) -> str:
    if isinstance(error, DeclarationError):
        return str(error)
    if isinstance(error, SystemExit):
        return f"it ends the program (SystemExit: {error})."
    return f"{type(error).__name__}: {error.msg if isinstance(error, SyntaxError) else error}."
