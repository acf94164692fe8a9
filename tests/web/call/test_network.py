"""Calls over bad networks, by the real page and the real server with scripted vendors.

``python -m tests.web.call.test_network`` prints the table of what each network adds to a voice.
"""

import asyncio
import base64
import statistics
import sys
import tempfile
import threading
import wave
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import web
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

from benchmarks.scripted import choices, voice
from knowledge.loading.document import load
from server import Server
from settings import Settings
from tests.web.conftest import CHROMIUM, FLAGS, until
from tests.web.network import Network, Quality

pytestmark = [pytest.mark.browser, pytest.mark.thorough]

AUDIO = Path(__file__).parents[2] / "audio"
FAKE = ("--use-fake-ui-for-media-stream",)
VOICE_RATE = 24_000
LOUD = 0.01
QUIET_SECS = 0.02
"""What is called silence is longer than any within the scripted voice's loud parts."""

ROWS = {
    "0": Quality(),
    "100": Quality(0.1),
    "300": Quality(0.3),
    "350": Quality(0.35),
    "450": Quality(0.45),
    "200 ± 50": Quality(0.2, 0.05),
    "300 ± 50": Quality(0.3, 0.05),
    "60, 2 % loss": Quality(0.06, 0.0, 0.02),
    "120 ± 30, 2 % loss": Quality(0.12, 0.03, 0.02),
}
"""Round trip in ms, jitter each way, share of packets that come 250 ms late."""


class ScriptedServer:
    """A server in a thread of its own.

    Parameters:
        folder: For its data.
        auth: As ``AUTH``.
        embed_origins: As ``EMBED_ORIGINS``.
    """

    def __init__(self, folder: Path, *, auth: str = "off", embed_origins: str = "") -> None:
        self._folder = folder
        self._auth = auth
        self._embed_origins = embed_origins
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.port = 0

    def __enter__(self) -> "ScriptedServer":
        voice()
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(60)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> None:
        settings = Settings.load(
            auth=self._auth,
            embed_origins=self._embed_origins,
            data_dir=self._folder,
            database_url="",
            record="off",
            silence_prompt_secs=600,
            max_lag_secs=60,
        )
        self.server = Server(settings, load(None), choices())
        self._runner = web.AppRunner(self.server.app(), access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        while not self.server.loading.done:
            await asyncio.sleep(0.05)


@dataclass(frozen=True)
class Heard:
    """What came out of the page's loudspeaker.

    Parameters:
        gaps: Silences that the voice does not have.
        added_secs: By how much longer the voice lasted than it is.
        yields_secs: From a question typed over the voice to its silence.
    """

    gaps: int
    added_secs: float
    yields_secs: float


def call(page: Page, network: Network) -> None:
    page.goto(f"http://127.0.0.1:{network.port}/")
    page.wait_for_selector("main section")
    page.get_by_role("button", name="Call Viva").click()
    until(page, "viva.state === 'speaking'")
    until(page, "viva.state === 'listening'")
    page.evaluate("viva.tap().then((tap) => { window.tapped = tap; })")


def ask(page: Page) -> None:
    page.fill("#typed", "Where did she study?")
    page.press("#typed", "Enter")


def tapped(page: Page) -> np.ndarray:
    """What was handed to the loudspeaker since, from -1 to 1, at 24 kHz."""
    rate, text = page.evaluate(
        """() => {
          const samples = Int16Array.from(tapped.samples(), (x) => 32767 * x);
          let text = '';
          const bytes = new Uint8Array(samples.buffer);
          for (let at = 0; at < bytes.length; at += 8192) {
            text += String.fromCharCode(...bytes.subarray(at, at + 8192));
          }
          return [tapped.sampleRate, btoa(text)];
        }"""
    )
    samples = np.frombuffer(base64.b64decode(text), np.int16) / 32768
    at = np.arange(int(len(samples) * VOICE_RATE / rate)) * rate / VOICE_RATE
    return np.asarray(samples[at.astype(int)])


def said(page: Page) -> np.ndarray:
    """The answer as the scripted voice speaks it, in the sentences that the page was told of."""
    starts = [s["start"] for s in page.evaluate("viva.sentencesLit") if s["turn"] == 1]
    ends = [*starts[1:], page.evaluate("viva.samplesReceived")]
    speech = np.frombuffer(voice(), np.int16) / 32768
    return np.concatenate([speech[: end - start] for start, end in zip(starts, ends, strict=True)])


def silences(samples: np.ndarray) -> int:
    """How many stretches between loud samples are digital silence of some length."""
    loud = np.flatnonzero(np.abs(samples) > LOUD)
    inner = np.abs(samples[loud[0] : loud[-1]]) < 1e-4
    edges = np.flatnonzero(np.diff(np.concatenate(([0], inner.astype(int), [0]))))
    return int(np.sum(edges[1::2] - edges[::2] > QUIET_SECS * VOICE_RATE))


def length(samples: np.ndarray) -> float:
    loud = np.flatnonzero(np.abs(samples) > LOUD)
    return float(loud[-1] - loud[0]) / VOICE_RATE


def listen(page: Page, network: Network) -> Heard:
    """Hear an answer to its end, and one that is interrupted."""
    call(page, network)
    ask(page)
    until(page, "viva.state === 'speaking'")
    until(page, "viva.state === 'listening'")
    page.wait_for_timeout(1500)
    heard, source = tapped(page), said(page)
    yields = []
    for _ in range(2):
        ask(page)
        until(page, "viva.state === 'speaking'")
        page.wait_for_timeout(1500)
        yields.append(
            page.evaluate(
                """() => new Promise((resolve) => {
                  const [began, epoch] = [performance.now(), viva.epoch];
                  const look = setInterval(() => {
                    if (viva.epoch === epoch) return;
                    clearInterval(look);
                    resolve((performance.now() - began) / 1000);
                  }, 2);
                  document.getElementById('typed').value = 'And when was that?';
                  document.getElementById('typing').requestSubmit();
                })"""
            )
        )
        page.wait_for_timeout(1500)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Hang up").click()
    return Heard(
        gaps=max(0, silences(heard) - silences(source)),
        added_secs=length(heard) - length(source),
        yields_secs=statistics.median(yields),
    )


def question_then_silence(folder: Path) -> Path:
    """What a microphone hears: 12 s of quiet, a question, and quiet again, over and over."""
    quiet, question = bytes(2 * 16_000 * 12), (AUDIO / "where-studied.wav").read_bytes()[44:]
    with wave.open(str(folder / "microphone.wav"), "wb") as sound:
        sound.setparams((1, 2, 16_000, 0, "NONE", ""))
        sound.writeframes(quiet + question + quiet)
    return folder / "microphone.wav"


def ask_aloud(page: Page, network: Network, slow: Quality) -> tuple[float, float]:
    """Ask over a slow network; returns how late the caller was heard, half the time, and waited."""
    page.goto(f"http://127.0.0.1:{network.port}/")
    page.wait_for_selector("main section")
    page.evaluate(
        """() => {
          window.lates = [];
          setInterval(() => { if (viva.messagesSent) lates.push(viva.late); }, 100);
        }"""
    )
    network.quality = slow
    page.get_by_role("button", name="Call Viva").click()
    until(page, "viva.turns.some((turn) => turn.e2e_latency)", secs=90)
    lates, turns = page.evaluate("[lates, viva.turns]")
    return statistics.median(lates), next(
        turn["e2e_latency"] for turn in turns if turn["e2e_latency"]
    )


@contextmanager
def over(browser: Browser, server: ScriptedServer, quality: Quality) -> Iterator[Any]:
    with Network(server.port, quality) as network:
        context = browser.new_context()
        context.grant_permissions(["microphone"])
        page = context.new_page()
        page.set_default_timeout(60_000)
        try:
            yield page, network
        finally:
            context.close()


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedServer]:
    with ScriptedServer(tmp_path_factory.mktemp("scripted")) as server:
        yield server


@pytest.mark.parametrize("row", ROWS)
def test_no_network_of_the_table_adds_silence(
    browser: Browser, scripted: ScriptedServer, row: str
) -> None:
    with over(browser, scripted, ROWS[row]) as (page, network):
        heard = listen(page, network)
    assert heard.added_secs <= 0.15
    assert heard.yields_secs <= 0.3 + ROWS[row].round_trip_secs + 4 * ROWS[row].jitter_secs


def test_an_answer_goes_on_after_a_cut_of_ten_seconds(
    browser: Browser, scripted: ScriptedServer
) -> None:
    with over(browser, scripted, Quality(0.06)) as (page, network):
        call(page, network)
        ask(page)
        until(page, "viva.state === 'speaking' && viva.samplesPlayed > 20_000")
        network.cut()
        expect(page.locator("#state")).to_have_text("Reconnecting", timeout=15_000)
        page.wait_for_timeout(1000)
        network.mend()
        until(page, "viva.state === 'speaking'", secs=30)
        until(page, "viva.state === 'listening'")
        page.wait_for_timeout(500)
        loud = tapped(page)
        source = said(page)
        assert np.sum(np.abs(loud) > LOUD) == pytest.approx(np.sum(np.abs(source) > LOUD), rel=0.03)
        page.get_by_role("button", name="Hang up").click()


def hearing(playwright: Playwright, folder: Path) -> Browser:
    """A browser whose microphone hears :func:`question_then_silence`."""
    heard = f"--use-file-for-fake-audio-capture={question_then_silence(folder)}"
    return playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *FAKE, heard])


def test_32_kbits_up_and_64_down_hold_a_call(
    playwright_: Playwright, scripted: ScriptedServer, tmp_path: Path
) -> None:
    slow = Quality(0.1, up_bits_per_sec=32_000, down_bits_per_sec=64_000)
    browser = hearing(playwright_, tmp_path)
    with over(browser, scripted, Quality()) as (page, network):
        late, waited = ask_aloud(page, network, slow)
        dropped = page.evaluate("viva.messagesDropped")
    browser.close()
    assert dropped == 0
    assert late < 0.4
    assert waited < 3.0


def test_without_opus_a_slow_network_says_so_and_what_the_caller_waited(
    playwright_: Playwright, scripted: ScriptedServer, tmp_path: Path
) -> None:
    slow = Quality(0.1, up_bits_per_sec=200_000)
    browser = hearing(playwright_, tmp_path)
    with over(browser, scripted, Quality()) as (page, network):
        page.add_init_script("delete globalThis.AudioEncoder")
        late, waited = ask_aloud(page, network, slow)
        expect(page.get_by_text("Your connection is slow")).to_be_visible()
    browser.close()
    assert 1.0 < late < 6.0, "late, but not later and later"
    assert waited > 1.0, "the server alone takes less"


def main() -> None:
    """Print the table."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(ScriptedServer(folder))
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *FAKE])
        say = sys.stdout.write
        say("| RTT, jitter in ms | silences | silence added | typed over it, silent after |\n")
        for name, quality in ROWS.items():
            with over(browser, server, quality) as (page, network):
                heard = listen(page, network)
            added, yields = heard.added_secs, heard.yields_secs
            say(f"| {name} | {heard.gaps} | {added:.2f} s | {yields:.2f} s |\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
