"""Finds the declarations in a folder's modules, one per module: vendors, or tools."""

import traceback
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import TypeVar

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
        except Exception as error:
            raise DeclarationError(f"{place_in(file, error)}: {_told(error)}") from error
        if not isinstance(declared, kind):
            raise DeclarationError(
                f"{file}: it must declare {name} = {kind.__name__}(…)"
                + (f"; {name} is {declared!r}." if declared is not None else ".")
            )
        found[file] = declared
    return found


def place_in(file: str, error: Exception) -> str:
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


def _told(error: Exception) -> str:
    if isinstance(error, DeclarationError):
        return str(error)
    return f"{type(error).__name__}: {error.msg if isinstance(error, SyntaxError) else error}."
