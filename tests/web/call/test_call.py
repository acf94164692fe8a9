"""A call on the page, in real Chromium, with the far end played by a script."""

import asyncio
import base64
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.lateness import in_time
from tests.web.conftest import MICROPHONE_HERTZ, measure_lateness, until
from tests.web.scene import ABOUT, ask, decision, greet, record, speechlike
from tests.web.server import CAPTURE_RATE, VOICE_RATE, PageServer, Peer, tone
from transports.browser.messages import Cap, ClientReady, Duck, End, LookedUp, Stage

pytestmark = [pytest.mark.browser, pytest.mark.real_time]

CONCEALED_SECS = 0.06
"""How long playout.js goes on, fading, where the voice ran empty."""


@pytest.fixture(autouse=True)
def late_page(page: Page) -> None:
    measure_lateness(page)


def place_call(page: Page) -> None:
    page.get_by_role("button", name="Call Viva").click()


def ended(page: Page) -> None:
    until(page, "viva.state === 'ended'")


def tapped(page: Page) -> tuple[np.ndarray, int]:
    """Everything that was handed to the loudspeaker so far, and the device's rate."""
    rate, samples = page.evaluate(
        """() => {
          const bytes = new Uint8Array(tapped.samples().buffer);
          const text = Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
          return [tapped.sampleRate, btoa(text)];
        }"""
    )
    return np.frombuffer(base64.b64decode(samples), "<f4").astype(float), rate


def tap(page: Page) -> None:
    page.evaluate("() => { viva.tap().then((tap) => { window.tapped = tap; }); }")


def test_every_sample_sent_is_played_at_the_volume_wished_for_and_reported(
    server: PageServer, page: Page
) -> None:
    async def script(peer: Peer) -> None:
        await peer.tell(Cap(limit_secs=120.0, left_secs=120.0))
        await peer.say("Hello.", tone(1.0))
        await peer.say("I am an AI.", tone(0.503))
        await peer.played_out()
        await asyncio.sleep(0.1)
        await peer.tell(End(reason="hangup", message="Goodbye."))

    server.script = script
    tap(page)
    page.evaluate(
        """() => {
          const volume = document.getElementById('voice-volume');
          volume.value = '0.5';
          volume.dispatchEvent(new Event('input'));
        }"""
    )
    place_call(page)
    ended(page)
    sent = round(1.503 * VOICE_RATE)
    reports = server.call.playbacks
    counts = [report.samples for report in reports if report.epoch == 0 and not report.final]
    assert counts == sorted(counts)
    assert counts[-1] == sent
    assert 0 < counts[0] <= 128
    with in_time():
        assert len(counts) == pytest.approx(16, abs=2)
    assert page.evaluate("viva.samplesPlayed") == sent
    heard, rate = tapped(page)
    loud = np.flatnonzero(np.abs(heard) > 0.01)
    secs = (loud[-1] - loud[0]) / rate
    with in_time():  # a busy machine lets the voice run empty
        assert secs == pytest.approx(sent / VOICE_RATE + CONCEALED_SECS, abs=0.0125)
    middle = heard[loud[0] + round(0.1 * rate) : loud[0] + round(0.9 * rate)]
    assert np.max(np.abs(middle)) == pytest.approx(0.5 * 0.5, rel=0.01)
    at = 2 * np.pi * 500 * np.arange(len(middle)) / rate
    basis = np.stack([np.sin(at), np.cos(at)], axis=1)
    rest = middle - basis @ np.linalg.lstsq(basis, middle, rcond=None)[0]
    with in_time():
        assert 10 * np.log10(np.mean(middle**2) / np.mean(rest**2)) > 80


def test_the_microphone_streams_32_ms_messages_once_the_page_is_ready(
    server: PageServer, page: Page
) -> None:
    async def script(peer: Peer) -> None:
        await peer.until(lambda: len(peer.audio) > 2 * CAPTURE_RATE)
        await peer.tell(End(reason="hangup", message="Goodbye."))

    server.script = script
    place_call(page)
    ended(page)
    peer = server.call
    assert isinstance(peer.messages[0], ClientReady)
    assert peer.audio_sizes == {1024}
    heard = np.frombuffer(bytes(peer.audio), "<i2").astype(float)[-CAPTURE_RATE // 2 :]
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    loudest = np.argmax(spectrum) * CAPTURE_RATE / len(heard)
    assert loudest == pytest.approx(MICROPHONE_HERTZ, abs=5)


def test_duck_interruption_and_a_new_epoch(server: PageServer, page: Page) -> None:
    """The voice is lowered, then cut; nothing of the old answer follows; the new one is whole."""

    async def script(peer: Peer) -> None:
        speaking = asyncio.create_task(peer.say("A long answer.", tone(5.0), turn=1))
        await asyncio.sleep(0.6)
        await peer.tell(Duck(on=True))
        await asyncio.sleep(0.3)  # or longer, on a busy machine
        speaking.cancel()
        await peer.interrupt()
        await peer.until(lambda: any(report.final for report in peer.playbacks))
        await asyncio.sleep(0.25)
        await peer.say("A short one.", tone(0.4), turn=2)
        await peer.played_out()
        await asyncio.sleep(0.1)
        await peer.tell(End(reason="hangup", message="Goodbye."))

    server.script = script
    tap(page)
    place_call(page)
    ended(page)
    final = next(report for report in server.call.playbacks if report.final)
    assert final.epoch == 0
    heard, rate = tapped(page)
    loud = np.flatnonzero(np.abs(heard) > 1e-4)
    gap = np.argmax(np.diff(loud))
    first, second = heard[loud[0] : loud[gap] + 1], heard[loud[gap + 1] : loud[-1] + 1]
    silences = np.diff(loud[: gap + 1])
    silences = silences[silences > rate / 1000]  # a busy machine lets the voice run empty
    played_secs = (len(first) - int(np.sum(silences))) / rate
    sent_secs = final.samples / VOICE_RATE
    concealed_secs = CONCEALED_SECS * len(silences)
    assert sent_secs - 0.0025 <= played_secs
    with in_time():
        assert played_secs <= sent_secs + 0.0025 + concealed_secs
        assert len(second) / rate == pytest.approx(0.4 + CONCEALED_SECS, abs=0.0125)
    size = round(0.02 * rate)  # ten periods of the tone
    pieces = first[: len(first) // size * size].reshape(-1, size)
    falls = 20 * np.log10(np.sqrt(2 * np.mean(pieces**2, axis=1)) / 0.5 + 1e-9)
    lowered = falls[(falls > -24) & (falls < -12)]
    with in_time():
        assert 0.1 <= len(lowered) * 0.02 <= 0.42, "as long as it takes, and 0.4 s at most"
    assert np.median(lowered) == pytest.approx(-18, abs=0.5)
    whole = second[round(0.01 * rate) : round(0.39 * rate)]
    assert np.sqrt(2 * np.mean(whole**2)) == pytest.approx(0.5, rel=0.02)
    steepest = 0.5 * 2 * np.pi * 500 / rate  # of the tone, from one sample to the next
    # A click would be a step of 14 of these. Resampling knows nothing behind the last sample, so
    # that a tone that stops where it is steepest is bent a little (1.14) before it is repeated.
    with in_time():
        assert np.max(np.abs(np.diff(heard))) < 1.2 * steepest
    epochs = [report.epoch for report in server.call.playbacks]
    assert epochs == sorted(epochs)
    assert page.evaluate("viva.epoch") == 1


def test_lit_lines_follow_what_is_heard(server: PageServer, page: Page) -> None:
    """Three sentences arrive 400 ms early; each lights its lines when it is played, none before."""

    async def script(peer: Peer) -> None:
        await peer.event("bot-started-speaking")
        await peer.say("Yale.", speechlike(0.7), turn=1, sections=["education"], lines=[27, 28])
        await peer.say("Let me see.", speechlike(0.5), turn=1)
        await peer.say("Navy.", speechlike(0.6), turn=1, sections=["navy"], lines=[53])
        await peer.played_out()
        await peer.event("bot-stopped-speaking")
        await peer.closed.wait()

    server.script = script
    page.evaluate(
        """() => {
          window.seen = [];
          let before = 0;
          const look = () => {
            const lit = [...document.querySelectorAll('.lit')].map((line) => +line.dataset.number);
            const last = seen.at(-1);
            const samples = viva.samplesPlayed;
            if (String(last?.lit) !== String(lit)) seen.push({ lit, samples, before });
            before = samples;
            requestAnimationFrame(look);
          };
          look();
        }"""
    )
    place_call(page)
    until(page, "window.seen.length >= 5")
    seen: list[dict[str, Any]] = page.evaluate("window.seen")
    assert [state["lit"] for state in seen] == [[], [27, 28], [], [53], []]
    starts = [round(secs * VOICE_RATE) for secs in (0.0, 0.7, 1.2, 1.8)]
    for frame, start in zip(seen[1:], starts, strict=True):
        assert start <= frame["samples"]  # and lit by the next frame, however late that was drawn
        with in_time():
            assert frame["before"] <= start + 0.08 * VOICE_RATE
    lit = page.evaluate("viva.sentencesLit")
    assert [(mark["start"], mark["lines"]) for mark in lit] == [
        (0, [27, 28]),
        (16_800, []),
        (28_800, [53]),
    ]
    assert all(mark["start"] < mark["at"] for mark in lit)
    with in_time():
        assert all(mark["at"] <= mark["start"] + 960 for mark in lit)
    marked = page.locator(
        "main section", has=page.get_by_role("heading", name="United States Navy")
    )
    expect(marked.locator(".mark")).to_have_text("cited in turn 1")
    page.keyboard.press("Escape")
    ended(page)


def test_captions_show_what_was_heard_with_its_grounds(server: PageServer, page: Page) -> None:
    async def script(peer: Peer) -> None:
        await greet(peer, secs=0.3)
        await ask(peer, 1, "Where did she study?")
        answer = "She studied at Yale. Before that at Vassar."
        cites: dict[str, Any] = {"sections": ["education"], "lines": [27]}
        await peer.tell(decision(1, "Where did she study?", answer, **cites))
        speaking = asyncio.create_task(peer.say("She studied at Yale.", tone(3.0), turn=1, **cites))
        await asyncio.sleep(0.5)
        speaking.cancel()
        await peer.interrupt()
        sections = {"sections": ["education"], "interrupted": True, "heard_text": "She studied"}
        await peer.tell(record(1, "Where did she study?", answer, **sections))
        await ask(peer, 2, "What was her salary?")
        refused: dict[str, Any] = {"decision": "escalate", "confidence": None}
        await peer.tell(decision(2, "What was her salary?", "No.", reason="sensitive", **refused))
        await peer.say("I do not speak of that.", tone(0.3), turn=2)
        await peer.played_out()
        await peer.event("bot-stopped-speaking")
        await peer.tell(record(2, "What was her salary?", "No.", e2e_latency=None, **refused))
        await ask(peer, 3, "When are you open?")
        hours = LookedUp(section="tool/hours", title="Opening hours", text="Monday: 9 to 17.")
        called: dict[str, Any] = {"sections": ["tool/hours"]}
        await peer.say("Nine to five.", tone(0.3), turn=3, **called)
        await peer.tell(
            decision(3, "When are you open?", "Nine to five.", looked_up=[hours], **called)
        )
        await peer.played_out()
        await peer.tell(End(reason="silence", message="Nothing was said for a while."))

    server.script = script
    place_call(page)
    ended(page)
    turns = page.get_by_role("list", name="What was said").get_by_role("listitem")
    expect(turns).to_have_count(4)
    expect(turns.nth(0)).to_contain_text(ABOUT["persona"]["greeting"])
    expect(turns.nth(3)).to_contain_text("high confidence, from Opening hoursMonday: 9 to 17.")
    expect(turns.nth(3).get_by_role("link")).to_have_count(0)
    expect(turns.nth(1)).to_contain_text("You: Where did she study?")
    expect(turns.nth(1)).to_contain_text("Viva: She studied — interrupted")
    expect(turns.nth(1)).not_to_contain_text("Vassar")
    expect(turns.nth(1)).to_contain_text("high confidence, from Education")
    expect(turns.nth(1)).to_contain_text("0.45 s — hearing 0.33, answering 0.01, speaking 0.04")
    expect(turns.nth(1).get_by_role("link", name="Education")).to_have_attribute(
        "href", "#section-education"
    )
    expect(turns.nth(2)).to_contain_text("It does not talk about this.")
    expect(page.get_by_role("heading", name="It went quiet")).to_be_visible()
    expect(page.locator("#ended-message")).to_have_text("Nothing was said for a while.")


def test_states_are_told_in_words(server: PageServer, page: Page) -> None:
    async def loading(peer: Peer) -> None:
        await peer.tell(
            Stage(stage="loading", vendor="whisper", detail="Whisper base", progress=0.4)
        )

    async def script(peer: Peer) -> None:
        await asyncio.sleep(0.15)
        await peer.tell(Cap(limit_secs=120.0, left_secs=15.0))
        await peer.event("user-started-speaking")
        await asyncio.sleep(0.15)
        await peer.event("user-stopped-speaking")
        await asyncio.sleep(0.15)
        await peer.say("Yes.", tone(0.4), turn=1)
        await peer.until(lambda: len(peer.playbacks) > 1)
        await peer.interrupt()
        await asyncio.sleep(0.2)
        await peer.tell(End(reason="shutdown", message="Viva is being restarted."))

    server.before_ready, server.script = loading, script
    page.evaluate(
        """() => {
          window.said = [];
          const state = document.getElementById('state');
          const note = () => said.push(state.textContent);
          const all = { childList: true, characterData: true, subtree: true };
          new MutationObserver(note).observe(state, all);
          window.announced = [];
          const announcer = document.getElementById('announcer');
          new MutationObserver(() => announced.push(announcer.textContent)).observe(announcer, all);
          new MutationObserver(() => {
            const bar = document.getElementById('progress');
            const hint = document.getElementById('hint').textContent;
            if (!bar.hidden) window.loaded = [bar.value, hint];
          }).observe(document.getElementById('progress'), { attributes: true });
        }"""
    )
    place_call(page)
    expect(page.get_by_role("timer", name="Time left")).to_have_text("0:15 left")
    ended(page)
    words = [word for word in page.evaluate("window.said") if word]
    expected = ["Listening", "Hearing you", "Thinking", "Speaking", "Interrupted"]
    assert words[-5:] == expected
    assert words[:2] == ["One moment", "Loading"]
    assert page.evaluate("window.loaded") == [pytest.approx(0.4), "Whisper base"]
    announced = page.evaluate("window.announced")
    closing = "Viva is closing. Viva is being restarted."
    assert announced == ["One moment", "Loading", closing], "and not over the voice"


def test_what_is_said_unasked_stands_apart(blank: Page) -> None:
    """The greeting and a later prompt are two entries; only what is cut off is interrupted."""
    entries = blank.evaluate(
        """async () => {
          const { Transcript } = await import('/web/call/transcript.js');
          const transcript = new Transcript();
          const say = (text) => transcript.begin({ turn: 0, text, sections: [], lines: [] });
          say('Hello.');
          say('I am an AI.');
          transcript.receive({ type: 'bot-stopped-speaking' });
          say('Are you still there?');
          transcript.receive({ type: 'bot-interrupted' });
          say('Goodbye.');
          transcript.receive({ type: 'bot-stopped-speaking' });
          transcript.receive({ type: 'bot-interrupted' });
          return transcript.entries.map(({ said, interrupted }) =>
            [said.map(({ text }) => text), interrupted]);
        }"""
    )
    assert entries == [
        [["Hello.", "I am an AI."], False],
        [["Are you still there?"], True],
        [["Goodbye."], False],
    ]
