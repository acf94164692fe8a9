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

from conversation.frames import DecisionFrame, SentenceFrame


class DecisionKeeper(FrameProcessor):
    """Stands between the last filter and the voice.

    Page and ledger take an answer from its ``DecisionFrame``, a system frame, which filters do not
    change and which overtakes sentences queued in them. This processor holds it until the answer
    has ended, and sets its text and lines to those of the sentences that arrived. Its sections,
    confidence and checks stay as decided.

    Without filters, the decision is unchanged and is not delayed.
    """

    def __init__(self) -> None:
        super().__init__(enable_direct_mode=True)
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
        if held is not None:
            self._complete = False
            await self.push_frame(self._updated(held))

    def _updated(self, decision: DecisionFrame) -> DecisionFrame:
        passed = [sentence for sentence in self._sentences if sentence.turn == decision.turn]
        text = " ".join(sentence.shown for sentence in passed)
        if text == decision.text:
            return decision
        lines = sorted({line for sentence in passed for line in sentence.lines})
        return replace(decision, text=text, lines=tuple(lines))
