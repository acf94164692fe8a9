"""The responder stage: puts each turn to the brain, and pushes the checked decision.

:class:`processors.brain.decision_run.DecisionRun` decides a turn. This module orders its frames,
holds back early answers, and ensures that nothing of an aborted turn is pushed.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loguru import logger
from pipecat.frames.frames import (
    CancelFrame,
    EagerEndOfTurnCancelFrame,
    EndFrame,
    ErrorFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
)
from pipecat.processors.frame_processor import FrameCallback, FrameDirection, FrameProcessor
from pipecat.utils.errors import ErrorCategory

from conversation.frames import (
    DecisionFrame,
    EndCallFrame,
    EscalationFrame,
    FailoverFrame,
    SentenceFrame,
    TurnFrame,
    Usage,
)
from conversation.turns import Conversation
from conversation.utterance import same_words
from knowledge.loading.document import Document
from processors.brain.contract import Brain
from processors.brain.decision_run import DecisionRun, DecisionTimeouts
from processors.brain.follow_up import phrases_for
from processors.brain.guardrails import Phrases
from processors.brain.speculation import Speculation
from processors.brain.tools import FunctionTool

__all__ = ["GroundedResponder", "Phrases"]


@dataclass(frozen=True, slots=True)
class Aborted:
    """A turn whose decision was aborted.

    Parameters:
        turn: Its number.
        brain: Name of the brain that was deciding.
        usage: The tokens used so far.
        wasted: Whether it was an early answer that turned out wrong.
    """

    turn: int
    brain: str
    usage: Usage
    wasted: bool


class GroundedResponder(FrameProcessor):
    """Turns each :class:`~conversation.frames.TurnFrame` into exactly one decision.

    Pushes ``LLMFullResponseStartFrame``; a ``SentenceFrame`` for each sentence that has passed the
    guardrails, while the rest is still arriving; ``LLMFullResponseEndFrame``; ``EscalationFrame``
    if a person has to follow up; and ``DecisionFrame``. A turn without a valid decision is spoken
    as an escalation, never silence; a brain's failure is reported upstream as an ``ErrorFrame``.

    A speculative turn is decided at once, but held back. If the turn is confirmed with the same
    words, what was held is pushed at once and the rest as it arrives. If it is confirmed with other
    words, or an ``EagerEndOfTurnCancelFrame`` says that the caller continues, the decision is
    aborted and its usage counts as wasted.

    An ``InterruptionFrame`` or ``CancelFrame`` aborts the turn and its inference at the vendor, and
    no frame of it is pushed afterwards. A new ``TurnFrame`` aborts the turn before it, too, and
    closes its response with an ``LLMFullResponseEndFrame``. ``EndFrame`` and ``EndCallFrame`` wait
    for the turn before them.

    Parameters:
        conversation: The call's turns, whose stale ones are not decided; by default an empty one.
        brain: The brain.
        document: The document that answers may state.
        tools: Tools that the brain may call before it decides.
        phrases: Spoken instead of the brain's words where those are refused; by default they
            promise what the conversation's :attr:`~conversation.turns.Conversation.follow_up` can
            keep.
        first_token_timeout_secs: Timeout of the first token, per attempt.
        decision_timeout_secs: Timeout of the whole decision, over all attempts.
        trailing_timeout_secs: Timeout of what follows the last word (the usage).
        abort_timeout_secs: Timeout of an aborted brain's end.
        speculation: Budget of early answers; without budget, a speculative turn is ignored.
        by_clause: As in :class:`processors.brain.decision_run.DecisionRun`.
        on_aborted: Called when a turn is aborted, with its usage so far.
    """

    def __init__(
        self,
        conversation: Conversation | None = None,
        *,
        brain: Brain,
        document: Document,
        tools: Sequence[FunctionTool] = (),
        phrases: Phrases | None = None,
        first_token_timeout_secs: float = 3.0,
        decision_timeout_secs: float = 12.0,
        trailing_timeout_secs: float = 1.0,
        abort_timeout_secs: float = 1.0,
        speculation: Speculation | None = None,
        by_clause: bool = False,
        on_aborted: Callable[[Aborted], None] | None = None,
    ) -> None:
        super().__init__()
        self._conversation = conversation or Conversation()
        self._brain = brain
        self._serving = brain.name
        self._document = document
        self._tools = tuple(tools)
        self._phrases = phrases
        self._timeouts = DecisionTimeouts(
            first_token_timeout_secs=first_token_timeout_secs,
            decision_timeout_secs=decision_timeout_secs,
            trailing_timeout_secs=trailing_timeout_secs,
            abort_timeout_secs=abort_timeout_secs,
        )
        self._speculation = speculation or Speculation()
        self._by_clause = by_clause
        self._on_aborted = on_aborted
        self._held: list[Frame] | None = None  # Frames of a speculative turn.
        self._speculating = False  # Whether the turn being decided is not confirmed yet.
        self._deciding: DecisionRun | None = None
        self._task: asyncio.Task[None] | None = None  # Of that run, or of an earlier one.

    async def queue_frame(
        self,
        frame: Frame,
        direction: FrameDirection = FrameDirection.DOWNSTREAM,
        callback: FrameCallback | None = None,
    ) -> None:
        """Report an interruption as soon as it arrives, then queue the frame.

        System frames overtake others in pipecat's queue: an interruption is processed before a turn
        that arrived just ahead of it, which must be stale by the time it is processed.
        """
        if isinstance(frame, InterruptionFrame):
            self._conversation.interrupted(frame)
        await super().queue_frame(frame, direction, callback)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Decide a ``TurnFrame``'s turn, abort it where a frame says so, and pass the rest on."""
        if isinstance(frame, (InterruptionFrame, CancelFrame)):
            aborted = self._abort()
            await super().process_frame(frame, direction)
            # The task that super() cancelled may have started one more turn before it ended.
            overtaken = self._abort()
            await self.push_frame(frame, direction)
            await self._await_end(aborted)
            await self._await_end(overtaken)
            return
        await super().process_frame(frame, direction)
        if isinstance(frame, TurnFrame) and direction is FrameDirection.DOWNSTREAM:
            if not self._conversation.is_stale(frame.turn) and not await self._confirm(frame):
                self._start_turn(frame)
            return
        if isinstance(frame, EagerEndOfTurnCancelFrame):
            if self._speculating:
                await self._await_end(self._abort())
            return
        if isinstance(frame, (EndFrame, EndCallFrame)) and self._deciding and self._task:
            await asyncio.wait({self._task}, timeout=self._timeouts.longest_secs)
        await self.push_frame(frame, direction)

    async def cleanup(self) -> None:
        """Abort the turn being decided."""
        await self._await_end(self._abort())
        await super().cleanup()

    async def _confirm(self, turn: TurnFrame) -> bool:
        """Push what the speculative decision of this very turn has held, if there is one."""
        decision_run, held = self._deciding, self._held
        if decision_run is None or held is None or turn.speculation:
            return False
        if not same_words(turn.question, decision_run.turn.question):
            return False
        decision_run.confirm()
        self._speculation.confirm()
        self._speculating = False
        # What the task pushes meanwhile is appended to the held frames, which keeps the order.
        while held and self._deciding is decision_run:
            frame = held.pop(0)
            if isinstance(frame, DecisionFrame):
                frame.ttft_secs = frame.ttfs_secs = 0.0
            await self.push_frame(frame)
        if self._deciding is decision_run:
            self._held = None
            if self._task is not None and self._task.done():
                self._finish(decision_run)
        return True

    def _start_turn(self, turn: TurnFrame) -> None:
        held = self._held is not None
        replaced = self._abort() is not None and not held
        if turn.speculation and not self._speculation.reserve():
            return
        self._speculating = turn.speculation
        self._held = [] if turn.speculation else None

        async def push_sentence(sentence: SentenceFrame) -> None:
            await self._push(decision_run, sentence)

        decision_run = DecisionRun(
            turn,
            brain=self._brain,
            document=self._document,
            phrases=self._phrases or phrases_for(self._conversation.follow_up, self._document),
            timeouts=self._timeouts,
            say=push_sentence,
            tools=self._tools,
            observer=self._conversation.observer,
            by_clause=self._by_clause,
        )
        self._deciding = decision_run
        self._task = self.create_task(self._run(decision_run, replaced=replaced), f"{self}::turn")

    async def _run(self, decision_run: DecisionRun, *, replaced: bool) -> None:
        if replaced:
            await self._push(decision_run, LLMFullResponseEndFrame())
        await self._push(decision_run, LLMFullResponseStartFrame())
        decision = await decision_run.decide()
        await self._push(decision_run, LLMFullResponseEndFrame())
        turn = decision_run.turn
        if decision.brain != self._serving:
            failover = FailoverFrame(stage="brain", failed=self._serving, vendor=decision.brain)
            self._serving = decision.brain
            await self._push(decision_run, failover)
        if decision_run.fault and self._held is None:
            error = f"{self._brain.name} could not decide: {decision_run.fault}"
            # Not by push_error, which would log what the run has logged.
            frame = ErrorFrame(error, processor=self, category=ErrorCategory.UNKNOWN)
            await self.push_frame(frame, FrameDirection.UPSTREAM)
        if decision.decision == "escalate":
            escalation = EscalationFrame(
                turn=turn.turn, reason=decision.reason, question=turn.question
            )
            await self._push(decision_run, escalation)
        await self._push(decision_run, decision)
        if self._held is None:
            self._finish(decision_run)

    async def _push(self, decision_run: DecisionRun, frame: Frame) -> None:
        """Push or hold a frame of a turn; if the turn was aborted, end its task instead."""
        if self._deciding is not decision_run:
            raise asyncio.CancelledError
        if self._held is not None:
            self._held.append(frame)
        else:
            await self.push_frame(frame)

    def _finish(self, decision_run: DecisionRun) -> None:
        self._speculation.record_used(decision_run.usage.tokens)
        self._deciding = None

    def _abort(self) -> asyncio.Task[None] | None:
        """Cancel the turn being decided, after which none of its frames is pushed."""
        decision_run, self._deciding = self._deciding, None
        self._held = None
        if decision_run is None or self._task is None:
            return None
        self._task.cancel()
        wasted, self._speculating = self._speculating, False
        if wasted:
            self._speculation.record_wasted(decision_run.usage.tokens)
        else:
            self._speculation.record_used(decision_run.usage.tokens)
        if self._on_aborted is not None:
            try:
                turn, usage = decision_run.turn.turn, decision_run.usage
                self._on_aborted(Aborted(turn, self._serving, usage, wasted=wasted))
            except Exception:
                logger.exception("on_aborted failed")
        return self._task

    async def _await_end(self, task: asyncio.Task[None] | None) -> None:
        """Wait until the task of an aborted turn has ended."""
        if task is not None:
            _, pending = await asyncio.wait({task}, timeout=self._timeouts.abort_timeout_secs)
            if pending:
                logger.warning(f"{self._brain.name} did not stop deciding when it was aborted")
