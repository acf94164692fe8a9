"""Below a path of another site: signing in, a call and the call log through a real nginx."""

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.end_to_end.running import CHROMIUM, Viva, chromium, microphone, opened, until
from tests.end_to_end.test_page_accounts import sign_in

UNPACKED = Path("build/nginx").absolute()
NGINX = shutil.which("nginx") or (str(UNPACKED) if UNPACKED.exists() else None)
SAMPLE = Path("deploy/nginx/viva.conf")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.thorough,
    pytest.mark.real_time,
    pytest.mark.skipif(CHROMIUM is None, reason="calls on the page need Debian's chromium"),
    pytest.mark.skipif(NGINX is None, reason="no nginx (make nginx)"),
]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def below_a_path(port: int, viva: int) -> str:
    """The sample, without TLS and below ``/viva``, as its comment says."""
    sample = SAMPLE.read_text("utf-8")
    first, _, _ = sample.rpartition("server {\n    listen 80;")
    changed = re.sub(r"listen 443 ssl;|ssl_certificate\S*\s+\S+;", "", first)
    for was, becomes in (
        ("server 127.0.0.1:7860;", f"server 127.0.0.1:{viva};"),
        ("server_name viva.example.com;", f"listen 127.0.0.1:{port};"),
        ("location / {", "location /viva/ {"),
        ("proxy_pass http://viva;", "proxy_pass http://viva/;"),
    ):
        assert changed.count(was) == 1, was
        changed = changed.replace(was, becomes)
    return changed


@contextmanager
def nginx(folder: Path, port: int, viva: int) -> Iterator[None]:
    """A proxy in front of a server."""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    main = f"daemon off; master_process off; pid {folder}/pid; events {{}}\n"
    logs = f"access_log off; error_log {folder}/error.log;\n"
    config = folder / "nginx.conf"
    config.write_text(f"{main}http {{\n{logs}{temporary}{below_a_path(port, viva)}}}\n")
    assert NGINX is not None
    running = subprocess.Popen([NGINX, "-c", config, "-e", folder / "error.log", "-p", folder])
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert running.poll() is None, (folder / "error.log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield
    finally:
        running.terminate()
        running.wait(10)


async def test_a_caller_signs_in_and_calls_below_a_path(tmp_path: Path) -> None:
    speech = microphone(tmp_path / "speech.wav", 7.0, "where-studied.wav", 30.0)
    port, data, folder = free_port(), tmp_path / "data", tmp_path / "nginx"
    folder.mkdir()
    public = f"http://127.0.0.1:{port}/viva"
    settings = {"PUBLIC_URL": public, "TRUSTED_PROXIES": "127.0.0.1", "ADMINS": "ada@example.com"}
    with Viva(AUTH="link", DATA_DIR=str(data), MAIL_FROM="viva@localhost", **settings) as viva:
        viva.loaded()
        with nginx(folder, port, int(viva.url.rpartition(":")[2])):
            async with chromium(speech) as browser:
                page = await browser.new_page()
                await page.goto(public)
                await expect(page).to_have_url(f"{public}/sign-in")
                await sign_in(page, data, to=public)
                await expect(page).to_have_url(f"{public}/")
                cookies = await page.context.storage_state()
                page = await opened(browser, public, storage_state=cookies)
                await page.get_by_role("button", name="Call Viva").click()
                await until(page, "viva.transcript.some((one) => one.turn && one.record)", secs=90)
                await page.get_by_role("button", name="Hang up").click()
                await until(page, "viva.state === 'ended'")
                await page.get_by_role("link", name="Call log").click()
                await expect(page).to_have_url(f"{public}/calls")
                row = page.get_by_role("row").filter(has_text="ada@example.com").first
                await row.get_by_role("link").first.click()
                await expect(page).to_have_url(re.compile(f"^{public}/calls/c-"))
                question = page.get_by_text("Where did she study mathematics?")
                await expect(question.first).to_be_visible()
                await page.goto(f"{public}/sign-out")
                await page.get_by_role("button", name="Sign out").click()
                await expect(page).to_have_url(f"{public}/sign-in")
