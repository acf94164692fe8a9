"""Calls to a server in a process of its own, on the real engines: in Chromium, and without it."""

import asyncio
import logging
import os
import re
import signal
import subprocess
import urllib.request
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soxr
from playwright.async_api import Page, expect
from prometheus_client.parser import text_string_to_metric_families

from client.caller import Caller
from client.wav import OUTPUT_RATE
from tests.conftest import AUDIO
from tests.end_to_end.conftest import Servers
from tests.end_to_end.running import (
    CALL_SECS,
    CHROMIUM,
    LOAD_SECS,
    VIVA,
    Played,
    Samples,
    Viva,
    chromium,
    microphone,
    microphones_in_use,
    opened,
    recognised,
    spoken,
    until,
)
from tests.lateness import in_time

no_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="calls on the page need Debian's chromium"
)
pytestmark = pytest.mark.real_time

GREETING_SECS = 7.0
"""The caller's silence while a call is set up and they are greeted."""

RESUME_SECS = 40.0
"""For 20 s a page tries to come back to its call."""

WINDOW = OUTPUT_RATE // 2
FINER = 4
LOWERED_SECS = 0.35
"""For so long the voice is lowered at least, unless it is cut before."""

SETTLED_SECS = 0.1
"""A message on its way to the worklet, a ramp of 30 ms, and the tap's own 20 ms."""


@pytest.mark.thorough
@no_chromium
@pytest.mark.browser
async def test_a_call_on_the_page_answered_interrupted_and_answered_again(
    servers: Servers, engines: Any, tmp_path: Path
) -> None:
    viva = servers("")
    speech = microphone(
        tmp_path / "speech.wav",
        GREETING_SECS,
        "where-studied.wav",
        2.5,
        "first-compiler.wav",
    )
    async with chromium(speech) as browser:
        page = await opened(browser, viva.url, viewport={"width": 1280, "height": 800})
        await page.get_by_role("button", name="Call Viva").click()
        await until(page, "viva.state === 'speaking'")
        assert await microphones_in_use(page) == 1
        await until(
            page, "viva.transcript.some((entry) => entry.turn === 2 && entry.record)", secs=120
        )
        await page.get_by_role("button", name="Hang up").click()
        await until(page, "viva.state === 'ended'")
        call = await Played.on(page)
        assert await microphones_in_use(page) == 0
        seen = await page.evaluate("({ words, lit, lines: viva.sentencesLit })")
        await _shows_both_turns(page)

    first, second = (turn["data"] for turn in call.all("turn"))
    assert first["question"] == "Where did she study mathematics?"
    assert first["interrupted"]
    assert not second["interrupted"]
    assert [first["decision"], second["decision"]] == ["respond", "respond"]
    _is_ducked_then_silent(call)

    cut = call.when("bot-interrupted")
    began = call.when("bot-started-speaking", nth=1)
    greeting, answer = call.samples[:began], call.samples[began : cut + OUTPUT_RATE // 10]
    assert "viva" in await recognised(engines, greeting, OUTPUT_RATE)
    heard = await recognised(engines, answer, OUTPUT_RATE)
    assert heard.split()[:3] == first["heard_text"].lower().split()[:3]
    after = await recognised(engines, call.samples[cut:], OUTPUT_RATE)
    assert "first compiler" in after
    assert re.search("1952|nineteen fifty[ -]two", after)
    assert "degree" not in after
    assert "yale" not in after

    assert _in_order(
        seen["words"], "Listening", "Thinking", "Speaking", "Interrupted", "Thinking", "Speaking"
    )
    answers = [line for line in seen["lines"] if line["turn"]]
    assert (answers[0]["turn"], answers[-1]["turn"]) == (1, 2)
    assert all(line["lines"] for line in answers)
    assert seen["lit"][-1] == [], "nothing is lit once the voice is silent"
    lit = ["".join(lines) for lines in seen["lit"]]
    assert any("mathematics" in lines for lines in lit)
    assert any("A-0" in lines for lines in lit)
    assert "" in lit[2:-1], "the cut answer's lines go dark before the next answer's are lit"


async def _shows_both_turns(page: Page) -> None:
    """The page after the call: its end, and its transcript."""
    await expect(page.get_by_role("heading", name="You hung up")).to_be_visible()
    await expect(page.get_by_role("button", name="Call again")).to_be_visible()
    turns = page.get_by_role("list", name="What was said").get_by_role("listitem")
    await expect(turns).to_have_count(3)
    await expect(turns.nth(0)).to_contain_text("I'm Viva, an AI")
    await expect(turns.nth(1)).to_contain_text("You: Where did she study mathematics?")
    await expect(turns.nth(1)).to_contain_text("— interrupted")
    await expect(turns.nth(2)).to_contain_text("You: What was the first compiler?")
    await expect(turns.nth(2)).to_contain_text(re.compile("Viva: .*A-0.*1952"))
    for turn, section in ((1, "Education"), (2, "The first compilers")):
        await expect(turns.nth(turn)).to_contain_text(
            re.compile(f"(high|medium|low) confidence, from {section}")
        )
        await expect(turns.nth(turn)).to_contain_text(re.compile(r"\d\.\d\d s — hearing \d\.\d\d"))
    cited = page.locator("main section", has=page.get_by_role("heading", name="Education"))
    await expect(cited.locator(".mark")).to_have_text("cited in turn 1")


def _is_ducked_then_silent(call: Played) -> None:
    """The first answer is lowered, cut, and never heard again."""
    duck, cut = call.when("duck"), call.when("bot-interrupted")
    settled = duck + round(SETTLED_SECS * OUTPUT_RATE)
    assert duck < cut
    before = call.samples[duck - WINDOW : duck]
    at, fit = _found_in(call.sent[0], before)
    assert fit > 0.98, "up to the duck the answer is played as it was sent"
    lowered = call.samples[settled : min(cut, duck + round(LOWERED_SECS * OUTPUT_RATE))]
    sent = call.sent[0][at + settled - (duck - WINDOW) :][: len(lowered)]
    gain = 20 * np.log10(lowered @ sent / (sent @ sent))
    assert gain == pytest.approx(-18, abs=0.5)
    again = call.when("bot-started-speaking", nth=2)
    still = np.flatnonzero(np.abs(call.samples[cut:again]) > 1e-4)
    stopped_secs = (still[-1] + 1) / OUTPUT_RATE if len(still) else 0.0
    with in_time():
        assert stopped_secs < SETTLED_SECS
    assert again - cut > OUTPUT_RATE / 2, "and nothing is heard until the next answer"
    onset = _second_onset(call.loud)
    ducked, interrupted = (call.all(kind)[0]["at"] for kind in ("duck", "bot-interrupted"))
    with in_time():
        assert ducked - onset < 0.5
        assert interrupted - onset < 1.5
    logging.getLogger(__name__).info(
        "after the caller's first word: lowered by %.1f dB in %.3f s, cut in %.3f s, "
        "silent %.3f s later",
        *(-gain, ducked - onset, interrupted - onset, stopped_secs),
    )


def _second_onset(loud: list[float]) -> float:
    """When the caller began to speak for the second time."""
    return next(now for before, now in pairwise(loud) if now - before > 1.0)


def _found_in(whole: Samples, piece: Samples) -> tuple[int, float]:
    """Where a piece of sound is in a longer one, and their correlation there.

    Compared at four times the rate, for the loudspeaker has a rate of its own and plays up to
    half a sample beside what was sent, which takes its share of a hiss.
    """
    fine_whole, fine_piece = (
        soxr.resample(samples, OUTPUT_RATE, OUTPUT_RATE * FINER) for samples in (whole, piece)
    )
    size = len(fine_whole) + len(fine_piece)
    spectrum = np.fft.rfft(fine_whole, size) * np.conj(np.fft.rfft(fine_piece, size))
    places = len(fine_whole) - len(fine_piece) + 1
    product = np.fft.irfft(spectrum, size)[:places]
    energy = np.concatenate(([0.0], np.cumsum(fine_whole**2)))
    there = np.sqrt(np.maximum(energy[len(fine_piece) :] - energy[:places], 1e-9))
    fit = product / there / np.sqrt(fine_piece @ fine_piece)
    at = int(np.argmax(fit))
    return round(at / FINER), float(fit[at])


def _in_order(words: list[str], *expected: str) -> bool:
    """Whether these words come in this order, whatever is between them."""
    rest = iter(words)
    return all(word in rest for word in expected)


@no_chromium
@pytest.mark.browser
@pytest.mark.thorough
async def test_a_caller_is_heard_while_they_hold_the_space_bar_or_the_button(
    tmp_path: Path,
) -> None:
    """A pause that would end a turn does not, and what is said meanwhile to others is not heard.

    The recorded call is replayed with the button.
    """
    speech = microphone(
        tmp_path / "speech.wav",
        *(9.0, "where-studied.wav", 2.5, "first-compiler.wav"),
        *(14.0, "salary.wav", 6.0, "what-degrees.wav", 20.0),
    )
    folder = tmp_path / "data"
    folder.mkdir()
    with Viva(RECORD="all", DATA_DIR=str(folder)) as viva:
        turns = await _hold(viva.loaded(), speech)
    first, second = (turn["question"] for turn in turns)
    assert "study mathematics" in first
    assert "compiler" in first
    assert "degrees" in second
    assert not any("salary" in turn["question"].lower() for turn in turns)
    (recorded,) = folder.glob("recordings/*.mcap")
    assert "as recorded" in await asyncio.to_thread(_replayed, recorded, tmp_path / "again")


def _replayed(recorded: Path, out: Path) -> str:
    """What ``viva replay`` says."""
    command = [str(VIVA), "replay", str(recorded), "--out", str(out)]
    return subprocess.check_output(command, text=True, timeout=CALL_SECS)


async def _hold(viva: Viva, speech: Path) -> list[dict[str, Any]]:
    """The turns of a caller who holds the space bar, and then the button."""
    async with chromium(speech) as browser:
        page = await opened(browser, viva.url, viewport={"width": 1280, "height": 800})
        await page.get_by_label("Hold Space or a button to talk, where others").check()
        await page.get_by_role("button", name="Call Viva").click()
        await until(page, "microphones.length === 1")
        began = asyncio.get_running_loop().time()

        async def reach(secs: float) -> None:
            await asyncio.sleep(began + secs - asyncio.get_running_loop().time())

        button = page.get_by_role("button", name="Hold to talk")
        held = page.get_by_role("button", name="You are heard")
        await until(page, "viva.state === 'listening'")
        await reach(8.0)
        await page.keyboard.down(" ")
        await expect(held).to_be_visible()
        await reach(16.5)
        assert await page.evaluate("viva.turns.length") == 0, "they have not let go"
        await page.keyboard.up(" ")
        await expect(button).to_be_visible()
        await until(page, "viva.turns.length === 1 && viva.state === 'listening'")
        await reach(35.5)
        assert await page.evaluate("viva.state") == "listening"
        await button.hover()
        await page.mouse.down()
        await reach(41.0)
        await page.mouse.up()
        await until(page, "viva.turns.length === 2 && viva.state === 'listening'")
        turns: list[dict[str, Any]] = await page.evaluate("viva.turns")
        await page.get_by_role("button", name="Hang up").click()
        await until(page, "viva.state === 'ended'")
    return turns


@no_chromium
@pytest.mark.browser
@pytest.mark.thorough
async def test_holding_is_offered_where_others_are_heard(servers: Servers, tmp_path: Path) -> None:
    """Three times somebody is heard who then asks nothing."""
    speech = microphone(tmp_path / "speech.wav", 3.0, *(("cough.wav", 1.8) * 10), 20.0)
    async with chromium(speech) as browser:
        page = await opened(browser, servers("").url, viewport={"width": 1280, "height": 800})
        await page.get_by_role("button", name="Call Viva").click()
        offer = page.get_by_text("Another voice or an echo disturbs the call.")
        await expect(offer).to_be_visible(timeout=60_000)
        await page.get_by_role("button", name="Hold a button to talk").click()
        await expect(page.get_by_role("button", name="Hold to talk")).to_be_focused()
        await page.get_by_role("button", name="Hang up").click()
        await until(page, "viva.state === 'ended'")


@no_chromium
@pytest.mark.browser
@pytest.mark.thorough
async def test_holding_is_offered_where_a_second_voice_is_answered(
    servers: Servers, tmp_path: Path
) -> None:
    """Two people ask in turn, each as clearly as the other."""
    asked = ("where-studied-flite", "how-long-taught", "retire-navy", "honorary-degrees")
    speech = microphone(
        tmp_path / "speech.wav",
        *(part for name in asked for part in (GREETING_SECS + 8.0, f"{name}.wav")),
        30.0,
    )
    async with chromium(speech) as browser:
        page = await opened(browser, servers("").url, viewport={"width": 1280, "height": 800})
        await page.get_by_role("button", name="Call Viva").click()
        await until(page, "viva.turns.length === 3", secs=90)
        offer = page.get_by_text("Another voice or an echo disturbs the call.")
        await expect(offer).to_be_hidden()
        await expect(offer).to_be_visible(timeout=60_000)
        await until(page, "viva.turns.length === 4")
        await page.get_by_role("button", name="Hold a button to talk").click()
        await expect(page.get_by_role("button", name="Hold to talk")).to_be_focused()
        await page.get_by_role("button", name="Hang up").click()
        await until(page, "viva.state === 'ended'")


@no_chromium
@pytest.mark.browser
@pytest.mark.thorough
async def test_a_server_that_is_stopped_says_so_and_leaves_nothing(
    servers: Servers, lighthouse: Path, engines: Any, tmp_path: Path
) -> None:
    viva = servers(str(lighthouse))
    question = await spoken(engines, "When is the tower open to visitors?")
    speech = microphone(tmp_path / "speech.wav", GREETING_SECS, question)
    async with chromium(speech) as browser:
        page = await opened(browser, viva.url)
        await page.get_by_role("button", name=re.compile("^Call ")).click()
        await until(page, "viva.state === 'speaking' && viva.litLines.length")
        status = await asyncio.to_thread(viva.stop, signal.SIGINT, timeout_secs=60.0)
        await expect(page.get_by_role("heading", name="Viva is closing")).to_be_visible()
        await expect(page.locator("#ended-message")).to_contain_text("The server is being stopped.")
        assert await page.evaluate("viva.ended.reason") == "shutdown"
        assert await page.evaluate("viva.litLines") == []
        assert await microphones_in_use(page) == 0
    assert status == 0
    assert viva.left == []
    assert "Traceback" not in viva.stderr


@no_chromium
@pytest.mark.browser
@pytest.mark.thorough
async def test_a_server_that_is_gone_is_noticed(servers: Servers, tmp_path: Path) -> None:
    viva = servers("")
    async with chromium(microphone(tmp_path / "silence.wav", 30.0)) as browser:
        page = await opened(browser, viva.url)
        await page.get_by_role("button", name="Call Viva").click()
        await until(page, "viva.state === 'speaking' && viva.samplesPlayed > 24000")
        viva.kill()
        await _says_that_the_line_dropped(page)
        await page.get_by_role("button", name="Call again").click()
        await expect(page.get_by_role("alert")).to_contain_text("Viva could not be reached")
        assert await microphones_in_use(page) == 0
        await expect(page.get_by_role("button", name="Call again")).to_be_visible()


@no_chromium
@pytest.mark.browser
@pytest.mark.thorough
async def test_a_worker_that_is_killed_takes_only_its_own_call_with_it(tmp_path: Path) -> None:
    """Its page calls again and is greeted; the caller of the other worker is answered meanwhile."""
    now = asyncio.get_running_loop().time
    with Viva(WORKERS="2") as viva:
        await _true(lambda: "loaded in all 2 workers" in viva.stderr, secs=LOAD_SECS)
        async with chromium(microphone(tmp_path / "silence.wav", 60.0)) as browser:
            page = await opened(browser, viva.url)
            await page.get_by_role("button", name="Call Viva").click()
            await until(page, "viva.state === 'speaking'")
            (its,) = (number for number, calls in enumerate(_open_calls(viva)) if calls)
            other, called_at = Caller(viva.socket_url, [AUDIO / "where-studied.wav"]), now()
            calling = asyncio.create_task(other.call())
            await _true(lambda: _open_calls(viva) == [1, 1])
            await until(page, "viva.samplesPlayed > 24000")
            os.kill(viva.workers[its], signal.SIGKILL)
            killed_at = now()
            await _says_that_the_line_dropped(page)
            await page.get_by_role("button", name="Call again").click()
            await until(page, "viva.state === 'speaking' && viva.samplesPlayed > 24000")
            await expect(page.get_by_role("list", name="What was said")).to_contain_text(
                "I'm Viva, an AI"
            )
            heard = await calling
            assert await page.evaluate("viva.ended") is None, "the second call goes on"
            await page.get_by_role("button", name="Hang up").click()
            await expect(page.get_by_role("heading", name="You hung up")).to_be_visible()
        assert f"worker {its} ended by signal 9" in viva.stderr
    (turn,) = heard.turns
    assert (turn.decision, turn.heard_text, heard.ended) == ("respond", turn.answer, "hangup")
    asked = (at for at, told in heard.messages if told["type"] == "user-started-speaking")
    assert called_at + next(asked) > killed_at, "the question was asked of the worker that is left"


async def _says_that_the_line_dropped(page: Page) -> None:
    """To those who see the page, and to those who have it read to them."""
    lost = "The connection to Viva was lost. Nothing you did ended the call."
    dropped = page.get_by_role("heading", name="The line dropped")
    await expect(dropped).to_be_visible(timeout=1000 * RESUME_SECS)
    await expect(dropped).to_be_focused()
    await expect(page.locator("#ended-message")).to_contain_text(lost)
    told = page.get_by_role("status").filter(has_text="The line dropped.")
    await expect(told).to_contain_text(lost)
    await expect(page.get_by_role("list", name="What was said")).to_contain_text("I'm Viva, an AI")
    await expect(page.get_by_role("button", name="Call again")).to_be_visible()
    assert await microphones_in_use(page) == 0


def _open_calls(viva: Viva) -> list[int]:
    """How many calls each worker has, by its number."""
    with urllib.request.urlopen(f"{viva.url}/metrics", timeout=60) as answer:
        families = text_string_to_metric_families(answer.read().decode())
        calls = {
            int(sample.labels["worker"]): int(sample.value)
            for family in families
            for sample in family.samples
            if sample.name == "viva_calls_open"
        }
    return [calls[number] for number in sorted(calls)]


async def _true(condition: Callable[[], bool], *, secs: float = 60.0) -> None:
    async with asyncio.timeout(secs):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0.1)
