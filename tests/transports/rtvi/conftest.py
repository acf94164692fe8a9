"""Pipecat's official client, bundled for a page."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
BUILD = HERE.parents[1] / "build" / "rtvi"
"""What npm installed and esbuild made, kept from one run to the next; git ignores it."""

INSTALL_SECS = 120
BUNDLE_SECS = 30


@pytest.fixture(scope="session")
def bundle() -> str:
    """The script of the page, with everything that it imports."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("chromium") is None:
        pytest.skip("the official client needs npm and chromium: apt-get install npm chromium")
    sources = [HERE / name for name in ("package.json", "package-lock.json", "page.js")]
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    made = BUILD / f"{digest}.js"
    if not made.exists():
        BUILD.mkdir(parents=True, exist_ok=True)
        for source in (*sources, HERE / ".npmrc"):
            shutil.copy(source, BUILD)
        install: list[str | Path] = [npm, "ci", "--prefix", BUILD, "--no-audit", "--no-fund"]
        try:
            subprocess.run(install, check=True, capture_output=True, timeout=INSTALL_SECS)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            pytest.skip(f"npm cannot install the official client: {error}")
        command: list[str | Path] = [
            BUILD / "node_modules/.bin/esbuild",
            BUILD / "page.js",
            "--bundle",
        ]
        command += ["--format=esm", f"--outfile={made}", "--log-level=warning"]
        subprocess.run(command, check=True, timeout=BUNDLE_SECS)
    return made.read_text()
