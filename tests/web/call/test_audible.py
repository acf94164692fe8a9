"""When an answer is first heard: found in its samples, met when played, told in one clock."""

import asyncio
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Page

from tests.lateness import in_time
from tests.web.conftest import measure_lateness, until
from tests.web.scene import greet
from tests.web.server import VOICE_RATE, PageServer, Peer, tone
from transports.browser.messages import End

pytestmark = pytest.mark.browser

SILENCE = 104
"""The least sample that counts as sound: 32,768 at -50 dBFS, rounded up."""

FIND = """async (steps) => {
  const { Onsets } = await import('/web/call/audible.js');
  const onsets = new Onsets();
  const found = [];
  for (const step of steps) {
    if (step.type === 'sentence') onsets.sentence(step);
    else if (step.type === 'cut') onsets.cut();
    else {
      const samples = new Int16Array(step.count);
      for (const [at, value] of step.values) samples[at] = value;
      found.push(onsets.audio({ start: step.start, samples }));
    }
  }
  return found;
}"""
PASS = """async ([rate, watched, count]) => {
  const { Playout } = await import('/web/call/playout.js');
  const playout = new Playout({ rate });
  for (const sample of watched) playout.watch(sample);
  playout.write(new Int16Array(count).fill(8000));
  const passed = [];
  let start = null;
  for (let block = 0; block * 128 < count * rate / 24000 + rate; block += 1) {
    const frames = new Float32Array(128);
    playout.render(frames);
    if (start === null) {
      const first = frames.findIndex((value) => value !== 0);
      if (first >= 0) start = block * 128 + first;
    }
    for (const report of playout.reports()) {
      const { kind, sample, frame, epoch } = report;
      if (kind === 'passed') passed.push([sample, block * 128 + frame, epoch]);
    }
  }
  return [start, passed];
}"""


def sentence(turn: int, start: int) -> dict[str, Any]:
    return {"type": "sentence", "turn": turn, "start": start}


def audio(start: int, count: int, *values: tuple[int, int]) -> dict[str, Any]:
    return {"type": "audio", "start": start, "count": count, "values": values}


@pytest.mark.thorough
def test_leading_silence_and_hiss_do_not_count(blank: Page) -> None:
    hiss = tuple((at, 103 if at % 2 else -103) for at in range(960))
    found = blank.evaluate(
        FIND,
        [
            sentence(1, 4800),
            audio(4800, 960, *hiss),
            audio(5760, 960, (17, -SILENCE), (18, 9000)),
            audio(6720, 960, (0, 9000)),
        ],
    )
    assert found == [None, 5777, None]


def test_only_the_first_sentence_of_an_answer_counts(blank: Page) -> None:
    loud = (0, 9000)
    found = blank.evaluate(
        FIND,
        [
            sentence(0, 0),
            audio(0, 480, loud),
            sentence(1, 480),
            sentence(1, 480),
            audio(480, 480, loud),
            sentence(1, 960),
            audio(960, 480, loud),
            sentence(2, 1440),
            {"type": "cut"},
            audio(0, 480, loud),
            sentence(3, 480),
            sentence(0, 480),
            audio(480, 480, loud),
            sentence(4, 960),
            audio(480, 960, loud, (479, 9000), (481, -9000)),
        ],
    )
    assert found == [None, 480, None, None, None, 961]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    silent=st.integers(0, 9000),
    sizes=st.lists(st.integers(1, 2400), min_size=1, max_size=20),
    begin=st.integers(0, 100_000),
)
def test_it_is_found_however_the_audio_is_cut(
    blank: Page, silent: int, sizes: list[int], begin: int
) -> None:
    steps = [sentence(1, begin)]
    at = 0
    for size in sizes:
        values = ((silent - at, 20_000),) if at <= silent < at + size else ()
        steps.append(audio(begin + at, size, *values))
        at += size
    found = [sample for sample in blank.evaluate(FIND, steps) if sample is not None]
    assert found == ([begin + silent] if silent < at else [])


@pytest.mark.parametrize("rate", [16_000, 24_000, 44_100, 48_000])
def test_a_watched_sample_is_met_in_the_frame_that_plays_it(blank: Page, rate: int) -> None:
    watched = [0, 1, 127, 128, 3600, 11_999]
    start, passed = blank.evaluate(PASS, [rate, watched, 12_000])
    assert [sample for sample, _, _ in passed] == watched
    for sample, frame, epoch in passed:
        # The very first frame is faded to nothing: `start` may be one frame late.
        assert (frame - start) / rate == pytest.approx(sample / 24_000, abs=1.6 / min(rate, 24_000))
        assert epoch == 0


def test_a_flush_forgets_what_was_watched(blank: Page) -> None:
    passed = blank.evaluate(
        """async () => {
          const { Playout } = await import('/web/call/playout.js');
          const playout = new Playout({ rate: 24000 });
          playout.watch(2400);
          playout.write(new Int16Array(4800).fill(8000));
          for (let block = 0; block < 10; block += 1) playout.render(new Float32Array(128));
          playout.flush();
          playout.watch(12);
          playout.write(new Int16Array(4800).fill(8000));
          for (let block = 0; block < 60; block += 1) playout.render(new Float32Array(128));
          return playout.reports().filter(({ kind }) => kind === 'passed')
            .map(({ epoch, sample }) => [epoch, sample]);
        }"""
    )
    assert passed == [[1, 12]]


@pytest.mark.parametrize(
    ("device", "heard"),
    [
        # The device says that it played 7.95 s of its clock at 100.01: 7.98 is heard 30 ms later.
        ({"stamp": {"contextTime": 7.95, "performanceTime": 100_010}}, 100.04),
        (
            {"stamp": {"contextTime": 7.95, "performanceTime": 100_010}, "outputLatency": 0.3},
            100.04,
        ),
        # Without a stamp, or with one that cannot be: rendered 20 ms ago, and the device's delay.
        ({"outputLatency": 0.04}, 100.02),
        ({"stamp": {"contextTime": 0, "performanceTime": 0}, "outputLatency": 0.04}, 100.02),
        (
            {"stamp": {"contextTime": 2.0, "performanceTime": 100_010}, "outputLatency": 0.04},
            100.02,
        ),
        (
            {"stamp": {"contextTime": 9.0, "performanceTime": 100_010}, "outputLatency": 0.04},
            100.02,
        ),
        ({"outputLatency": 7.0}, 100.48),
        ({"outputLatency": -1.0}, 99.98),
        ({}, 99.98),
    ],
)
def test_a_device_is_believed_as_far_as_it_can_be_true(
    blank: Page, device: dict[str, Any], heard: float
) -> None:
    at = blank.evaluate(
        """async (device) => {
          const { heardAt } = await import('/web/call/audible.js');
          return heardAt(7.98, { now: 100, currentTime: 8, ...device });
        }""",
        device,
    )
    assert at == pytest.approx(heard, abs=1e-9)


LEADING_SECS = 0.15


@pytest.mark.real_time
def test_an_answer_is_reported_when_it_is_heard_in_the_servers_clock(
    server: PageServer, page: Page
) -> None:
    """150 ms of leading silence: the report names the sample behind it, and the time behind it."""

    async def script(peer: Peer) -> None:
        await greet(peer, secs=1.2)
        answer = np.concatenate([np.zeros(round(LEADING_SECS * VOICE_RATE)), tone(0.4)])
        await peer.say("She studied at Yale.", answer, turn=1)
        await peer.say("And at Vassar.", tone(0.3), turn=1)
        await peer.played_out()
        await asyncio.sleep(0.2)
        await peer.say("Yes.", np.concatenate([np.zeros(480), tone(0.2)]), turn=2)
        await peer.played_out()
        await asyncio.sleep(0.1)
        await peer.tell(End(reason="hangup", message="Goodbye."))

    server.script = script
    measure_lateness(page)
    page.get_by_role("button", name="Call Viva").click()
    until(page, "viva.state === 'ended'")
    peer = server.call
    greeting = round(1.2 * VOICE_RATE)
    second = greeting + round((LEADING_SECS + 0.7) * VOICE_RATE)
    reports = peer.audible
    assert [report.epoch for report in reports] == [0, 0]
    # The tone itself needs a few samples to rise above -50 dBFS.
    onsets = [greeting + round(LEADING_SECS * VOICE_RATE), second + 480]
    for report, onset in zip(reports, onsets, strict=True):
        assert onset <= report.sample <= onset + 2
    # A report of what was played can be late, never early: the earliest tells when it began.
    begun = [
        min(
            when - (message.samples - base) / VOICE_RATE
            for message, when in zip(peer.messages, peer.times, strict=True)
            if message in peer.playbacks and 0 < message.samples - base <= 0.3 * VOICE_RATE
        )
        for base in (greeting, second)
    ]
    after = [report.at - when for report, when in zip(reports, begun, strict=True)]
    # The first playback report is sent when a block is rendered, the loudspeaker follows.
    with in_time():
        assert LEADING_SECS - 0.06 <= after[0] <= LEADING_SECS + 0.2
        assert -0.06 <= after[1] <= 0.2
        assert after[0] - after[1] == pytest.approx(LEADING_SECS - 0.02, abs=0.05)
    clock = page.evaluate("viva.clock")
    assert clock["roundTrip"] > 0
    with in_time():
        assert clock["roundTrip"] < 0.5
    assert page.evaluate("viva.audible") == reports[-1].model_dump()
