"""What the loudspeaker gets, sample by sample: counts, epochs, ramps."""

import base64
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Page

pytestmark = pytest.mark.browser

HERTZ = 440.0
PLAY = """async ([rate, steps]) => {
  const { Playout } = await import('/web/call/playout.js');
  const playout = new Playout({ rate });
  const output = [], reports = [];
  let at = 0;
  for (const [what, count] of steps) {
    if (what === 'write') {
      const samples = Int16Array.from({ length: count }, (_, k) =>
        Math.round(16384 * Math.sin(2 * Math.PI * 440 * (at + k) / 24000)));
      at += count;
      playout.write(samples);
    } else if (what === 'duck') playout.duck(Boolean(count));
    else if (what === 'gather') playout.gather(count);
    else if (what === 'flush') {
      playout.flush();
      at = 0;
      reports.push({ kind: 'flush', at: output.length });
    } else for (let block = 0; block < count; block += 1) {
      const frames = new Float32Array(128);
      playout.render(frames);
      output.push(...frames);
      for (const report of playout.reports()) reports.push({ ...report, at: output.length });
    }
  }
  const bytes = new Uint8Array(Float32Array.from(output).buffer);
  return { output: btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join('')), reports };
}"""
STEEPEST = 0.5 * 2 * np.pi * HERTZ / 24_000
"""The largest step between two samples of the tone itself, at 24 kHz."""


def played(page: Page, rate: int, steps: list[tuple[str, int]]) -> tuple[np.ndarray, list[Any]]:
    result = page.evaluate(PLAY, [rate, steps])
    return np.frombuffer(base64.b64decode(result["output"]), "<f4"), result["reports"]


def blocks(secs: float, rate: int = 24_000) -> int:
    return round(secs * rate / 128)


@pytest.mark.parametrize("rate", [24_000, 44_100, 48_000, 16_000])
def test_every_sample_is_counted_once(blank: Page, rate: int) -> None:
    sent = 24_000 // 2 + 77
    output, reports = played(blank, rate, [("write", sent), ("render", blocks(0.7, rate))])
    kinds = [report["kind"] for report in reports]
    assert kinds == ["first", *["tick"] * (len(kinds) - 2), "empty"]
    assert len(kinds) in {6, 7}
    assert reports[-1]["samples"] == sent
    ticks = [report["at"] / rate for report in reports[:-1]]
    assert np.diff(ticks) == pytest.approx(0.1, abs=0.006)
    heard = np.flatnonzero(np.abs(output) > 1e-3)
    concealed = 0.06  # the tone breaks off, so it goes on a little
    assert (heard[-1] - heard[0]) / rate == pytest.approx(sent / 24_000 + concealed, abs=0.006)


def test_a_few_samples_do_not_wait_for_ever(blank: Page) -> None:
    _, reports = played(blank, 24_000, [("write", 480), ("render", blocks(0.12))])
    assert [report["kind"] for report in reports] == ["first", "empty"]
    assert reports[-1]["samples"] == 480
    assert 0.06 <= reports[0]["at"] / 24_000 <= 0.075


def test_duck_is_18_db_in_30_ms_and_back(blank: Page) -> None:
    steps = [("write", 24_000), ("render", 75), ("duck", 1), ("render", 38), ("duck", 0)]
    output, _ = played(blank, 24_000, [*steps, ("render", 40)])
    level = lambda part: np.sqrt(np.mean(part**2)) * np.sqrt(2)  # noqa: E731
    loud, low, back = (
        output[4800:9600],
        output[75 * 128 + 720 : 113 * 128],
        output[113 * 128 + 720 :],
    )
    assert 20 * np.log10(level(low) / level(loud)) == pytest.approx(-18, abs=0.3)
    assert level(back) == pytest.approx(level(loud), rel=0.02)
    assert np.max(np.abs(np.diff(output))) < 1.02 * STEEPEST


def test_who_only_hums_lowers_the_voice_for_0_4_s(blank: Page) -> None:
    steps = [("write", 48_000), ("render", 75), ("duck", 1), ("render", 225)]
    output, _ = played(blank, 24_000, steps)
    pieces = output[4800 : len(output) // 480 * 480].reshape(-1, 480)
    levels = np.sqrt(np.mean(pieces**2, axis=1))
    lowered = levels < 0.99 * levels[0]
    assert 0.36 <= np.sum(lowered) * 480 / 24_000 <= 0.42
    assert not lowered[-20:].any()


def test_flush_is_silent_after_30_ms_and_counts_from_nothing(blank: Page) -> None:
    steps = [("write", 24_000), ("render", 60), ("flush", 0), ("write", 4800), ("render", 50)]
    output, reports = played(blank, 24_000, steps)
    final = next(report for report in reports if report["kind"] == "final")
    assert (final["epoch"], final["samples"]) == (0, 60 * 128 + 720)
    flushed = 60 * 128
    assert np.max(np.abs(output[flushed + 715 : flushed + 721])) < 0.01
    assert np.max(np.abs(np.diff(output))) < 1.02 * STEEPEST
    after = [report for report in reports if report.get("epoch") == 1]
    assert after[-1]["kind"] == "empty"
    assert after[-1]["samples"] == 4800


def test_running_empty_in_mid_word_does_not_click(blank: Page) -> None:
    # 24,000 / 440 / 4: the tone stands at its peak when the audio runs out.
    output, _ = played(blank, 24_000, [("write", 4800 + 14), ("render", 60)])
    assert np.max(np.abs(output)) > 0.49
    assert np.max(np.abs(np.diff(output))) < 1.1 * STEEPEST


def test_a_late_packet_in_mid_word_is_bridged(blank: Page) -> None:
    """40 ms are missing: the tone goes on, more softly, and then as it was, without a step."""
    steps = [("write", 4814), ("render", 45), ("gather", 0), ("write", 4800), ("render", 40)]
    output, _ = played(blank, 24_000, steps)
    begins = int(np.flatnonzero(np.abs(output) > 1e-3)[0])
    bridge = output[begins + 4814 + 240 : begins + 4814 + 720]
    assert 0.1 < np.max(np.abs(bridge)) < 0.5
    assert np.max(np.abs(np.diff(output))) < 1.2 * STEEPEST
    assert np.sum(np.abs(output[begins : begins + 9600]) > 1e-3) > 0.98 * 9600


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("write"), st.integers(1, 4800)),
            st.tuples(st.just("render"), st.integers(1, 40)),
            st.tuples(st.just("flush"), st.just(0)),
            st.tuples(st.just("duck"), st.integers(0, 1)),
        ),
        max_size=30,
    ),
    rate=st.sampled_from([24_000, 48_000]),
)
def test_epochs_never_mix(blank: Page, steps: list[tuple[str, int]], rate: int) -> None:
    output, reports = played(blank, rate, [*steps, ("flush", 0), ("render", 20)])
    written = [0]
    for what, count in steps:
        if what == "write":
            written[-1] += count
        if what == "flush":
            written.append(0)
    finals = [report for report in reports if report["kind"] == "final"]
    assert [final["epoch"] for final in finals] == list(range(len(written)))
    counted = [report for report in reports if report["kind"] != "flush"]
    assert [r["epoch"] for r in counted] == sorted(r["epoch"] for r in counted)
    for epoch, sent in enumerate(written):
        samples = [report["samples"] for report in counted if report["epoch"] == epoch]
        assert samples == sorted(samples)
        assert samples[-1] <= sent
    last_flush = max(report["at"] for report in reports if report["kind"] == "flush")
    assert np.max(np.abs(output[last_flush + round(0.03 * rate) :]), initial=0) < 1e-4
    assert np.max(np.abs(np.diff(output)), initial=0) < 1.2 * STEEPEST
