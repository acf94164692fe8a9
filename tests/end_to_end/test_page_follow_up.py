"""That a person will follow up is said where one can, and then queue, ledger and report have it."""

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.end_to_end.running import CHROMIUM, Viva, chromium, microphone, opened, until
from tests.end_to_end.test_page_accounts import CALLER, letter_with, listed, sign_in, text_of

pytestmark = [
    pytest.mark.browser,
    pytest.mark.thorough,
    pytest.mark.real_time,
    pytest.mark.skipif(CHROMIUM is None, reason="calls on the page need Debian's chromium"),
]

TYPED, RUBBISH = "What did she like to eat?", "So, um, and the"
PROMISE, OFFER = "to a person who", "Leave an address on the page"
NOT_UNDERSTOOD = "understand that"
ADMIN, ADDRESS = "grace@example.com", "jo@example.com"
SPEAKS_AT_SECS = 40.0
PATIENT = {"SILENCE_PROMPT_SECS": "600", "MAIL_FROM": "viva@localhost"}


async def test_a_caller_who_may_leave_an_address(tmp_path: Path) -> None:
    """By typing and by voice: before an address is left, after it, and after it is taken back."""
    speech = microphone(tmp_path / "speech.wav", SPEAKS_AT_SECS, "favourite-food.wav", 30.0)
    data = tmp_path / "data"
    with Viva(ADMINS=ADMIN, DATA_DIR=str(data), **PATIENT) as viva:
        viva.loaded()
        async with chromium(speech) as browser:
            page = await opened(browser, viva.url, viewport={"width": 1280, "height": 800})
            await page.get_by_role("button", name="Call Viva").click()
            await until(page, "viva.state === 'listening' && viva.samplesPlayed > 0")
            nobody = await _ask(page, 1, TYPED)
            unclear = await _ask(page, 2, RUBBISH)
            await page.get_by_text("A question is left for a person").click()
            await page.get_by_role("textbox", name="Your e-mail address").fill(ADDRESS)
            await page.keyboard.press("Enter")
            await expect(page.get_by_text(f"A person will write to {ADDRESS}.")).to_be_visible()
            promised = await _ask(page, 3)  # aloud
            await page.get_by_role("button", name="Remove my address").click()
            await expect(page.get_by_text("Your address is removed.")).to_be_visible()
            taken_back = await _ask(page, 4, TYPED)
            await page.get_by_role("textbox", name="Your e-mail address").fill(ADDRESS)
            await page.keyboard.press("Enter")
            await expect(page.get_by_text(f"A person will write to {ADDRESS}.")).to_be_visible()
            await page.get_by_role("button", name="Hang up").click()
        letter = letter_with(data, holding=TYPED)
        (call,) = listed(data, "calls")
        turns = listed(data, "turns")
        (row,) = viva.get("calls.json")["calls"]
    assert OFFER in nobody
    assert OFFER in taken_back
    assert PROMISE not in nobody + unclear + taken_back
    assert NOT_UNDERSTOOD in unclear
    assert PROMISE in promised
    _has_all(data, turns, left=3, unclear=1)
    assert (call["reply_to"], row["escalations"]) == (ADDRESS, 3)
    report = text_of(letter)
    assert f"The caller left the address {ADDRESS} to be answered there." in " ".join(
        report.split()
    )
    assert "3 questions for a person" in str(letter["Subject"])
    assert report.count("Not understood, and asked for again.") == 1


async def test_a_caller_who_has_signed_in(tmp_path: Path) -> None:
    """By typing and by voice, and the report goes to them."""
    speech = microphone(tmp_path / "speech.wav", SPEAKS_AT_SECS, "favourite-food.wav", 30.0)
    data = tmp_path / "data"
    accounts = {"AUTH": "link", "ALLOW": CALLER, **PATIENT}
    with Viva(DATA_DIR=str(data), **accounts) as viva:
        viva.loaded()
        async with chromium(speech) as browser:
            page = await browser.new_page()
            await page.goto(viva.url)
            await sign_in(page, data, to=viva.url)
            cookies = await page.context.storage_state()
            page = await opened(browser, viva.url, storage_state=cookies)
            await page.get_by_role("button", name="Call Viva").click()
            await until(page, "viva.state === 'listening' && viva.samplesPlayed > 0")
            typed = await _ask(page, 1, TYPED)
            spoken = await _ask(page, 2)
            unclear = await _ask(page, 3, RUBBISH)
            await expect(page.get_by_text("leave an address")).to_be_hidden()
            await page.get_by_role("button", name="Hang up").click()
        report = letter_with(data, holding=TYPED)
        turns = listed(data, "turns")
    assert PROMISE in typed
    assert PROMISE in spoken
    assert PROMISE not in unclear
    _has_all(data, turns, left=2, unclear=1)
    assert report["To"] == CALLER
    assert "2 questions for a person" in str(report["Subject"])


async def _ask(page: Page, turn: int, question: str = "") -> str:
    """What is answered to a question that is typed, or to the one that is said aloud."""
    if question:
        await page.get_by_role("textbox", name="Your question").fill(question)
        await page.keyboard.press("Enter")
    answered = f"viva.turns[{turn - 1}]?.heard_text !== undefined"
    await until(page, f"{answered} && viva.state === 'listening'", secs=90)
    record = await page.evaluate(f"viva.turns[{turn - 1}]")
    assert record["decision"] == "escalate", record
    return str(record["heard_text"])


def _has_all(data: Path, turns: list[dict[str, Any]], *, left: int, unclear: int) -> None:
    """The queue has what is left for a person, and nothing else; the ledger says which it is."""
    asked = [turn["question"] for turn in turns if turn["reason"] != "unclear"]
    lines = (data / "escalations.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["question"] for line in lines] == asked
    assert len(asked) == left
    assert len(turns) - len(asked) == unclear
    assert [turn["question"] for turn in turns if turn["reason"] == "unclear"] == [RUBBISH]
    assert sum("food" in question.lower() for question in asked) == 1
