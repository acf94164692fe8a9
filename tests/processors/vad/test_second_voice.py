"""A second voice is found by its pitch or its level, once it has come back; one caller never is."""

import random
import tomllib
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest

from client.wav import read_wav
from conversation.far_end import FarEnd
from processors.vad.second_voice import SecondVoice, speech_of
from tests.conftest import AUDIO

VOICES = ("heart", "joe", "slt", "rms", "espeak")
CALLS = 40


@cache
def said(voice: str) -> list[bytes]:
    """What a voice says in the project's recordings that are long enough."""
    manifest = tomllib.loads((AUDIO / "manifest.toml").read_text("utf-8"))
    files = [entry["file"] for entry in manifest["recording"] if entry["voice"] == voice]
    spoken = [read_wav(AUDIO / file) for file in files]
    return [pcm for pcm in spoken if speech_of(samples(pcm)) is not None]


def samples(pcm: bytes) -> npt.NDArray[np.float32]:
    return np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32_768)


def softer(pcm: bytes, decibels: float) -> bytes:
    return bytes((samples(pcm) * 10 ** (-decibels / 20) * 32_767).astype("<i2").tobytes())


def found(*speeches: bytes, playing: bool = False) -> list[bool]:
    """Whether a second voice is found after each speech of a call."""
    far_end = FarEnd(lambda: 100.0, sample_rate=24_000)
    if playing:
        far_end.play(bytes(48_000), 99.5)
    listening = SecondVoice(far_end)
    told = []
    for pcm in speeches:
        listening.take_audio(b"\x00\x40" * 16_000)  # which nobody says
        listening.start()
        for at in range(0, len(pcm), 640):
            listening.take_audio(pcm[at : at + 640])
        told.append(listening.stop())
    return told


@pytest.mark.parametrize("voice", VOICES)
def test_one_caller_is_one_voice(voice: str) -> None:
    for seed in range(CALLS):
        speeches = random.Random(seed).sample(said(voice), min(8, len(said(voice))))
        assert not any(found(*speeches)), seed


@pytest.mark.parametrize(("one", "other"), [("heart", "joe"), ("slt", "rms"), ("slt", "espeak")])
def test_two_voices_are_told_by_their_pitch_once_each_has_come_back(one: str, other: str) -> None:
    first, second = said(one)[:3], said(other)[:3]
    told = found(first[0], second[0], first[1], second[1], first[2], second[2])
    assert told.count(True) == 1
    assert told.index(True) >= 3


def test_somebody_far_away_is_told_by_their_level() -> None:
    near, *more = said("slt")
    assert found(near, softer(more[0], 15), more[1], softer(more[2], 15))[-1]
    assert not any(found(near, softer(more[0], 3), more[1], softer(more[2], 3)))
    moved = [softer(pcm, 15) for pcm in more[:4]]
    assert not any(found(near, *moved)), "a caller who has put their telephone down"


def test_a_word_and_what_is_heard_beside_vivas_voice_tell_nothing() -> None:
    one, other = said("heart")[:2], said("joe")[:2]
    turns = (one[0], other[0], one[1], other[1])
    assert any(found(*turns))
    assert not any(found(*turns, playing=True))
    assert not any(found(*(pcm[16_000:28_000] for pcm in turns)))


def test_the_pitch_of_a_voice_is_measured() -> None:
    at = np.arange(32_000) / 16_000
    for hertz in (80, 120, 220, 330):
        harmonics = [np.sin(2 * np.pi * hertz * k * at) / k for k in range(1, 8)]
        speech = speech_of(np.asarray(0.1 * np.sum(harmonics, axis=0), np.float32))
        assert speech is not None
        assert speech.semitones == pytest.approx(12 * np.log2(hertz / 100), abs=0.3)
    noise = np.random.default_rng(1).normal(0, 0.1, 32_000).astype(np.float32)
    assert speech_of(noise) is None
    assert speech_of(np.zeros(32_000, np.float32)) is None
    assert speech_of(np.zeros(10, np.float32)) is None
