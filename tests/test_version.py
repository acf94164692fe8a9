"""Which version this is, wherever it is asked."""

import tomllib
from pathlib import Path

from typer.testing import CliRunner

import cli
from version import viva_version


def test_the_command_and_recordings_say_the_version_of_the_checkout() -> None:
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    said = CliRunner().invoke(cli.app, ["--version"])
    assert said.exit_code == 0
    assert said.stdout == f"Viva {project['version']}\n"
    assert viva_version() == project["version"]
