"""Which version of Viva this is."""

import tomllib
from functools import cache
from pathlib import Path


@cache
def viva_version() -> str:
    """The version in ``pyproject.toml``, beside this module: Viva runs from its checkout."""
    project = tomllib.loads((Path(__file__).parent / "pyproject.toml").read_text(encoding="utf-8"))
    return str(project["project"]["version"])
