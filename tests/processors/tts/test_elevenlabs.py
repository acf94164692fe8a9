"""ElevenLabs, from text to the frames that leave the chain, over real sockets."""

import asyncio
import logging
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loguru import logger
from pipecat.frames.frames import (
    AggregatedTextFrame,
    ErrorFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.tests.utils import SleepFrame, run_test

from conversation.frames import EndCallFrame, SentenceFrame
from processors.tts.elevenlabs.service import ElevenLabsTTS
from processors.tts.elevenlabs.whole import ElevenLabsWholeTTS, create_client
from processors.tts.speech_timeline import SpeechTimeline, TimedSentence, Word
from simulators.elevenlabs import SECS_A_CHARACTER, ElevenLabsSimulator, Fault, tone
from tests.conftest import with_instant_engines

VASSAR = "She studied mathematics at Vassar."
YALE = "She earned her doctorate at Yale in 1934."
NAVY = "She joined the Navy in 1943."
KEY = "sk_0123456789abcdef"


def simulator(*faults: Fault, **how: Any) -> ElevenLabsSimulator:
    quick: dict[str, Any] = {
        "first_audio_secs": 0.02,
        "next_audio_secs": 0.01,
        "realtime_factor": 0.02,
        "keys": [KEY],
    }
    return ElevenLabsSimulator(faults=faults, **{**quick, **how})


def voice(sim: ElevenLabsSimulator, **how: Any) -> ElevenLabsTTS:
    quick: dict[str, Any] = {"api_key": KEY, "voice_id": "voice", "reconnect_wait_secs": 0.02}
    return ElevenLabsTTS(url=sim.url, **{**quick, **how})


def whole(sim: ElevenLabsSimulator, **how: Any) -> ElevenLabsWholeTTS:
    sdk = create_client(api_key=how.pop("api_key", KEY), base_url=sim.url)
    return ElevenLabsWholeTTS(client=sdk, voice_id="voice", retry_wait_secs=0.02, **how)


def answer(*sentences: str) -> list[Frame]:
    return [
        LLMFullResponseStartFrame(),
        *(SentenceFrame(text=sentence, turn=1, lines=(7,)) for sentence in sentences),
        LLMFullResponseEndFrame(),
    ]


async def hear(tts: Any, *frames: Frame) -> tuple[Sequence[Frame], Sequence[Frame]]:
    async with asyncio.timeout(10):
        return await run_test(tts, frames_to_send=frames)


def told(down: Sequence[Frame]) -> list[str]:
    """The frames' types, a run of audio and words being one."""
    names: list[str] = []
    for frame in down:
        name = type(frame).__name__.replace("AggregatedTextProgressFrame", "TTSTextFrame")
        name = name.replace("TTSTextFrame", "TTSAudioRawFrame")
        if name != "TTSAudioRawFrame" or names[-1] != name:
            names.append(name)
    return names


def sound(down: Sequence[Frame]) -> bytes:
    return b"".join(frame.audio for frame in down if isinstance(frame, TTSAudioRawFrame))


def announced(down: Sequence[Frame]) -> list[str]:
    return [
        frame.text
        for frame in down
        if isinstance(frame, AggregatedTextFrame) and not isinstance(frame, TTSTextFrame)
    ]


def stretches(down: Sequence[Frame]) -> list[bytes]:
    """The audio from each announcement to the next."""
    found: list[bytes] = []
    for frame in down:
        if isinstance(frame, AggregatedTextFrame) and not isinstance(frame, TTSTextFrame):
            found.append(b"")
        elif isinstance(frame, TTSAudioRawFrame):
            found[-1] += frame.audio
    return found


def pitch(pcm: bytes) -> int:
    samples = np.frombuffer(pcm, "<i2").astype(float)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 24_000))
    return round(int(spectrum.argmax()) / 25) * 25


async def pitch_of(text: str) -> int:
    return pitch(await tone(text))


def errors(up: Sequence[Frame]) -> list[str]:
    return [frame.error for frame in up if isinstance(frame, ErrorFrame)]


def same(one: bytes, other: bytes, *, secs: float = 0.003) -> bool:
    return abs(len(one) - len(other)) / 48_000 <= secs


# An answer


@with_instant_engines
async def test_an_answer_is_one_context_and_each_sentence_stands_before_its_own_audio() -> None:
    sent = answer(VASSAR, YALE, NAVY)
    async with simulator() as sim:
        down, up = await hear(voice(sim, voice_settings={"stability": 0.4, "speed": 1.1}), *sent)
        (request,) = sim.requests
    assert not up
    assert told(down) == [
        "LLMFullResponseStartFrame",
        "SentenceFrame",
        "TTSStartedFrame",
        "TTSAudioRawFrame",
        "SentenceFrame",
        "TTSAudioRawFrame",
        "SentenceFrame",
        "TTSAudioRawFrame",
        "TTSStoppedFrame",
        "LLMFullResponseEndFrame",
    ]
    assert [f for f in down if isinstance(f, SentenceFrame)] == sent[1:4]
    spoken = [await tone(text) for text in (VASSAR, YALE, NAVY)]
    heard = stretches(down)
    assert same(heard[0], spoken[0], secs=0.025)  # 20 ms of silence are left before it
    assert same(heard[1], spoken[1])
    assert same(heard[2], spoken[2])
    assert sound(down).endswith(b"".join(spoken))
    # What was said on the wire.
    assert request.path == "/v1/text-to-speech/voice/multi-stream-input"
    assert request.query == {
        "model_id": "eleven_flash_v2_5",
        "output_format": "pcm_24000",
        "auto_mode": "true",
        "inactivity_timeout": "60",
        "sync_alignment": "true",
    }
    assert request.headers["xi-api-key"] == "***"
    (context,) = {m["context_id"] for _, m in request.messages if "context_id" in m}
    assert [m for _, m in request.messages] == [
        {
            "text": " ",
            "voice_settings": {"stability": 0.4, "speed": 1.1},
            "context_id": context,
        },
        *({"text": f"{text} ", "context_id": context} for text in (VASSAR, YALE, NAVY)),
        {"flush": True, "context_id": context},
        {"close_context": True, "context_id": context},
        {"close_socket": True},
    ]
    assert {f.context_id for f in down if isinstance(f, TTSAudioRawFrame)} == {context}
    assert request.close_code == 1000


@with_instant_engines
async def test_the_voice_begins_before_the_answer_is_complete() -> None:
    start, one, other, end = answer(VASSAR, YALE)
    async with simulator() as sim:
        down, _ = await hear(voice(sim), start, one, SleepFrame(sleep=0.4), other, end)
        (request,) = sim.requests
    first_audio = next(at for at, message in request.replies if message.get("audio"))
    second_text = next(at for at, m in request.messages if m.get("text") == f"{YALE} ")
    assert first_audio < second_text
    assert announced(down) == [VASSAR, YALE]


@pytest.mark.parametrize("sync", [True, False])
@with_instant_engines
async def test_a_word_stands_where_it_begins(sync: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    tts_url = ElevenLabsTTS._build_websocket_url
    if not sync:  # Then the vendor times a whole text with its first audio.
        monkeypatch.setattr(
            ElevenLabsTTS,
            "_build_websocket_url",
            lambda self: tts_url(self).replace("&sync_alignment=true", ""),
        )
    async with simulator(leading_silence_secs=0.0) as sim:
        down, _ = await hear(voice(sim), *answer(VASSAR, YALE))
    at, found = 0, []
    for frame in down:
        if isinstance(frame, TTSAudioRawFrame):
            at += frame.num_frames
        elif isinstance(frame, TTSTextFrame):
            found.append((frame.text, at / 24_000, frame.segment_id))
    expected, begin = [], 0.0
    for text, frame in zip((VASSAR, YALE), stretches_frames(down), strict=True):
        secs = SECS_A_CHARACTER * len(text)
        letter = 0
        for word in text.split():
            expected.append((word, begin + letter / (len(text) + 1) * secs, frame.id))
            letter += len(word) + 1
        begin += secs
    assert [word[0] for word in found] == [word[0] for word in expected]
    assert [word[2] for word in found] == [word[2] for word in expected]
    assert max(abs(a[1] - b[1]) for a, b in zip(found, expected, strict=True)) < 0.002
    pts = [f.pts for f in down if isinstance(f, TTSTextFrame)]
    assert all(one < other for one, other in pairwise(pts))  # type: ignore[operator]


def stretches_frames(down: Sequence[Frame]) -> list[SentenceFrame]:
    return [frame for frame in down if isinstance(frame, SentenceFrame)]


@pytest.mark.parametrize("make", [voice, whole])
@with_instant_engines
async def test_a_prompt_is_a_context_of_its_own(make: Any) -> None:
    async with simulator() as sim:
        prompt = TTSSpeakFrame(VASSAR, append_to_context=False)
        down, up = await hear(make(sim), prompt, *answer(YALE), TTSSpeakFrame(NAVY))
    assert not up
    assert announced(down) == [VASSAR, YALE, NAVY]
    assert [pitch(p) for p in stretches(down)] == [await pitch_of(t) for t in announced(down)]
    assert len({f.context_id for f in down if isinstance(f, TTSAudioRawFrame)}) == 3
    assert told(down).count("TTSStartedFrame") == told(down).count("TTSStoppedFrame") == 3


@pytest.mark.parametrize("make", [voice, whole])
@with_instant_engines
async def test_leading_silence_is_left_out_once_an_answer(make: Any) -> None:
    async with simulator() as sim:
        kept, _ = await hear(make(sim, trim_leading_silence=False), *answer(VASSAR, YALE))
        cut, _ = await hear(make(sim), *answer(VASSAR, YALE))
    silence = [int(np.flatnonzero(np.frombuffer(sound(d), "<i2"))[0]) / 24 for d in (kept, cut)]
    assert silence[0] == pytest.approx(150, abs=1)
    assert silence[1] == pytest.approx(20, abs=1)
    assert sound(kept).endswith(sound(cut))


@with_instant_engines
async def test_text_without_times_is_still_announced_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("simulators.elevenlabs_session.alignment", lambda *_: None)
    async with simulator() as sim:
        down, up = await hear(voice(sim), *answer(VASSAR, YALE))
    assert not up
    assert announced(down) == [VASSAR, YALE]
    assert all(len(stretch) > 24_000 for stretch in stretches(down))


# Interruptions


@settings(suppress_health_check=list(HealthCheck))
@given(
    before=st.floats(0, 0.25),
    between=st.floats(0, 0.05),
    ended=st.booleans(),
    sentences=st.lists(st.sampled_from([VASSAR, NAVY]), min_size=1, max_size=3),
)
@pytest.mark.parametrize("make", [voice, pytest.param(whole, marks=pytest.mark.thorough)])
@with_instant_engines
async def test_nothing_of_an_answer_leaves_after_its_interruption(
    make: Any, before: float, between: float, ended: bool, sentences: list[str]
) -> None:
    old = answer(*sentences)[: None if ended else -1]
    pauses = [SleepFrame(sleep=before), InterruptionFrame(), SleepFrame(sleep=between)]
    async with simulator() as sim:
        down, up = await hear(make(sim), *old, *pauses, *answer(YALE))
        request = sim.requests[0]
    assert not up
    at = next(i for i, frame in enumerate(down) if isinstance(frame, InterruptionFrame))
    earlier, later = down[:at], down[at + 1 :]
    kinds = (TTSAudioRawFrame, TTSStartedFrame, TTSStoppedFrame)
    used = [{f.context_id for f in part if isinstance(f, kinds)} for part in (earlier, later)]
    assert not used[0] & used[1]
    assert announced(later) == [YALE]
    assert sound(later).endswith(await tone(YALE))
    assert len(sound(later)) == pytest.approx(len(await tone(YALE)) + 2 * 480, abs=8)
    if make is voice:
        opened = {m["context_id"] for m in request.messages_with("context_id")}
        assert {m["context_id"] for m in request.messages_with("close_context")} == opened


@with_instant_engines
async def test_ten_answers_cut_off_at_once_stay_within_the_vendors_five_contexts() -> None:
    cut: list[Frame] = []
    for _ in range(10):
        cut += [*answer(VASSAR)[:-1], SleepFrame(sleep=0.03), InterruptionFrame()]
    async with simulator() as sim:
        down, up = await hear(voice(sim), *cut, *answer(YALE))
        (request,) = sim.requests
    assert not up
    # An answer that is cut before its first word is sent opens no context.
    opened = {
        message["context_id"]
        for message in request.messages_with("text")
        if "context_id" in message
    }
    closed = [message["context_id"] for message in request.messages_with("close_context")]
    assert len(closed) == len(opened) > 5
    assert set(closed) == opened
    assert announced(down)[-1] == YALE


@with_instant_engines
async def test_an_interruption_aborts_the_whole_answers_request() -> None:
    async with simulator(realtime_factor=1.0) as sim:
        down, up = await hear(
            whole(sim), *answer(VASSAR, YALE, NAVY), SleepFrame(sleep=0.5), InterruptionFrame(),
            SleepFrame(sleep=0.3),
        )  # fmt: skip
        (request,) = sim.requests
    assert not up
    assert request.aborted
    assert told(down)[-1] == "InterruptionFrame"


# Faults


DROPS = [
    pytest.param([Fault("drop", request=1)], id="dropped before any audio"),
    pytest.param([Fault("drop", request=1, after_secs=1.0)], id="dropped in the first sentence"),
    pytest.param([Fault("drop", request=1, after_secs=2.5)], id="dropped in the second sentence"),
    pytest.param([Fault("close", request=1, after_secs=1.0)], id="closed in the first sentence"),
    pytest.param([Fault("status", status=503, request=1)], id="refused for now"),
    pytest.param([Fault("status", status=429, request=1)], id="busy"),
]


@pytest.mark.parametrize("faults", DROPS)
@pytest.mark.parametrize("make", [voice, whole])
@with_instant_engines
async def test_no_sentence_is_lost_or_said_twice_when_a_connection_drops(
    make: Any, faults: list[Fault]
) -> None:
    async with simulator(*faults) as sim:
        tts = make(sim)
        down, _ = await hear(tts, *answer(VASSAR, YALE, NAVY))
        assert len(sim.requests) == 2
    assert tts.is_usable
    assert announced(down) == [VASSAR, YALE, NAVY]
    assert tts.unspoken() == ()
    for text, stretch in zip(announced(down), stretches(down), strict=True):
        assert pitch(stretch) == await pitch_of(text)
    assert told(down)[-2:] == ["TTSStoppedFrame", "LLMFullResponseEndFrame"]
    assert told(down).count("TTSStoppedFrame") == 1


@with_instant_engines
async def test_a_context_that_the_vendor_ends_too_early_is_opened_again() -> None:
    fault = Fault("final", request=1)
    async with simulator(fault) as sim:
        tts = voice(sim)
        down, up = await hear(tts, *answer(VASSAR, YALE))
        assert len(sim.requests) == 1
    assert tts.is_usable
    assert "closed an answer without speaking it" in errors(up)[0]
    assert announced(down) == [VASSAR, YALE]


REFUSALS = [
    pytest.param([Fault("status", status=401)], "HTTP 401", id="key refused at the door"),
    pytest.param([Fault("status", status=402)], "HTTP 402", id="no credit"),
    pytest.param([Fault("error", code="quota_exceeded", message="quota")], "quota", id="quota"),
    pytest.param(
        [Fault("error", code="", message="A voice with voice_id x does not exist.")],
        "voice_id",
        id="voice",
    ),
]


@pytest.mark.parametrize(("faults", "named"), REFUSALS)
@with_instant_engines
async def test_a_refusal_is_final_and_another_voice_can_say_the_rest(
    faults: list[Fault], named: str
) -> None:
    sent = [TTSSpeakFrame(NAVY), *answer(VASSAR, YALE), EndCallFrame(reason="cap")]
    async with simulator(*faults) as sim:
        tts = voice(sim)
        running = asyncio.create_task(hear(tts, *sent, SleepFrame(sleep=0.3)))
        while tts.is_usable or len(tts.unspoken()) < 3:
            await asyncio.sleep(0.01)
        assert [frame.text for frame in tts.unspoken()] == [NAVY, VASSAR, YALE]
        rest = await tts.hand_over()
        down, up = await running
        assert len(sim.requests) == 1
    assert any(named in error for error in errors(up))
    assert list(rest) == sent
    assert not sound(down)
    assert not announced(down)
    async with simulator() as sim:
        down, _ = await hear(voice(sim), *rest)
    assert announced(down) == [NAVY, VASSAR, YALE]
    assert told(down)[-1] == "EndCallFrame"


@with_instant_engines
async def test_a_vendor_that_falls_silent_is_given_up_and_the_rest_handed_over() -> None:
    start, one, other, end = answer(VASSAR, YALE)
    async with simulator(Fault("stall", after_secs=1.0)) as sim:
        tts = voice(sim, stall_secs=0.3)
        running = asyncio.create_task(hear(tts, start, one, other, end, SleepFrame(sleep=0.8)))
        while tts.is_usable:
            await asyncio.sleep(0.01)
        rest = await tts.hand_over()
        down, up = await running
    assert errors(up) == ["ElevenLabs sent no audio for 0.3 s"]
    assert announced(down) == [VASSAR]
    assert told(down)[-1] == "TTSAudioRawFrame"
    (context,) = {f.context_id for f in down if isinstance(f, TTSAudioRawFrame)}
    assert isinstance(rest[0], TTSStoppedFrame)
    assert rest[0].context_id == context
    assert isinstance(rest[1], LLMFullResponseStartFrame)
    assert list(rest[2:]) == [other, end]


@pytest.mark.parametrize("make", [voice, whole])
@with_instant_engines
async def test_a_vendor_that_stalls_once_is_asked_again(make: Any) -> None:
    again = {"stall_retries": 1} if make is voice else {"retries": 1}
    async with simulator(Fault("stall", request=1)) as sim:
        tts = make(sim, stall_secs=0.3, **again)
        down, up = await hear(tts, *answer(VASSAR, YALE))
        assert len(sim.requests) == 2
    assert tts.is_usable
    assert len(errors(up)) == 1
    assert announced(down) == [VASSAR, YALE]
    assert sound(down).endswith(await tone(VASSAR) + await tone(YALE))


@with_instant_engines
async def test_a_vendor_that_is_gone_is_given_up() -> None:
    async with simulator() as sim:
        url = sim.url
    sim.url = url
    tts = voice(sim)
    down, up = await hear(tts, *answer(VASSAR), SleepFrame(sleep=0.3), InterruptionFrame())
    assert not tts.is_usable
    assert not announced(down)
    assert "after 3 attempts" in errors(up)[-1]


@with_instant_engines
async def test_garbage_is_reported_and_the_answer_is_heard() -> None:
    async with simulator(Fault("garbage", request=1, after_secs=0.5)) as sim:
        down, up = await hear(voice(sim), *answer(VASSAR, YALE))
    assert errors(up) == ["ElevenLabs sent a malformed message"]
    assert announced(down) == [VASSAR, YALE]
    assert sound(down).endswith(await tone(VASSAR) + await tone(YALE))


@with_instant_engines
async def test_the_connection_is_kept_through_a_long_silence() -> None:
    async with simulator() as sim:
        tts = voice(sim, inactivity_timeout_secs=1, keepalive_secs=0.4)
        down, up = await hear(tts, *answer(VASSAR), SleepFrame(sleep=1.6), *answer(YALE))
        (request,) = sim.requests
    assert not up
    assert len([m for _, m in request.messages if m == {"text": ""}]) >= 3
    assert announced(down) == [VASSAR, YALE]


@pytest.mark.parametrize(
    ("status", "named"),
    [(401, "invalid_api_key"), (402, "paid_plan_required"), (404, "voice_not_found")],
)
@with_instant_engines
async def test_a_refused_request_of_the_sdk_is_final(status: int, named: str) -> None:
    async with simulator(Fault("status", status=status)) as sim:
        tts = whole(sim)
        down, up = await hear(tts, *answer(VASSAR), SleepFrame(sleep=0.1), InterruptionFrame())
        assert len(sim.requests) == 1
    assert not tts.is_usable
    assert named in errors(up)[0]
    assert not announced(down)


# The whole answer by one request


@with_instant_engines
async def test_a_whole_answer_is_one_request_of_the_sdk() -> None:
    sent = answer(VASSAR, YALE, NAVY)
    async with simulator() as sim:
        down, up = await hear(whole(sim, voice_settings={"stability": 0.4}), *sent)
        (request,) = sim.requests
    assert not up
    assert request.path == "/v1/text-to-speech/voice/stream/with-timestamps"
    assert request.query == {"output_format": "pcm_24000"}
    assert request.body["text"] == f"{VASSAR} {YALE} {NAVY}"
    assert request.body["model_id"] == "eleven_flash_v2_5"
    assert request.body["voice_settings"] == {"stability": 0.4}
    assert request.headers["xi-api-key"] == "***"
    assert "elevenlabs" in request.headers["x-fern-sdk-name"]
    assert [f for f in down if isinstance(f, SentenceFrame)] == sent[1:4]
    assert told(down)[0] == "LLMFullResponseStartFrame"
    assert told(down)[-2:] == ["TTSStoppedFrame", "LLMFullResponseEndFrame"]
    for text, stretch in zip((VASSAR, YALE, NAVY), stretches(down), strict=True):
        assert same(stretch, await tone(text), secs=0.025)
        assert pitch(stretch) == await pitch_of(text)


# The timeline, whatever comes


@given(
    cuts=st.lists(st.integers(0, 48_000 * 4), max_size=12),
    silent=st.integers(0, 6000),
    trim=st.booleans(),
    timed=st.booleans(),
)
def test_however_audio_is_cut_nothing_of_it_is_lost_and_all_is_announced_once(
    cuts: list[int], silent: int, trim: bool, timed: bool
) -> None:
    timeline = SpeechTimeline(sample_rate=24_000, trim_leading_silence=trim)
    frames = [SentenceFrame(text=text, turn=1) for text in (VASSAR, YALE)]
    for frame in frames:
        timeline.add(TimedSentence(frame, frame.text))
    text = f"{VASSAR} {YALE}"
    pcm = bytes(2 * silent) + b"\x00\x20" * (48_000 - silent // 2)
    if timed:
        timeline.align(list(text), [silent / 24_000 + 0.02 * i for i in range(len(text))])
    items = []
    bounds = sorted({0, len(pcm), *(cut for cut in cuts if cut < len(pcm))})
    for begin, end in pairwise(bounds):
        items += timeline.add_audio(pcm[begin:end])
    items += timeline.finish()
    given_audio = b"".join(item for item in items if isinstance(item, bytes))
    lead = min(silent, 480) if trim else silent
    assert given_audio == pcm[2 * (silent - lead) :]
    assert [i for i in items if isinstance(i, SentenceFrame)] == frames
    assert [i.text for i in items if isinstance(i, Word)] == text.split()
    assert isinstance(items[0], SentenceFrame)
    assert not timeline.unspoken


# What must not be


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"voice_id": ""}, "voice_id is ''"),
        ({"voice_id": "a/../b"}, "voice_id is 'a/../b'"),
        ({"voice_settings": {"speed": 3}}, r"voice_settings\['speed'\] is 3; it must be 0.7 to"),
        ({"voice_settings": {"mood": 1}}, "voice_settings has 'mood'; allowed: stability"),
        ({"inactivity_timeout_secs": 600}, "inactivity_timeout_secs is 600"),
        ({"keepalive_secs": 60}, "keepalive_secs is 60"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_by_name(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        ElevenLabsTTS(**{"api_key": KEY, "voice_id": "voice", **wrong})


@pytest.mark.parametrize("make", [voice, whole])
@with_instant_engines
async def test_no_key_and_no_audio_is_in_any_log(
    make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    lines: list[str] = []
    sink = logger.add(lines.append, level="TRACE")
    caplog.set_level(logging.DEBUG)
    try:
        for faults in ([], [Fault("drop", request=1)], [Fault("status", status=401)]):
            async with simulator(*faults) as sim:
                await hear(make(sim), *answer(VASSAR), SleepFrame(sleep=0.1), InterruptionFrame())
    finally:
        logger.remove(sink)
    said = "".join(lines) + caplog.text
    assert VASSAR in said
    assert KEY not in said
    assert '"audio"' not in said
    assert "audio_base64" not in said


@pytest.mark.parametrize("make", [voice, whole])
@with_instant_engines
async def test_nothing_of_a_call_outlives_it(make: Any) -> None:
    async with simulator(realtime_factor=0.5) as sim:
        before = asyncio.all_tasks()
        for secs in (0.0, 0.1, 0.3):
            cut = [*answer(VASSAR, YALE), SleepFrame(sleep=secs), InterruptionFrame()]
            await hear(make(sim), *cut)
        await asyncio.sleep(0.1)
        names = {task.get_name() for task in asyncio.all_tasks() - before}
        assert not [name for name in names if "ElevenLabs" in name]
