"""Records a call: what each stage gave, what the page sent and was told, and how it was decided.

It hangs on the side of the chain. What a stage pushes is noted in the moment it is pushed, by a
look at its type; encoding and the disk are another thread's. Whatever goes wrong here ends the
recording, never the call.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from loguru import logger
from pipecat.frames.frames import ErrorFrame, Frame
from pipecat.processors.frame_processor import FrameDirection

from conversation.frames import FailoverFrame
from conversation.records import CallRecord, TurnRecord
from processors.brain.contract import (
    ArgumentsDelta,
    Brain,
    BrainError,
    BrainEvent,
    Question,
    ToolStart,
    UsageReport,
    events_of,
)
from processors.contract import ChainStage
from recording.frames import Contexts, kinds_of, of_history, of_usage, raw_audio, to_message
from recording.metadata import metadata
from recording.writer import Recordings, RecordingSink
from settings import Settings

Consent = Literal["", "asked", "told"]

_NOT_RECORDED = frozenset({"turn", "cost", "clock", "admitted"})
"""What a page is told that is in the recording already, or of another call's making."""

_OWN_TO_A_PROCESS = frozenset({"timestamp"})


@dataclass(frozen=True, slots=True)
class RecordingTarget:
    """Where a call's recording goes.

    Parameters:
        writer: Who writes it.
        folder: The folder of its file, which is called ``<call id>.mcap``.
        consent: How the caller agreed: ``asked``, or ``told`` before they called.
        source: Whether somebody called, or a recording is replayed.
        name: The file's name without its ending; empty for the call's id.
    """

    writer: Recordings
    folder: Path
    consent: Consent = ""
    source: Literal["call", "replay"] = "call"
    name: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a recording says of the engines that a call is held with.

    Parameters:
        settings: The settings; no secret of them is written.
        vendors: Name of each stage's vendor.
        models: Model of each vendor, by its name.
        ending: What ends the caller's turn.
        preemptive: Whether answers are begun before the turn is certain to be over.
    """

    settings: Settings
    vendors: Mapping[str, str]
    models: Mapping[str, str]
    ending: str
    preemptive: bool


class Recorder:
    """One call's recorder; it keeps its records as any of its listeners does.

    Parameters:
        target: Where the recording goes.
        facts: What the call is held with.
        clock: Seconds on the call's clock.
        lost: Called with a reason if the recording ends before the call.
    """

    def __init__(
        self,
        target: RecordingTarget,
        facts: Facts,
        *,
        clock: Callable[[], float],
        lost: Callable[[str], None] = lambda _reason: None,
    ) -> None:
        self._target = target
        self._facts = facts
        self._clock = clock
        self._lost = lost
        self._file: RecordingSink | None = None
        self._over = False
        self._start_ns = 0
        self._started_at = 0.0
        self._began = 0.0
        self._contexts = Contexts()
        self._asked = 0
        self._errors: set[int] = set()

    @property
    def live(self) -> bool:
        """Whether the call is being recorded."""
        return self._file is not None

    # What Call tells: these make it one of its listeners.

    def begun(self, record: CallRecord) -> None:
        """Open the file."""
        facts = self._facts
        self._started_at = record.started_at
        self._start_ns = round(record.started_at * 1e9)
        self._began = self._clock()
        about = metadata(
            call=record.id,
            started_at=record.started_at,
            document=record.document,
            document_hash=record.document_hash,
            settings=facts.settings,
            vendors=facts.vendors,
            models=facts.models,
            source=self._target.source,
            consent=self._target.consent,
        )
        path = self._target.folder / f"{self._target.name or record.id}.mcap"
        try:
            self._file = self._target.writer.open(path, about, lost=self._give_up)
        except Exception as error:
            self._give_up(str(error))
        self.write(
            "/call/Begin",
            {
                "call": record.id,
                "document": record.document,
                "document_hash": record.document_hash,
                "vendors": dict(facts.vendors),
                "models": dict(facts.models),
                "ending": facts.ending,
                "preemptive": facts.preemptive,
                "limit_secs": facts.settings.call_secs,
            },
        )

    def turn(self, record: TurnRecord) -> None:
        """Note a turn that is over."""
        if self._file is not None:
            told = record.as_dict()
            del told["call"]
            # A call without turns has one record, whose time is that of its end.
            self.write("/call/Turn", told | {"at": record.at - self._started_at})

    def ended(self, record: CallRecord) -> None:
        """Note why the call ended."""
        self.write(
            "/call/End",
            {
                "reason": record.why,
                "turns": record.turns,
                "duration_secs": self._clock() - self._began,
                "cost": asdict(record.cost),
            },
        )

    def close(self) -> None:
        """Nothing more comes: the page has been told of the end."""
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except Exception as error:
                self._give_up(str(error))
        self._over = True

    # What the line tells.

    def heard(self, pcm: bytes) -> None:
        """The caller's audio came: 16 bits, mono, 16 kHz."""
        if self._file is not None:
            self.write("/caller/audio", raw_audio(pcm, 16_000))

    def sent(self, pcm: bytes) -> None:
        """Audio is sent to the page: 16 bits, mono, 24 kHz."""
        if self._file is not None:
            self.write("/agent/audio", raw_audio(pcm, 24_000))

    def page_said(self, kind: str, data: Mapping[str, Any]) -> None:
        """The page said something.

        Args:
            kind: ``playback``, ``audible`` or ``hangup``.
            data: Its fields.
        """
        if self._file is not None:
            said = {**data, "type": kind}
            if "at" in said:
                said["at"] -= self._began
            self.write("/caller/page", said)

    def page_told(self, kind: str, data: Mapping[str, Any]) -> None:
        """The page is told something: by its ``type``, with its fields."""
        if self._file is not None and kind not in _NOT_RECORDED:
            told = {name: value for name, value in data.items() if name not in _OWN_TO_A_PROCESS}
            self.write("/agent/page", told | {"type": kind})

    # What the chain does.

    def tap(self, stage: str, first: ChainStage, last: ChainStage | None = None) -> None:
        """Note what leaves a stage, from now on.

        Args:
            stage: ``vad``, ``stt``, ``turn``, ``brain`` or ``tts``.
            first: The stage's first processor, whose errors go upstream.
            last: Its last, which gives what the next stage takes; ``None`` for the same one.
        """
        if last is None:
            self._tap(stage, first, tuple(FrameDirection))
        else:
            self._tap(stage, first, (FrameDirection.UPSTREAM,))
            self._tap(stage, last, (FrameDirection.DOWNSTREAM,))

    def _tap(
        self, stage: str, processor: ChainStage, directions: tuple[FrameDirection, ...]
    ) -> None:
        push = processor.push_frame
        kinds = kinds_of(stage)

        # No coroutine of its own: every frame of the call passes here.
        def noted(frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM) -> Any:
            if direction in directions and type(frame).__name__ in kinds:
                self._note(stage, frame, direction)
            return push(frame, direction)

        processor.push_frame = noted  # type: ignore[method-assign]

    def brain(self, brain: Brain) -> Brain:
        """A brain whose questions and answers are noted."""
        return _RecordedBrain(brain, self)

    def asked(self, question: Question) -> int:
        """Note a question to the brain.

        Returns:
            Its number, from 1.
        """
        self._asked += 1
        history = of_history(question.history)
        asked = {"ask": self._asked, "question": question.text, "history": history}
        calls = {"calls": [asdict(call) for call in question.calls]} if question.calls else {}
        self.write("/brain/Asked", asked | calls)
        return self._asked

    def write(self, topic: str, data: Mapping[str, Any]) -> None:
        """Note anything, at this moment.

        Args:
            topic: A key of :data:`recording.schemas.TOPICS`.
            data: What it says.
        """
        if self._file is None:
            return
        at_ns = self._start_ns + round((self._clock() - self._began) * 1e9)
        try:
            self._file.write(at_ns, topic, data)
        except Exception as error:
            self._give_up(str(error))

    def _note(self, stage: str, frame: Frame, direction: FrameDirection) -> None:
        if self._file is None:
            return
        if isinstance(frame, ErrorFrame):
            # It travels upstream: who pushes it first is where it comes from.
            if frame.id in self._errors:
                return
            self._errors.add(frame.id)
        elif direction is FrameDirection.UPSTREAM:
            return
        if isinstance(frame, FailoverFrame) and frame.stage != stage:
            return
        try:
            told = to_message(stage, frame, self._contexts)
        except Exception as error:
            self._give_up(f"{type(frame).__name__}: {error}")
            return
        if told is not None:
            kind, data = told
            self.write(f"/{stage}/{kind}", data)

    def _give_up(self, reason: str) -> None:
        if self._over:
            return
        self._over = True
        file, self._file = self._file, None
        logger.error("the call is not recorded any further: {}", reason)
        if file is not None:
            try:
                file.close()
            except Exception as error:
                logger.debug("the recording could not be closed: {}", error)
        self._lost(reason)


class _RecordedBrain:
    """A brain whose questions and answers are noted, each event when it comes."""

    def __init__(self, brain: Brain, recorder: Recorder) -> None:
        self._brain = brain
        self._recorder = recorder

    @property
    def name(self) -> str:
        """The brain's own."""
        return self._brain.name

    async def decide(self, question: Question) -> AsyncIterator[BrainEvent]:
        """Stream what the brain streams; raises as it does."""
        ask = self._recorder.asked(question)
        outcome: dict[str, Any] = {"event": "aborted"}
        try:
            async with aclosing(events_of(self._brain, question)) as events:
                async for event in events:
                    self._note(ask, _plain(event))
                    yield event
            outcome = {"event": "end"}
        except BrainError as error:
            outcome = {
                "event": "error",
                "error": str(error),
                "permanent": error.permanent,
                "retry_after_secs": error.retry_after_secs,
            }
            raise
        except Exception as error:
            outcome = {"event": "error", "error": str(error), "permanent": False}
            raise
        finally:
            self._note(ask, outcome)

    def _note(self, ask: int, event: Mapping[str, Any]) -> None:
        self._recorder.write("/brain/Event", {**event, "ask": ask, "brain": self._brain.name})


def _plain(event: BrainEvent) -> dict[str, Any]:
    match event:
        case ToolStart(name=name):
            return {"event": "tool_start", "name": name}
        case ArgumentsDelta(json=piece):
            return {"event": "arguments", "json": piece}
        case UsageReport(usage=usage):
            return {"event": "usage", "usage": of_usage(usage)}
