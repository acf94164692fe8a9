"""One call: owns its connection, chain, conversation, clock and time limit.

Every way in which a call can end goes through :meth:`Call.end`.
"""

import asyncio
import secrets
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from loguru import logger
from pipecat.frames.frames import ErrorFrame, TTSSpeakFrame
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.stt_service import STTService
from pipecat.services.tts_service import TTSService
from pipecat.utils.asyncio.task_manager import TaskManager
from pipecat.workers.base_worker import WorkerParams

from conversation.frames import EndCallFrame, EscalationFrame
from conversation.records import (
    CallerIdentity,
    CallListener,
    CallRecord,
    StageCost,
    Tariff,
    TurnRecord,
    day_of,
)
from conversation.turns import (
    INPUT_SAMPLE_RATE,
    OUTPUT_SAMPLE_RATE,
    Conversation,
    FollowUp,
    Money,
)
from pipeline import chain
from pipeline.engines import Engines
from pipeline.escalations import Escalations
from pipeline.transport import Transport
from recording.recorder import Facts, Recorder, RecordingTarget

LAST_WORDS_SECS = 8.0
"""Maximum time for a call's last words to be played."""

START_TIMEOUT_SECS = 10.0
"""Maximum time for a chain to start."""

CANCEL_TIMEOUT_SECS = 2.0
"""Maximum time for a chain to stop."""

REASONS: Mapping[str, str] = {
    "hangup": "You hung up.",
    "disconnected": "The connection was lost.",
    "silence": "Nobody spoke for a while, so the call was ended.",
    "cap": "This call has reached its time limit.",
    "call_budget": "This call has used up the money set aside for it.",
    "capacity": "All lines are busy. Please try again in a minute.",
    "budget": "Today's money for calls is used up. Please call again tomorrow.",
    "daily_calls": "You have made as many calls as one may in a day. Please call again tomorrow.",
    "open_calls": "You have as many calls open as one may. Please end one and call again.",
    "protocol": "The page sent messages that could not be understood, or too many of them.",
    "stalled": "The page stopped taking in what was sent.",
    "fault": "Something went wrong on this side. Please call again.",
    "shutdown": "The server is being stopped. Please call again later.",
}
"""Reasons for which a call ends, with the message for the caller."""

_TIME_IS_SHORT = "We have about {left} seconds left."
_TIME_IS_UP = "I'm afraid our time is up. Thank you for calling. Goodbye."
_MONEY_IS_UP = "I'm afraid that was all this call may cost. Thank you for calling. Goodbye."


def new_call_id() -> str:
    """Create a random call id."""
    return f"c-{secrets.token_hex(8)}"


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of a call: its caller, its spending limits and its listeners.

    Parameters:
        id: The call's id.
        caller: Who calls.
        day: The UTC day that the call's cost counts toward; empty for the day it begins.
        listeners: Receive the records of the call and its turns.
        tariff: Prices of vendors; ``None`` to leave costs out.
        call_cap: Spending limit of the call in micro-dollars; ``None`` without one.
        day_cap: Spending limit of all calls of the day; ``None`` without one.
        day_spent: What the day's calls have cost so far; ``None`` if unknown.
        may_continue: Whether a call may have another turn, given its cost in micro-dollars.
        follow_up: Who can answer the questions that the call leaves.
    """

    id: str = field(default_factory=new_call_id)
    caller: CallerIdentity = field(default_factory=CallerIdentity)
    day: str = ""
    listeners: Sequence[CallListener] = ()
    tariff: Tariff | None = None
    call_cap: int | None = None
    day_cap: int | None = None
    day_spent: Callable[[], int | None] = lambda: None
    may_continue: Callable[[int], bool] = lambda _spent: True
    follow_up: FollowUp = "person"


class CallerConnection(Protocol):
    """Connects a call to its caller; each kind of transport has one."""

    def transport(self, conversation: Conversation, ended: Callable[[str], None]) -> Transport:
        """Create the call's transport; ``ended`` is called when the caller leaves."""
        ...

    async def announce_recording(self, *, on: bool) -> None:
        """Tell the caller whether the call is being recorded."""
        ...

    async def announce_start(self, call: str, limit_secs: float, money: Money) -> None:
        """Tell the caller that the call has started, with its limits of time and money."""
        ...

    async def announce_time_left(self, limit_secs: float, left_secs: float) -> None:
        """Tell the caller that time is running out."""
        ...

    async def announce_problem(self, message: str) -> None:
        """Tell the caller of a problem that does not end the call."""
        ...

    async def finish(self, reason: str, message: str) -> None:
        """Tell the caller why the call is over, and close the connection."""
        ...


def _told(processor: FrameProcessor | None) -> str:
    """What a stage is called to a caller, to whom the class of a vendor means nothing."""
    match processor:
        case STTService():
            return "Speech recognition"
        case TTSService():
            return "The voice"
        case _:
            return "A part of the call"


def _turn_of(conversation: Conversation | None) -> int:
    return conversation.number if conversation is not None else 0


class Call:
    """One call, from its caller's readiness to its end.

    Parameters:
        connection: The caller's end of the call.
        engines: The document and the loaded vendors, shared by all calls.
        escalations: Queue of the questions handed to a human.
        terms: Caller, spending limits and listeners.
        target: Where to write the recording; ``None`` to record nothing.
    """

    def __init__(
        self,
        connection: CallerConnection,
        engines: Engines,
        escalations: Escalations,
        terms: Terms | None = None,
        target: RecordingTarget | None = None,
    ) -> None:
        self._terms = terms = terms or Terms()
        self.id = terms.id
        self.conversation = Conversation(
            call=self.id,
            meter=engines.meter(terms.tariff),
            money=Money(call_cap=terms.call_cap, day=terms.day_spent(), day_cap=terms.day_cap),
            kept=self._kept,
            affordable=self._affordable,
            follow_up=terms.follow_up,
        )
        self._costs: dict[int, StageCost] = {}
        self._broke = asyncio.Event()
        self._connection = connection
        self._engines = engines
        self._escalations = escalations
        self._settings = engines.settings
        self._target = target
        self._recorder = self._recorder_for(target) if target is not None else None
        if self._recorder is not None:
            self.conversation.observer = self._recorder
        self._listeners: tuple[CallListener, ...] = (
            *terms.listeners,
            self.conversation.observer,
        )
        self._announcing: set[asyncio.Task[None]] = set()
        self._over: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def end(self, reason: str) -> None:
        """End the call; only the first reason counts."""
        if not self._over.done():
            self._over.set_result(reason)

    def address_left(self) -> None:
        """Take note that the caller has left an address, where a person can answer them."""
        self.conversation.follow_up = "person"
        self.conversation.observer.page_said("address", {})

    def address_removed(self) -> None:
        """Take note that the caller has taken their address back: again nobody can answer them."""
        self.conversation.follow_up = self._terms.follow_up
        self.conversation.observer.page_said("address", {"left": False})

    async def run(self) -> str:
        """Run the call to its end.

        Returns:
            The reason it ended, a key of :data:`REASONS`.
        """
        # A weak reference: tasks that outlive the call may have started in its logging context.
        conversation = weakref.ref(self.conversation)
        with logger.contextualize(call=self.id, turn=lambda: _turn_of(conversation())):
            logger.info("call begins")
            record = self._open_record()
            reason = "fault"
            try:
                reason = await self._hold()
            except asyncio.CancelledError:
                reason = "shutdown"
                raise
            except Exception:
                logger.exception("call failed")
            finally:
                logger.info("call ends: {}, {} turns", reason, self.conversation.number)
                self._close_record(record, reason)
                try:
                    await self._connection.finish(reason, REASONS[reason])
                finally:
                    if self._recorder is not None:
                        self._recorder.close()
        return reason

    async def _hold(self) -> str:
        transport = self._connection.transport(self.conversation, self.end)
        tasks = TaskManager(loop=asyncio.get_running_loop())
        worker = PipelineWorker(
            chain.build(transport, self.conversation, self._engines),
            params=PipelineParams(
                audio_in_sample_rate=INPUT_SAMPLE_RATE,
                audio_out_sample_rate=OUTPUT_SAMPLE_RATE,
                enable_usage_metrics=True,
            ),
            task_manager=tasks,
            enable_rtvi=False,
            enable_turn_tracking=False,
            idle_timeout_secs=None,
            cancel_timeout_secs=CANCEL_TIMEOUT_SECS,
            setup_timeout_secs=START_TIMEOUT_SECS,
            start_timeout_secs=START_TIMEOUT_SECS,
        )
        started = asyncio.Event()

        async def on_started(*_: object) -> None:
            started.set()

        worker.add_event_handler("on_pipeline_started", on_started)
        worker.add_event_handler("on_pipeline_error", self._on_error)
        worker.set_reached_downstream_filter((EscalationFrame,))
        worker.add_event_handler("on_frame_reached_downstream", self._on_escalation)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(worker.run(WorkerParams(task_manager=tasks)))
            running.add_done_callback(lambda _: self.end("fault"))
            talking = group.create_task(self._talk(worker, started))
            warming = group.create_task(self._warm())
            paying = group.create_task(self._stop_in_time(worker))
            try:
                reason = await self._over
            finally:
                talking.cancel()
                warming.cancel()
                paying.cancel()
                await worker.cancel(reason="call over")
        return reason

    async def _talk(self, worker: PipelineWorker, started: asyncio.Event) -> None:
        """Greet the caller and enforce the time limit."""
        await started.wait()
        settings = self._settings
        await self._connection.announce_start(self.id, settings.call_secs, self.conversation.money)
        if (
            self._recorder is not None
            and self._target is not None
            and self._target.source == "call"
        ):
            await self._connection.announce_recording(on=self._recorder.live)
        if greeting := self._engines.document.persona.greeting:  # a replay may have none
            await worker.queue_frame(TTSSpeakFrame(greeting))
        left = min(settings.wind_down_secs, settings.call_secs / 2)
        await asyncio.sleep(settings.call_secs - left)
        await self._connection.announce_time_left(settings.call_secs, left)
        await worker.queue_frame(TTSSpeakFrame(_TIME_IS_SHORT.format(left=round(left))))
        await asyncio.sleep(left)
        await worker.queue_frame(EndCallFrame(reason="cap", last_words=_TIME_IS_UP))
        await asyncio.sleep(LAST_WORDS_SECS)
        self.end("cap")

    async def _warm(self) -> None:
        usage = await self._engines.warm()
        self.conversation.meter.tokens(0, self._engines.choices["brain"].vendor.name, usage)

    async def _stop_in_time(self, worker: PipelineWorker) -> None:
        """Say goodbye and end the call before another turn could exceed its spending limit."""
        await self._broke.wait()
        await worker.queue_frame(EndCallFrame(reason="call_budget", last_words=_MONEY_IS_UP))
        await asyncio.sleep(LAST_WORDS_SECS)
        self.end("call_budget")

    # Records.

    def _open_record(self) -> CallRecord:
        started_at = self.conversation.wall()
        document = self._engines.document
        record = CallRecord(
            id=self.id,
            caller=self._terms.caller,
            started_at=started_at,
            day=self._terms.day or day_of(started_at),
            document=document.title,
            document_hash=document.sha256,
            vendors=dict(self.conversation.meter.vendors),
        )
        self._notify(lambda listener: listener.begun(record))
        return record

    def _kept(self, record: TurnRecord) -> None:
        self._costs[record.number] = record.cost
        money = self.conversation.money
        money.call = sum(self._costs.values(), StageCost())
        self._notify(lambda listener: listener.turn(record))
        money.day = self._terms.day_spent()
        if not self._terms.may_continue(money.call.total):
            self._broke.set()

    def _affordable(self) -> bool:
        return self._terms.may_continue(self.conversation.meter.cost.total)

    def _close_record(self, record: CallRecord, reason: str) -> None:
        try:
            self.conversation.record_rest()
        except Exception:
            logger.exception("could not create the last record of the call")
        ended = replace(
            record,
            ended_at=self.conversation.wall(),
            why=reason,
            turns=self.conversation.number,
            cost=sum(self._costs.values(), StageCost()),
        )
        self._notify(lambda listener: listener.ended(ended))

    def _notify(self, report: Callable[[CallListener], None]) -> None:
        for listener in self._listeners:
            try:
                report(listener)
            except Exception:
                logger.exception("{} failed on a record", type(listener).__name__)

    # Recording.

    def _recorder_for(self, target: RecordingTarget) -> Recorder:
        engines, conversation = self._engines, self.conversation
        facts = Facts(
            settings=engines.settings,
            vendors={stage: choice.vendor.name for stage, choice in engines.choices.items()},
            models=conversation.meter.models,
            ending=engines.ending,
            preemptive=engines.preemptive,
            by_clause=engines.by_clause,
            follow_up=conversation.follow_up,
        )
        return Recorder(target, facts, clock=conversation.clock, lost=self._not_recorded)

    def _not_recorded(self, _reason: str) -> None:
        """Tell the caller that the recording has stopped while the call continues."""
        if not self._over.done():
            announcing = asyncio.get_running_loop().create_task(
                self._connection.announce_recording(on=False)
            )
            self._announcing.add(announcing)
            announcing.add_done_callback(self._announcing.discard)

    # Reports of the chain.

    async def _on_escalation(self, _worker: PipelineWorker, frame: EscalationFrame) -> None:
        await self._escalations.add(self.id, frame)

    async def _on_error(self, _worker: PipelineWorker, frame: ErrorFrame) -> None:
        """Report a failed stage to the caller; end the call if the stage is unusable."""
        stage = frame.processor.name.split("#")[0] if frame.processor else "a stage"
        conversation = self.conversation
        conversation.meter.trouble(conversation.number, f"{stage}: {frame.error}")
        logger.warning("{}: {}", stage, frame.error)
        await self._connection.announce_problem(f"{_told(frame.processor)} had a problem.")
        if frame.processor is not None and not frame.processor.is_usable:
            self.end("fault")
