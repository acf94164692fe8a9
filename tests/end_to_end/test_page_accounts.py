"""From a stranger's browser to the report in the mail: signing in, calling, what is kept."""

import email
import email.policy
import json
import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.end_to_end.running import CHROMIUM, VIVA, Viva, chromium, microphone, opened, until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.thorough,
    pytest.mark.real_time,
    pytest.mark.skipif(CHROMIUM is None, reason="calls on the page need Debian's chromium"),
]

CALLER = "ada@example.com"
MAIL_SECS = 60.0
GREETING_SECS = 7.0


async def test_a_caller_signs_in_calls_and_is_sent_a_report_that_the_ledger_bears_out(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    speech = microphone(
        tmp_path / "speech.wav", GREETING_SECS, "where-studied.wav", 14.0, "first-compiler.wav"
    )
    with Viva(AUTH="link", ADMINS=CALLER, DATA_DIR=str(data), MAIL_FROM="viva@localhost") as viva:
        viva.loaded()
        async with chromium(speech) as browser:
            page = await browser.new_page()
            await page.goto(viva.url)
            await sign_in(page, data, to=viva.url)
            cookies = await page.context.storage_state()
            page = await opened(
                browser, viva.url, storage_state=cookies, viewport={"width": 1440, "height": 900}
            )
            await _call(page)
            await _sees_it_in_the_log(page, viva)
        report = letter_with(data, holding="mathematics")
        assert report["To"] == CALLER
        text = report.get_body(("plain",)).get_content()
        assert "Where did she study mathematics?" in text
        assert "Yale" in text
        html = report.get_body(("html",)).get_content()
        assert "<script" not in html

        turns = listed(data, "turns")
        calls = listed(data, "calls")
        days = listed(data, "spend")
    assert [turn["decision"] for turn in turns] == ["respond", "respond"]
    for turn in turns:
        assert turn["stt"] == "whisper"
        assert turn["audio_seconds"] > 1
        assert turn["characters"] > 20
        for delay in (
            "transcription_delay",
            "end_of_turn_delay",
            "llm_ttft",
            "llm_ttfs",
            "tts_ttfb",
            "e2e_latency",
        ):
            assert turn[delay] > 0, delay
    (call,) = calls
    assert (call["caller"], call["turns"], call["why"]) == (CALLER, 2, "hangup")
    assert sum(turn["cost"] for turn in turns) == call["cost"] == days[0]["spent"]


async def sign_in(page: Page, data: Path, *, to: str) -> None:
    """Sign in on the page that asks for an address, by the link that comes by mail."""
    await expect(page).to_have_url(re.compile("/sign-in$"))
    await page.get_by_label("Your e-mail address").fill(CALLER)
    await page.get_by_role("button", name="Send me a link").click()
    await expect(page.get_by_role("heading", name="Check the terminal")).to_be_visible()
    letter = letter_with(data, holding="/sign-in/link#")
    link = re.search(r"http://\S+/sign-in/link#[0-9a-f]{64}", text_of(letter))
    assert link is not None
    await page.goto(link[0])
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("button", name="Call Viva")).to_be_visible()


async def _call(page: Page) -> None:
    await expect(page.get_by_text(CALLER)).to_be_visible()
    await page.get_by_role("button", name="Call Viva").click()
    await until(page, "viva.transcript.some((entry) => entry.turn === 2 && entry.record)", secs=120)
    await page.get_by_role("button", name="Hang up").click()
    await until(page, "viva.state === 'ended'")
    seen = await page.evaluate("wire.messages.map((message) => message.data?.type)")
    assert seen.index("admitted") < seen.index("cap")
    records = await page.evaluate(
        "wire.messages.filter((one) => one.data?.type === 'turn').map((one) => one.data)"
    )
    assert all(record["e2e_latency"] for record in records)
    instruments = page.locator("#instruments")
    await expect(instruments).to_contain_text("Answer to turn 2")
    await expect(instruments).to_contain_text("Whisper")
    await expect(instruments).to_contain_text("p95")


async def _sees_it_in_the_log(page: Page, viva: Viva) -> None:
    await page.goto(f"{viva.url}/calls")
    await expect(page.get_by_role("row").filter(has_text=CALLER).first).to_be_visible()
    found = await page.evaluate("fetch('/calls.json').then((answer) => answer.json())")
    (call,) = found["calls"]
    await page.goto(f"{viva.url}/calls/{call['id']}")
    await expect(page.get_by_text("Where did she study mathematics?").first).to_be_visible()
    await expect(page.get_by_text("hung up").first).to_be_visible()


def letter_with(data: Path, *, holding: str) -> Any:
    """The letter in the outbox that holds a text."""
    deadline = time.monotonic() + MAIL_SECS
    while time.monotonic() < deadline:
        for path in sorted((data / "outbox").glob("*.eml")):
            letter = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            if holding in text_of(letter):
                return letter
        time.sleep(0.1)
    raise AssertionError(f"no letter with {holding!r}: {sorted((data / 'outbox').glob('*'))}")


def text_of(letter: Any) -> str:
    return str(letter.get_body(("plain",)).get_content())


def listed(data: Path, what: str) -> list[dict[str, Any]]:
    """What ``viva ledger`` says."""
    done = subprocess.run(
        [VIVA, "ledger", what, "--json"],
        env={**os.environ, "DATA_DIR": str(data)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    listed: list[dict[str, Any]] = json.loads(done.stdout)
    return listed
