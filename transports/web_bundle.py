"""Joins a page's modules into one, and its stylesheets, so that a slow network fetches two files.

Each module becomes a function that is called once, in the order of the imports, and returns what it
exports. Only the forms of import and export that Viva's modules use are understood.
"""

import re
from collections.abc import Callable, Iterable
from posixpath import dirname, join, normpath

_IMPORT = re.compile(
    r"""^import[ ]\{ (?P<names> [^{}]* ) \}[ ]from[ ]' (?P<target> \.{1,2}/[^']+ ) ';$""",
    re.MULTILINE | re.VERBOSE,
)
_EXPORT = re.compile(
    r"^export (?=(?:async )?(?:class|const|function)\b)(?:async )?\w+\*? (?P<name>[\w$]+)",
    re.MULTILINE,
)
_OTHER = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)
_NOT_NAME = re.compile(r"\W")

Read = Callable[[str], str]


class BundleError(ValueError):
    """Modules cannot be joined; the message names the module, and why."""


def join_modules(entry: str, read: Read) -> str:
    """Join a module and all that it imports.

    Args:
        entry: Path of the module.
        read: Reads the module of a path.

    Raises:
        BundleError: A module imports or exports in another form, or imports itself.
    """
    parts: list[str] = []
    _add(entry, read, parts, done=set(), within=())
    return "".join(parts)


def join_stylesheets(paths: Iterable[str], read: Read) -> str:
    """Join stylesheets in their order."""
    return "".join(f"/* {path} */\n{read(path)}\n" for path in paths)


def _add(
    path: str, read: Read, parts: list[str], *, done: set[str], within: tuple[str, ...]
) -> None:
    """Add a module behind those that it imports."""
    if path in within:
        raise BundleError(f"{path} imports itself, by {' and '.join((*within, path))}")
    if path in done:
        return

    def imported(found: re.Match[str]) -> str:
        target = normpath(join(dirname(path), found["target"]))
        _add(target, read, parts, done=done, within=(*within, path))
        names = found["names"].replace(" as ", ": ")
        return f"const {{{names}}} = {_variable(target)};"

    source = _IMPORT.sub(imported, read(path))
    names = [found["name"] for found in _EXPORT.finditer(source)]
    source = _EXPORT.sub(lambda found: found[0].removeprefix("export "), source)
    if other := _OTHER.search(source):
        raise BundleError(f"{path}: cannot be joined with others: {other[0]}")
    done.add(path)
    parts.append(
        f"// {path}\nconst {_variable(path)} = (() => {{\n{source}\n"
        f"return {{ {', '.join(names)} }};\n}})();\n"
    )


def _variable(path: str) -> str:
    return f"module_{_NOT_NAME.sub('_', path)}"
