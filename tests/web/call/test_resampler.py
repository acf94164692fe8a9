"""The microphone's rate becomes 16 kHz without folding what lies above 8 kHz into speech."""

import base64

import numpy as np
import pytest
from playwright.sync_api import Page

pytestmark = pytest.mark.browser

RESAMPLE = """async ([from, to, hertz, secs, blocks]) => {
  const { Resampler } = await import('/web/call/resampler.js');
  const resampler = new Resampler(from, to);
  const source = Float32Array.from({ length: from * secs },
    (_, at) => 0.5 * Math.sin(2 * Math.PI * hertz * at / from));
  const output = [];
  for (let at = 0, turn = 0; at < source.length; turn += 1) {
    const size = blocks[turn % blocks.length];
    output.push(...resampler.push(source.subarray(at, at + size)));
    at += size;
  }
  const bytes = new Uint8Array(Float32Array.from(output).buffer);
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
}"""


def resampled(page: Page, rate: int, hertz: float, blocks: tuple[int, ...] = (128,)) -> np.ndarray:
    output = page.evaluate(RESAMPLE, [rate, 16_000, hertz, 1, blocks])
    return np.frombuffer(base64.b64decode(output), "<f4").astype(float)


def tone_and_rest(signal: np.ndarray, hertz: float, rate: int) -> tuple[float, float]:
    """Amplitude of a tone, and how far everything else lies below it, in dB."""
    at = 2 * np.pi * hertz * np.arange(len(signal)) / rate
    basis = np.stack([np.sin(at), np.cos(at)], axis=1)
    fit, *_ = np.linalg.lstsq(basis, signal, rcond=None)
    tone = basis @ fit
    return float(np.hypot(*fit)), float(
        10 * np.log10(np.sum(tone**2) / np.sum((signal - tone) ** 2))
    )


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000, 96_000])
def test_speech_comes_through_as_it_was(blank: Page, rate: int) -> None:
    for hertz in (200.0, 1000.0, 3000.0):
        output = resampled(blank, rate, hertz)
        assert len(output) == pytest.approx(16_000, abs=80)
        amplitude, below = tone_and_rest(output[1000:15_000], hertz, 16_000)
        assert amplitude == pytest.approx(0.5, rel=0.001)
        assert below > 85


@pytest.mark.parametrize(
    ("rate", "hertz"), [(44_100, 8_300), (44_100, 15_000), (48_000, 9_000), (48_000, 23_000)]
)
def test_what_cannot_be_heard_at_16_khz_does_not_alias(blank: Page, rate: int, hertz: int) -> None:
    level = np.sqrt(np.mean(resampled(blank, rate, hertz)[1000:15_000] ** 2)) * np.sqrt(2) / 0.5
    assert 20 * np.log10(level) < -80


def test_block_sizes_make_no_difference(blank: Page) -> None:
    even = resampled(blank, 44_100, 1000)
    odd = resampled(blank, 44_100, 1000, (1, 441, 3, 1024, 17))
    assert len(odd) == pytest.approx(len(even), abs=1)
    shorter = min(len(even), len(odd))
    assert np.array_equal(even[:shorter], odd[:shorter])
