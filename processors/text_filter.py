"""The base class of filters between brain and voice, which change or omit what is spoken."""

import inspect
from abc import abstractmethod
from dataclasses import replace

from pipecat.frames.frames import Frame, TTSSpeakFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from conversation.frames import SentenceFrame


class TextFilter(FrameProcessor):
    """Changes or omits sentences on their way to the voice. Subclasses implement :meth:`filter`.

    Captions, heard text, ledger and recording show what passes the filter
    (:class:`processors.brain.decision_keeper.DecisionKeeper` comes after all filters). Each call
    has its own filter, so a filter may have state.

    Runs in direct mode: no frame is queued, where an interruption could overtake it.
    """

    def __init__(self) -> None:
        super().__init__(enable_direct_mode=True)

    @abstractmethod
    def filter(self, sentence: SentenceFrame) -> SentenceFrame | None:
        """Return what to speak instead of a sentence. Must not block.

        Args:
            sentence: A sentence of an answer; or a prompt such as the greeting, with turn 0.

        Returns:
            The sentence, or a :func:`dataclasses.replace` of it: with another ``text`` it is
            pronounced differently, with another ``text`` and ``shown`` it says something else.
            ``None`` to omit it.
        """

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Filter sentences and prompts, and pass everything else on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, SentenceFrame):
            sentence = self._filtered(frame)
            if sentence is not None:
                await self.push_frame(sentence)
        elif isinstance(frame, TTSSpeakFrame):
            await self._filter_prompt(frame)
        else:
            await self.push_frame(frame, direction)

    def _filtered(self, sentence: SentenceFrame) -> SentenceFrame | None:
        found: object = self.filter(sentence)
        if found is None or isinstance(found, SentenceFrame):
            return found
        if inspect.iscoroutine(found):
            found.close()
        raise TypeError(
            f"{type(self).__name__}.filter returned {type(found).__name__}; it must return a "
            "SentenceFrame or None, and not be async"
        )

    async def _filter_prompt(self, frame: TTSSpeakFrame) -> None:
        shown = str(frame.metadata.get("shown", frame.text))
        sentence = self._filtered(SentenceFrame(frame.text, shown=shown))
        if sentence is None:
            return
        prompt = frame
        if sentence.text != frame.text:
            prompt = replace(frame, text=sentence.text)
            prompt.metadata.update(frame.metadata)
        if sentence.shown != shown or sentence.shown != sentence.text:
            prompt.metadata["shown"] = sentence.shown
        await self.push_frame(prompt)
