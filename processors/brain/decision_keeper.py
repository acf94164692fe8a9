"""Has a decision say what is really said: the sentences that passed every filter."""

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

    The page and the ledger have an answer from its ``DecisionFrame``. That is a system frame, which
    no filter of sentences changes, and which overtakes sentences that wait in one. Here it is held
    until the answer has ended, and gets the text and the lines of the sentences that came. What
    else is of the brain's decision (its sections, confidence, checks) stays the brain's.

    Without a filter the decision is the brain's to the letter, and nothing is held.
    """

    def __init__(self) -> None:
        super().__init__(enable_direct_mode=True)
        self._sentences: list[SentenceFrame] = []  # of the answer that is coming, or has come
        self._complete = False  # the answer has come, and its decision has not
        self._held: DecisionFrame | None = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Collect sentences, hold a decision, and pass all else on."""
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
            await self.push_frame(self._as_said(held))

    def _as_said(self, decision: DecisionFrame) -> DecisionFrame:
        said = [sentence for sentence in self._sentences if sentence.turn == decision.turn]
        text = " ".join(sentence.shown for sentence in said)
        if text == decision.text:
            return decision
        lines = sorted({line for sentence in said for line in sentence.lines})
        return replace(decision, text=text, lines=tuple(lines))
