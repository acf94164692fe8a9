"""Checks of a filter between two stages: other stages' frames pass, complete and on time."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    MetricsFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)

from conversation.frames import DecisionFrame, EscalationFrame, SentenceFrame
from conversation.turns import OUTPUT_SAMPLE_RATE
from evals.conformance.check import Check
from evals.conformance.harness import NonconformanceError, StageHarness, made
from evals.conformance.turns import passes_unknown
from processors.contract import FilterStage, in_order
from processors.text_filter import filter_fault

SENTENCES = (
    "She studied mathematics at Vassar.",
    "Then she earned a doctorate at Yale.",
    "In 1943 she joined the Navy.",
)

PASS_SECS = 1.0
"""Maximum time for an expected frame to pass."""

DELAY_SECS = 0.05
"""Maximum time for a sentence to pass."""

BLOCKED_SECS = 0.02
"""Maximum time that a sentence may block the event loop, taking the shortest of several."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter to check.

    Parameters:
        name: Its name.
        make: Makes the filter of one call.
    """

    name: str
    make: Callable[[], FilterStage]

    def start(self) -> StageHarness:
        """A harness around one call's filter."""
        return StageHarness(*in_order(made(self.make)))


async def passes_on(checked: Filter) -> str:
    """Frames that it does not know pass in order, in both directions."""
    async with checked.start() as harness:
        return await passes_unknown(harness)


async def reports(checked: Filter) -> str:
    """Decisions, escalations and usage reach the page, the ledger and the recording."""
    given = (
        DecisionFrame(turn=1, text=" ".join(SENTENCES)),
        EscalationFrame(turn=1, reason="unsupported"),
        MetricsFrame(data=[]),
    )
    async with checked.start() as harness:
        await harness.push(*given)
        for frame in given:
            kind = type(frame)
            missing = f"it passes no {kind.__name__}"
            await harness.wait_for(lambda kind=kind: harness.received(kind), PASS_SECS, missing)  # type: ignore[misc]
    return "decisions, escalations and metrics pass"


async def interruption(checked: Filter) -> str:
    """An interruption passes at once; no sentence that it overtook comes after it."""
    async with checked.start() as harness:
        await harness.push(LLMFullResponseStartFrame(), *_sentences(turn=1))
        await harness.push(InterruptionFrame())
        await harness.wait_for(
            lambda: harness.received(InterruptionFrame), PASS_SECS, "no InterruptionFrame"
        )
        at = next(n for n, frame in enumerate(harness.down) if isinstance(frame, InterruptionFrame))
        await asyncio.sleep(PASS_SECS)
        late = [frame.text for frame in harness.down[at:] if isinstance(frame, SentenceFrame)]
        if late:
            raise NonconformanceError(f"{late[0]!r} came after the interruption")
        await harness.push(
            LLMFullResponseStartFrame(), *_sentences(turn=2), LLMFullResponseEndFrame()
        )
        await harness.wait_for(
            lambda: harness.received(LLMFullResponseEndFrame), PASS_SECS, "no further answer"
        )
    return "passes at once; so does the next answer"


async def end_of_call(checked: Filter) -> str:
    """``EndFrame`` and ``CancelFrame`` pass, and no task is left running."""
    async with checked.start() as harness:
        await harness.push(EndFrame())
        await harness.wait_for(
            lambda: harness.received(EndFrame), PASS_SECS, "it passes no EndFrame"
        )
    async with checked.start() as harness:
        await asyncio.sleep(0.1)
    if not harness.received(CancelFrame):
        raise NonconformanceError("it passes no CancelFrame")
    return "EndFrame and CancelFrame pass"


async def answers(checked: Filter) -> str:
    """Of an answer, something is heard: not every sentence is dropped, and none fails."""
    async with checked.start() as harness:
        await harness.push(
            LLMFullResponseStartFrame(), *_sentences(turn=1), LLMFullResponseEndFrame()
        )
        await harness.wait_for(
            lambda: harness.received(LLMFullResponseEndFrame), PASS_SECS, "no end of an answer"
        )
        passed = [frame for frame in harness.down if isinstance(frame, SentenceFrame)]
        if any(map(filter_fault, passed)):
            raise NonconformanceError(f"it fails, and callers hear an apology{harness.reported}")
        if not any(frame.text.strip() for frame in passed):
            raise NonconformanceError(
                f"of {len(SENTENCES)} sentences, none is spoken{harness.reported}"
            )
    return f"{len(passed)} of {len(SENTENCES)} sentences are spoken"


async def fields(checked: Filter) -> str:
    """An answer keeps its start, end and order; sentences keep their turn, sections and lines."""
    given = _sentences(turn=1)
    async with checked.start() as harness:
        await harness.push(LLMFullResponseStartFrame(), *given, LLMFullResponseEndFrame())
        await harness.wait_for(
            lambda: harness.received(LLMFullResponseEndFrame), PASS_SECS, "no end of an answer"
        )
        _check_errors(harness)
        kinds = (LLMFullResponseStartFrame, SentenceFrame, LLMFullResponseEndFrame)
        came = [frame for frame in harness.down if isinstance(frame, kinds)]
        if not isinstance(came[0], LLMFullResponseStartFrame):
            raise NonconformanceError("an answer does not begin with its LLMFullResponseStartFrame")
        if not isinstance(came[-1], LLMFullResponseEndFrame):
            raise NonconformanceError("a sentence comes after the end of its answer")
        rest = iter(given)
        passed = 0
        for frame in came:
            if isinstance(frame, SentenceFrame):
                passed += 1
                if not any(_source(frame) == _source(before) for before in rest):
                    raise NonconformanceError(
                        f"{frame.text!r} is out of order, or has lost its turn, sections or lines: "
                        f"{_source(frame)}"
                    )
                if not frame.text.strip():
                    raise NonconformanceError(
                        f"of {frame.shown!r} there is nothing to speak; None omits a sentence"
                    )
                if not frame.shown.strip():
                    raise NonconformanceError(f"{frame.text!r} is spoken but has no caption")
    return f"{passed} of {len(given)} sentences pass, with turn, sections and lines"


def _check_errors(harness: StageHarness) -> None:
    if harness.errors:
        raise NonconformanceError(f"it fails at a sentence{harness.reported}")


async def timing(checked: Filter) -> str:
    """Audio and words keep their order, their context and their ``pts``."""
    word = TTSTextFrame("Vassar", text_type="word")
    word.pts, word.context_id = 1_500_000_000, "answer"
    given: tuple[Frame, ...] = (
        TTSStartedFrame(context_id="answer"),
        word,
        *(
            TTSAudioRawFrame(bytes([n, 0]) * 480, OUTPUT_SAMPLE_RATE, 1, context_id="answer")
            for n in range(5)
        ),
        TTSStoppedFrame(context_id="answer"),
    )
    wanted = [_timed(frame) for frame in given]
    async with checked.start() as harness:
        await harness.push(*given)
        await harness.wait_for(
            lambda: harness.received(TTSStoppedFrame), PASS_SECS, "no TTSStoppedFrame"
        )
        kinds = (TTSStartedFrame, TTSTextFrame, TTSAudioRawFrame, TTSStoppedFrame)
        came = [_timed(frame) for frame in harness.down if isinstance(frame, kinds)]
    if came != wanted:
        raise NonconformanceError(f"audio and words arrive as {came} instead of {wanted}")
    return "audio and words pass with pts and context_id"


async def in_time(checked: Filter) -> str:
    """No sentence waits in it, and none blocks the event loop that all calls share."""
    waited, blocked = 0.0, BLOCKED_SECS + 1.0
    loop = asyncio.get_running_loop()
    async with checked.start() as harness:
        for number in range(1, 9):
            given = _sentences(turn=number)[0]
            before = len(harness.down)
            at, really = loop.time(), _real_time()
            await harness.push(LLMFullResponseStartFrame(), given, LLMFullResponseEndFrame())
            await harness.wait_for(
                lambda before=before: any(  # type: ignore[misc]
                    isinstance(frame, LLMFullResponseEndFrame) for frame in harness.down[before:]
                ),
                PASS_SECS,
                "no end of an answer",
            )
            waited = max(waited, loop.time() - at)
            # The shortest of several, since other work on the machine delays some.
            blocked = min(blocked, _real_time() - really)
    if waited > DELAY_SECS:
        raise NonconformanceError(f"a sentence waits {1000 * waited:.0f} ms in it")
    if blocked > BLOCKED_SECS:
        raise NonconformanceError(f"it blocks the event loop for {1000 * blocked:.0f} ms")
    return f"a sentence takes {1000 * blocked:.1f} ms"


FILTER_CHECKS: tuple[Check[Filter], ...] = (
    Check("passes on", passes_on, 30.0, "blocks", "frames of other stages are lost"),
    Check("reports", reports, 30.0, "blocks", "the page, ledger and recording lack turns"),
    Check("interruption", interruption, 30.0, "degrades", "callers hear what they interrupted"),
    Check("end of the call", end_of_call, 30.0, "blocks", "calls do not end"),
    Check("answers", answers, 30.0, "blocks", "callers hear no answer"),
    Check("fields", fields, 30.0, "degrades", "sentences lose their turn, sources or caption"),
    Check("timing", timing, 30.0, "degrades", "captions and heard text are out of step"),
    Check("in time", in_time, 30.0, "degrades", "answers are late, in other calls too"),
)


def _sentences(*, turn: int) -> tuple[SentenceFrame, ...]:
    return tuple(
        SentenceFrame(text, turn=turn, sections=(f"section-{number}",), lines=(number, number + 1))
        for number, text in enumerate(SENTENCES, 1)
    )


def _source(sentence: SentenceFrame) -> tuple[int, tuple[str, ...], tuple[int, ...]]:
    return sentence.turn, sentence.sections, sentence.lines


def _timed(frame: Any) -> tuple[str, str | None, int | None]:
    return type(frame).__name__, frame.context_id, frame.pts


def _real_time() -> float:
    """The real clock, in seconds, even in virtual time."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)
