"""What the chain learns of the caller's voice, from real recordings and from any probabilities."""

import asyncio
import random
import tomllib
import wave
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.tests.utils import SleepFrame, run_test

from conversation.far_end import FarEnd
from conversation.frames import EndOfTurnFrame, SecondVoiceFrame, SpeechPauseFrame
from models.catalogue import silero_session
from models.checks import SMART_TURN_TOLERANCE
from processors.vad.echo import EchoDetector
from processors.vad.silero import WINDOW_SAMPLES, WINDOW_SECS, SileroEngine
from processors.vad.smart_turn import SmartTurnEngine
from processors.vad.voice_activity import SpeechDetector, SpeechEvent, TurnAudio, VoiceActivity
from tests.conftest import with_instant_engines

AUDIO = Path(__file__).parents[2] / "audio"
RECORDINGS = {
    entry["file"]: entry
    for entry in tomllib.loads((AUDIO / "manifest.toml").read_text())["recording"]
}
FRAME_BYTES = 640  # 20 ms


def recording(name: str) -> bytes:
    with wave.open(str(AUDIO / name)) as file:
        assert (file.getframerate(), file.getnchannels()) == (16_000, 1)
        return bytes(file.readframes(file.getnframes()))


def silence(secs: float) -> bytes:
    return bytes(2 * round(secs * 16_000))


def frames(pcm: bytes, size: int = FRAME_BYTES) -> list[Frame]:
    return [InputAudioRawFrame(pcm[i : i + size], 16_000, 1) for i in range(0, len(pcm), size)]


async def listen(processor: VoiceActivity, sent: Sequence[Frame]) -> list[Frame]:
    down, _ = await run_test(processor, frames_to_send=sent)
    return list(down)


def heard(down: Sequence[Frame]) -> list[tuple[str, float]]:
    """What was said about the audio, and after how much of it, in seconds."""
    names = {
        VADUserStartedSpeakingFrame: "started",
        SpeechPauseFrame: "paused",
        VADUserStoppedSpeakingFrame: "stopped",
    }
    secs, said = 0.0, []
    for frame in down:
        if isinstance(frame, InputAudioRawFrame):
            secs += len(frame.audio) / 32_000
        elif type(frame) in names:
            said.append((names[type(frame)], secs))
    return said


# The detector


probabilities = st.lists(
    st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.3, 0.35, 0.4, 0.5, 0.9])), max_size=120
)
windows = st.integers(1, 8)


@given(probabilities, windows, windows, st.integers(0, 7))
def test_speech_starts_pauses_and_stops_only_when_it_may(
    fed: list[float], start: int, pause: int, more: int
) -> None:
    stop = pause + more
    detector = SpeechDetector(
        start_secs=start * WINDOW_SECS, pause_secs=pause * WINDOW_SECS, stop_secs=stop * WINDOW_SECS
    )
    may_follow = {
        SpeechEvent.STOPPED: {SpeechEvent.STARTED},
        SpeechEvent.STARTED: {SpeechEvent.PAUSED},
        SpeechEvent.PAUSED: {SpeechEvent.RESUMED, SpeechEvent.STOPPED},
        SpeechEvent.RESUMED: {SpeechEvent.PAUSED},
    }
    last, since_stop = SpeechEvent.STOPPED, 0
    for index, probability in enumerate(fed):
        for event in detector.feed(probability):
            assert event in may_follow[last]
            if event is SpeechEvent.STARTED:
                onset = fed[since_stop : index + 1]
                fresh = max((i + 1 for i, p in enumerate(onset) if p < 0.35), default=0)
                assert sum(p >= 0.5 for p in onset[fresh:]) == start
            elif event is SpeechEvent.RESUMED:
                assert probability >= 0.35
            else:
                silent = pause if event is SpeechEvent.PAUSED else stop
                assert all(p < 0.35 for p in fed[index + 1 - silent : index + 1])
                since_stop = index + 1
            last = event
        assert detector.speaking == (last is not SpeechEvent.STOPPED)


@given(probabilities)
def test_speech_that_is_cut_off_pauses_and_stops_like_any_other(fed: list[float]) -> None:
    detector = SpeechDetector()
    events = [event for p in fed for event in detector.feed(p)]
    events += detector.stop()
    assert events.count(SpeechEvent.STARTED) == events.count(SpeechEvent.STOPPED)
    assert events.count(SpeechEvent.PAUSED) == events.count(SpeechEvent.RESUMED) + events.count(
        SpeechEvent.STOPPED
    )
    assert detector.stop() == ()


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"start_secs": 0.0}, "start_secs is 0.0"),
        ({"stop_secs": -1.0}, "stop_secs is -1.0"),
        ({"pause_secs": 0.3}, "pause_secs is 0.3"),
        ({"start_threshold": 0.3}, "start_threshold is 0.3"),
        ({"stop_threshold": 0.0}, "stop_threshold 0.0"),
    ],
)
def test_a_setting_out_of_range_is_named(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        SpeechDetector(**wrong)


# The model


@with_instant_engines
async def test_calls_inferred_together_hear_what_each_would_hear_alone(
    silero: SileroEngine,
) -> None:
    names = ["where-studied.wav", "hiss.wav", "kennedy.wav", "yeah.wav", "digital-silence.wav"]
    calls = [
        np.frombuffer(recording(name), "<i2").astype(np.float32) / np.float32(32_768)
        for name in names
    ]

    async def hear(samples: np.ndarray[Any, np.dtype[np.float32]], together: int) -> list[float]:
        stream, found = silero.stream(), []
        for end in range(WINDOW_SAMPLES, min(len(samples), 40_000), WINDOW_SAMPLES):
            stream.add(samples[end - WINDOW_SAMPLES : end])
            if stream.waiting == together:
                found += await stream.inferred()
        return found + await stream.inferred()

    alone = [await hear(samples, 1) for samples in calls]
    # In some, the memory is reset between windows that are inferred at once.
    together = await asyncio.gather(*(hear(samples, 3) for samples in calls))
    for one, other in zip(alone, together, strict=True):
        assert np.allclose(one, other, atol=1e-3)
    assert max(alone[0]) > 0.9
    assert max(alone[4]) < 0.1


class Session:
    """A session of Silero's that notes its batches; without a model, all is half speech."""

    def __init__(self, model: Any = None) -> None:
        self.batches: list[int] = []
        self.fault: Exception | None = None
        self._model = model

    def run(self, _: None, inputs: dict[str, Any]) -> Any:
        windows, callers, _ = inputs["input"].shape
        self.batches.append(windows * callers)
        if self.fault is not None:
            raise self.fault
        if self._model is not None:
            return self._model.run(None, inputs)
        return np.full((windows, callers), 0.5, np.float32), inputs["state"]


@with_instant_engines
async def test_a_batch_is_bounded_and_one_call_cannot_hold_up_the_others() -> None:
    session = Session(silero_session(threads=1))
    engine = SileroEngine(session=session, max_batch=4)
    window = np.zeros(WINDOW_SAMPLES, np.float32)
    tasks = [asyncio.create_task(engine.stream().speech_probability(window)) for _ in range(10)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert session.batches == [4, 4, 2]
    assert isinstance(done[0], asyncio.CancelledError)
    assert all(isinstance(p, float) for p in done[1:])


class Told(VoiceActivity):
    """Notes what it hears of its audio, and after how many windows."""

    def __init__(self, engine: SileroEngine, **settings: Any) -> None:
        super().__init__(engine=engine, **settings)
        self.windows = 0
        self.told: list[tuple[int, SpeechEvent]] = []

    async def take_window(self, probability: float) -> None:
        self.windows += 1
        await self._take_window(np.full(WINDOW_SAMPLES, probability, np.float32))

    async def _handle(self, event: SpeechEvent, *, late_secs: float = 0.0) -> None:
        self.told.append((self.windows, event))


class Spoken:
    """A session of Silero's in which the loudness of a window is its probability."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def run(self, _: None, inputs: dict[str, Any]) -> Any:
        probability = inputs["input"][:, :, -1]
        self.batches.append(probability.size)
        return probability, inputs["state"]


@given(
    st.lists(
        st.lists(st.sampled_from([0.0, 0.34, 0.36, 0.49, 0.51, 0.9]), max_size=40),
        min_size=1,
        max_size=3,
    ),
    windows,
    windows,
    st.integers(0, 7),
)
def test_what_waits_for_company_is_told_no_later(
    calls: list[list[float]], start: int, pause: int, more: int
) -> None:
    secs = {
        "start_secs": start * WINDOW_SECS,
        "pause_secs": pause * WINDOW_SECS,
        "stop_secs": (pause + more) * WINDOW_SECS,
    }
    engine = SileroEngine(session=Spoken(), max_batch=7)

    async def hear() -> list[Told]:
        told = [Told(engine, **secs) for _ in calls]
        for moment in zip_longest(*calls):
            for call, probability in zip(told, moment, strict=True):
                if probability is not None:
                    await call.take_window(probability)
        return told

    for call, fed in zip(asyncio.run(hear()), calls, strict=True):
        detector = SpeechDetector(**secs)
        heard = (
            (number, event)
            for number, probability in enumerate(fed, start=1)
            for event in detector.feed(probability)
        )
        assert call.told == list(heard)


async def test_calls_in_which_nothing_changes_share_their_inferences() -> None:
    session = Spoken()
    engine = SileroEngine(session=session)
    calls = [Told(engine) for _ in range(8)]
    for _ in range(30):
        for call in calls:
            await call.take_window(0.0)
    assert sum(session.batches) >= 8 * 28
    assert len(session.batches) <= 30


async def test_a_window_that_decides_something_takes_those_that_wait_along() -> None:
    session = Session()
    engine = SileroEngine(session=session)
    first, second = engine.stream(), engine.stream()
    window = np.zeros(WINDOW_SAMPLES, np.float32)
    first.add(window)
    assert await second.speech_probability(window) == 0.5
    assert session.batches == [2]
    assert first.known() == [0.5]


@with_instant_engines
async def test_a_failed_inference_is_told_to_whoever_waits() -> None:
    session = Session()
    stream = SileroEngine(session=session).stream()
    window = np.zeros(WINDOW_SAMPLES, np.float32)
    session.fault = OSError("out of memory")
    with pytest.raises(OSError, match="out of memory"):
        await stream.speech_probability(window)
    session.fault = None
    assert await stream.speech_probability(window) == 0.5
    with pytest.raises(ValueError, match=r"shape \(5,\)"):
        await stream.speech_probability(window[:5])
    for _ in range(3):
        stream.add(window)
    with pytest.raises(RuntimeError, match="3 windows wait"):
        stream.add(window)


def test_one_engine_serves_one_event_loop_after_another(silero: SileroEngine) -> None:
    window = np.zeros(WINDOW_SAMPLES, np.float32)

    async def abandon() -> None:
        waiting = asyncio.create_task(silero.stream().speech_probability(window))
        await asyncio.sleep(0)
        waiting.cancel()

    async def ask() -> float:
        return await asyncio.wait_for(silero.stream().speech_probability(window), 60)

    asyncio.run(abandon())
    assert asyncio.run(ask()) < 0.1


# The processor


@pytest.mark.parametrize(
    "name", [n for n, entry in RECORDINGS.items() if entry["kind"] == "question"][:8]
)
@with_instant_engines
async def test_a_question_is_heard_from_its_first_words_to_its_last(
    silero: SileroEngine, name: str
) -> None:
    pcm = recording(name)
    said = heard(await listen(VoiceActivity(engine=silero), frames(pcm + silence(0.5))))
    # The words begin 0.25 s into the recording and end 0.4 s before its end.
    assert said[0][0] == "started"
    assert 0.25 < said[0][1] < 0.5
    assert said[-1][0] == "stopped"
    assert abs(said[-1][1] - (len(pcm) / 32_000 - 0.4 + 0.2)) < 0.25


@pytest.mark.parametrize(
    "name",
    ["hiss.wav", "line-noise.wav", "digital-silence.wav", "typing.wav", "thump.wav", "breath.wav"],
)
@with_instant_engines
async def test_no_noise_is_taken_for_speech(silero: SileroEngine, name: str) -> None:
    assert heard(await listen(VoiceActivity(engine=silero), frames(recording(name)))) == []


@pytest.mark.parametrize("behind", ["digital-silence.wav", "line-noise.wav"])
@with_instant_engines
async def test_a_caller_is_heard_at_once_whatever_came_before(
    silero: SileroEngine, behind: str
) -> None:
    quiet = recording(behind)
    quiet = (quiet * (1 + 10 * 32_000 // len(quiet)))[: 10 * 32_000]
    said = heard(
        await listen(VoiceActivity(engine=silero), frames(quiet + recording("no-i-meant-yale.wav")))
    )
    assert said[0][0] == "started"
    assert said[0][1] - 10.25 < 0.2


@pytest.mark.parametrize("name", [n for n, entry in RECORDINGS.items() if entry["kind"] == "human"])
@with_instant_engines
async def test_people_are_heard(silero: SileroEngine, name: str) -> None:
    begin, end = RECORDINGS[name]["speech"]
    said = heard(await listen(VoiceActivity(engine=silero), frames(recording(name) + silence(1))))
    assert said[0][0] == "started"
    assert abs(said[0][1] - begin) < 1.0
    assert said[-1][0] == "stopped"
    assert abs(said[-1][1] - end) < 1.0


@with_instant_engines
async def test_how_the_audio_is_cut_into_frames_does_not_matter(silero: SileroEngine) -> None:
    pcm = recording("hesitation-yale.wav") + silence(0.5)
    whole = heard(await listen(VoiceActivity(engine=silero), frames(pcm, 64)))
    assert [name for name, _ in whole] == ["started", "paused", "stopped"] * 2
    for seed in range(3):
        draw = random.Random(seed)
        cuts, rest = [], pcm
        while rest:
            size = 2 * draw.choice([1, 7, 160, 512, 513, 1_600, 5_000])
            cuts.append(InputAudioRawFrame(rest[:size], 16_000, 1))
            rest = rest[size:]
        said = heard(await listen(VoiceActivity(engine=silero), cuts))
        assert [name for name, _ in said] == [name for name, _ in whole]
        # Each is told right behind the frame that completes its window, never before it.
        ends = np.cumsum([len(cut.audio) / 32_000 for cut in cuts])
        for (_, at), (_, earliest) in zip(said, whole, strict=True):
            assert at == pytest.approx(ends[ends >= earliest - 1e-9][0])


@with_instant_engines
async def test_speech_stops_when_no_more_audio_comes(silero: SileroEngine) -> None:
    spoken = frames(recording("where-studied.wav")[:32_000])
    activity = VoiceActivity(engine=silero, audio_idle_secs=0.1)
    said = heard(await listen(activity, [*spoken, SleepFrame(sleep=3.0)]))
    assert [name for name, _ in said] == ["started", "paused", "stopped"]


async def test_audio_of_another_kind_is_refused_by_name(silero: SileroEngine) -> None:
    wrong = InputAudioRawFrame(bytes(960), 48_000, 1)
    _, up = await run_test(VoiceActivity(engine=silero), frames_to_send=[wrong])
    assert "at 48000 Hz" in str(up)


@with_instant_engines
async def test_nothing_of_a_call_outlives_it(
    silero: SileroEngine, smart_turn: SmartTurnEngine
) -> None:
    before = asyncio.all_tasks()
    for secs in (0.5, 1.9, 2.1):  # ends in speech, in a pause, and while the verdict is out
        spoken = frames(recording("where-studied.wav")[: round(secs * 16_000) * 2])
        await listen(VoiceActivity(engine=silero, turn_model=smart_turn), spoken)
    assert asyncio.all_tasks() <= before


# The end of a turn


async def verdicts(
    silero: SileroEngine, smart_turn: SmartTurnEngine, sent: Sequence[Frame]
) -> list[tuple[str, float]]:
    down = await listen(VoiceActivity(engine=silero, turn_model=smart_turn), sent)
    after = None
    found = []
    for frame in down:
        if isinstance(frame, EndOfTurnFrame):
            assert isinstance(after, VADUserStoppedSpeakingFrame)
            assert 0.0 <= frame.delay_secs < 2.0
            found.append((type(after).__name__, frame.probability))
        if not isinstance(frame, InputAudioRawFrame):
            after = frame
    return found


@with_instant_engines
async def test_a_question_ends_its_turn_and_a_hesitation_does_not(
    silero: SileroEngine, smart_turn: SmartTurnEngine
) -> None:
    said = heard(
        await listen(VoiceActivity(engine=silero), frames(recording("hesitation-yale.wav")))
    )
    hesitates_at = round(said[2][1] * 16_000) * 2
    pcm = recording("hesitation-yale.wav")
    sent = [
        *frames(pcm[:hesitates_at]),
        SleepFrame(sleep=0.6),
        *frames(pcm[hesitates_at:] + silence(0.3)),
        SleepFrame(sleep=0.6),
    ]
    (_, hesitating), (_, finished) = await verdicts(silero, smart_turn, sent)
    # As the models' graphs in float arithmetic (models.references) have it of the same audio.
    assert hesitating == pytest.approx(0.118, abs=SMART_TURN_TOLERANCE)
    assert finished == pytest.approx(0.987, abs=SMART_TURN_TOLERANCE)


@with_instant_engines
async def test_a_verdict_is_thrown_away_when_the_caller_goes_on(
    silero: SileroEngine, smart_turn: SmartTurnEngine
) -> None:
    sent = [*frames(recording("hesitation-yale.wav") + silence(0.3)), SleepFrame(sleep=1.5)]
    assert len(await verdicts(silero, smart_turn, sent)) == 1


@with_instant_engines
async def test_a_turn_model_that_fails_costs_no_more_than_its_verdict(
    silero: SileroEngine, smart_turn: SmartTurnEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> float:
        raise OSError("out of memory")

    monkeypatch.setattr(smart_turn, "_infer", fail)
    sent = [*frames(recording("where-studied.wav") + silence(0.3)), SleepFrame(sleep=0.2)]
    down, up = await run_test(
        VoiceActivity(engine=silero, turn_model=smart_turn), frames_to_send=sent
    )
    assert [name for name, _ in heard(down)] == ["started", "paused", "stopped"]
    assert "the turn model failed: out of memory" in str(up)


@with_instant_engines
async def test_the_turn_model_hears_this_turn_and_not_the_one_before(
    silero: SileroEngine, smart_turn: SmartTurnEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths: list[float] = []
    judge = smart_turn._infer

    def note(samples: np.ndarray[Any, np.dtype[np.float32]]) -> float:
        lengths.append(len(samples) / 16_000)
        return judge(samples)

    monkeypatch.setattr(smart_turn, "_infer", note)
    question = frames(recording("where-studied.wav") + silence(0.3))
    wait = SleepFrame(sleep=0.5)
    taken = UserStoppedSpeakingFrame()
    await verdicts(silero, smart_turn, [*question, wait, *question, wait, taken, *question, wait])
    alone, with_the_last, after_it_was_taken = lengths
    assert 1.9 < alone < 2.4
    assert with_the_last == pytest.approx(alone + len(question) * 0.02, abs=0.3)
    assert after_it_was_taken == pytest.approx(alone, abs=0.4)


@given(st.lists(st.tuples(st.integers(1, 40_000), st.sampled_from(["", "start", "stop", "taken"]))))
def test_the_turn_holds_at_most_eight_seconds_and_always_the_last(
    steps: list[tuple[int, str]],
) -> None:
    turn = TurnAudio()
    everything = b""
    for index, (size, event) in enumerate(steps):
        audio = bytes([index % 251]) * (2 * size)
        everything += audio
        turn.append(audio)
        match event:
            case "start":
                turn.start()
            case "stop":
                turn.stop()
            case "taken":
                turn.ended = True
        kept = turn.speech()
        assert everything.endswith(kept)
        assert len(kept) >= min(len(everything), 16_000)
        assert len(kept) < 256_000 + 80_000


@pytest.mark.parametrize(
    ("verdicts", "late_secs"),
    [([False], [0.096]), ([True, True, False], [0.288]), ([True] * 99, [])],
    ids=["caller", "caller over echo", "echo"],
)
async def test_an_echo_is_no_speech(
    silero: SileroEngine,
    monkeypatch: pytest.MonkeyPatch,
    verdicts: list[bool],
    late_secs: list[float],
) -> None:
    monkeypatch.setattr(EchoDetector, "is_echo", lambda _: verdicts.pop(0))
    far_end = FarEnd(lambda: 0.0, sample_rate=24_000)
    spoken = frames(recording("no-i-meant-yale.wav") + silence(0.5))
    down = await listen(VoiceActivity(engine=silero, far_end=far_end), spoken)
    begun = [frame for frame in down if isinstance(frame, VADUserStartedSpeakingFrame)]
    assert [frame.start_secs for frame in begun] == pytest.approx(late_secs)
    assert [kind for kind, _ in heard(down)].count("stopped") == len(late_secs)


@with_instant_engines
async def test_a_second_voice_that_takes_turns_is_told_once_behind_a_stop(
    silero: SileroEngine,
) -> None:
    names = ("where-studied", "first-compiler-joe", "what-degrees", "flow-matic-joe") * 2
    pcm = b"".join(recording(f"{name}.wav") + silence(1.0) for name in names)
    far_end = FarEnd(lambda: 100.0, sample_rate=24_000)
    down = await listen(VoiceActivity(engine=silero, far_end=far_end), frames(pcm))
    told = [type(frame) for frame in down if not isinstance(frame, InputAudioRawFrame)]
    assert told.count(SecondVoiceFrame) == 1
    assert told[told.index(SecondVoiceFrame) - 1] is VADUserStoppedSpeakingFrame
    assert SecondVoiceFrame not in map(
        type, await listen(VoiceActivity(engine=silero), frames(pcm))
    )
