"""Calls transcribed by Deepgram's SDK from a simulated Deepgram on loopback, in virtual time."""

import asyncio
import itertools
import logging
import wave
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loguru import logger
from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    ProposedUserStoppedSpeakingFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.stt_service import STTService
from pipecat.utils.asyncio.task_manager import TaskManager
from pipecat.workers.base_worker import WorkerParams

from benchmarks.recordings import load, word_error_rate
from conversation.frames import TranscribeNowFrame
from evals.replay import virtual_time
from processors.stt.deepgram.connection import ConnectionTimes, create_client, keyterms_within_limit
from processors.stt.deepgram.service import DeepgramSTT
from processors.stt.untranscribed_audio import UntranscribedAudio
from processors.stt.whisper.engine import WhisperEngine
from processors.vad.silero import SileroEngine
from processors.vad.voice_activity import VoiceActivity
from simulators.deepgram import DeepgramSimulator, Fault, Latency, Utterance
from simulators.deepgram_recogniser import FinalizeAnswer, speech_secs

AUDIO = Path(__file__).parents[2] / "audio"
RECORDINGS = {recorded.file.removesuffix(".wav"): recorded.text for recorded in load()}
KEY = "simulated-deepgram-key"
QUESTION = "Where did she study mathematics?"
STUDIED = "Where did she study, mathematics?"


def recording(name: str) -> bytes:
    with wave.open(str(AUDIO / f"{name}.wav")) as file:
        assert (file.getframerate(), file.getnchannels()) == (16_000, 1)
        return bytes(file.readframes(file.getnframes()))


def silence(secs: float) -> bytes:
    return bytes(2 * round(secs * 16_000))


class Ends(FrameProcessor):
    """One end of a chain; keeps what reaches it, with the time."""

    def __init__(self) -> None:
        super().__init__(enable_direct_mode=True)
        self.frames: list[tuple[float, Frame]] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        self.frames.append((asyncio.get_running_loop().time(), frame))
        await self.push_frame(frame, direction)


class Call:
    """A caller, voice activity, a recogniser, and whoever listens to all of them."""

    def __init__(self, silero: SileroEngine, stt: STTService) -> None:
        self.stt = stt
        self.above, self.below = Ends(), Ends()
        self._tasks = TaskManager(loop=asyncio.get_running_loop())
        self.worker = PipelineWorker(
            Pipeline([self.above, VoiceActivity(engine=silero), stt, self.below]),
            params=PipelineParams(audio_in_sample_rate=16_000),
            task_manager=self._tasks,
            enable_rtvi=False,
            enable_turn_tracking=False,
            idle_timeout_secs=None,
        )

    async def __aenter__(self) -> "Call":
        started = asyncio.Event()

        async def on_started(*_: object) -> None:
            started.set()

        self.worker.add_event_handler("on_pipeline_started", on_started)
        self._running = asyncio.create_task(self.worker.run(WorkerParams(task_manager=self._tasks)))
        await started.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.end()

    async def end(self, *, politely: bool = True) -> None:
        if self._running.done():
            return
        if politely:
            await self.worker.stop_when_done()
        else:
            await self.worker.cancel()
        await self._running
        assert not self._tasks.current_tasks(), "a call leaves no task behind"

    async def say(self, *audio: bytes) -> None:
        """Audio as a caller sends it: 20 ms each 20 ms."""
        pcm = b"".join(audio)
        loop = asyncio.get_running_loop()
        due = loop.time()
        for at in range(0, len(pcm), 640):
            await self.worker.queue_frame(InputAudioRawFrame(pcm[at : at + 640], 16_000, 1))
            due += 0.02
            await asyncio.sleep(max(0.0, due - loop.time()))

    def down(self, *kinds: type[Frame]) -> list[tuple[float, Any]]:
        return [(at, frame) for at, frame in self.below.frames if isinstance(frame, kinds)]

    def finals(self) -> list[str]:
        return [frame.text for _, frame in self.down(TranscriptionFrame)]

    def words(self) -> str:
        return " ".join(text for text in self.finals() if text)

    def errors(self) -> list[str]:
        return [frame.error for _, frame in self.above.frames if isinstance(frame, ErrorFrame)]

    def story(self) -> list[str]:
        """What turn taking learns, in order."""
        names: dict[type[Frame], Callable[[Any], str]] = {
            VADUserStartedSpeakingFrame: lambda _: "started",
            VADUserStoppedSpeakingFrame: lambda _: "stopped",
            TranscriptionFrame: lambda frame: (
                f"{'final' if frame.finalized else 'segment'}: {frame.text}"
            ),
            ProposedUserStoppedSpeakingFrame: lambda _: "end proposed",
        }
        return [names[type(frame)](frame) for _, frame in self.down(*names)]


Story = Callable[[Call, DeepgramSimulator], Coroutine[Any, Any, None]]


@asynccontextmanager
async def calling(
    silero: SileroEngine, simulator: DeepgramSimulator, **settings: Any
) -> AsyncIterator[Call]:
    client = create_client(settings.pop("key", KEY), base_url=simulator.url)
    async with Call(silero, DeepgramSTT(client=client, **settings)) as call:
        yield call


def told(
    silero: SileroEngine, story: Story, *, script: Sequence[Utterance | str] = (), **both: Any
) -> tuple[Call, DeepgramSimulator]:
    """Tell a story in virtual time; what is left of it afterwards."""
    ours = {key: both.pop(key) for key in ("times", "keyterms", "key") if key in both}

    async def main() -> tuple[Call, DeepgramSimulator]:
        async with DeepgramSimulator(script, **both) as simulator:
            async with calling(silero, simulator, **ours) as call:
                await story(call, simulator)
            return call, simulator

    return virtual_time.run(main())


async def ask(call: Call, _: DeepgramSimulator) -> None:
    await call.say(silence(0.5), recording("where-studied"), silence(1.5))


# --- What is asked of Deepgram ------------------------------------------------------------------


def test_the_request_is_the_one_that_the_design_asks_for(silero: SileroEngine) -> None:
    names = ("Grace Hopper", "COBOL", "grace hopper", " FLOW-MATIC ", "")
    _, simulator = told(silero, ask, script=[QUESTION], keyterms=names)
    (request,) = simulator.requests
    assert request.path == "/v1/listen"
    assert request.headers["authorization"] == "Token ***"
    assert sorted(request.query) == sorted(
        [
            ("model", "nova-3"),
            ("language", "en-GB"),
            ("encoding", "linear16"),
            ("sample_rate", "16000"),
            ("channels", "1"),
            ("endpointing", "150"),
            ("utterance_end_ms", "1000"),
            ("interim_results", "true"),
            ("vad_events", "true"),
            ("punctuate", "true"),
            ("smart_format", "false"),
            ("keyterm", "Grace Hopper"),
            ("keyterm", "COBOL"),
            ("keyterm", "FLOW-MATIC"),
        ]
    )
    assert request.closed_with == 1000
    assert request.kinds()[-1] == "CloseStream"


@given(st.lists(st.text(max_size=30), max_size=200))
def test_keyterms_stay_within_the_limit_and_keep_their_order(terms: list[str]) -> None:
    kept = keyterms_within_limit(terms)
    assert sum(len(term.encode()) for term in kept) <= 500
    assert len(kept) <= 100
    assert len({term.casefold() for term in kept}) == len(kept)
    plain = [" ".join(term.split()) for term in terms]
    places = [plain.index(term) for term in kept]
    assert places == sorted(places)


# --- What is heard ------------------------------------------------------------------------------


def test_a_question_is_followed_and_its_end_left_to_the_turn_model(silero: SileroEngine) -> None:
    call, simulator = told(silero, ask, script=[QUESTION], latency=Latency(0.3), interim_secs=0.3)
    assert call.story() == ["started", "stopped", f"final: {QUESTION}", "end proposed"]
    (final_at, final), (end_at, _) = call.down(TranscriptionFrame, ProposedUserStoppedSpeakingFrame)
    assert 0.8 < end_at - final_at < 1.2, "the backstop, a second after the last word"
    assert str(final.language) == "en-GB"
    interims = [frame.text for _, frame in call.down(InterimTranscriptionFrame)]
    assert len(interims) > 2
    assert all(QUESTION.startswith(text) for text in interims)
    assert "Finalize" in simulator.requests[0].kinds()
    assert not call.errors()


def test_words_that_came_before_the_speech_stopped_are_followed_by_an_empty_final_at_once(
    silero: SileroEngine,
) -> None:
    call, _ = told(silero, ask, script=[QUESTION], latency=Latency(0.01), finalize="none")
    assert call.story() == [
        "started",
        f"final: {QUESTION}",
        "stopped",
        "final: ",
        "end proposed",
    ]
    ((stopped_at, _),) = call.down(VADUserStoppedSpeakingFrame)
    assert call.down(TranscriptionFrame)[1][0] - stopped_at < 0.3


@pytest.mark.parametrize("finalize", ["speech_final", "not_final", "absent", "bare", "none"])
def test_a_pause_in_a_question_ends_nothing_however_finalize_is_answered(
    silero: SileroEngine, finalize: FinalizeAnswer
) -> None:
    async def story(call: Call, _: DeepgramSimulator) -> None:
        await call.say(silence(0.3), recording("pause-studied"), silence(1.5))

    # Deepgram's own endpointing is out of the way: every word is a Finalize's.
    script = [Utterance(STUDIED, speech_secs=1.3, pauses=True, endpointed=False)]
    call, _ = told(silero, story, script=script, finalize=finalize)
    assert call.words() == STUDIED
    finals = [at for at, frame in call.down(TranscriptionFrame) if frame.finalized]
    stops = [at for at, _ in call.down(VADUserStoppedSpeakingFrame)]
    assert len(stops) == 2
    for stopped in stops:
        assert any(0 <= final - stopped < 0.6 for final in finals), "no stop is left waiting"
    (end,) = [at for at, _ in call.down(ProposedUserStoppedSpeakingFrame)]
    assert end > stops[-1] + 0.5


@pytest.mark.parametrize("finalize", ["speech_final", "not_final", "absent", "bare", "none"])
@pytest.mark.parametrize("answers", [True, False])
def test_words_asked_for_in_the_midst_of_speech_are_heard_again_whole(
    silero: SileroEngine, finalize: FinalizeAnswer, answers: bool
) -> None:
    """Deepgram ends its words where it is asked, perhaps in mid-word."""

    async def story(call: Call, simulator: DeepgramSimulator) -> None:
        simulator.answers_finalize = answers
        audio = silence(0.5) + recording("where-studied") + silence(1.5)
        for at, upto in ((0, 35_200), (35_200, 48_000)):
            await call.say(audio[at:upto])
            await call.worker.queue_frame(TranscribeNowFrame())
        await call.say(audio[48_000:])

    secs = speech_secs(recording("where-studied"))
    script = [Utterance(QUESTION, speech_secs=secs, pauses=True)]
    call, simulator = told(silero, story, script=script, finalize=finalize)
    assert call.words() == QUESTION
    asked = [frame.text for _, frame in call.down(InterimTranscriptionFrame)]
    sent = simulator.requests[0].audio_bytes - 64_000 - len(recording("where-studied"))
    assert simulator.requests[0].kinds().count("Finalize") == 3
    assert call.story()[-1] == "end proposed"
    ((stopped_at, _),) = call.down(VADUserStoppedSpeakingFrame)
    (proposed_at,) = (at for at, _ in call.down(ProposedUserStoppedSpeakingFrame))
    assert proposed_at - stopped_at < 1.5, "its times are those of the call again"
    if answers:
        early = [text for text in asked if text != QUESTION]
        assert early
        assert all(QUESTION.startswith(text) for text in early)
        assert [text for text in call.finals() if text] == [QUESTION], "in one piece"
        assert 0 < sent < 3 * 32_000
    else:
        assert sent == 0, "what has no answer is not heard again"


def test_an_utterance_end_that_is_late_does_not_end_what_is_said_now(silero: SileroEngine) -> None:
    async def story(call: Call, _: DeepgramSimulator) -> None:
        await call.say(silence(0.3), recording("where-studied"), silence(1.0))
        await call.say(recording("where-studied"), silence(2.5))

    call, _ = told(silero, story, script=[QUESTION, "And when?"], utterance_end_late_secs=0.9)
    assert call.words() == f"{QUESTION} And when?"
    (end,) = [at for at, _ in call.down(ProposedUserStoppedSpeakingFrame)]
    assert end > call.down(VADUserStoppedSpeakingFrame)[-1][0]


def test_the_utterance_end_is_the_backstop_when_no_segment_is_the_last(
    silero: SileroEngine,
) -> None:
    call, _ = told(silero, ask, script=[Utterance(QUESTION, endpointed=False)])
    assert call.story()[-2:] == [f"final: {QUESTION}", "end proposed"]
    (final_at, _), (end_at, _) = call.down(TranscriptionFrame, ProposedUserStoppedSpeakingFrame)
    assert 0.5 < end_at - final_at < 1.2


def test_a_cough_is_a_final_without_words_and_proposes_nothing(silero: SileroEngine) -> None:
    async def story(call: Call, _: DeepgramSimulator) -> None:
        await call.say(silence(0.5), recording("yeah"), silence(1.5))

    call, simulator = told(silero, story, script=[Utterance("")])
    assert call.story() == ["started", "stopped", "final: "]
    (stopped_at, _), (final_at, _) = call.down(VADUserStoppedSpeakingFrame, TranscriptionFrame)
    assert final_at - stopped_at < 0.2
    assert simulator.requests[0].kinds() == ["Finalize", "CloseStream"]


@pytest.mark.thorough
def test_a_simulator_with_an_ear_of_its_own_really_transcribes(
    silero: SileroEngine, whisper: WhisperEngine
) -> None:
    async def story(call: Call, _: DeepgramSimulator) -> None:
        await call.say(silence(0.5), recording("where-studied"), silence(1))
        await call.say(recording("cough"), silence(1), recording("at-yale"), silence(2))

    call, _ = told(silero, story, transcriber=whisper.transcribe)
    asked = f"{RECORDINGS['where-studied']} {RECORDINGS['at-yale']}"
    assert word_error_rate([(asked, call.words())]) < 0.2
    assert call.story().count("end proposed") >= 2


def test_every_stop_is_answered_though_deepgram_does_not_answer_finalize(
    silero: SileroEngine,
) -> None:
    async def story(call: Call, simulator: DeepgramSimulator) -> None:
        simulator.answers_finalize = False
        await call.say(silence(0.5), recording("yeah"), silence(2.5))

    call, _ = told(silero, story, script=[Utterance("", endpointed=False)])
    assert call.story() == ["started", "stopped", "final: "]
    (stopped_at, _), (final_at, _) = call.down(VADUserStoppedSpeakingFrame, TranscriptionFrame)
    assert final_at - stopped_at < 1.5


def test_an_interruption_loses_nothing_of_what_the_caller_says(silero: SileroEngine) -> None:
    async def story(call: Call, _: DeepgramSimulator) -> None:
        audio = silence(0.5) + recording("where-studied") + silence(1.5)
        await call.say(audio[:48_000])
        await call.worker.queue_frame(InterruptionFrame())
        await call.say(audio[48_000:])

    call, simulator = told(silero, story, script=[Utterance(QUESTION, speech_secs=1.5)])
    assert call.words() == QUESTION
    assert simulator.requests[0].audio_bytes == 64_000 + len(recording("where-studied"))


# --- Silence ------------------------------------------------------------------------------------


def test_a_line_that_is_given_no_audio_is_kept_alive_and_one_that_is_needs_nothing(
    silero: SileroEngine,
) -> None:
    async def story(call: Call, _: DeepgramSimulator) -> None:
        await call.say(silence(9))
        await asyncio.sleep(21)
        await ask(call, _)

    call, simulator = told(silero, story, script=[QUESTION])
    (request,) = simulator.requests
    kept = [
        at - request.at_secs for at, message in request.messages if message["type"] == "KeepAlive"
    ]
    assert len(kept) == 5
    assert all(3 <= later - earlier <= 5 for earlier, later in itertools.pairwise(kept))
    assert call.words() == QUESTION
    assert not call.errors()


def test_deepgram_hangs_up_on_who_sends_nothing(silero: SileroEngine) -> None:
    async def story(call: Call, _: DeepgramSimulator) -> None:
        await asyncio.sleep(12)
        await ask(call, _)

    call, simulator = told(silero, story, script=[QUESTION], times=ConnectionTimes(keepalive=60.0))
    assert simulator.requests[0].closed_with == 1011
    assert "NET-0001" in call.errors()[0]
    assert call.words() == QUESTION
    assert call.stt.is_usable


# --- Faults -------------------------------------------------------------------------------------

SAID = Utterance(QUESTION, speech_secs=1.45)
"""Each word is heard only if its own audio comes."""


@pytest.mark.parametrize(
    "fault",
    [
        Fault("drop", at_secs=1.5, connection=0),
        Fault("cut", at_secs=1.5, connection=0),
        Fault("close", at_secs=1.5, connection=0, code=1011, reason="NET-0000"),
        Fault("close", at_secs=1.5, connection=0, code=1008, reason="DATA-0000"),
        Fault("stall", at_secs=0.9, connection=0),
        Fault("status", connection=0, code=503),
        Fault("hang", connection=0),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.code}",
)
def test_no_word_is_lost_when_the_connection_is(silero: SileroEngine, fault: Fault) -> None:
    async def story(call: Call, _: DeepgramSimulator) -> None:
        await call.say(silence(0.5), recording("where-studied"), silence(6))

    times = ConnectionTimes(connect=1.0)
    call, simulator = told(silero, story, script=[SAID], faults=[fault], times=times)
    assert len(simulator.requests) == 2
    assert call.words() == QUESTION
    assert call.story()[-1] == "end proposed"
    assert len(call.errors()) == 1
    assert call.stt.is_usable


def test_words_that_were_final_before_a_drop_are_not_said_twice(silero: SileroEngine) -> None:
    async def story(call: Call, _: DeepgramSimulator) -> None:
        await call.say(silence(0.3), recording("pause-studied"), silence(3))

    script = [Utterance("Can you tell me"), Utterance("where she studied?", speech_secs=0.9)]
    faults = [Fault("drop", at_secs=2.6, connection=0)]
    call, simulator = told(silero, story, script=script, faults=faults)
    assert len(simulator.connections) == 2
    assert call.words() == "Can you tell me where she studied?"
    replayed = simulator.requests[1].audio_bytes / 32_000
    assert replayed < 5.0


def test_in_silence_a_lost_connection_costs_no_replay(silero: SileroEngine) -> None:
    async def story(call: Call, _: DeepgramSimulator) -> None:
        await call.say(silence(6), recording("where-studied"), silence(1.5))

    call, simulator = told(
        silero, story, script=[QUESTION], faults=[Fault("drop", at_secs=5.0, connection=0)]
    )
    assert call.words() == QUESTION
    after = 1.0 + len(recording("where-studied")) / 32_000 + 1.5
    assert simulator.requests[1].audio_bytes / 32_000 < after + 1.2


def test_garbage_is_passed_over(silero: SileroEngine) -> None:
    faults = [Fault("garbage", at_secs=1.0)]
    call, simulator = told(silero, ask, script=[QUESTION], faults=faults)
    assert call.words() == QUESTION
    assert len(simulator.requests) == 1
    assert not call.errors()


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (400, "Bad Request"),
        (401, "Invalid credentials"),
        (402, "does not have enough credits"),
        (403, "does not have access"),
        (404, ""),
    ],
)
def test_a_refusal_is_for_good(silero: SileroEngine, code: int, why: str) -> None:
    if code == 401:
        call, simulator = told(silero, ask, key="another-key")
    else:
        call, simulator = told(silero, ask, faults=[Fault("status", code=code)])
    assert len(simulator.requests) == 1
    assert simulator.requests[0].status == code
    (error,) = call.errors()
    assert f"refused the connection with {code}" in error
    assert why in error
    assert not call.stt.is_usable


@pytest.mark.parametrize("code", [408, 425, 429, 500, 503])
def test_a_refusal_that_passes_costs_no_word(silero: SileroEngine, code: int) -> None:
    faults = [
        Fault("status", code=code, connection=0, retry_after_secs=0.5),
        Fault("status", code=code, connection=1),
    ]
    call, simulator = told(silero, ask, script=[SAID], faults=faults)
    assert [request.status for request in simulator.requests] == [code, code, 101]
    assert call.words() == QUESTION
    assert len(call.errors()) == 1
    assert call.stt.is_usable
    if code == 429:
        waits = [request.at_secs - simulator.requests[0].at_secs for request in simulator.requests]
        assert waits[1] > 0.49, "as long as it asks for"
        assert waits[2] - waits[1] > 0.59, "and longer the second time"


def test_too_many_keyterms_are_refused_by_deepgram_and_never_sent(silero: SileroEngine) -> None:
    names = [f"Name Number {n}" for n in range(300)]
    call, simulator = told(silero, ask, script=[QUESTION], keyterms=names)
    assert simulator.requests[0].status == 101
    assert call.words() == QUESTION


def test_an_outage_is_tried_again_ever_more_slowly_told_when_long_and_over_when_it_is_over(
    silero: SileroEngine,
) -> None:
    async def story(call: Call, simulator: DeepgramSimulator) -> None:
        simulator.faults.append(Fault("status", code=500))
        await call.say(silence(2))
        usable = [call.stt.is_usable]
        await call.say(silence(12))
        usable.append(call.stt.is_usable)
        simulator.faults.clear()
        await call.say(silence(6))
        assert [*usable, call.stt.is_usable] == [True, False, True]
        await ask(call, simulator)

    call, simulator = told(
        silero, story, script=[QUESTION], faults=[Fault("drop", at_secs=0.5, connection=0)]
    )
    times = [request.at_secs for request in simulator.requests]
    waits = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert waits == sorted(waits)
    assert 4 < waits[-1] < 5.5
    assert len(call.errors()) == 2
    assert call.words() == QUESTION


@pytest.mark.parametrize("politely", [True, False])
def test_a_call_ends_in_bounded_time_whatever_deepgram_does(
    silero: SileroEngine, politely: bool
) -> None:
    async def story(call: Call, _: DeepgramSimulator) -> None:
        await call.say(silence(0.5), recording("where-studied")[:32_000])
        began = asyncio.get_running_loop().time()
        await call.end(politely=politely)
        assert asyncio.get_running_loop().time() - began < 1.0

    told(silero, story, faults=[Fault("stall")])
    told(silero, story, faults=[Fault("hang")])
    told(silero, story, faults=[Fault("drop", at_secs=0.3), Fault("status", code=500)])


def test_no_key_and_no_voice_is_in_any_log(silero: SileroEngine) -> None:
    lines: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    ear, root = Ear(), logging.getLogger()
    sink = logger.add(lines.append, level="TRACE", diagnose=True, backtrace=True)
    level = root.level
    root.addHandler(ear)
    root.setLevel(logging.DEBUG)
    try:
        faults = [
            Fault("cut", at_secs=1.0, connection=0),
            Fault("garbage", at_secs=0.5, connection=1),
            Fault("close", at_secs=2.0, connection=1),
        ]
        told(silero, ask, script=[QUESTION], faults=faults)
        told(silero, ask, key="another-secret-key")
    finally:
        root.setLevel(level)
        root.removeHandler(ear)
        logger.remove(sink)
    text = "\n".join(lines)
    assert "deepgram" in text.lower()
    assert KEY not in text
    assert "another-secret-key" not in text
    audio = recording("where-studied")
    for at in range(8_000, len(audio), 640):
        piece = audio[at : at + 8]
        assert repr(piece)[2:-1] not in text
        assert piece.hex(" ") not in text.lower()
        assert piece.hex() not in text.lower()


# --- Audio that is kept -------------------------------------------------------------------------


@given(st.lists(st.tuples(st.sampled_from("atrhk"), st.integers(1, 400)), max_size=60))
def test_kept_audio_is_sent_in_order_without_gaps_but_for_what_is_let_go(
    steps: list[tuple[str, int]],
) -> None:
    untranscribed = UntranscribedAudio(max_bytes=1000)
    said = b""
    place = 0
    for step, size in steps:
        match step:
            case "a":
                audio = bytes((len(said) + n) % 251 for n in range(size))
                said += audio
                untranscribed.add(audio)
            case "t":
                audio = untranscribed.next_unsent(size)
                place = max(place, untranscribed.end - len(untranscribed.audio))
                assert audio == said[place : place + size]
                place += len(audio)
            case "r":
                place = untranscribed.rewind()
            case "h":
                before = untranscribed.audio
                untranscribed.mark_transcribed(untranscribed.end - size)
                assert before.endswith(untranscribed.audio)
            case "k":
                untranscribed.trim_to(size)
        assert len(untranscribed.audio) <= 1000
        assert untranscribed.end == len(said)
        assert said.endswith(untranscribed.audio)


@pytest.mark.parametrize("setting", ["connect", "keepalive", "stall", "replay", "close"])
def test_a_wait_of_nothing_is_refused(setting: str) -> None:
    with pytest.raises(ValueError, match=f"{setting} is 0.0 s"):
        ConnectionTimes(**{setting: 0.0})


def test_settings_out_of_range_are_named() -> None:
    with pytest.raises(ValueError, match="api_key is empty"):
        create_client(" ")
    with pytest.raises(ValueError, match="base_url is 'localhost'"):
        create_client(KEY, base_url="localhost")
    client = create_client(KEY)
    with pytest.raises(ValueError, match="utterance_end_ms is 500: it must be 1000 to 5000"):
        DeepgramSTT(client=client, utterance_end_ms=500)
    with pytest.raises(ValueError, match="endpointing_ms is 0"):
        DeepgramSTT(client=client, endpointing_ms=0)
