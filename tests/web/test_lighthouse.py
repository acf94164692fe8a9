"""Google's Lighthouse on the served pages: at least 95 of 100 in each of its categories.

Only the pages by which callers sign in are kept from search engines, and so not measured for them.

Its times are simulated from what the page loads and computes, for a telephone on 1.6 Mbit/s with a
round trip of 150 ms, and a processor a quarter as fast as this one's.
``python -m tests.web.test_lighthouse`` prints what it says of each page, or of those it is given.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ledger.store.database import Database
from tests.lateness import in_time
from tests.ledger.records import NOON, a_call_that_ended, a_turn, keep
from tests.web.call.test_network import ScriptedServer
from tests.web.conftest import CHROMIUM

pytestmark = [pytest.mark.browser, pytest.mark.thorough]

SCRIPT = Path(__file__).parent / "lighthouse/node_modules/lighthouse/cli/index.js"
CATEGORIES = ("performance", "accessibility", "best-practices", "seo")
LEAST = 0.95
MOST_SHIFT = 0.05
USABLE_MS = 1500.0
"""From the first paint until the page obeys: 1.6 Mbit/s and a processor a quarter as fast."""
CALL = "c-0000000000000001"
ELSEWHERE = "https://example.com"
PAGES = {
    "page": "",
    "frame": "embed",
    "call log": "calls",
    "one call": f"calls/{CALL}",
    "sign in": "sign-in",
    "link": f"sign-in/link#{'0' * 64}",
}
HIDDEN = {"sign in": "seo", "link": "seo"}
FORMS = {"telephone": (), "desk": ("--preset=desktop",)}


@dataclass(frozen=True)
class Verdict:
    """What Lighthouse says of a page.

    Parameters:
        scores: Of each category, 0 to 1.
        shift: The layout shift, in sum.
        usable_ms: From the first paint until the page is interactive.
        failed: Audits that failed, in words.
    """

    scores: dict[str, float]
    shift: float
    usable_ms: float
    failed: list[str]


def examine(url: str, *options: str) -> Verdict:
    """Have Lighthouse examine a page."""
    command = ["node", str(SCRIPT), url, "--quiet", "--output=json", *options]
    command += [f"--only-categories={','.join(CATEGORIES)}", "--no-enable-error-reporting"]
    command += ["--chrome-flags=--headless=new --no-sandbox --disable-background-networking"]
    environment = {**os.environ, "CHROME_PATH": CHROMIUM or ""}
    told: dict[str, Any] = json.loads(
        subprocess.check_output(command, env=environment, text=True, timeout=240)
    )
    audits = told["audits"]
    failed = [
        f"{audit['id']}: {audit.get('displayValue') or audit['title']}"
        for audit in audits.values()
        if audit["score"] is not None and audit["score"] < 0.9
    ]
    paint, usable = (
        audits[name]["numericValue"] for name in ("first-contentful-paint", "interactive")
    )
    return Verdict(
        {name: told["categories"][name]["score"] for name in CATEGORIES},
        audits["cumulative-layout-shift"]["numericValue"],
        usable - paint,
        failed,
    )


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if CHROMIUM is None or not SCRIPT.exists():
        pytest.skip("Lighthouse or Chromium is missing: make lighthouse browser, which need npm")
    folder = tmp_path_factory.mktemp("data")
    with ScriptedServer(folder, embed_origins=ELSEWHERE) as served:
        keep_a_call(folder)
        yield f"http://127.0.0.1:{served.port}/"


def keep_a_call(folder: Path) -> None:
    """Write a call with some turns to the ledger in a folder."""
    database = Database.from_url(f"sqlite:///{folder / 'viva.db'}")
    turns = (a_turn(CALL, number, at=NOON + 9 * number) for number in range(1, 5))
    keep(database, a_call_that_ended(CALL), *turns)
    database.close()


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that asks callers to sign in."""
    with ScriptedServer(tmp_path_factory.mktemp("data"), auth="link") as served:
        yield f"http://127.0.0.1:{served.port}/"


@pytest.mark.real_time
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("page", PAGES)
def test_each_page_is_quick_accessible_and_sound(url: str, door: str, page: str, form: str) -> None:
    verdict = examine((door if page in HIDDEN else url) + PAGES[page], *FORMS[form])
    poor = {
        name: score
        for name, score in verdict.scores.items()
        if score < LEAST and name != HIDDEN.get(page)
    }
    assert poor.keys() <= {"performance"}, verdict
    assert verdict.shift <= MOST_SHIFT, verdict
    with in_time():
        assert poor == {}, verdict
        assert verdict.usable_ms <= USABLE_MS, verdict


def main(pages: Sequence[str]) -> None:
    """Print the verdicts of these pages."""
    with (
        tempfile.TemporaryDirectory() as open_,
        tempfile.TemporaryDirectory() as closed,
        ScriptedServer(Path(open_), embed_origins=ELSEWHERE) as url,
        ScriptedServer(Path(closed), auth="link") as door,
    ):
        keep_a_call(Path(open_))
        for page in pages:
            for form, options in FORMS.items():
                port = (door if page in HIDDEN else url).port
                verdict = examine(f"http://127.0.0.1:{port}/{PAGES[page]}", *options)
                print(page, form, verdict, file=sys.stdout, flush=True)  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:] or list(PAGES))
