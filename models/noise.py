"""Measures and reduces steady noise in recordings of speech.

A Wiener filter with the decision-directed estimate of Ephraim and Malah ("Speech enhancement using
a minimum mean-square error short-time spectral amplitude estimator", 1984). The level of
each frequency band in its quiet moments counts as noise.
"""

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]

_SIZE = 512  # samples of a frame, 32 ms
_HOP = 128
_WINDOW = np.hanning(_SIZE + 1)[:-1].astype(np.float32)
_SMOOTHED = 5  # frames
_QUIET = 0.2  # quantile of a band's power that is taken for its noise
_QUIET_TO_MEAN = 1.5
"""Mean power of noise to its power at :data:`_QUIET`, smoothed over :data:`_SMOOTHED` frames."""
_MEMORY = 0.96  # share of the frame before in the estimate of clean speech (decision-directed)
_LEAST_GAIN = 0.1  # -20 dB: silence between words is not made digital
_KEPT = 0.5
"""Share of the sound as it was. Of 40 noisy recordings with 469 words Moonshine alone hears 20.7 %
of the words wrong with it, 24.5 % without it, and 23.9 % as they are."""

_LEVEL_WINDOW = 160  # samples, 10 ms


def noise_share(samples: Samples) -> float:
    """The ratio of the level in quiet moments to that in loud ones, 0 to 1, of 16 kHz audio."""
    windows = samples[: len(samples) // _LEVEL_WINDOW * _LEVEL_WINDOW].reshape(-1, _LEVEL_WINDOW)
    if not len(windows):
        return 0.0
    level = np.sqrt(np.square(windows).mean(axis=1))
    quiet, loud = np.percentile(level, [10, 90])
    return float(quiet / loud) if loud > 0 else 0.0


def reduced(samples: Samples) -> Samples:
    """The same speech with about half the noise.

    Args:
        samples: Mono at 16 kHz.
    """
    padded = np.pad(samples, (_SIZE, _SIZE))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _SIZE)[::_HOP]
    spectra = np.fft.rfft(frames * _WINDOW, axis=1)
    power = np.square(np.abs(spectra))
    filtered = np.fft.irfft(spectra * _gains(power), _SIZE, axis=1).astype(np.float32) * _WINDOW
    sound = np.zeros(len(padded), np.float32)
    weight = np.zeros(len(padded), np.float32)
    for number, frame in enumerate(filtered):
        at = number * _HOP
        sound[at : at + _SIZE] += frame
        weight[at : at + _SIZE] += _WINDOW * _WINDOW
    sound /= np.maximum(weight, np.float32(1e-6))
    kept = np.float32(_KEPT)
    return kept * samples + (1 - kept) * sound[_SIZE : _SIZE + len(samples)]


def _gains(power: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """The filter's gain for each frame and band."""
    sums = np.cumsum(np.pad(power, ((_SMOOTHED // 2 + 1, _SMOOTHED // 2), (0, 0))), axis=0)
    smoothed = (sums[_SMOOTHED:] - sums[:-_SMOOTHED]) / _SMOOTHED
    noise = np.maximum(_QUIET_TO_MEAN * np.quantile(smoothed, _QUIET, axis=0), 1e-12)
    ratios = power / noise
    gains = np.empty_like(power)
    before = np.ones(power.shape[1])
    for number, ratio in enumerate(ratios):
        clean = _MEMORY * before + (1 - _MEMORY) * np.maximum(ratio - 1, 0)
        gain = gains[number] = np.maximum(clean / (1 + clean), _LEAST_GAIN)
        before = gain * gain * ratio
    return gains
