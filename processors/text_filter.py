"""The base class of filters between brain and voice, which change or omit what is spoken."""

import asyncio
import inspect
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from loguru import logger
from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    TTSSpeakFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.utils.errors import ErrorCategory

from conversation.frames import SentenceFrame
from processors.declarations import place_in

PROMPT_APOLOGY: Final = "Sorry, something went wrong on my side."
"""Spoken in place of a prompt whose filter failed."""

APOLOGY: Final = f"{PROMPT_APOLOGY} Please ask again."
"""Spoken in place of the rest of an answer whose filter failed."""

_FAULT = "filter_fault"
_MAY_RETURN = (
    "it must return the SentenceFrame, a replace() of it whose text and shown are strings, "
    "or None to omit it, and not be async"
)

_KINDS: Mapping[str, tuple[type, ...]] = {
    "text": (str,),
    "shown": (str,),
    "sections": (tuple, list),
    "lines": (tuple, list),
}


def filter_fault(sentence: SentenceFrame) -> str:
    """What failed, if a sentence is a filter's apology; otherwise empty."""
    return str(sentence.metadata.get(_FAULT, ""))


class _FilterError(Exception):
    """A subclass's ``filter`` failed; the text has no word of the sentence.

    Parameters:
        fault: What it did.
        detail: The error's own text, which may quote the sentence: for the log only.
    """

    def __init__(self, fault: str, detail: str = "") -> None:
        super().__init__(fault)
        self.detail = detail


@dataclass(slots=True)
class _Answer:
    """What has come of the current answer."""

    turn: int = 0
    taken: int = 0
    passed: int = 0
    failed: bool = False
    corrected: bool = False


class TextFilter(FrameProcessor):
    """Changes or omits sentences on their way to the voice. Subclasses implement :meth:`filter`.

    Captions, heard text, ledger and recording show what passes the filter
    (:class:`processors.brain.decision_keeper.DecisionKeeper` comes after all filters). Each call
    has its own filter, so a filter may have state.

    If ``filter`` raises, ends the program (``SystemExit``) or returns something wrong, what it was
    given is not spoken, since it may be what the filter withholds: the caller hears
    :data:`APOLOGY` in place of the rest of the answer, or :data:`PROMPT_APOLOGY` in place of a
    prompt. The log names the filter, the turn and what may be returned, and an ``ErrorFrame`` goes
    upstream. An apology passes further filters unchanged.

    Runs in direct mode: no frame is queued, where an interruption could overtake it.
    """

    def __init__(self) -> None:
        super().__init__(enable_direct_mode=True)
        self.__answer = _Answer()  # private to this class: subclasses have names of their own

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
        match frame:
            case SentenceFrame():
                await self._filter_sentence(frame)
                return
            case TTSSpeakFrame():
                await self._filter_prompt(frame)
                return
            case LLMFullResponseStartFrame():
                self.__answer = _Answer()
            case LLMFullResponseEndFrame():
                self._warn_of_silence()
            case _:
                pass
        await self.push_frame(frame, direction)

    async def _filter_sentence(self, frame: SentenceFrame) -> None:
        turn = frame.turn
        if turn != self.__answer.turn:
            self.__answer = _Answer(turn)
        answer = self.__answer
        if answer.failed:
            return
        answer.taken += 1
        if filter_fault(frame):
            answer.passed += 1
            await self.push_frame(frame)
            return
        try:
            sentence = self._filtered(frame)
        except _FilterError as error:
            answer.failed = True
            apology = SentenceFrame(APOLOGY, turn=turn)
            apology.metadata[_FAULT] = f"{type(self).__name__} failed"
            await self._report(turn, error, f"the caller hears {APOLOGY!r}")
            await self.push_frame(apology)
            return
        if sentence is None:
            return
        answer.passed += 1
        if sentence.turn != turn:
            if not answer.corrected:
                answer.corrected = True
                fault = _FilterError(f"returned turn={sentence.turn!r}; a sentence keeps its turn")
                await self._report(turn, fault, f"it is spoken in turn {turn}")
            sentence = replace(sentence, turn=turn)
        await self.push_frame(sentence)

    def _filtered(self, sentence: SentenceFrame) -> SentenceFrame | None:
        try:
            found: object = self.filter(sentence)
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            # It awaits nothing, so a cancellation is its own.
            place = place_in(f"{type(self).__module__.replace('.', '/')}.py", error)
            raise _FilterError(f"raised {type(error).__name__} ({place})", str(error)) from error
        if found is None:
            return None
        if not isinstance(found, SentenceFrame):
            if inspect.iscoroutine(found):
                found.close()
            raise _FilterError(f"returned {type(found).__name__}; {_MAY_RETURN}")
        for name, kinds in _KINDS.items():
            value: object = getattr(found, name)
            if not isinstance(value, kinds):
                kind = type(value).__name__
                raise _FilterError(f"returned {name} of type {kind}; {_MAY_RETURN}")
        return found

    async def _report(self, turn: int, error: _FilterError, so: str) -> None:
        told = f"{type(self).__name__}.filter {error}"
        detail = f": {error.detail}" if error.detail else ""
        if _MAY_RETURN not in told:
            detail += f"; {_MAY_RETURN}"
        logger.error("turn {}: {}{}; {}", turn, told, detail, so)
        # Not by push_error, which would log it again.
        frame = ErrorFrame(told, processor=self, category=ErrorCategory.UNKNOWN)
        await self.push_frame(frame, FrameDirection.UPSTREAM)

    def _warn_of_silence(self) -> None:
        answer = self.__answer
        if answer.taken and not answer.passed and not answer.failed:
            logger.warning(
                "turn {}: {} dropped every sentence of the answer ({}); the caller hears none",
                answer.turn,
                type(self).__name__,
                answer.taken,
            )

    async def _filter_prompt(self, frame: TTSSpeakFrame) -> None:
        shown = str(frame.metadata.get("shown", frame.text))
        try:
            sentence = self._filtered(SentenceFrame(frame.text, shown=shown))
        except _FilterError as error:
            await self._report(0, error, f"the caller hears {PROMPT_APOLOGY!r}")
            sentence = SentenceFrame(PROMPT_APOLOGY)
        if sentence is None:
            return
        prompt = frame
        if sentence.text != frame.text:
            prompt = replace(frame, text=sentence.text)
            prompt.metadata.update(frame.metadata)
        if sentence.shown != shown or sentence.shown != sentence.text:
            prompt.metadata["shown"] = sentence.shown
        await self.push_frame(prompt)
