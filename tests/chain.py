"""A call's chain from turn taking on, with scripted vendors, in virtual time.

Turn taking, the grounded responder and the voice's way out are the real ones; what is scripted is
what vendors do: the transcripts come from the test, the brain answers at a set pace, and the voice
is audio in which every sample is the number of the turn it answers.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from aiohttp import WSMessage, WSMsgType
from pipecat.frames.frames import (
    Frame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.settings import TTSSettings
from pipecat.utils.asyncio.task_manager import TaskManager
from pipecat.workers.base_worker import WorkerParams

from conversation.frames import EndOfTurnFrame, Usage
from conversation.records import CallerIdentity, CallRecord
from conversation.turns import INPUT_SAMPLE_RATE, OUTPUT_SAMPLE_RATE, Conversation
from knowledge.loading.document import load
from processors.brain.contract import (
    ArgumentsDelta,
    BrainEvent,
    Question,
    ToolStart,
    UsageReport,
)
from processors.brain.decision_keeper import DecisionKeeper
from processors.brain.responder import GroundedResponder
from processors.brain.speculation import Speculation
from processors.brain.tools import FunctionTool
from processors.contract import FilterStage, in_order
from processors.stage_boundary import observed
from processors.tts.failover import TextToSpeechFailover
from processors.tts.speech_queue import SpeechQueue
from processors.turns.contract import TurnTakingMaker
from processors.turns.keeper import TurnKeeper
from processors.turns.processor import TurnTaking
from processors.turns.state_machine import Ending
from recording.recorder import Facts, Recorder, RecordingTarget
from settings import Settings
from transports.browser.page import Page
from transports.browser.transport import BrowserTransport

CV = Path(__file__).parent / "answers.md"
PROMPT_SAMPLE = 30_000
"""What the samples of prompts are, which answer no turn."""


class ScriptedBrain:
    """Answers every question with the same two sentences, or what a tool gave, token by token."""

    name = "scripted"

    def __init__(self, *, first_token_secs: float = 0.05, token_secs: float = 0.01) -> None:
        self.first_token_secs = first_token_secs
        self.token_secs = token_secs
        self.asked: list[str] = []
        self.aborted = 0
        self.looks_up: tuple[str, dict[str, Any]] | None = None  # a tool called before it answers

    async def decide(self, question: Question) -> AsyncIterator[BrainEvent]:
        tool, answer = "respond", "She studied at Vassar. Then she went to Yale."
        arguments: dict[str, Any] = {"sections": ["education"], "confidence": "high"}
        arguments["answer"] = answer
        if self.looks_up and not question.calls:
            tool, arguments = self.looks_up
        elif question.calls:
            arguments["sections"] = [f"tool/{question.calls[0].tool}"]
            arguments["answer"] = question.calls[0].result
        self.asked.append(question.text)
        self.aborted += 1
        yield UsageReport(Usage(input_tokens=100))
        await asyncio.sleep(self.first_token_secs)
        yield ToolStart(tool)
        text = json.dumps(arguments)
        for start in range(0, len(text), 6):
            yield ArgumentsDelta(text[start : start + 6])
            await asyncio.sleep(self.token_secs)
        self.aborted -= 1


class ScriptedVoice(SpeechQueue):
    """Speaks 60 ms a character, ten times faster than real time; its samples name the turn."""

    def __init__(
        self,
        conversation: Conversation,
        *,
        first_audio_secs: float = 0.04,
        fails_at: str = "",
    ) -> None:
        super().__init__(
            sample_rate=OUTPUT_SAMPLE_RATE,
            push_start_frame=True,
            push_stop_frames=True,
            settings=TTSSettings(model="scripted", voice="scripted", language="en"),
        )
        self._conversation = conversation
        self._first_audio_secs = first_audio_secs
        self._fails_at = fails_at
        self._answer = 0

    async def process_frame(self, frame: Frame, direction: Any) -> None:
        self._answer = getattr(frame, "turn", self._answer)
        await super().process_frame(frame, direction)

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        answers = text.startswith(("She studied", "Then she"))
        value = self._answer if answers else PROMPT_SAMPLE
        await asyncio.sleep(self._first_audio_secs)
        for at in range(len(text)):
            if self._fails_at and text[at:].startswith(self._fails_at):
                await self.push_error("out of credit", force_treat_as_permanent=True)
                return
            await asyncio.sleep(0.006)
            pcm = np.full(int(0.06 * OUTPUT_SAMPLE_RATE), value, np.int16).tobytes()
            yield TTSAudioRawFrame(pcm, OUTPUT_SAMPLE_RATE, 1, context_id=context_id)


@dataclass
class ScriptedSocket:
    """The page's end: it plays in real time what it is sent, and reports it."""

    reports: bool = True
    closed: bool = False
    sent: list[tuple[float, bytes | dict[str, Any]]] = field(default_factory=list)
    received: "asyncio.Queue[WSMessage]" = field(default_factory=asyncio.Queue)
    epoch: int = 0
    queued: int = 0
    played: int = 0

    async def send_str(self, text: str) -> None:
        message = json.loads(text)
        self.sent.append((self._now(), message))
        if message["type"] == "bot-interrupted":
            self._report(final=True)
            self.epoch, self.queued, self.played = self.epoch + 1, 0, 0

    async def send_bytes(self, audio: bytes) -> None:
        self.sent.append((self._now(), audio))
        self.queued += len(audio) // 2

    async def receive(self) -> WSMessage:
        return await self.received.get()

    async def close(self) -> None:
        self.closed = True

    def hear(self, audio: bytes) -> None:
        """Audio of the page's microphone."""
        self.received.put_nowait(WSMessage(WSMsgType.BINARY, audio, None))

    async def play(self) -> None:
        """Play what has come, 20 ms at a time."""
        for tick in range(1_000_000):
            await asyncio.sleep(0.02)
            step = min(self.queued, OUTPUT_SAMPLE_RATE // 50)
            self.queued -= step
            self.played += step
            if step and (tick % 5 == 0 or not self.queued or self.played == step):
                self._report()

    def _report(self, *, final: bool = False) -> None:
        if not self.reports:
            return
        played = {"epoch": self.epoch, "samples": self.played, "final": final}
        text = json.dumps(
            {
                "label": "rtvi-ai",
                "type": "client-message",
                "id": "1",
                "data": {"t": "playback", "d": played},
            }
        )
        self.received.put_nowait(WSMessage(WSMsgType.TEXT, text, None))

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def kinds(self) -> list[str]:
        """What was sent, each message by its kind, audio once a run."""
        names: list[str] = []
        for _, message in self.sent:
            name = "audio" if isinstance(message, bytes) else kind_of(message)
            if name != "audio" or not names or names[-1] != "audio":
                names.append(name)
        return names

    def own(self, kind: str) -> list[dict[str, Any]]:
        """Every ``server-message`` of a kind."""
        return [
            message["data"]
            for _, message in self.sent
            if isinstance(message, dict) and kind_of(message) == kind
        ]


def kind_of(message: dict[str, Any]) -> str:
    """A message's type, or its payload's where it is one of Viva's own."""
    if message["type"] == "server-message":
        return str(message["data"]["type"])
    return str(message["type"])


class ScriptedCall:
    """A running chain and its page.

    ``turns`` makes what stands in place of turn taking, ``filters`` stand between brain and voice,
    ``tools`` may be called by the brain.
    """

    def __init__(
        self,
        *,
        reports: bool = True,
        instant: bool = False,
        ending: Ending = "model",
        preemptive: bool = False,
        voice_fails_at: str = "",
        earned_tokens: int = 500,
        target: RecordingTarget | None = None,
        turns: TurnTakingMaker | None = None,
        filters: Sequence[FilterStage] = (),
        tools: Sequence[FunctionTool] = (),
    ) -> None:
        self.conversation = Conversation()
        # Turns of other calls have earned what this one may waste.
        self.speculation = Speculation()
        self.speculation.record_used(100)
        self.speculation.used_tokens = earned_tokens
        self.socket = ScriptedSocket(reports=reports)
        self.ended: list[str] = []
        self.brain = ScriptedBrain()
        self.voice: FrameProcessor = ScriptedVoice(self.conversation)
        if voice_fails_at:
            self.voice = TextToSpeechFailover(
                [ScriptedVoice(self.conversation, fails_at=voice_fails_at), self.voice],
                names=["first", "second"],
            )
        self.turn_taking = TurnTaking(
            self.conversation, instant=instant, ending=ending, preemptive=preemptive
        )
        self.recorder: Recorder | None = None
        if target is not None:
            self.recorder = self.conversation.observer = self._recorder(target)
            self.conversation.kept = self.recorder.turn
        self.page = Page(self.socket)  # type: ignore[arg-type]
        transport = BrowserTransport(self.page, self.conversation, ended=self.ended.append)
        self.responder = GroundedResponder(
            self.conversation,
            brain=self.brain,
            document=load(CV),
            speculation=self.speculation,
            tools=tools,
        )
        self._tasks = TaskManager(loop=asyncio.get_running_loop())
        self.worker = PipelineWorker(
            Pipeline(
                in_order(
                    transport.input(),
                    *observed(
                        self.conversation.observer,
                        ("turn", [turns(self.conversation) if turns else self.turn_taking]),
                        ("brain", [self.responder, *filters, DecisionKeeper(self.conversation)]),
                        ("tts", [self.voice]),
                    ),
                    TurnKeeper(self.conversation),
                    transport.output(),
                )
            ),
            params=PipelineParams(
                audio_in_sample_rate=INPUT_SAMPLE_RATE, audio_out_sample_rate=OUTPUT_SAMPLE_RATE
            ),
            task_manager=self._tasks,
            enable_rtvi=False,
            enable_turn_tracking=False,
            idle_timeout_secs=None,
        )

    def _recorder(self, target: RecordingTarget) -> Recorder:
        facts = Facts(
            settings=Settings.load(),
            vendors={"brain": "scripted", "tts": "scripted"},
            models={},
            ending=self.turn_taking.state_machine.ending,
            preemptive=False,
        )
        recorder = Recorder(target, facts, clock=self.conversation.clock)
        recorder.begun(self._record())
        return recorder

    def _record(self, why: str = "") -> CallRecord:
        started_at = self.conversation.wall()
        return CallRecord(
            id="c-scripted", caller=CallerIdentity(email="ada@example.com"), started_at=started_at,
            day="2026-11-24", document="Ada", why=why, turns=self.conversation.number,
        )  # fmt: skip

    async def __aenter__(self) -> Self:
        started = asyncio.Event()

        async def on_started(*_: object) -> None:
            started.set()

        self.worker.add_event_handler("on_pipeline_started", on_started)
        self._running = asyncio.create_task(self.worker.run(WorkerParams(task_manager=self._tasks)))
        await started.wait()
        self._playing = asyncio.create_task(self.socket.play())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._playing.cancel()
        await asyncio.gather(self._playing, return_exceptions=True)
        await self.worker.cancel()
        await self._running
        assert not self._tasks.current_tasks(), "a call leaves no task behind"
        if self.recorder is not None:
            self.conversation.record_rest()
            self.recorder.ended(self._record("hangup"))
            self.recorder.close()

    async def push(self, *frames: Frame) -> None:
        for frame in frames:
            await self.worker.queue_frame(frame)

    async def ask(self, text: str, *, doubt: float = 0.0) -> None:
        """Say something, fall silent, and be transcribed."""
        await self.push(VADUserStartedSpeakingFrame(start_secs=0.096))
        await asyncio.sleep(0.8)
        await self.push(VADUserStoppedSpeakingFrame(stop_secs=0.2))
        await self.push(EndOfTurnFrame(probability=0.95))
        await asyncio.sleep(0.1)
        heard = transcript(text)
        heard.metadata["doubt"] = doubt
        await self.push(heard)

    async def speak_over(self, text: str, *, interim_secs: float = 0.25) -> None:
        """Start to speak and be understood a moment later, without coming to an end."""
        await self.push(VADUserStartedSpeakingFrame(start_secs=0.096))
        await asyncio.sleep(interim_secs)
        await self.push(InterimTranscriptionFrame(text, "caller", ""))

    async def fall_silent(self, text: str) -> None:
        await self.push(VADUserStoppedSpeakingFrame(stop_secs=0.2))
        await self.push(EndOfTurnFrame(probability=0.95))
        await asyncio.sleep(0.1)
        await self.push(transcript(text))


def transcript(text: str) -> TranscriptionFrame:
    return TranscriptionFrame(text, "caller", "", finalized=True)


def samples_of(audio: bytes) -> set[int]:
    """Which turns' samples are in a message."""
    return {int(value) for value in np.unique(np.frombuffer(audio, np.int16))}
