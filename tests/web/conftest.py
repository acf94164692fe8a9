import shutil
import time
import wave
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Error,
    Page,
    Playwright,
    expect,
    sync_playwright,
)

from tests import lateness
from tests.lateness import first_in_line
from tests.web.server import PageServer

CHROMIUM = shutil.which("chromium")
MICROPHONE_HERTZ = 1000.0
expect.set_options(timeout=60_000)
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


_TICKS = """(tickMs) => {
  let due = performance.now() + tickMs;
  window.lateMs = 0;
  setInterval(() => {
    const now = performance.now();
    window.lateMs = Math.max(window.lateMs, now - due);
    due = now + tickMs;
  }, tickMs);
}"""


def measure_lateness(page: Page) -> None:
    """Count how late a page comes into how late this test does.

    A page that a busy machine lets wait obeys late, whatever the test's own process gets. On a free
    one its ticks come up to 0.03 s late, and 0.16 s where it loads its worklets.
    """

    def late_secs() -> float:
        try:
            return float(page.evaluate("window.lateMs")) / 1000
        except Error:  # the page is gone
            return 0.0

    page.evaluate(_TICKS, 20)
    lateness.clocks.append(late_secs)


@pytest.fixture(scope="package")
def playwright_() -> Iterator[Playwright]:
    if CHROMIUM is None:
        pytest.skip("the page's tests need Debian's chromium: apt-get install chromium")
    with ExitStack() as stack:
        with first_in_line():
            playwright = stack.enter_context(sync_playwright())
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
    with ExitStack() as stack:
        with first_in_line():
            server = stack.enter_context(PageServer())
        yield server


@pytest.fixture
def server(page_server: PageServer) -> Iterator[PageServer]:
    """The page's server, as new; what its script or the page's messages broke fails the test."""
    page_server.reset()
    yield page_server
    assert page_server.failures == []


@pytest.fixture(scope="package")
def window(browser: Browser) -> Iterator[Page]:
    """One page for all tests: to open another costs four times what it costs to go on in it."""
    context = browser.new_context()
    context.set_default_timeout(60_000)
    yield context.new_page()
    context.close()


@pytest.fixture
def tab(window: Page) -> Iterator[Page]:
    """A page that knows nothing of the tests before."""
    window.set_viewport_size({"width": 1280, "height": 800})
    window.emulate_media(color_scheme="light", reduced_motion="no-preference", forced_colors="none")
    window.mouse.move(0, 0)
    yield window
    if window.url.startswith("http"):
        window.evaluate("localStorage.clear(), sessionStorage.clear()")
    window.context.clear_cookies()
    window.goto("about:blank")


@contextmanager
def heeded(page: Page) -> Iterator[list[str]]:
    """What a page complains of: errors in its console, the CSP's included."""
    complaints: list[str] = []

    def note(said: ConsoleMessage) -> None:
        if said.type == "error":
            complaints.append(said.text)

    def fail(error: Error) -> None:
        complaints.append(str(error))

    page.on("pageerror", fail)
    page.on("console", note)
    yield complaints
    page.remove_listener("pageerror", fail)
    page.remove_listener("console", note)


@pytest.fixture
def page(tab: Page, server: PageServer) -> Iterator[Page]:
    """The page before a call, which must not complain."""
    with heeded(tab) as complaints:
        tab.goto(server.url)
        tab.wait_for_selector("main section")
        yield tab
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
