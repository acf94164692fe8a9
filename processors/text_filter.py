"""What a developer puts between brain and voice to change, or leave out, what is said."""

from abc import abstractmethod
from dataclasses import replace

from pipecat.frames.frames import Frame, TTSSpeakFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from conversation.frames import SentenceFrame


class TextFilter(FrameProcessor):
    """Changes sentences on their way to the voice; a subclass is one method, :meth:`filter`.

    Captions, heard text, ledger and recording follow from what it lets through:
    :class:`processors.brain.decision_keeper.DecisionKeeper` stands behind all filters. One filter
    serves one call, so it may keep state.

    It runs in direct mode: no frame waits here, where an interruption could overtake it.
    """

    def __init__(self) -> None:
        super().__init__(enable_direct_mode=True)

    @abstractmethod
    def filter(self, sentence: SentenceFrame) -> SentenceFrame | None:
        """What is said in place of a sentence; it must not block.

        Args:
            sentence: A sentence of an answer; or a prompt such as the greeting, whose turn is 0.

        Returns:
            The sentence, or :func:`dataclasses.replace` of it: with another ``text`` it is only
            spoken in another way, with another ``text`` and ``shown`` it is another sentence.
            ``None`` leaves it out.
        """

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Filter sentences and prompts, and pass all else on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, SentenceFrame):
            sentence = self.filter(frame)
            if sentence is not None:
                await self.push_frame(sentence)
        elif isinstance(frame, TTSSpeakFrame):
            await self._filter_prompt(frame)
        else:
            await self.push_frame(frame, direction)

    async def _filter_prompt(self, frame: TTSSpeakFrame) -> None:
        shown = str(frame.metadata.get("shown", frame.text))
        sentence = self.filter(SentenceFrame(frame.text, shown=shown))
        if sentence is None:
            return
        prompt = frame
        if sentence.text != frame.text:
            prompt = replace(frame, text=sentence.text)
            prompt.metadata.update(frame.metadata)
        if sentence.shown != shown or sentence.shown != sentence.text:
            prompt.metadata["shown"] = sentence.shown
        await self.push_frame(prompt)
