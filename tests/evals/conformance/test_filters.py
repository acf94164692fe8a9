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
from evals.conformance.suite import check_filter
from evals.replay import virtual_time
from examples.answer_limit import three_sentences
from examples.respelling import Redaction, Respelling


def failures(make: Callable[[], FrameProcessor]) -> dict[str, str]:
    results = virtual_time.run(check_filter(Filter("filter", make)))
    assert [one.name for one in results] == [one.name for one in FILTER_CHECKS]
    return {one.name: one.detail for one in results if one.loses}


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
    """Lets through what it knows."""

    async def pass_on(self, frame: Frame, direction: FrameDirection) -> None:
        if not isinstance(frame, DataFrame) or isinstance(frame, SentenceFrame):
            await self.push_frame(frame, direction)


class Downhill(Plain):
    """Sends everything down."""

    async def pass_on(self, frame: Frame, direction: FrameDirection) -> None:
        await self.push_frame(frame, FrameDirection.DOWNSTREAM)


class Secretive(Plain):
    """Keeps decisions to itself."""

    async def pass_on(self, frame: Frame, direction: FrameDirection) -> None:
        if not isinstance(frame, DecisionFrame):
            await self.push_frame(frame, direction)


class Deaf(Plain):
    """Knows of no interruptions."""

    async def pass_on(self, frame: Frame, direction: FrameDirection) -> None:
        if not isinstance(frame, InterruptionFrame):
            await self.push_frame(frame, direction)


class Pensive(Plain):
    """Thinks about each sentence, and gives it later, whatever has happened since."""

    async def pass_on(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, SentenceFrame):
            self.create_task(self.later(frame), "later")
        else:
            await self.push_frame(frame, direction)

    async def later(self, frame: Frame) -> None:
        await asyncio.sleep(0.3)
        await self.push_frame(frame)


class Endless(Plain):
    """Does not hear that a call ends."""

    async def pass_on(self, frame: Frame, direction: FrameDirection) -> None:
        if not isinstance(frame, (EndFrame, CancelFrame)):
            await self.push_frame(frame, direction)


class Rewriting(Plain):
    """Makes each sentence anew."""

    async def pass_on(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, SentenceFrame):
            frame = SentenceFrame(frame.text.upper())
        await self.push_frame(frame, direction)


class Hiding(Plain):
    """Says sentences that it does not show."""

    async def pass_on(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, SentenceFrame):
            frame = replace(frame)
            frame.shown = " "
        await self.push_frame(frame, direction)


class Reordering(Plain):
    """Gives the first sentence of an answer last."""

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
    """Drops the begin of an answer."""

    async def pass_on(self, frame: Frame, direction: FrameDirection) -> None:
        if not isinstance(frame, LLMFullResponseStartFrame):
            await self.push_frame(frame, direction)


class Louder(Plain):
    """Makes audio anew, of no context."""

    async def pass_on(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, TTSAudioRawFrame):
            frame = TTSAudioRawFrame(frame.audio, frame.sample_rate, frame.num_channels)
        await self.push_frame(frame, direction)


class Slow(Plain):
    """Has each sentence looked up elsewhere."""

    async def pass_on(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, SentenceFrame):
            await asyncio.sleep(0.2)
        await self.push_frame(frame, direction)


class Blocking(Plain):
    """Has the same done in the loop's own thread."""

    async def pass_on(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, SentenceFrame):
            time.sleep(0.03)  # noqa: ASYNC251 - what is to be caught
        await self.push_frame(frame, direction)


@pytest.mark.parametrize(
    ("kind", "name", "why"),
    [
        (TextOnly, "passes on", "not every data frame that it does not know goes downstream"),
        (Downhill, "passes on", "not every data frame that it does not know goes upstream"),
        (Secretive, "reports", "no DecisionFrame leaves it"),
        (Deaf, "interruption", "no InterruptionFrame within 1 s"),
        (Pensive, "interruption", "came after it was interrupted"),
        (Endless, "end of the call", "no EndFrame leaves it"),
        (Rewriting, "fields", "has lost its place, or its turn, sections or lines"),
        (Hiding, "fields", "is said and not shown"),
        (Reordering, "fields", "has lost its place"),
        (Unbound, "fields", "does not begin with its LLMFullResponseStartFrame"),
        (Louder, "timing", "audio and words come as"),
        (Slow, "in time", "a sentence waits 200 ms in it"),
        (Blocking, "in time", "it holds up the event loop for"),
    ],
)
def test_a_filter_that_breaks_a_rule_is_caught(kind: type[Plain], name: str, why: str) -> None:
    assert why in failures(kind)[name]
