"""Calls transcribed: real recordings through the real engine, and every order of events."""

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams
from pipecat.tests.utils import SleepFrame, run_test

from benchmarks.recordings import Recording, load, word_error_rate
from conversation.frames import SpeechPauseFrame
from processors import pool
from processors.stt.whisper.engine import EngineBusyError, Transcript, WhisperEngine
from processors.stt.whisper.model import Decoding, Samples
from processors.stt.whisper.service import WhisperSTT
from processors.vad.silero import SileroEngine
from processors.vad.voice_activity import VoiceActivity
from tests.conftest import with_instant_engines

RECORDINGS = {recording.file.removesuffix(".wav"): recording for recording in load()}
PEOPLE = [recording for recording in RECORDINGS.values() if recording.kind == "human"]
NAMES = ("Grace Hopper", "COBOL", "FLOW-MATIC", "Eckert-Mauchly Computer Corporation", "UNIVAC")
STOP_SECS = 0.2
PAUSE_SECS = 0.1


@pytest.fixture(scope="module")
def engine(whisper: WhisperEngine) -> WhisperEngine:
    return whisper


# --- What is heard ---------------------------------------------------------------------------


# The references are what the weights give in float32 on the same audio; int8 differed by 0.10 of a
# probability at most. Of all questions below, float32 writes down the same words.
NO_SPEECH_TOLERANCE = 0.15
NO_SPEECH = {
    "cough": 0.551,
    "cough-dry": 0.503,
    "cough-twice": 0.568,
    "throat-clearing": 0.596,
    "typing": 0.708,
    "breath": 0.590,
    "thump": 0.574,
    "line-noise": 0.695,
    "hiss": 0.639,
    "digital-silence": 1.0,
}
HEARD_EACH_TIME = ("cough-dry", "throat-clearing", "typing", "hiss", "digital-silence")
PEOPLES_WORD_ERRORS = 0.0134
"""Of float32, over all of them."""


@pytest.mark.parametrize("people", [PEOPLE[::3], pytest.param(PEOPLE, marks=pytest.mark.thorough)])
async def test_people_are_understood(engine: WhisperEngine, people: list[Recording]) -> None:
    pairs = [(person.text, (await engine.transcribe(person.spoken())).text) for person in people]
    assert len(pairs) >= 4
    assert word_error_rate(pairs) < PEOPLES_WORD_ERRORS + 0.03


async def test_questions_are_understood_in_every_voice(engine: WhisperEngine) -> None:
    asked = [RECORDINGS[name] for name in ("where-studied", "at-yale", "where-studied-flite")]
    heard = [
        (recorded.text, (await engine.transcribe(recorded.spoken(), hotwords=NAMES)).text)
        for recorded in asked
    ]
    assert word_error_rate(heard) == 0.0


async def test_the_documents_names_are_heard_as_such(engine: WhisperEngine) -> None:
    question = RECORDINGS["flow-matic-joe"].spoken()
    plain = await engine.transcribe(question)
    told = await engine.transcribe(question, hotwords=NAMES)
    assert "FLOW-MATIC" not in plain.text
    assert told.text == "Tell me about FLOW-MATIC."


async def test_a_quiet_caller_is_understood_as_well(engine: WhisperEngine) -> None:
    samples = np.frombuffer(RECORDINGS["where-studied"].spoken(), "<i2") / 32_768
    heard = await engine.transcribe((0.02 * samples).astype(np.float32))
    assert word_error_rate([(RECORDINGS["where-studied"].text, heard.text)]) == 0.0


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        pytest.param(*case, marks=() if case[0] in HEARD_EACH_TIME else pytest.mark.thorough)
        for case in NO_SPEECH.items()
    ],
)
async def test_coughs_and_noise_have_no_words(
    engine: WhisperEngine, name: str, reference: float
) -> None:
    assert not RECORDINGS[name].text
    heard = await engine.transcribe(RECORDINGS[name].spoken(), hotwords=NAMES)
    assert heard.text == ""
    assert heard.no_speech_prob == pytest.approx(reference, abs=NO_SPEECH_TOLERANCE)


@pytest.mark.parametrize(
    "name",
    [
        "uh-huh",
        "mm-hm",
        "goodbye",
        *(pytest.param(name, marks=pytest.mark.thorough) for name in ("yeah", "right-joe", "okay")),
    ],
)
async def test_the_shortest_words_are_words(engine: WhisperEngine, name: str) -> None:
    recording = RECORDINGS[name]
    heard = await engine.transcribe(recording.pcm)
    word, said = (re.sub(r"\W", "", text.lower()) for text in (heard.text, recording.text))
    assert {"ok": "okay"}.get(word, word) == said


async def test_audio_that_cannot_be_heard_is_refused(engine: WhisperEngine) -> None:
    with pytest.raises(ValueError, match=r"pcm is 31\.0 s: it must be at most 30 s"):
        await engine.transcribe(bytes(31 * 32_000))
    with pytest.raises(ValueError, match="pcm is 3 bytes"):
        await engine.transcribe(b"abc")
    with pytest.raises(ValueError, match="workers is 0: it must be at least 1"):
        WhisperEngine.load(workers=0)


# --- A call ----------------------------------------------------------------------------------


def silence(secs: float) -> bytes:
    return bytes(2 * round(secs * 16_000))


def spoken(pcm: bytes, *, real_time: bool = True, frame_secs: float = 0.02) -> list[Frame]:
    step = 2 * round(frame_secs * 16_000)
    frames: list[Frame] = []
    for at in range(0, len(pcm), step):
        frames.append(InputAudioRawFrame(pcm[at : at + step], 16_000, 1))
        if real_time:
            frames.append(SleepFrame(sleep=frame_secs * 0.95))
    return frames


def finals(down: Sequence[Frame]) -> list[str]:
    return [frame.text for frame in down if isinstance(frame, TranscriptionFrame)]


def interims(down: Sequence[Frame]) -> list[str]:
    return [frame.text for frame in down if isinstance(frame, InterimTranscriptionFrame)]


@with_instant_engines
async def test_a_caller_is_transcribed_while_they_speak(
    engine: WhisperEngine, silero: SileroEngine
) -> None:
    chain = Pipeline([VoiceActivity(engine=silero), WhisperSTT(engine=engine, hotwords=NAMES)])
    pcm = RECORDINGS["where-studied"].pcm + silence(0.8)
    down, up = await run_test(chain, frames_to_send=spoken(pcm))
    order = [type(frame) for frame in down if "Metadata" not in type(frame).__name__]
    assert order[0] is VADUserStartedSpeakingFrame
    assert order[-2:] == [VADUserStoppedSpeakingFrame, TranscriptionFrame]
    assert InterimTranscriptionFrame in order
    assert InputAudioRawFrame not in order
    assert not [frame for frame in up if isinstance(frame, ErrorFrame)]
    [final] = [frame for frame in down if isinstance(frame, TranscriptionFrame)]
    assert final.finalized
    assert final.text == "Where did she study mathematics?"
    assert isinstance(final.result, Transcript)
    assert interims(down)[-1].split()[0] == "Where", "the first hears half a word"


@with_instant_engines
async def test_two_calls_at_once_never_mix(engine: WhisperEngine, silero: SileroEngine) -> None:
    async def call(recording: Recording) -> Sequence[Frame]:
        stt = WhisperSTT(engine=engine, interim_interval_secs=1.5)
        chain = Pipeline([VoiceActivity(engine=silero), stt])
        down, _ = await run_test(chain, frames_to_send=spoken(recording.pcm + silence(0.8)))
        return down

    asked = [RECORDINGS["medal-of-freedom"], RECORDINGS["digital-equipment"]]
    calls = await asyncio.gather(*(call(recording) for recording in asked))
    for recording, down, other in zip(asked, calls, reversed(asked), strict=True):
        assert word_error_rate([(recording.text, " ".join(finals(down)))]) < 0.3
        alien = set(other.text.lower().split()) - set(recording.text.lower().split())
        heard = " ".join([*finals(down), *interims(down)]).lower().replace("?", " ?").split()
        assert not {word for word in alien if len(word) > 4} & set(heard)


@with_instant_engines
async def test_a_long_speech_is_one_final_however_often_it_is_cut(engine: WhisperEngine) -> None:
    speech = RECORDINGS["two-cities"]
    stt = WhisperSTT(engine=engine, max_utterance_secs=4.0, drain_secs=10.0)
    down, _ = await run_test(stt, frames_to_send=segment(speech.spoken()))
    [text] = finals(down)
    assert word_error_rate([(speech.text, text)]) < 0.2


# --- Every order of events, with audio that says what it is -----------------------------------


def numbered(first: int, frames: int, frame_secs: float = 0.02) -> list[Frame]:
    """Audio whose samples are the number of their frame."""
    samples = round(frame_secs * 16_000)
    return [
        InputAudioRawFrame(np.full(samples, number, "<i2").tobytes(), 16_000, 1)
        for number in range(first, first + frames)
    ]


def segment(pcm: bytes) -> list[Frame]:
    """A stretch of speech as voice activity would mark it, as fast as it goes."""
    audio = spoken(pcm, real_time=False)
    return [
        *audio[:15],
        VADUserStartedSpeakingFrame(start_secs=0.1),
        *audio[15:],
        SpeechPauseFrame(pause_secs=PAUSE_SECS),
        *spoken(silence(0.1), real_time=False),
        VADUserStoppedSpeakingFrame(stop_secs=STOP_SECS),
    ]


@dataclass
class Scribe:
    """Writes down the numbers of the frames it is given, and how it was asked."""

    spare: bool = False
    wait: Callable[[], float] = lambda: 0.0
    asked: list[tuple[str, bool]] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    running: int = 0

    async def transcribe(
        self,
        pcm: bytes,
        *,
        hotwords: Sequence[str] = (),
        final: bool = True,
        beginning: Transcript | None = None,
    ) -> Transcript:
        numbers = dict.fromkeys(np.frombuffer(pcm, "<i2").tolist())
        text = " ".join(str(number) for number in numbers if number)
        self.asked.append((text, final))
        self.known.append(beginning.text if beginning else "")
        self.running += 1
        try:
            await asyncio.sleep(self.wait())
        finally:
            self.running -= 1
        return Transcript(text=text)


START = VADUserStartedSpeakingFrame(start_secs=0.1)
PAUSE = SpeechPauseFrame(pause_secs=PAUSE_SECS)
STOP = VADUserStoppedSpeakingFrame(stop_secs=STOP_SECS)


def numbers(first: int, last: int) -> str:
    return " ".join(str(number) for number in range(first, last + 1))


@with_instant_engines
async def test_the_final_decoding_begins_at_the_pause_and_is_the_only_one() -> None:
    scribe = Scribe()
    sent = [*numbered(1, 20), START, *numbered(21, 20), PAUSE, *numbered(41, 5), STOP]
    down, _ = await run_test(WhisperSTT(engine=scribe), frames_to_send=sent)
    assert scribe.asked == [(numbers(1, 40), True)]
    assert finals(down) == [numbers(1, 40)]


@with_instant_engines
async def test_a_caller_who_goes_on_makes_the_early_decoding_an_interim_one() -> None:
    scribe = Scribe()
    sent = [
        *numbered(1, 5),
        START,
        *numbered(6, 20),
        PAUSE,
        SleepFrame(sleep=0.05),
        *numbered(26, 20),
        PAUSE,
        *numbered(46, 5),
        STOP,
    ]
    down, _ = await run_test(WhisperSTT(engine=scribe), frames_to_send=sent)
    assert interims(down) == [numbers(1, 25)]
    assert finals(down) == [numbers(1, 45)]
    assert scribe.known == ["", numbers(1, 25)]


@with_instant_engines
async def test_a_voice_activity_that_tells_no_pauses_will_do() -> None:
    sent = [*numbered(1, 5), START, *numbered(6, 20), STOP]
    down, _ = await run_test(WhisperSTT(engine=Scribe()), frames_to_send=sent)
    assert finals(down) == [numbers(1, 25)]


@with_instant_engines
async def test_an_early_decoding_that_missed_later_words_is_not_used() -> None:
    sent = [*numbered(1, 5), START, PAUSE, *numbered(6, 20), STOP]
    down, _ = await run_test(WhisperSTT(engine=Scribe()), frames_to_send=sent)
    assert finals(down) == [numbers(1, 25)]


@with_instant_engines
async def test_an_interruption_loses_nothing_of_what_the_caller_says() -> None:
    sent = [
        *numbered(1, 5),
        START,
        *numbered(6, 10),
        InterruptionFrame(),
        *numbered(16, 10),
        PAUSE,
        InterruptionFrame(),
        STOP,
        InterruptionFrame(),
    ]
    stt = WhisperSTT(engine=Scribe(wait=lambda: 0.1))
    down, _ = await run_test(stt, frames_to_send=sent)
    assert finals(down) == [numbers(1, 25)]


@with_instant_engines
@pytest.mark.parametrize(
    ("voice", "guesses"),
    [([BotStartedSpeakingFrame()], [10, 15]), ([], [25, 50])],
    ids=["over the voice", "alone"],
)
async def test_words_are_guessed_at_often_only_where_they_decide_who_has_the_floor(
    voice: list[Frame], guesses: list[int]
) -> None:
    scribe = Scribe(spare=True)
    talk = [frame for audio in numbered(6, 60) for frame in (audio, SleepFrame(sleep=0.001))]
    sent = [*voice, *numbered(1, 5), START, *talk, PAUSE, STOP]
    await run_test(WhisperSTT(engine=scribe), frames_to_send=sent)
    assert scribe.asked[:2] == [(numbers(1, last), False) for last in guesses]


@with_instant_engines
async def test_interims_come_while_the_caller_speaks_and_never_after_the_final() -> None:
    scribe = Scribe(spare=True, wait=lambda: 0.02)
    talk = [frame for audio in numbered(6, 60) for frame in (audio, SleepFrame(sleep=0.002))]
    sent = [*numbered(1, 5), START, *talk, PAUSE, STOP, SleepFrame(sleep=0.1)]
    stt = WhisperSTT(engine=scribe, interim_interval_secs=0.2)
    down, _ = await run_test(stt, frames_to_send=sent)
    kinds = [type(frame) for frame in down]
    assert len(interims(down)) >= 3
    assert kinds[-1] is TranscriptionFrame
    assert [len(text) for text in interims(down)] == sorted(len(text) for text in interims(down))


@with_instant_engines
async def test_no_interim_is_made_when_no_worker_is_free() -> None:
    scribe = Scribe(spare=False)
    sent = [*numbered(1, 5), START, *numbered(6, 60), PAUSE, STOP]
    await run_test(WhisperSTT(engine=scribe), frames_to_send=sent)
    assert [final for _, final in scribe.asked] == [True]


class Deaf:
    """An engine whose every decoding fails."""

    spare = True

    async def transcribe(
        self,
        pcm: bytes,
        *,
        hotwords: Sequence[str] = (),
        final: bool = True,
        beginning: Transcript | None = None,
    ) -> Transcript:
        raise EngineBusyError("34 utterances are being transcribed or waiting")


@with_instant_engines
async def test_a_failure_is_told_and_ends_the_turn_without_words() -> None:
    sent = [*numbered(1, 5), START, *numbered(6, 3), PAUSE, STOP]
    down, up = await run_test(WhisperSTT(engine=Deaf()), frames_to_send=sent)
    assert finals(down) == [""]
    [error] = [frame for frame in up if isinstance(frame, ErrorFrame)]
    assert "34 utterances" in error.error


@with_instant_engines
async def test_a_call_that_is_cut_off_leaves_no_task() -> None:
    scribe = Scribe(spare=True, wait=lambda: 3600.0)
    stt = WhisperSTT(engine=scribe, drain_secs=0.05)
    sent = [*numbered(1, 5), START, *numbered(6, 60), SleepFrame(sleep=0.01), PAUSE, STOP]
    before = asyncio.all_tasks()
    _, up = await run_test(stt, frames_to_send=[*sent, SleepFrame(sleep=0.01)])
    assert asyncio.all_tasks() == before
    assert len(scribe.asked) == 2
    assert scribe.running == 0
    assert ["were not ready" in frame.error for frame in up if isinstance(frame, ErrorFrame)] == [
        True
    ]


@with_instant_engines
async def test_a_pipeline_at_another_rate_is_refused() -> None:
    stt = WhisperSTT(engine=Scribe())
    eight = PipelineParams(audio_in_sample_rate=8_000)
    _, up = await run_test(stt, frames_to_send=[], pipeline_params=eight)
    assert not stt.is_usable
    assert "audio_in_sample_rate is 8000: it must be 16000" in str(up)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("pre_roll_secs", 0.0), ("interim_interval_secs", -1.0), ("max_utterance_secs", 60.0)],
)
def test_a_setting_out_of_range_is_named(setting: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{setting} is {value}: it must be"):
        WhisperSTT(engine=Scribe(), **{setting: value})  # type: ignore[arg-type]


stretches = st.lists(
    st.tuples(
        st.integers(0, 40),  # frames of silence before
        st.lists(st.tuples(st.integers(1, 30), st.booleans()), min_size=1, max_size=4),
    ),
    min_size=1,
    max_size=4,
)


@given(stretches=stretches, waits=st.lists(st.sampled_from([0.0, 0.004, 0.02]), min_size=1))
@with_instant_engines
async def test_each_stretch_of_speech_has_one_final_in_order_with_all_of_it(
    stretches: list[tuple[int, list[tuple[int, bool]]]], waits: list[float]
) -> None:
    """However long decodings take, and however often the caller pauses or is interrupted."""
    sent: list[Frame] = []
    expected: list[tuple[int, int]] = []
    number = 1
    for before, parts in stretches:
        sent += numbered(number, before)
        number += before
        onset = number
        # 5 frames of speech make the voice activity certain of it.
        sent += [*numbered(number, 5), START]
        number += 5
        for frames, interrupted in parts:
            sent += numbered(number, frames)
            number += frames
            last = number - 1
            sent += [PAUSE, *([InterruptionFrame()] if interrupted else [])]
            sent += numbered(number, 5)
            number += 5
        sent += [STOP]
        expected.append((onset, last))
    turn = iter(range(10_000))
    stt = WhisperSTT(engine=Scribe(spare=True, wait=lambda: waits[next(turn) % len(waits)]))
    down, up = await run_test(stt, frames_to_send=sent)
    heard = [[int(word) for word in text.split()] for text in finals(down)]
    assert len(heard) == len(expected)
    for words, (onset, last) in zip(heard, expected, strict=True):
        assert words == list(range(words[0], words[-1] + 1))
        assert words[0] <= onset
        assert words[-1] == last
    assert not [frame for frame in up if isinstance(frame, ErrorFrame)]


# --- The workers ------------------------------------------------------------------------------


class Hand:
    """A clock that is moved by hand."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Gate:
    """A decoder that waits until it is opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.entered = threading.Semaphore(0)
        self.windows: list[float] = []

    def decode(self, samples: Samples, window_secs: float) -> Decoding:
        self.windows.append(window_secs)
        self.entered.release()
        assert self.opened.wait(60)
        return Decoding("Yes.", 0.0, -0.1, True, None)

    def decode_with_hint(self, decoding: Decoding, names: tuple[str, ...]) -> str:
        return decoding.text


@pytest.fixture
async def gate() -> AsyncIterator[Gate]:
    gate = Gate()
    yield gate
    gate.opened.set()


LOUD = np.full(16_000, 0.5, np.float32)


async def begun(gate: Gate) -> None:
    await asyncio.to_thread(gate.entered.acquire)


async def test_a_final_finds_a_worker_that_no_interim_may_take(gate: Gate) -> None:
    engine = WhisperEngine(gate, workers=2, max_waiting=1)
    spare = [engine.spare]
    interim = asyncio.create_task(engine.transcribe(LOUD, final=False))
    await begun(gate)
    spare.append(engine.spare)
    assert spare == [True, False]
    final = asyncio.create_task(engine.transcribe(LOUD))
    await begun(gate)
    with pytest.raises(EngineBusyError):
        await engine.transcribe(LOUD, final=False)
    gate.opened.set()
    assert [(await task).text for task in (interim, final)] == ["Yes.", "Yes."]
    assert engine.pending == 0
    engine.close()


async def test_finals_alone_are_ever_late_for_interims_never_wait(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand = Hand()
    monkeypatch.setattr(pool, "time", SimpleNamespace(monotonic=hand))
    engine = WhisperEngine(gate, workers=1)
    interim = asyncio.create_task(engine.transcribe(LOUD, final=False))
    await begun(gate)
    for _ in range(3):
        with pytest.raises(EngineBusyError):
            await engine.transcribe(LOUD, final=False)
    hand.now += 0.3
    assert engine.pool.p99 == 0.0, "the interim runs, and the refused ones do not count"
    final = asyncio.create_task(engine.transcribe(LOUD))
    await asyncio.sleep(0)
    hand.now += 0.3
    assert engine.pool.p99 == pytest.approx(0.3), "its caller waits"
    gate.opened.set()
    await asyncio.gather(interim, final)
    engine.close()


async def test_the_queue_is_bounded_and_a_cancelled_call_leaves_it(gate: Gate) -> None:
    engine = WhisperEngine(gate, workers=1, max_waiting=1)
    running = asyncio.create_task(engine.transcribe(LOUD))
    await begun(gate)
    waiting = asyncio.create_task(engine.transcribe(LOUD))
    await asyncio.sleep(0)
    with pytest.raises(EngineBusyError, match="2 utterances"):
        await engine.transcribe(LOUD)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert engine.pending == 1
    running.cancel()
    gate.opened.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (await engine.transcribe(LOUD)).text == "Yes."
    assert engine.pending == 0
    assert len(gate.windows) == 2
    engine.close()


class Doubtful:
    """A decoder that gives scripted decodings, one per window."""

    def __init__(self, *decodings: Decoding) -> None:
        self.decodings = list(decodings)
        self.windows: list[float] = []

    def decode(self, samples: Samples, window_secs: float) -> Decoding:
        self.windows.append(window_secs)
        return self.decodings.pop(0)

    def decode_with_hint(self, decoding: Decoding, names: tuple[str, ...]) -> str:
        return decoding.text


@pytest.mark.parametrize(
    "first",
    [
        Decoding("", 0.0, -0.1, True, None),
        Decoding("Who am I who am I", 0.0, -0.1, False, None),
        Decoding("and a yail", 0.0, -1.0, True, None),
    ],
    ids=["empty", "endless", "improbable"],
)
async def test_a_doubtful_decoding_is_repeated_in_a_longer_window(first: Decoding) -> None:
    decoder = Doubtful(first, Decoding("And at Yale?", 0.0, -0.6, True, None))
    engine = WhisperEngine(decoder)
    heard = await engine.transcribe(LOUD)
    assert (heard.text, heard.fell_back) == ("And at Yale?", True)
    assert decoder.windows == [6.0, 12.0]
    engine.close()


async def test_a_silent_line_is_not_decoded() -> None:
    decoder = Doubtful()
    engine = WhisperEngine(decoder)
    assert (await engine.transcribe(LOUD * np.float32(0.001))).text == ""
    assert decoder.windows == []
    engine.close()
