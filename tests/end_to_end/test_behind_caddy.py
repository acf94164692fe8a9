"""A call below a path of another site, through a real Caddy with the sample's settings."""

import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import AUDIO
from tests.end_to_end.running import VIVA, Viva
from tests.end_to_end.test_page_behind_nginx import free_port

UNPACKED = Path("build/caddy").absolute()
CADDY = shutil.which("caddy") or (str(UNPACKED) if UNPACKED.exists() else None)
SAMPLE = Path("deploy/caddy/Caddyfile")

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.real_time,
    pytest.mark.skipif(CADDY is None, reason="no caddy (make caddy)"),
]


def below_a_path(port: int, viva: int) -> str:
    """The sample, without TLS and below ``/viva``, as its comment says."""
    comment, _, site = SAMPLE.read_text("utf-8").partition("viva.example.com {\n")
    assert "handle_path /viva/* { … }" in comment
    assert "redir /viva /viva/." in comment
    inner = site.rpartition("}")[0]
    assert inner.count("127.0.0.1:7860") == 1
    inner = inner.replace("127.0.0.1:7860", f"127.0.0.1:{viva}")
    path = f"redir /viva /viva/\nhandle_path /viva/* {{\n{inner}}}\n"
    return f"{{\nauto_https off\nadmin off\n}}\nhttp://127.0.0.1:{port} {{\n{path}}}\n"


@contextmanager
def caddy(folder: Path, port: int, viva: int) -> Iterator[None]:
    """A proxy in front of a server."""
    config = folder / "Caddyfile"
    config.write_text(below_a_path(port, viva))
    assert CADDY is not None
    home = {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    running = subprocess.Popen(
        [CADDY, "run", "--config", config, "--adapter", "caddyfile"],
        env={**os.environ, **home},
        stderr=(folder / "log").open("w"),
    )
    try:
        deadline = time.monotonic() + 20
        while "serving initial configuration" not in (folder / "log").read_text():
            assert running.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield
    finally:
        running.terminate()
        running.wait(10)


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def leads_to(url: str) -> str | None:
    """Where an address redirects to."""
    try:
        with urllib.request.build_opener(_Stay).open(url, timeout=10):
            return None
    except urllib.error.HTTPError as answer:
        return answer.headers.get("location")


def test_a_call_goes_through_below_a_path(tmp_path: Path) -> None:
    port, data = free_port(), tmp_path / "data"
    public = f"http://127.0.0.1:{port}/viva"
    settings = {"PUBLIC_URL": public, "TRUSTED_PROXIES": "127.0.0.1", "ADMINS": "ada@example.com"}
    with Viva(AUTH="link", DATA_DIR=str(data), MAIL_FROM="viva@localhost", **settings) as viva:
        viva.loaded()
        with caddy(tmp_path, port, int(viva.url.rpartition(":")[2])):
            assert leads_to(public) == "/viva/"
            assert leads_to(f"{public}/") == "/viva/sign-in"
            socket_url = f"ws://127.0.0.1:{port}/viva/call"
            called = subprocess.run(
                [VIVA, "call", "--url", socket_url, "--wav", AUDIO / "where-studied.wav", "--json"],
                env={**os.environ, "DATA_DIR": str(data)},
                capture_output=True, text=True, timeout=120, check=False,
            )  # fmt: skip
    assert called.returncode == 0, called.stderr
    (turn,) = json.loads(called.stdout)["turns"]
    assert (turn["decision"], turn["sections"]) == ("respond", ["education"])
    assert turn["heard_text"] == turn["answer"]
