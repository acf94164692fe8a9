# ruff: noqa: RUF001 - phonetic letters look like others, and are meant.
"""The embedded voice, from text to the frames that leave the chain."""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hibari import dsp
from hypothesis import given
from hypothesis import strategies as st
from pipecat.frames.frames import (
    AggregatedTextFrame,
    ErrorFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.tests.utils import SleepFrame, run_test

from conversation.frames import SentenceFrame
from processors.tts.hibari.engine import (
    FRAME_BYTES,
    LEAD_SECS,
    TAIL_SECS,
    HibariEngine,
    Samples,
    UnspeakableTextError,
    markup,
    to_pcm,
    trim_silence,
)
from processors.tts.hibari.service import UNSPEAKABLE, HibariTTS
from tests.conftest import in_virtual_time, with_instant_engines

VASSAR = "She studied mathematics and physics at Vassar College."
YALE = "She earned her doctorate at Yale in 1934."
REMINGTON = (
    "She worked at Harvard on the Mark One from 1944, and later at Remington Rand, where she led "
    "the team that wrote the A-0 compiler."
)


@pytest.fixture(scope="module")
def engine(hibari: HibariEngine) -> HibariEngine:
    return hibari


async def said(engine: HibariEngine, text: str) -> bytes:
    return b"".join([chunk async for chunk in engine.synthesise(text)])


async def as_said(engine: HibariEngine, *texts: str) -> bytes:
    """What the voice says, worked out once for all that is held against it."""
    for text in texts:
        if text not in SAID:
            SAID[text] = await said(engine, text)
    return b"".join(SAID[text] for text in texts)


SAID: dict[str, bytes] = {}


def envelope(pcm: bytes) -> Samples:
    """Level of each 10 ms, full scale being 1."""
    samples = np.frombuffer(pcm, "<i2").astype(np.float32) / 32_768
    windows = samples[: len(samples) // 240 * 240].reshape(-1, 240)
    level: Samples = np.sqrt(np.square(windows).mean(axis=1))
    return level


# The engine


async def test_a_sentence_is_the_same_every_time_and_comes_in_whole_frames(
    engine: HibariEngine,
) -> None:
    chunks = [chunk async for chunk in engine.synthesise(REMINGTON)]
    assert len(chunks) > 3
    assert all(chunk and len(chunk) % FRAME_BYTES == 0 for chunk in chunks)
    assert b"".join(chunks) == await said(engine, REMINGTON)
    assert 6 < sum(map(len, chunks)) / 48_000 < 10


@pytest.mark.parametrize("text", ["Yes.", VASSAR, YALE, "What would you like to know?", REMINGTON])
async def test_a_sentence_is_loud_enough_and_not_wrapped_in_silence(
    engine: HibariEngine, text: str
) -> None:
    level = envelope(await said(engine, text))
    voiced = np.flatnonzero(level > 0.006)
    assert voiced[0] * 0.01 <= LEAD_SECS + 0.01
    assert TAIL_SECS - 0.02 <= (len(level) - voiced[-1]) * 0.01 <= TAIL_SECS + 0.09
    speech = level[level > 0.02]
    assert -21 < 20 * np.log10(np.sqrt(np.square(speech).mean())) < -16
    samples = np.frombuffer(await said(engine, text), "<i2")
    assert np.abs(samples.astype(int)).max() < 0.93 * 32_767


async def test_slices_join_without_a_seam(
    engine: HibariEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Still:
        def standard_normal(self, shape: Any, dtype: Any) -> Samples:
            return np.zeros(shape, dtype)

    model = engine._model
    (phonemes,) = model.phonemize(REMINGTON)
    outputs = model.sess.run(
        None,
        {"ids": np.asarray([model.ids(phonemes)], np.int64), "speed": np.ones(1, np.float32)},
    )
    whole = dsp.synth(*(output[0] for output in outputs), Still())
    monkeypatch.setattr(np.random, "default_rng", lambda _: Still())
    sliced = np.concatenate(list(engine._slices(phonemes)))
    assert np.abs(sliced - whole).max() < 1e-5


@given(
    st.lists(st.sampled_from([0.0, 0.001, 0.1, 0.5]), min_size=1, max_size=30),
    st.lists(st.integers(0, 30 * 240), max_size=6),
)
def test_where_a_sentence_is_cut_into_slices_does_not_change_its_trimming(
    levels: list[float], cuts: list[int]
) -> None:
    samples = np.repeat(np.asarray(levels, np.float32), 240)
    bounds = sorted({0, len(samples), *(cut for cut in cuts if cut < len(samples))})
    pieces = [samples[a:b] for a, b in pairwise(bounds)]
    sliced = list(trim_silence(pieces))
    whole = list(trim_silence([samples]))
    assert bool(whole) == bool(sliced) == (max(levels) >= 0.1)
    if whole:
        assert np.array_equal(np.concatenate(sliced), np.concatenate(whole))
        loud = np.flatnonzero(np.asarray(levels) >= 0.1)
        voiced = (loud[-1] - loud[0] + 1) * 240
        lead = min(round(LEAD_SECS * 24_000), loud[0] * 240)
        assert len(np.concatenate(whole)) == voiced + lead + round(TAIL_SECS * 24_000)


@given(st.lists(st.floats(-4, 4, width=32), min_size=1, max_size=50), st.floats(0.1, 4))
def test_no_sample_ever_clips(values: list[float], gain: float) -> None:
    samples = np.asarray(values, np.float32)
    raised = np.frombuffer(to_pcm(samples, gain), "<i2") / 32_767
    assert np.abs(raised).max() <= 0.9201
    quiet = np.abs(samples * gain) <= 0.7
    assert np.allclose(raised[quiet], (samples * np.float32(gain))[quiet], atol=1e-4)


@pytest.mark.parametrize("text", ["…", "", "   ", "???", "😀", "日本"])
async def test_text_without_a_sound_is_refused_by_name(engine: HibariEngine, text: str) -> None:
    with pytest.raises(UnspeakableTextError, match=r"nothing in .* can be pronounced"):
        await said(engine, text)


async def test_a_name_is_said_as_its_phonemes_say(engine: HibariEngine) -> None:
    assert markup("Univac", "/ˈjuːnɪvæk/") == "[Univac](/ˈjunɪvæk/)"
    assert markup("Jade", "dʒeɪd") == "[Jade](/ʤAd/)"
    assert markup("click", "ʘ") is None
    marked = await said(engine, "The [Univac](/ˈjunɪvæk/).")
    given_ipa = [c async for c in engine.synthesise("The Univac.", {"univac": "ˈjuːnɪvæk"})]
    assert b"".join(given_ipa) == marked
    assert marked != await said(engine, "The Univac.")


async def test_a_greeting_is_synthesised_once_and_the_memory_is_bounded(
    engine: HibariEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_cache", OrderedDict())
    monkeypatch.setattr(engine, "_cache_size", 2)
    greeting = "Hello, I am an AI. Ask me about Grace Hopper."
    spoken = await engine.synthesise_whole(greeting)
    assert spoken == await said(engine, greeting)
    with monkeypatch.context() as silent:
        silent.setattr(engine, "_speak", lambda *_: pytest.fail("synthesised again"))
        assert await engine.synthesise_whole(greeting) is spoken
    await engine.synthesise_whole("One.")
    await engine.synthesise_whole("Two.")
    assert engine.cached(greeting) is None
    assert engine.cached("Two.") is not None


async def test_calls_that_speak_at_once_take_turns_sentence_by_sentence(
    engine: HibariEngine,
) -> None:
    done: list[str] = []

    async def speak(name: str, text: str) -> None:
        async for _ in engine.synthesise(text):
            pass
        done.append(name)

    await asyncio.gather(speak("long", " ".join([REMINGTON] * 6)), speak("short", VASSAR))
    assert done == ["short", "long"]


async def test_an_interrupted_call_gives_up_its_place(
    engine: HibariEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go = [], threading.Event()
    speak = engine._speak

    def hold(sentence: str, emit: Any, dropped: threading.Event) -> None:
        begun.append(sentence)
        go.wait(60)
        speak(sentence, emit, dropped)

    monkeypatch.setattr(engine, "_speak", hold)
    running, waiting, other = (
        asyncio.create_task(said(engine, text)) for text in (REMINGTON, YALE, VASSAR)
    )
    await asyncio.sleep(0.05)
    running.cancel()
    waiting.cancel()
    await asyncio.sleep(0.05)
    go.set()
    assert len(await asyncio.wait_for(other, 60)) > 48_000
    assert begun == [REMINGTON, VASSAR]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"voice": "nobody"}, "voice is 'nobody'"),
        ({"voice": "emma"}, "'heart' always is"),
        ({"workers": 0}, "workers is 0"),
        ({"cache_size": 0}, "cache_size is 0"),
    ],
)
def test_a_voice_that_cannot_be_is_refused_by_name(
    wrong: dict[str, Any], named: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("HIBARI_HOME", str(tmp_path))
    with pytest.raises(ValueError, match=named):
        HibariEngine.load(**wrong)


# The service in the chain


def answer(*sentences: str) -> list[Frame]:
    return [
        LLMFullResponseStartFrame(),
        *(SentenceFrame(text=sentence, turn=1, lines=(7,)) for sentence in sentences),
        LLMFullResponseEndFrame(),
    ]


def told(down: Sequence[Frame]) -> list[str]:
    """The frames' types, a run of audio being one."""
    names: list[str] = []
    for frame in down:
        name = type(frame).__name__
        if name != "TTSAudioRawFrame" or names[-1] != name:
            names.append(name)
    return names


def audio(down: Sequence[Frame]) -> bytes:
    return b"".join(frame.audio for frame in down if isinstance(frame, TTSAudioRawFrame))


def contexts(down: Sequence[Frame]) -> set[Any]:
    kinds = (AggregatedTextFrame, TTSStartedFrame, TTSAudioRawFrame, TTSStoppedFrame)
    return {frame.context_id for frame in down if isinstance(frame, kinds)}


@with_instant_engines
async def test_an_answer_is_one_stretch_of_audio_with_each_sentence_around_its_own(
    engine: HibariEngine,
) -> None:
    sent = answer(VASSAR, YALE)
    down, up = await run_test(HibariTTS(engine=engine), frames_to_send=sent)
    assert told(down) == [
        "LLMFullResponseStartFrame",
        "SentenceFrame",
        "TTSStartedFrame",
        "TTSAudioRawFrame",
        "TTSTextFrame",
        "SentenceFrame",
        "TTSAudioRawFrame",
        "TTSTextFrame",
        "TTSStoppedFrame",
        "LLMFullResponseEndFrame",
    ]
    assert not up
    assert len(contexts(down)) == 1
    assert audio(down) == await said(engine, VASSAR) + await said(engine, YALE)
    assert {(f.sample_rate, f.num_channels, len(f.audio)) for f in down
            if isinstance(f, TTSAudioRawFrame)} == {(24_000, 1, FRAME_BYTES)}  # fmt: skip
    sentences = [f for f in down if isinstance(f, SentenceFrame)]
    assert sentences == sent[1:3]
    assert [f.segment_id for f in down if isinstance(f, TTSTextFrame)] == [f.id for f in sentences]
    assert [f.text for f in down if isinstance(f, TTSTextFrame)] == [VASSAR, YALE]


@with_instant_engines
async def test_a_sentence_is_spoken_before_the_next_one_is_there(engine: HibariEngine) -> None:
    start, first, *_ = answer(VASSAR, YALE)
    sent = [start, first, SleepFrame(sleep=1.0), InterruptionFrame()]
    down, _ = await run_test(HibariTTS(engine=engine), frames_to_send=sent)
    assert audio(down) == await said(engine, VASSAR)


@with_instant_engines
async def test_a_prompt_is_a_stretch_of_its_own_and_the_cache_is_used(
    engine: HibariEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    greeting = "Hello, I am an AI. Ask me about the Univac."
    names = {"Univac": "ˈjuːnɪvæk"}
    spoken = await engine.synthesise_whole(greeting, names)
    monkeypatch.setattr(engine, "_speak", lambda *_: pytest.fail("synthesised again"))
    down, _ = await run_test(
        HibariTTS(engine=engine, pronunciations=names),
        frames_to_send=[TTSSpeakFrame(greeting, append_to_context=False)],
    )
    assert told(down) == [
        "AggregatedTextFrame",
        "TTSStartedFrame",
        "TTSAudioRawFrame",
        "TTSTextFrame",
        "TTSStoppedFrame",
    ]
    assert audio(down) == spoken
    assert len(contexts(down)) == 1
    assert [f.text for f in down if isinstance(f, TTSTextFrame)] == [greeting]


@with_instant_engines
async def test_another_models_tokens_are_gathered_into_sentences(engine: HibariEngine) -> None:
    tokens = [LLMTextFrame(word) for word in ("She ", "did. ", "At ", "Yale.")]
    start, end = LLMFullResponseStartFrame(), LLMFullResponseEndFrame()
    down, _ = await run_test(HibariTTS(engine=engine), frames_to_send=[start, *tokens, end])
    assert [f.text.strip() for f in down if isinstance(f, TTSTextFrame)] == ["She did.", "At Yale."]
    assert audio(down) == await said(engine, "She did.") + await said(engine, "At Yale.")


@with_instant_engines
async def test_a_sentence_that_cannot_be_said_is_reported_and_the_answer_goes_on(
    engine: HibariEngine,
) -> None:
    sent = [*answer(VASSAR, "…", YALE), *answer(VASSAR, "…"), *answer("…"), *answer("…"),
            *answer("…"), *answer(YALE)]  # fmt: skip
    down, up = await asyncio.wait_for(run_test(HibariTTS(engine=engine), frames_to_send=sent), 60)
    one, other = await said(engine, VASSAR), await said(engine, YALE)
    assert audio(down) == one + other + one + other
    assert told(down).count("TTSStartedFrame") == told(down).count("TTSStoppedFrame") == 6
    errors = [frame.error for frame in up if isinstance(frame, ErrorFrame)]
    assert sum("nothing in a text of 1 characters can be pronounced" in e for e in errors) == 5


@with_instant_engines
async def test_words_that_cannot_be_said_are_excused_once_an_answer_and_kept_out_of_the_log(
    engine: HibariEngine,
) -> None:
    unsaid = SentenceFrame(text="她毕业于耶鲁大学。", turn=7)
    begin, end = LLMFullResponseStartFrame(), LLMFullResponseEndFrame()
    sent = [begin, unsaid, *answer("東京大学です。")[1:-1], *answer(VASSAR)[1:-1], end]
    down, up = await run_test(HibariTTS(engine=engine), frames_to_send=sent)
    spoken = [frame for frame in down if isinstance(frame, SentenceFrame)]
    assert [frame.text for frame in spoken[:2]] == [unsaid.text, UNSPEAKABLE]
    assert (spoken[1].turn, spoken[1].context_id) == (7, spoken[0].context_id)
    assert audio(down) == await said(engine, UNSPEAKABLE) + await said(engine, VASSAR)
    assert told(down).count("TTSStartedFrame") == 1
    errors = [frame.error for frame in up if isinstance(frame, ErrorFrame)]
    assert len(errors) == 2
    assert not any("耶鲁" in error or "東京" in error for error in errors)


@with_instant_engines
async def test_of_a_sentence_what_has_no_sound_is_a_part_of_its_own(engine: HibariEngine) -> None:
    mixed = SentenceFrame(
        text="In nineteen oh six, 葛丽丝 studied at Yale.",
        shown="In 1906, 葛丽丝 studied at Yale.",
        turn=7,
        sections=("education",),
    )
    begin, end = LLMFullResponseStartFrame(), LLMFullResponseEndFrame()
    foreign = SentenceFrame(text="Zoë's café in Zürich is naïve…", turn=7)
    down, _ = await run_test(HibariTTS(engine=engine), frames_to_send=[begin, mixed, foreign, end])
    spoken = [frame for frame in down if isinstance(frame, SentenceFrame)]
    parts = ["In nineteen oh six,", "葛丽丝", UNSPEAKABLE, "studied at Yale.", foreign.text]
    assert [frame.text for frame in spoken] == parts
    assert [frame.shown for frame in spoken] == ["In 1906,", *parts[1:]]
    assert spoken[0].sections == spoken[3].sections == mixed.sections
    sounded = [await said(engine, text) for text in parts if text != "葛丽丝"]
    assert audio(down) == b"".join(sounded)


@with_instant_engines
async def test_words_overtaken_by_an_interruption_are_not_spoken(engine: HibariEngine) -> None:
    # All of it is in the service's queue before the service has looked at any of it.
    old = [*answer(VASSAR), TTSSpeakFrame(VASSAR), *answer(REMINGTON)[:-1]]
    sent = [*old, InterruptionFrame(), *answer(YALE)]
    down, _ = await run_test(HibariTTS(engine=engine), frames_to_send=sent)
    assert audio(down) == await said(engine, YALE)
    assert told(down).count("LLMFullResponseStartFrame") == 1


@pytest.mark.thorough
@given(
    before=st.floats(0, 0.12),
    between=st.floats(0, 0.03),
    ended=st.booleans(),
    sentences=st.lists(st.sampled_from([VASSAR, REMINGTON, "Yes."]), min_size=1, max_size=3),
)
@in_virtual_time
async def test_nothing_of_an_answer_leaves_after_its_interruption(
    engine: HibariEngine, before: float, between: float, ended: bool, sentences: list[str]
) -> None:
    old = answer(*sentences)[: None if ended else -1]
    new = answer(YALE)
    down, up = await run_test(
        HibariTTS(engine=engine),
        frames_to_send=[
            *old,
            SleepFrame(sleep=before),
            InterruptionFrame(),
            SleepFrame(sleep=between),
            *new,
        ],
    )
    assert not up
    at = next(i for i, frame in enumerate(down) if isinstance(frame, InterruptionFrame))
    earlier, later = down[:at], down[at + 1 :]
    old_audio = await as_said(engine, *sentences)
    assert old_audio.startswith(audio(earlier))
    assert not contexts(earlier) & contexts(later)
    assert audio(later) == await as_said(engine, YALE)
    assert [f.text for f in later if isinstance(f, TTSTextFrame)] == [YALE]


@in_virtual_time
async def test_nothing_of_a_call_outlives_it(engine: HibariEngine) -> None:
    before = asyncio.all_tasks()
    for secs in (0.0, 0.03, 0.3):
        sent = [*answer(REMINGTON, VASSAR)[:-1], SleepFrame(sleep=secs)]
        await run_test(HibariTTS(engine=engine, context_idle_secs=0.2), frames_to_send=sent)
    assert asyncio.all_tasks() <= before
