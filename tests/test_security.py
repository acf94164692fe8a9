"""The limits of docs/security.md are the code's, and the audit fails for what it finds."""

import os
import re
import shutil
import subprocess
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROW = re.compile(r"^\| .+ \| ([\d,]+)[^|]* \| `([a-z_.]+)\.([A-Z_]+)` \|$", re.MULTILINE)
LIMITS = ROW.findall((ROOT / "docs/security.md").read_text())


def test_every_limit_names_its_constant() -> None:
    text = (ROOT / "docs/security.md").read_text()
    table = text.partition("| limit | value | where |")[2].partition("\n\n")[0]
    assert len(LIMITS) == table.count("\n") - 1 > 15


@pytest.mark.parametrize(("value", "module", "name"), LIMITS, ids=[row[2] for row in LIMITS])
def test_the_limits_that_are_promised_are_those_of_the_code(
    value: str, module: str, name: str
) -> None:
    assert getattr(import_module(module), name) == float(value.replace(",", ""))


@pytest.mark.parametrize(
    ("reports", "status", "told"),
    [
        ('echo "[]" > "${@: -1}"', 0, "no known vulnerabilities"),
        ('echo "CVE-2026-1" > "${@: -1}"; exit 1', 1, "CVE-2026-1"),
        ('echo "no route to host" >&2; exit 1', 0, "not audited: no route to host"),
    ],
    ids=["nothing", "a vulnerability", "no network"],
)
def test_the_audit_fails_for_a_vulnerability_and_not_for_a_network(
    tmp_path: Path, reports: str, status: int, told: str
) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/audit", tmp_path / ".ci")
    tool = tmp_path / "build/audit/bin/pip-audit"
    tool.parent.mkdir(parents=True)
    tool.write_text(f"#!/bin/bash\n{reports}\n")
    tool.chmod(0o755)
    (tmp_path / "Makefile").write_text("build/audit/.installed:\n\t@true\n")
    done = subprocess.run(
        [tmp_path / ".ci/audit"], capture_output=True, text=True, env=os.environ, check=False
    )
    assert (done.returncode, told in done.stdout) == (status, True), done
