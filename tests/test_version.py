"""Which version this is, wherever it is asked."""

import subprocess
import sys
import tomllib
from pathlib import Path

from version import viva_version


def test_the_command_and_recordings_say_the_version_of_the_checkout() -> None:
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    said = subprocess.run(
        [sys.executable, "cli.py", "--version"], capture_output=True, text=True, check=True
    )
    assert said.stdout == f"Viva {project['version']}\n"
    assert viva_version() == project["version"]
