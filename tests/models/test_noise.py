"""Noise is told from silence, and reduced without the speech."""

import numpy as np

from models.noise import noise_share, reduced

RATE = 16_000


def level(samples: np.ndarray) -> float:
    return float(np.sqrt(np.square(samples).mean()))


def test_noise_between_words_is_halved_and_the_words_stay() -> None:
    dice = np.random.default_rng(1)
    word = np.sin(2 * np.pi * 300 * np.arange(RATE) / RATE) * 0.3
    quiet = np.zeros(RATE)
    clean = np.concatenate([quiet, word, quiet]).astype(np.float32)
    noisy = clean + 0.03 * dice.standard_normal(len(clean)).astype(np.float32)
    assert noise_share(clean) < 0.05 < noise_share(noisy)
    less = reduced(noisy)
    assert less.dtype == np.float32
    assert len(less) == len(noisy)
    before, after = level(noisy[: RATE // 2]), level(less[: RATE // 2])
    assert 0.4 * before < after < 0.7 * before
    spoken = slice(RATE + 2_000, 2 * RATE - 2_000)
    assert level(less[spoken]) > 0.9 * level(clean[spoken])


def test_silence_has_no_noise() -> None:
    silence = np.zeros(RATE, np.float32)
    assert noise_share(silence) == noise_share(silence[:10]) == 0.0
    assert np.array_equal(reduced(silence), silence)
