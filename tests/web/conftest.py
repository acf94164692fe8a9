import shutil
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, sync_playwright

from tests.web.server import PageServer

CHROMIUM = shutil.which("chromium")
MICROPHONE_HERTZ = 1000.0
FLAGS = [
    "--no-sandbox",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def until(page: Page, expression: str, *, secs: float = 60.0) -> None:
    """Wait until an expression is true in the page.

    Playwright's own ``wait_for_function`` evaluates a string inside the page, which the page's
    content security policy forbids.
    """
    deadline = time.monotonic() + secs
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, f"not true after {secs} s: {expression}"
        page.wait_for_timeout(20)


@pytest.fixture(scope="package")
def playwright_() -> Iterator[Playwright]:
    if CHROMIUM is None:
        pytest.skip("the page's tests need Debian's chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="package")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the browser hears: a tone of 1 kHz, at 48 kHz."""
    path = tmp_path_factory.mktemp("microphone") / "tone.wav"
    tone = 0.3 * np.sin(2 * np.pi * MICROPHONE_HERTZ * np.arange(4 * 48_000) / 48_000)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(np.round(tone * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture(scope="package")
def browser(playwright_: Playwright, microphone: Path) -> Iterator[Browser]:
    heard = [
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={microphone}",
    ]
    browser = playwright_.chromium.launch(executable_path=CHROMIUM, args=FLAGS + heard)
    yield browser
    browser.close()


@pytest.fixture(scope="package")
def page_server() -> Iterator[PageServer]:
    with PageServer() as server:
        yield server


@pytest.fixture
def server(page_server: PageServer) -> Iterator[PageServer]:
    """The page's server, as new; what its script or the page's messages broke fails the test."""
    page_server.reset()
    yield page_server
    assert page_server.failures == []


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(60_000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, server: PageServer) -> Iterator[Page]:
    """The page before a call. An error in its console, the CSP's included, fails the test."""
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.goto(server.url)
    page.wait_for_selector("main section")
    yield page
    expected = (
        "WebSocket connection to",
        "Failed to load resource: the server responded with a status of 401",
    )
    assert [text for text in complaints if not text.startswith(expected)] == []


@pytest.fixture(scope="package")
def blank(browser: Browser, page_server: PageServer) -> Iterator[Page]:
    """A page on which modules can be imported, for what has no I/O."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{page_server.url}about.json")
    yield page
    context.close()
