"""A report in a browser, at the widths of a mail program's pane and of a telephone."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Request, sync_playwright

from accounts.report.page import render_report
from tests.accounts.report.test_page import a_call, a_turn, report, said

pytestmark = pytest.mark.browser

CHROMIUM = shutil.which("chromium")
LEAST_PIXELS = 11

_SMALLEST = """() => Math.min(...[...document.querySelectorAll('h1,h2,p,span,a,td,th')]
  .filter((one) => one.innerText.trim() && one.getClientRects().length)
  .map((one) => parseFloat(getComputedStyle(one).fontSize)))"""
_WIDTHS = """() => [...document.querySelectorAll('h1,h2,p,span,a,s,td,th')]
  .filter((one) => one.getClientRects().length)
  .map((one) => one.getBoundingClientRect())
  .map(({ left, right }) => [left, right])"""


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    if CHROMIUM is None:
        pytest.skip("needs Debian's chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running.new_page()
        running.close()


@pytest.mark.parametrize("width", [600, 375, 320])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "words", [pytest.param("usual", marks=pytest.mark.thorough), "long"]
)  # what is long does not fit sooner
def test_everything_fits_and_can_be_read(
    page: Page, tmp_path: Path, width: int, scheme: str, words: str
) -> None:
    slow = a_turn(1, "w" * 200, "w" * 200, e2e_latency=12.345, cost=12_345_678)
    told = (
        report(admin=True)
        if words == "usual"
        else render_report(
            a_call(caller=f"{'a' * 64}@{'b' * 60}.example.com"), [slow, *said("w" * 90)], admin=True
        )
    )
    file = tmp_path / "report.html"
    file.write_text(told.html)
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    page.on("request", note)
    page.goto(file.as_uri())
    page.remove_listener("request", note)
    assert asked == [file.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    edges = page.evaluate(_WIDTHS)
    assert all(left >= 0 and right <= width + 0.5 for left, right in edges)
    assert page.evaluate(_SMALLEST) >= LEAST_PIXELS
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(20, 23, 22)" if scheme == "dark" else "rgb(252, 252, 250)")
