"""A transport that reports nothing has all its turns in the ledger, to the micro-dollar."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    MetricsFrame,
    TranscriptionFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.metrics.metrics import STTUsage, STTUsageMetricsData
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.filters.identity_filter import IdentityFilter
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.turns.user_start import VADUserTurnStartStrategy
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_processor import UserTurnProcessor
from pipecat.turns.user_turn_strategies import UserTurnStrategies

from conversation.far_end import FarEnd
from conversation.frames import EndOfTurnFrame, TurnFrame
from conversation.meter import Meter
from conversation.records import CallRecord, StageCost, Tariff, TurnRecord, Used
from conversation.turns import INPUT_SAMPLE_RATE, Conversation
from evals.replay import virtual_time
from examples.memory_transport import MemoryConnection
from knowledge.loading.document import load
from ledger.log import query
from ledger.money.prices import Prices
from ledger.store.database import Database
from pipeline.call import Call, Terms
from pipeline.choice import choose
from pipeline.engines import Engines
from pipeline.escalations import Escalations
from processors.brain.contract import Brain
from processors.stt.contract import SpeechToTextStage
from processors.tts.contract import TextToSpeechStage
from processors.tts.normalisation import document_normaliser
from processors.vad.contract import VoiceActivityStage
from settings import Settings
from tests.chain import CV, ScriptedBrain, ScriptedVoice
from tests.ledger.records import ADA, keep

ANSWER = "She studied at Vassar. Then she went to Yale."
MODELS = {"deepgram": "nova-3", "claude": "claude-haiku-4-5", "elevenlabs": "eleven_flash_v2_5"}
STEP_SECS = 0.02
"""Seconds of a piece of the caller's audio."""

GREETING_SECS = 5.0
"""Longer than the greeting, and shorter than the silence after it that is asked about."""


class ScriptedRecogniser(FrameProcessor):
    """Hears speech in every sample that is not 0, and knows what is said: the samples tell."""

    def __init__(self, said: dict[int, str]) -> None:
        super().__init__()
        self._said = said
        self._speaking: int | None = None
        self.heard_secs = 0.0

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if not isinstance(frame, InputAudioRawFrame):
            await self.push_frame(frame, direction)
            return
        value = int(np.frombuffer(frame.audio, np.int16)[0])
        if value and self._speaking is None:
            await self.push_frame(VADUserStartedSpeakingFrame(start_secs=STEP_SECS))
            self._speaking = value
            self._from = 0.0
        if self._speaking is not None:
            self._from += STEP_SECS
        if not value and self._speaking is not None:
            text, self._speaking = self._said[self._speaking], None
            self.heard_secs += self._from
            usage = STTUsage(audio_seconds=self._from)
            data = STTUsageMetricsData(processor=self.name, value=usage)
            await self.push_frame(MetricsFrame(data=[data]))
            await self.push_frame(VADUserStoppedSpeakingFrame(stop_secs=STEP_SECS))
            await self.push_frame(EndOfTurnFrame(probability=0.95))
            await self.push_frame(TranscriptionFrame(text, "caller", "", finalized=True))


class MeteredVoice(ScriptedVoice):
    """The scripted voice, which says what it was asked for as pipecat's services do."""

    def can_generate_metrics(self) -> bool:
        return True

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        await self.start_tts_usage_metrics(text)
        async for frame in super().run_tts(text, context_id):
            yield frame


@dataclass(frozen=True, slots=True)
class ScriptedEngines(Engines):
    """Vendors with the names and prices of real ones."""

    said: dict[int, str] = field(default_factory=dict)
    asked: list[ScriptedBrain] = field(default_factory=list)

    @property
    def brain(self) -> Brain:
        brain = ScriptedBrain()
        brain.name = "claude"
        self.asked.append(brain)
        return brain

    def meter(self, tariff: Tariff | None) -> Meter:
        vendors = {"stt": "deepgram", "brain": "claude", "tts": "elevenlabs"}
        return Meter(tariff, vendors=vendors, models=MODELS)

    def voice_activity(self, far_end: FarEnd | None = None) -> VoiceActivityStage:
        return IdentityFilter()  # it is the recogniser's here

    def speech_to_text(self, meter: Meter) -> SpeechToTextStage:
        recogniser = ScriptedRecogniser(self.said)
        meter.register_processor(recogniser.name, "stt", "deepgram")
        return recogniser

    def text_to_speech(self, meter: Meter) -> TextToSpeechStage:
        voice = MeteredVoice(Conversation())
        meter.register_processor(voice.name, "tts", "elevenlabs")
        return voice


class PipecatTurns(FrameProcessor):
    """What it takes to have pipecat's turn processor in place of Viva's: turns of its verdicts."""

    def __init__(self, conversation: Conversation) -> None:
        super().__init__()
        self._conversation = conversation
        self._words: list[str] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TranscriptionFrame):
            self._words.append(frame.text)
        await self.push_frame(frame, direction)
        if isinstance(frame, UserStoppedSpeakingFrame) and self._words:
            conversation, now = self._conversation, self._conversation.clock()
            question, history = " ".join(self._words), conversation.history()
            self._words.clear()
            turn = conversation.begin_turn(question, now, now)
            await self.push_frame(TurnFrame(turn=turn.number, question=question, history=history))


@dataclass
class Records:
    """What a call's listener is told."""

    turns: list[TurnRecord] = field(default_factory=list)
    calls: list[CallRecord] = field(default_factory=list)

    def begun(self, record: CallRecord) -> None:
        self.calls.append(record)

    def turn(self, record: TurnRecord) -> None:
        self.turns.append(record)

    def ended(self, record: CallRecord) -> None:
        self.calls.append(record)

    @property
    def last(self) -> dict[int, TurnRecord]:
        """The last record of each turn, which stands."""
        return {record.number: record for record in self.turns}


class MemoryCall:
    """A whole call over the transport in memory."""

    def __init__(self, said: list[str]) -> None:
        self.records = Records()
        self.prices = Prices.load(clock=lambda: datetime(2026, 11, 24, tzinfo=UTC).timestamp())
        settings = Settings(_env_file=None)  # type: ignore[call-arg]
        self.engines = ScriptedEngines(
            settings, load(CV), choose(settings), {}, said=dict(enumerate(said, 1))
        )
        self.connection = MemoryConnection()
        terms = Terms(id="c-memory", caller=ADA, listeners=[self.records], tariff=self.prices)
        self.call = Call(self.connection, self.engines, Escalations(Path("/nonexistent")), terms)

    async def speak(self, number: int, secs: float = 1.0) -> None:
        """Say one of the things that are to be said, and fall silent."""
        for value in [*[number] * round(secs / STEP_SECS), 0]:
            pcm = np.full(int(STEP_SECS * INPUT_SAMPLE_RATE), value, np.int16).tobytes()
            await self.connection.memory.source.receive_audio(pcm)
            await asyncio.sleep(STEP_SECS)


Story = Callable[[MemoryCall], Coroutine[Any, Any, None]]


def hold(story: Story, *said: str) -> MemoryCall:
    async def play() -> MemoryCall:
        held = MemoryCall(list(said))
        running = asyncio.create_task(held.call.run())
        begun = asyncio.create_task(held.connection.begun.wait())
        await asyncio.wait((begun, running), return_when=asyncio.FIRST_COMPLETED)
        assert begun.done(), f"the call ended before it began: {running.result()}"
        await asyncio.sleep(GREETING_SECS)
        await story(held)
        held.call.end("hangup")
        await running
        return held

    return virtual_time.run(play())


def expected_cost(prices: Prices, used: Used) -> StageCost:
    """What the price table asks for what was used, stage by stage."""
    heard = Used(audio_seconds=used.audio_seconds)
    spoken = Used(characters=used.characters)
    read = Used(input_tokens=used.input_tokens, output_tokens=used.output_tokens)
    return StageCost(
        stt=prices.cost("deepgram", MODELS["deepgram"], heard),
        brain=prices.cost("claude", MODELS["claude"], read),
        tts=prices.cost("elevenlabs", MODELS["elevenlabs"], spoken),
    )


def in_ledger(held: MemoryCall, folder: Path) -> list[dict[str, Any]]:
    """The rows that the call's records make, after the call's own was checked against them."""
    database = Database.from_url(f"sqlite:///{folder / 'viva.db'}")
    keep(database, *held.records.turns, *held.records.calls)
    rows, (call,) = query.list_turns(database), query.list_calls(database)
    assert call["cost"] == sum(row["cost"] for row in rows)
    database.close()
    return rows


def test_two_answers_that_are_heard_to_their_end_are_two_rows(tmp_path: Path) -> None:
    async def story(held: MemoryCall) -> None:
        await held.speak(1)
        await asyncio.sleep(8.0)
        await held.speak(2, secs=1.5)
        await asyncio.sleep(8.0)

    held = hold(story, "Where did she study?", "And after that?")
    rows = in_ledger(held, tmp_path)
    assert [row["question"] for row in rows] == ["Where did she study?", "And after that?"]
    assert [row["heard_text"] for row in rows] == [ANSWER, ANSWER]
    assert [row["interrupted"] for row in rows] == [False, False]
    document = load(CV)
    greeting = document_normaliser(document)(document.persona.greeting).text
    wanted = [
        Used(input_tokens=100, characters=len(greeting) + len(ANSWER) - 1, audio_seconds=1.02),
        Used(input_tokens=100, characters=len(ANSWER) - 1, audio_seconds=1.52),
    ]
    for row, used in zip(rows, wanted, strict=True):
        assert row["characters"] == used.characters
        assert row["audio_seconds"] == pytest.approx(used.audio_seconds)
        cost = expected_cost(held.prices, used)
        assert (row["stt_cost"], row["brain_cost"], row["tts_cost"]) == (
            cost.stt,
            cost.brain,
            cost.tts,
        )
        assert 0.0 < row["e2e_latency"] < 1.0
    assert len(held.records.turns) == 3, "each turn once, and the last again at the end"


def test_an_answer_that_is_spoken_over_is_a_row_of_what_was_heard(tmp_path: Path) -> None:
    async def story(held: MemoryCall) -> None:
        await held.speak(1)
        await asyncio.sleep(1.5)
        await held.speak(2)
        await asyncio.sleep(8.0)

    held = hold(story, "Where did she study?", "No wait, when was that?")
    first, second = in_ledger(held, tmp_path)
    assert (first["interrupted"], second["interrupted"]) == (True, False)
    assert first["answer"] == second["heard_text"] == ANSWER
    assert first["heard_text"]
    assert ANSWER.startswith(first["heard_text"])
    assert first["heard_text"] != ANSWER
    assert held.connection.over == "hangup"


def test_an_interruption_that_somebody_else_sends_closes_the_turn_it_interrupts(
    tmp_path: Path,
) -> None:
    async def story(held: MemoryCall) -> None:
        await held.speak(1)
        await asyncio.sleep(1.5)
        await held.connection.memory.source.push_frame(InterruptionFrame())
        await asyncio.sleep(1.0)
        (turn,) = held.call.conversation.turns
        assert turn.closed
        assert held.call.conversation.is_stale(1)
        await held.speak(2)
        await asyncio.sleep(8.0)

    held = hold(story, "Where did she study?", "And after that?")
    first, second = in_ledger(held, tmp_path)
    assert (first["interrupted"], second["interrupted"]) == (True, False)
    assert ANSWER.startswith(first["heard_text"])
    assert first["heard_text"] != ANSWER == second["heard_text"]


def test_with_the_turn_processor_of_pipecat_no_interrupted_turn_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_place_of_ours(conversation: Conversation, **_: Any) -> Pipeline:
        strategies = UserTurnStrategies(
            start=[VADUserTurnStartStrategy()],
            stop=[SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.3)],
        )
        turn_processor = UserTurnProcessor(user_turn_strategies=strategies)
        return Pipeline([turn_processor, PipecatTurns(conversation)])

    monkeypatch.setattr("pipeline.chain.TurnTaking", in_place_of_ours)

    async def story(held: MemoryCall) -> None:
        await held.speak(1)
        await asyncio.sleep(2.0)
        await held.speak(2)
        await asyncio.sleep(2.0)
        await held.speak(3)
        await asyncio.sleep(8.0)

    held = hold(story, "Where did she study?", "And after that?", "And then?")
    rows = in_ledger(held, tmp_path)
    assert [row["number"] for row in rows] == [1, 2, 3]
    assert [row["interrupted"] for row in rows] == [True, True, False]
    assert all(row["cost"] > 0 for row in rows)
    assert rows[2]["heard_text"] == ANSWER
    assert all(ANSWER.startswith(row["heard_text"]) for row in rows)
