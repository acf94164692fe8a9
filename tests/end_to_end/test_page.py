"""Calls on the page, in real Chromium, to a server in a process of its own, on the real engines."""

import asyncio
import json
import re
import signal
import subprocess
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.async_api import Page, expect

from tests.conftest import AUDIO
from tests.end_to_end.running import (
    CHROMIUM,
    VIVA,
    Played,
    Samples,
    Viva,
    chromium,
    microphone,
    opened,
    recognised,
    spoken,
    until,
)
from transports.wav import OUTPUT_RATE

pytestmark = pytest.mark.browser
if CHROMIUM is None:
    pytest.skip("calls on the page need Debian's chromium", allow_module_level=True)

GREETING_SECS = 7.0
"""The caller's silence while a call is set up and they are greeted."""

LIGHTHOUSE = """# Larkspur lighthouse

## The tower
- The tower was built in 1887 by the engineer Margaret Dunmore.
- It stands on a reef of granite, thirty-one metres above the sea.

## Visits
- The tower is open to visitors on Saturdays from ten to four.
- A boat leaves the harbour of Larkspur every half hour.
"""

Servers = Callable[[str], Viva]


@pytest.fixture(scope="module")
def lighthouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A document that is not the bundled CV."""
    path = tmp_path_factory.mktemp("knowledge") / "lighthouse.md"
    path.write_text(LIGHTHOUSE)
    return path


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    """A loaded server for a document ('' is the bundled CV), kept until a test ends it."""
    running: dict[str, Viva] = {}

    def server_for(knowledge: str) -> Viva:
        if knowledge not in running or not running[knowledge].running:
            running[knowledge] = Viva(KNOWLEDGE=knowledge)
        return running[knowledge].loaded()

    yield server_for
    for viva in running.values():
        viva.kill()


async def test_a_call_on_the_page_answered_interrupted_and_answered_again(
    servers: Servers, engines: Any, tmp_path: Path
) -> None:
    viva = servers("")
    speech = microphone(
        tmp_path / "speech.wav",
        GREETING_SECS,
        "where-studied.wav",
        2.0,
        "first-compiler.wav",
    )
    async with chromium(speech) as browser:
        page = await opened(browser, viva.url, viewport={"width": 1280, "height": 800})
        await page.get_by_role("button", name="Call Viva").click()
        await until(
            page, "viva.transcript.some((entry) => entry.turn === 2 && entry.record)", secs=45
        )
        await page.get_by_role("button", name="Hang up").click()
        await until(page, "viva.state === 'ended'")
        call = await Played.on(page)
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
    assert "1952" in after
    assert "degree" not in after
    assert "yale" not in after

    assert _in_order(
        seen["words"], "Listening", "Thinking", "Speaking", "Interrupted", "Thinking", "Speaking"
    )
    answers = [line for line in seen["lines"] if line["turn"]]
    assert [line["turn"] for line in answers][0] == 1
    assert answers[-1]["turn"] == 2
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
    turns = page.get_by_role("log", name="What was said").get_by_role("listitem")
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
        await expect(turns.nth(turn)).to_contain_text(re.compile(r"\d\.\d\d s — words \d\.\d\d"))
    cited = page.locator("main section", has=page.get_by_role("heading", name="Education"))
    await expect(cited.locator(".mark")).to_have_text("cited in turn 1")


def _is_ducked_then_silent(call: Played) -> None:
    """The first answer is lowered, cut, and never heard again."""
    duck, cut = call.when("duck"), call.when("bot-interrupted")
    assert duck < cut
    ramp, late = round(0.03 * OUTPUT_RATE), round(0.1 * OUTPUT_RATE)
    offset, fit = _found_in(call.sent[0], call.samples[duck - OUTPUT_RATE // 2 : duck])
    assert fit > 0.999, "up to the duck the answer is played as it was sent"
    start = duck - OUTPUT_RATE // 2 - offset
    lowered = call.samples[duck + ramp + late : cut]
    sent = call.sent[0][duck + ramp + late - start :][: len(lowered)]
    gain = 20 * np.log10(lowered @ sent / (sent @ sent))
    after = np.abs(call.samples[cut:])
    again = call.when("bot-started-speaking", nth=2) - cut
    still = np.flatnonzero(after[:again] > 1e-4)
    stopped = still[-1] / OUTPUT_RATE if len(still) else 0.0
    print(
        f"duck {(cut - duck) / OUTPUT_RATE:.3f} s before the cut, {gain:.1f} dB; silent {stopped:.3f} s after it; next voice {again / OUTPUT_RATE:.2f}"
    )
    assert gain == pytest.approx(-18, abs=0.5)
    assert stopped < 0.1
    assert again > 0.5 * OUTPUT_RATE


def _found_in(whole: Samples, piece: Samples) -> tuple[int, float]:
    """Where a piece of sound is in a longer one, and their correlation there."""
    size = len(whole) + len(piece)
    product = np.fft.irfft(np.fft.rfft(whole, size) * np.conj(np.fft.rfft(piece, size)), size)
    at = int(np.argmax(product[: len(whole) - len(piece) + 1]))
    there = whole[at : at + len(piece)]
    return at, float(there @ piece / np.sqrt((there @ there) * (piece @ piece)))


def _in_order(words: list[str], *expected: str) -> bool:
    """Whether these words come in this order, whatever is between them."""
    rest = iter(words)
    return all(word in rest for word in expected)


def test_a_caller_without_a_browser(servers: Servers, engines: Any, tmp_path: Path) -> None:
    heard = tmp_path / "heard.wav"
    wav = AUDIO / "where-studied.wav"
    status, out, _ = _viva_call(servers("").socket_url, wav, "--out", str(heard))
    assert status == 0
    call = json.loads(out)
    assert set(call) == {"turns", "ended"}
    assert call["ended"] == "hangup"
    (turn,) = call["turns"]
    fields = (
        "said transcript decision confidence sections answer e2e_latency_ms interrupted heard_text"
    )
    assert set(turn) >= set(fields.split())
    assert turn["said"] == "where-studied.wav"
    assert turn["transcript"] == "Where did she study mathematics?"
    assert turn["decision"] == "respond"
    assert turn["confidence"] in ("high", "medium", "low")
    assert turn["sections"] == ["education"]
    assert turn["heard_text"] == turn["answer"]
    assert 0 < turn["e2e_latency_ms"] < 5000
    assert turn["interrupted"] is False
    with wave.open(str(heard)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (24_000, 1, 2)
        audio = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
    said = asyncio.run(recognised(engines, audio[-10 * OUTPUT_RATE :], OUTPUT_RATE))
    assert "yale" in said
    assert "mathematics" in said


def test_a_caller_to_whom_nobody_answers_is_told_what_to_do() -> None:
    status, out, error = _viva_call("ws://127.0.0.1:9/call", AUDIO / "where-studied.wav")
    assert status == 2
    assert out == ""
    assert "nobody answers at ws://127.0.0.1:9/call" in error
    assert "Is `viva serve` running?" in error
    assert "Traceback" not in error


async def test_any_document_can_be_called(
    servers: Servers, lighthouse: Path, engines: Any, tmp_path: Path
) -> None:
    viva = servers(str(lighthouse))
    question = await spoken(engines, "Who built the tower of the lighthouse?")
    wav = _pcm_wav(tmp_path / "question.wav", question)
    status, out, _ = await asyncio.to_thread(_viva_call, viva.socket_url, wav)
    (turn,) = json.loads(out)["turns"]
    assert status == 0
    assert turn["decision"] == "respond"
    assert len(turn["sections"]) == 1
    (section,) = (
        one for one in viva.get("document.json")["sections"] if one["id"] == turn["sections"][0]
    )
    assert section["title"] == "The tower"
    assert "Margaret Dunmore" in turn["heard_text"]


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
        status = await asyncio.to_thread(viva.stop, signal.SIGTERM, timeout_secs=5.0)
        await expect(page.get_by_role("heading", name="Viva is closing")).to_be_visible()
        await expect(page.get_by_text("The server is being stopped.")).to_be_visible()
        assert await page.evaluate("viva.ended.reason") == "shutdown"
        assert await page.evaluate("viva.litLines") == []
    assert status == 0
    assert viva.left == []
    assert "Traceback" not in viva.stderr


async def test_a_server_that_is_gone_is_noticed(servers: Servers, tmp_path: Path) -> None:
    viva = servers("")
    async with chromium(microphone(tmp_path / "silence.wav", 30.0)) as browser:
        page = await opened(browser, viva.url)
        await page.get_by_role("button", name="Call Viva").click()
        await until(page, "viva.state === 'speaking' && viva.samplesPlayed > 24000")
        viva.kill()
        await expect(page.get_by_role("heading", name="The line dropped")).to_be_visible()
        await expect(page.get_by_text("The connection to Viva was lost.")).to_be_visible()
        await expect(page.get_by_role("log")).to_contain_text("I'm Viva, an AI")
        await page.get_by_role("button", name="Call again").click()
        await expect(page.get_by_role("heading", name="No answer")).to_be_visible()
        await expect(page.get_by_role("button", name="Call again")).to_be_visible()


def test_a_document_is_shown_before_the_models_are_there_and_ctrl_c_is_obeyed_at_once() -> None:
    with Viva(KNOWLEDGE="README.md") as viva:
        document = viva.get("document.json")
        assert viva.get("healthz") == {"calls": 0, "ready": False}
        assert document["title"] == "Viva"
        shown = [line["text"] for section in document["sections"] for line in section["lines"]]
        assert any("make run" in text for text in shown)
        assert viva.stop(signal.SIGINT, timeout_secs=10.0) in (0, 130)
        assert viva.left == []
        assert "Traceback" not in viva.stderr


def _viva_call(url: str, wav: Path, *options: str) -> tuple[int, str, str]:
    made = subprocess.run(
        [VIVA, "call", "--wav", wav, "--json", "--url", url, *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return made.returncode, made.stdout, " ".join(made.stderr.split())


def _pcm_wav(path: Path, pcm: bytes) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(pcm)
    return path
