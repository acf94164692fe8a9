"""One call: the actor that owns a page's socket, chain, conversation, clock and time cap.

Every way in which a call can end goes through :meth:`Call.end`.
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from typing import Protocol

from loguru import logger
from pipecat.frames.frames import ErrorFrame, TTSSpeakFrame
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.transports.base_transport import BaseTransport
from pipecat.utils.asyncio.task_manager import TaskManager
from pipecat.workers.base_worker import WorkerParams

from pipeline import chain
from pipeline.conversation import INPUT_SAMPLE_RATE, OUTPUT_SAMPLE_RATE, Conversation, Speculation
from pipeline.engines import Engines
from pipeline.escalations import Escalations
from pipeline.frames import EndCallFrame, EscalationFrame

LAST_WORDS_SECS = 8.0
"""Longest that a call's last words may take to be played."""

START_TIMEOUT_SECS = 10.0
"""Longest that a chain may take to start."""

CANCEL_TIMEOUT_SECS = 2.0
"""Longest that a chain may take to stop."""

REASONS: Mapping[str, str] = {
    "hangup": "You hung up.",
    "disconnected": "The connection was lost.",
    "silence": "Nobody spoke for a while, so the call was ended.",
    "cap": "This call has reached its time limit.",
    "capacity": "All lines are busy. Please try again in a minute.",
    "protocol": "The page sent messages that could not be understood.",
    "stalled": "The page stopped taking in what was sent.",
    "fault": "Something went wrong on this side. Please call again.",
    "shutdown": "The server is being stopped. Please call again later.",
}
"""Why a call can end, and what its caller is told."""

_TIME_IS_SHORT = "We have about {left} seconds left."
_TIME_IS_UP = "I'm afraid our time is up. Thank you for calling. Goodbye."


class Line(Protocol):
    """The caller's end of a call, whatever carries it."""

    def transport(self, conversation: Conversation, ended: Callable[[str], None]) -> BaseTransport:
        """The call's transport."""
        ...

    async def begin(self, call: str, limit_secs: float) -> None:
        """Tell the caller that the call has started."""
        ...

    async def short(self, limit_secs: float, left_secs: float) -> None:
        """Tell the caller that time is running out."""
        ...

    async def trouble(self, message: str) -> None:
        """Tell the caller of a trouble that does not end the call."""
        ...

    async def finish(self, reason: str, message: str) -> None:
        """Tell the caller why the call is over, and close the line."""
        ...


class Call:
    """One call, from its caller's readiness to its end.

    Parameters:
        line: The caller's end.
        engines: What all calls share.
        escalations: Where questions for a human go.
    """

    def __init__(self, line: Line, engines: Engines, escalations: Escalations) -> None:
        self.id = f"c-{secrets.token_hex(4)}"
        self.conversation = Conversation(
            speculation=Speculation(most_wasted=engines.settings.preemptive_waste)
        )
        self._line = line
        self._engines = engines
        self._escalations = escalations
        self._settings = engines.settings
        self._over: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def end(self, reason: str) -> None:
        """End the call; the first reason stands."""
        if not self._over.done():
            self._over.set_result(reason)

    async def run(self) -> str:
        """Hold the call to its end.

        Returns:
            Why it ended, a key of :data:`REASONS`.
        """
        with logger.contextualize(call=self.id):
            logger.info("call begins")
            reason = "fault"
            try:
                reason = await self._hold()
            except asyncio.CancelledError:
                reason = "shutdown"
                raise
            except Exception:
                logger.exception("call failed")
            finally:
                logger.info("call ends: {}, {} turns", reason, len(self.conversation.turns))
                await self._line.finish(reason, REASONS[reason])
        return reason

    async def _hold(self) -> str:
        transport = self._line.transport(self.conversation, self.end)
        tasks = TaskManager(loop=asyncio.get_running_loop())
        worker = PipelineWorker(
            chain.build(transport, self.conversation, self._engines),
            params=PipelineParams(
                audio_in_sample_rate=INPUT_SAMPLE_RATE, audio_out_sample_rate=OUTPUT_SAMPLE_RATE
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
            warming = group.create_task(self._engines.warm())
            try:
                reason = await self._over
            finally:
                talking.cancel()
                warming.cancel()
                await worker.cancel(reason="call over")
        return reason

    async def _talk(self, worker: PipelineWorker, started: asyncio.Event) -> None:
        """Greet the caller, and watch the time."""
        await started.wait()
        settings = self._settings
        await self._line.begin(self.id, settings.call_secs)
        await worker.queue_frame(TTSSpeakFrame(self._engines.document.persona.greeting))
        left = min(settings.wind_down_secs, settings.call_secs / 2)
        await asyncio.sleep(settings.call_secs - left)
        await self._line.short(settings.call_secs, left)
        await worker.queue_frame(TTSSpeakFrame(_TIME_IS_SHORT.format(left=round(left))))
        await asyncio.sleep(left)
        await worker.queue_frame(EndCallFrame(reason="cap", last_words=_TIME_IS_UP))
        await asyncio.sleep(LAST_WORDS_SECS)
        self.end("cap")

    async def _on_escalation(self, _worker: PipelineWorker, frame: EscalationFrame) -> None:
        await self._escalations.add(self.id, frame)

    async def _on_error(self, _worker: PipelineWorker, frame: ErrorFrame) -> None:
        """Tell the caller of a stage that failed; end the call when it cannot go on."""
        stage = frame.processor.name.split("#")[0] if frame.processor else "a stage"
        logger.warning("{}: {}", stage, frame.error)
        await self._line.trouble(f"{stage} had a problem.")
        if frame.processor is not None and not frame.processor.is_usable:
            self.end("fault")
