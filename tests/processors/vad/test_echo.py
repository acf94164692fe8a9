"""The voice's echo is told from callers by how loud both are, over time and in each band."""

import numpy as np
import numpy.typing as npt
import pytest

from conversation.far_end import FarEnd
from processors.vad.echo import EchoDetector
from tests.processors.vad.test_voice_activity import recording

Samples = npt.NDArray[np.float64]

VOICE = np.frombuffer(recording("after-the-war.wav"), "<i2")[: 3 * 16_000] / 32_768
CALLER = np.frombuffer(recording("what-about-yale-rms.wav"), "<i2") / 32_768
STEP = 3_200  # 0.2 s of the microphone


def at_24_khz(samples: Samples) -> bytes:
    places = np.arange(len(samples) * 3 // 2) * 2 / 3
    resampled = np.interp(places, np.arange(len(samples)), samples)
    return (resampled * 32_767).astype("<i2").tobytes()


def echo(*, level: float, delay_secs: float = 0.15) -> Samples:
    """The voice in a room with a loudspeaker, and a little noise."""
    dice = np.random.default_rng(4)
    reverb = dice.standard_normal(2_400) * np.exp(-np.arange(2_400) / 600)
    heard = np.convolve(VOICE, reverb / np.sqrt(np.square(reverb).sum()))
    sound = np.concatenate([np.zeros(round(16_000 * delay_secs)), heard])[: len(VOICE)]
    return 10 ** (level / 20) * sound + 1e-4 * dice.standard_normal(len(VOICE))


def verdicts_on(microphone: Samples, *, played: bool = True) -> list[bool]:
    """Whether it is an echo, every fifth of a second, of what is heard while the voice plays."""
    now = 100.0
    far_end = FarEnd(lambda: now, sample_rate=24_000)
    detector = EchoDetector(far_end)
    verdicts = []
    for at in range(0, len(microphone) - STEP, STEP):
        if played:
            far_end.play(at_24_khz(VOICE[at : at + STEP]), now)
        now += 0.2
        detector.take_audio((microphone[at : at + STEP] * 32_767).astype("<i2").tobytes())
        verdicts.append(detector.is_echo())
    return verdicts


@pytest.mark.parametrize("level", [-20.0, -40.0])
def test_the_voice_in_a_room_is_an_echo(level: float) -> None:
    verdicts = verdicts_on(echo(level=level))
    assert all(verdicts[2:])


def test_a_caller_over_the_voice_is_no_echo() -> None:
    quiet = np.zeros(len(VOICE))
    quiet[16_000 : 16_000 + len(CALLER)] = CALLER[: len(VOICE) - 16_000]
    assert not any(verdicts_on(quiet)[6:10])


def test_a_caller_over_an_echo_is_told_from_it_within_half_a_second() -> None:
    both = echo(level=-30.0)
    both[16_000 : 16_000 + len(CALLER)] += CALLER[: len(VOICE) - 16_000]
    verdicts = verdicts_on(both)
    assert all(verdicts[2:5])
    assert not all(verdicts[5:9])


def test_what_is_heard_when_nothing_was_played_is_no_echo() -> None:
    assert not any(verdicts_on(echo(level=-20.0), played=False))


def test_what_was_to_be_played_after_an_interruption_was_not() -> None:
    far_end = FarEnd(lambda: 10.0, sample_rate=24_000)
    far_end.play(at_24_khz(VOICE[:16_000]), 10.0)
    far_end.play(at_24_khz(VOICE[16_000:32_000]), 11.0)
    far_end.stop(10.5)
    assert far_end.heard_since(10.4)
    assert not far_end.heard_since(10.5)
    assert far_end.between(10.0, 10.45).any()
    assert not far_end.between(10.55, 12.0).any()
    far_end.play(at_24_khz(VOICE[:16_000]), 20.0)
    assert not far_end.between(9.0, 15.0).any()
