"""Background noise of calls: a bad line, and people talking behind the caller."""

import numpy as np

from client.wav import INPUT_RATE, SPEECH_RMS, read_wav
from evals.corpus.scenario import AUDIO, Bed, Samples

BED_SECS = 12.0
TALKERS = {"babble": 6, "crowd": 60}
"""Number of people talking: of six, a word is intelligible now and then; of a crowd, none."""

_PEOPLE = (
    "librivox-john-dashwood.wav",
    "librivox-cold-hearted.wav",
    "librivox-amiable-woman.wav",
    "two-cities.wav",
    "beckett.wav",
    "kennedy.wav",
)


def make(bed: Bed, speech: list[Samples], seed: int) -> Samples:
    """Make a call's background noise, :data:`BED_SECS` long, to be looped.

    Args:
        bed: The kind of noise and its level below the speech.
        speech: The call's speech, which sets the level.
        seed: The seed of the random generator.
    """
    rng = np.random.default_rng(seed)
    noise = _line(rng) if bed.kind == "line" else _voices(rng, TALKERS[bed.kind])
    return levelled(noise, speech, bed.snr_db)


def levelled(noise: Samples, speech: list[Samples], snr_db: float) -> Samples:
    """Bring noise to a level below speech.

    Args:
        noise: The noise, which is not silent.
        speech: The speech.
        snr_db: How far below, in dB.
    """
    return _at(noise, np.sqrt((noise**2).mean()), speech, snr_db)


def softer(talk: Samples, speech: list[Samples], by_db: float) -> Samples:
    """Bring somebody's talk to a level below speech, both without their silences.

    Args:
        talk: The talk, which is not silent.
        speech: The speech.
        by_db: How far below, in dB.
    """
    return _at(talk, _active_rms([talk]), speech, by_db)


def _at(samples: Samples, rms: float, speech: list[Samples], by_db: float) -> Samples:
    return np.asarray(samples * (_active_rms(speech) / 10 ** (by_db / 20) / rms), np.float32)


def _line(rng: np.random.Generator) -> Samples:
    time = np.arange(int(BED_SECS * INPUT_RATE)) / INPUT_RATE
    mains = 0.6 * np.sin(2 * np.pi * 50 * time) + 0.3 * np.sin(2 * np.pi * 150 * time)
    return np.asarray(mains + _band(rng.normal(size=time.size), 100, 4_000), np.float32)


def _voices(rng: np.random.Generator, talkers: int) -> Samples:
    count = int(BED_SECS * INPUT_RATE)
    talk = np.zeros(count)
    for talker in range(talkers):
        file = AUDIO / _PEOPLE[talker % len(_PEOPLE)]
        voice = np.frombuffer(read_wav(file), np.int16).astype(np.float64)
        voice /= np.sqrt((voice**2).mean())
        talk += np.take(voice, np.arange(count) + rng.integers(len(voice)), mode="wrap")
    return np.asarray(_band(talk, 100, 4_000), np.float32)


def _band(noise: "np.typing.NDArray[np.float64]", low: float, high: float) -> Samples:
    # Not at the top: the import takes a second of CPU, and few users of this module make noise.
    from scipy.signal import butter, sosfilt  # type: ignore[import-untyped]

    sos = butter(2, [low, high], btype="band", fs=INPUT_RATE, output="sos")
    return np.asarray(sosfilt(sos, noise), np.float32)


def _active_rms(speech: list[Samples]) -> float:
    """The RMS of the speech without its silences."""
    window = INPUT_RATE // 100
    powers = []
    for samples in speech:
        frames = samples[: len(samples) // window * window].reshape(-1, window)
        power = (frames**2).mean(axis=1)
        powers.append(power[np.sqrt(power) > SPEECH_RMS * np.abs(samples).max()])
    return float(np.sqrt(np.concatenate(powers).mean()))
