"""Updates each decision with the sentences that passed all filters."""

from dataclasses import replace

from pipecat.frames.frames import (
    EndFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from conversation.frames import Check, DecisionFrame, EscalationFrame, SentenceFrame
from conversation.turns import Conversation
from processors.text_filter import filter_fault


class DecisionKeeper(FrameProcessor):
    """Stands between the last filter and the voice.

    Page and ledger take an answer from its ``DecisionFrame``, a system frame, which filters do not
    change and which overtakes sentences queued in them. This processor holds it until the answer
    has ended, and sets its text and lines to those of the sentences that arrived. Its sections,
    confidence and checks stay as decided.

    If a filter failed, or nothing of the answer arrived, the decision has a failed check "filter".
    An answer of which no sourced sentence arrived but a filter's apology becomes an escalation with
    reason "fault", as after a fault of the brain.

    Without filters, the decision is unchanged and is not delayed.

    Parameters:
        conversation: The call's turns, for the question of such an escalation.
    """

    def __init__(self, conversation: Conversation | None = None) -> None:
        super().__init__(enable_direct_mode=True)
        self._conversation = conversation or Conversation()
        self._sentences: list[SentenceFrame] = []  # of the current answer
        self._complete = False  # whether the answer has ended ahead of its decision
        self._held: DecisionFrame | None = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Collect sentences, hold a decision until its answer has ended, and pass the rest on."""
        await super().process_frame(frame, direction)
        if direction is FrameDirection.UPSTREAM:
            await self.push_frame(frame, direction)
            return
        match frame:
            case LLMFullResponseStartFrame():
                self._sentences.clear()
                self._complete = False
            case SentenceFrame():
                self._sentences.append(frame)
            case DecisionFrame():
                self._held = frame
                if self._complete:
                    await self._release()
                return
            case InterruptionFrame() | EndFrame():
                await self._release()
            case _:
                pass
        await self.push_frame(frame, direction)
        if isinstance(frame, LLMFullResponseEndFrame):
            self._complete = True
            await self._release()

    async def _release(self) -> None:
        held, self._held = self._held, None
        if held is None:
            return
        complete, self._complete = self._complete, False
        decision = self._updated(held, complete=complete)
        if decision.decision != held.decision:
            turns = self._conversation.turns
            question = turns[held.turn - 1].question if 1 <= held.turn <= len(turns) else ""
            await self.push_frame(
                EscalationFrame(turn=held.turn, reason=decision.reason, question=question)
            )
        await self.push_frame(decision)

    def _updated(self, decision: DecisionFrame, *, complete: bool) -> DecisionFrame:
        passed = [sentence for sentence in self._sentences if sentence.turn == decision.turn]
        text = " ".join(sentence.shown for sentence in passed)
        if text == decision.text:
            return decision
        lines = sorted({line for sentence in passed for line in sentence.lines})
        updated = replace(decision, text=text, lines=tuple(lines))
        fault = next(filter(None, map(filter_fault, passed)), "")
        answered = any(
            not filter_fault(sentence) and (sentence.sections or not decision.sections)
            for sentence in passed
        )
        if complete and not passed:
            fault = "no sentence of the answer passed"
        if fault:
            check = Check("filter", passed=False, detail=fault)
            updated = replace(updated, checks=(*decision.checks, check))
        if decision.decision == "respond" and passed and fault and not answered:
            updated = replace(
                updated, decision="escalate", reason="fault", confidence=None, sections=()
            )
        return updated
