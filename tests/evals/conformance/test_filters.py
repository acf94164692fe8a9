"""Filters: those that keep the contract pass, and each that breaks a rule is caught."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from pipecat.frames.frames import (
    CancelFrame,
    DataFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    TTSAudioRawFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from conversation.frames import DecisionFrame, SentenceFrame
from evals.conformance.filters import FILTER_CHECKS, Filter
from evals.conformance.suite import DEGRADED, check_filter, status
from evals.replay import virtual_time
from examples.answer_limit import three_sentences
from examples.respelling import Redaction, Respelling
from processors.text_filter import TextFilter


def failures(make: Callable[[], FrameProcessor]) -> dict[str, str]:
    results = virtual_time.run(check_filter(Filter("filter", make)))
    assert [result.name for result in results] == [check.name for check in FILTER_CHECKS]
    return {result.name: result.detail for result in results if result.loses}


class Plain(FrameProcessor):
    """Passes everything on."""

    def __init__(self) -> None:
        super().__init__(enable_direct_mode=True)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        await self.pass_on(frame, direction)

    async def pass_on(self, frame: Frame, direction: FrameDirection) -> None:
        await self.push_frame(frame, direction)


@pytest.mark.parametrize(
    "make",
    [
        Plain,
        three_sentences,
        lambda: Respelling({"Vassar": "Vasser"}),
        lambda: Redaction("Navy"),
    ],
    ids=["plain", "answer limit", "respelling", "redaction"],
)
def test_a_filter_that_keeps_the_contract_passes(make: Callable[[], FrameProcessor]) -> None:
    assert failures(make) == {}


class TextOnly(Plain):
    """Passes only sentences among the data frames."""

    async def pass_on(self, frame: Frame, direction: FrameDirection) -> None:
        if not isinstance(frame, DataFrame) or isinstance(frame, SentenceFrame):
            await self.push_frame(frame, direction)


class Downhill(Plain):
    """Sends everything downstream."""

    async def pass_on(self, frame: Frame, direction: FrameDirection) -> None:
        await self.push_frame(frame, FrameDirection.DOWNSTREAM)


class Secretive(Plain):
    """Drops decisions."""

    async def pass_on(self, frame: Frame, direction: FrameDirection) -> None:
        if not isinstance(frame, DecisionFrame):
            await self.push_frame(frame, direction)


class Deaf(Plain):
    """Drops interruptions."""

    async def pass_on(self, frame: Frame, direction: FrameDirection) -> None:
        if not isinstance(frame, InterruptionFrame):
            await self.push_frame(frame, direction)


class Pensive(Plain):
    """Delays each sentence in a task that no interruption cancels."""

    async def pass_on(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, SentenceFrame):
            self.create_task(self.later(frame), "later")
        else:
            await self.push_frame(frame, direction)

    async def later(self, frame: Frame) -> None:
        await asyncio.sleep(0.3)
        await self.push_frame(frame)


class Endless(Plain):
    """Drops the frames that end a call."""

    async def pass_on(self, frame: Frame, direction: FrameDirection) -> None:
        if not isinstance(frame, (EndFrame, CancelFrame)):
            await self.push_frame(frame, direction)


class Rewriting(Plain):
    """Replaces each sentence by one without turn, sections and lines."""

    async def pass_on(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, SentenceFrame):
            frame = SentenceFrame(frame.text.upper())
        await self.push_frame(frame, direction)


class Hiding(Plain):
    """Removes the captions."""

    async def pass_on(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, SentenceFrame):
            frame = replace(frame)
            frame.shown = " "
        await self.push_frame(frame, direction)


class Reordering(Plain):
    """Moves an answer's first sentence to its end."""

    _first: SentenceFrame | None = None

    async def pass_on(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, SentenceFrame) and self._first is None:
            self._first = frame
            return
        if isinstance(frame, LLMFullResponseEndFrame) and self._first is not None:
            await self.push_frame(self._first)
            self._first = None
        await self.push_frame(frame, direction)


class Unbound(Plain):
    """Drops the start of an answer."""

    async def pass_on(self, frame: Frame, direction: FrameDirection) -> None:
        if not isinstance(frame, LLMFullResponseStartFrame):
            await self.push_frame(frame, direction)


class Louder(Plain):
    """Replaces audio by audio without a context."""

    async def pass_on(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, TTSAudioRawFrame):
            frame = TTSAudioRawFrame(frame.audio, frame.sample_rate, frame.num_channels)
        await self.push_frame(frame, direction)


class Slow(Plain):
    """Waits 200 ms for each sentence."""

    async def pass_on(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, SentenceFrame):
            await asyncio.sleep(0.2)
        await self.push_frame(frame, direction)


class Blocking(Plain):
    """Blocks the event loop for 30 ms at each sentence."""

    async def pass_on(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, SentenceFrame):
            time.sleep(0.03)  # noqa: ASYNC251 - the fault to catch
        await self.push_frame(frame, direction)


class Breaking(TextFilter):
    """Raises at each sentence."""

    def filter(self, sentence: SentenceFrame) -> SentenceFrame:
        raise ValueError(f"no pattern for {sentence.turn}")


class Texting(TextFilter):
    """Returns a text for a sentence."""

    def filter(self, sentence: SentenceFrame) -> SentenceFrame:
        return sentence.text  # type: ignore[return-value] # the fault to catch


class Waiting(TextFilter):
    """Is asynchronous, which nobody waits for."""

    async def filter(self, sentence: SentenceFrame) -> SentenceFrame:  # type: ignore[override]
        return sentence


class Muting(TextFilter):
    """Leaves a caption with nothing to speak."""

    def filter(self, sentence: SentenceFrame) -> SentenceFrame:
        return replace(sentence, text="", shown=sentence.shown)


class Exiting(TextFilter):
    """Ends the program."""

    def filter(self, sentence: SentenceFrame) -> SentenceFrame:
        raise SystemExit(3)


class Numbering(TextFilter):
    """Gives a sentence a number for its text."""

    def filter(self, sentence: SentenceFrame) -> SentenceFrame:
        return replace(sentence, text=5)  # type: ignore[arg-type] # the fault to catch


class Dropping(TextFilter):
    """Drops every sentence."""

    def filter(self, sentence: SentenceFrame) -> None:
        return None


class Misplacing(TextFilter):
    """Moves a sentence to another turn."""

    def filter(self, sentence: SentenceFrame) -> SentenceFrame:
        return replace(sentence, turn=99)


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (Breaking, "Breaking.filter raised ValueError (tests/evals/conformance/test_filters.py,"),
        (Exiting, "Exiting.filter raised SystemExit"),
        (Texting, "Texting.filter returned str; it must return the SentenceFrame"),
        (Waiting, "Waiting.filter returned coroutine"),
        (Numbering, "Numbering.filter returned text of type int"),
        (Dropping, "of 3 sentences, none is spoken"),
        (Muting, "of 3 sentences, none is spoken"),
    ],
)
def test_a_text_filter_that_loses_all_sentences_blocks_calls(
    kind: type[TextFilter], why: str
) -> None:
    results = virtual_time.run(check_filter(Filter("filter", kind)))
    assert why in next(result.detail for result in results if result.name == "answers")
    assert status(results) == 1


def test_a_text_filter_that_only_moves_sentences_degrades_calls() -> None:
    results = virtual_time.run(check_filter(Filter("filter", Misplacing)))
    assert [result.name for result in results if result.loses] == ["fields"]
    assert status(results) == DEGRADED


def test_a_caption_with_nothing_to_speak_is_caught() -> None:
    assert "there is nothing to speak; None omits a sentence" in failures(Muting)["fields"]


@pytest.mark.parametrize(
    ("kind", "name", "why"),
    [
        (TextOnly, "passes on", "not every unknown data frame passes downstream"),
        (Downhill, "passes on", "not every unknown data frame passes upstream"),
        (Secretive, "reports", "it passes no DecisionFrame"),
        (Deaf, "interruption", "no InterruptionFrame within 1 s"),
        (Pensive, "interruption", "came after the interruption"),
        (Endless, "end of the call", "it passes no EndFrame"),
        (Rewriting, "fields", "is out of order, or has lost its turn, sections or lines"),
        (Hiding, "fields", "is spoken but has no caption"),
        (Reordering, "fields", "is out of order"),
        (Unbound, "fields", "does not begin with its LLMFullResponseStartFrame"),
        (Louder, "timing", "audio and words arrive as"),
        (Slow, "in time", "a sentence waits 200 ms in it"),
        (Blocking, "in time", "it blocks the event loop for"),
    ],
)
def test_a_filter_that_breaks_a_rule_is_caught(kind: type[Plain], name: str, why: str) -> None:
    assert why in failures(kind)[name]
