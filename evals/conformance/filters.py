"""What a filter between two stages must do: pass on what is not its own, whole and in time."""

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
from evals.conformance.bench import Check
from evals.conformance.line import Line, NonconformanceError
from evals.conformance.turns import passes_unknown
from processors.contract import FilterStage, in_order

SENTENCES = (
    "She studied mathematics at Vassar.",
    "Then she earned a doctorate at Yale.",
    "In 1943 she joined the Navy.",
)

PASS_SECS = 1.0
"""Longest wait for what must come."""

DELAY_SECS = 0.05
"""Longest that a sentence may wait in a filter."""

BLOCKED_SECS = 0.02
"""Longest that the event loop may be held up by a sentence, at best of several."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter to be checked.

    Parameters:
        name: Its name.
        make: Makes one call's.
    """

    name: str
    make: Callable[[], FilterStage]

    def line(self) -> Line:
        """One in a pipeline of its own."""
        return Line(*in_order(self.make()))


async def passes_on(checked: Filter) -> str:
    """What it does not know is passed on in order, in both directions."""
    async with checked.line() as line:
        return await passes_unknown(line)


async def reports(checked: Filter) -> str:
    """Decisions, escalations and use reach page, ledger and recording."""
    told = (
        DecisionFrame(turn=1, text=" ".join(SENTENCES)),
        EscalationFrame(turn=1, reason="unsupported"),
        MetricsFrame(data=[]),
    )
    async with checked.line() as line:
        await line.push(*told)
        for frame in told:
            kind = type(frame)
            missing = f"no {kind.__name__} leaves it"
            await line.until(lambda kind=kind: line.of(kind), PASS_SECS, missing)  # type: ignore[misc]
    return "decisions, escalations and metrics pass"


async def interruption(checked: Filter) -> str:
    """An interruption passes at once, and nothing that it has overtaken comes after it."""
    async with checked.line() as line:
        await line.push(LLMFullResponseStartFrame(), *_sentences(turn=1))
        await line.push(InterruptionFrame())
        await line.until(lambda: line.of(InterruptionFrame), PASS_SECS, "no InterruptionFrame")
        at = next(n for n, frame in enumerate(line.down) if isinstance(frame, InterruptionFrame))
        await asyncio.sleep(PASS_SECS)
        late = [frame.text for frame in line.down[at:] if isinstance(frame, SentenceFrame)]
        if late:
            raise NonconformanceError(f"{late[0]!r} came after it was interrupted")
        await line.push(LLMFullResponseStartFrame(), *_sentences(turn=2), LLMFullResponseEndFrame())
        await line.until(lambda: line.of(LLMFullResponseEndFrame), PASS_SECS, "no further answer")
    return "passed at once; the next answer passed, too"


async def end_of_call(checked: Filter) -> str:
    """``EndFrame`` and ``CancelFrame`` pass, and no task is left behind."""
    async with checked.line() as line:
        await line.push(EndFrame())
        await line.until(lambda: line.of(EndFrame), PASS_SECS, "no EndFrame leaves it")
    async with checked.line() as line:
        await asyncio.sleep(0.1)
    if not line.of(CancelFrame):
        raise NonconformanceError("no CancelFrame leaves it")
    return "EndFrame and CancelFrame pass"


async def fields(checked: Filter) -> str:
    """An answer keeps its begin, its end and its order; what is said keeps what it rests on."""
    given = _sentences(turn=1)
    async with checked.line() as line:
        await line.push(LLMFullResponseStartFrame(), *given, LLMFullResponseEndFrame())
        await line.until(lambda: line.of(LLMFullResponseEndFrame), PASS_SECS, "no end of an answer")
        kinds = (LLMFullResponseStartFrame, SentenceFrame, LLMFullResponseEndFrame)
        came = [frame for frame in line.down if isinstance(frame, kinds)]
        if not isinstance(came[0], LLMFullResponseStartFrame):
            raise NonconformanceError("an answer does not begin with its LLMFullResponseStartFrame")
        if not isinstance(came[-1], LLMFullResponseEndFrame):
            raise NonconformanceError("a sentence comes behind the end of its answer")
        rest = iter(given)
        passed = 0
        for frame in came:
            if isinstance(frame, SentenceFrame):
                passed += 1
                if not any(_rests_on(frame) == _rests_on(before) for before in rest):
                    raise NonconformanceError(
                        f"{frame.text!r} has lost its place, or its turn, sections or lines: "
                        f"{_rests_on(frame)}"
                    )
                if not frame.shown.strip():
                    raise NonconformanceError(f"{frame.text!r} is said and not shown")
    return f"{passed} of {len(given)} sentences pass, with turn, sections and lines"


async def timing(checked: Filter) -> str:
    """Audio and words keep their order, and the context and time that tie them together."""
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
    async with checked.line() as line:
        await line.push(*given)
        await line.until(lambda: line.of(TTSStoppedFrame), PASS_SECS, "no TTSStoppedFrame")
        kinds = (TTSStartedFrame, TTSTextFrame, TTSAudioRawFrame, TTSStoppedFrame)
        came = [_timed(frame) for frame in line.down if isinstance(frame, kinds)]
    if came != wanted:
        raise NonconformanceError(f"audio and words come as {came}, not {wanted}")
    return "audio and words pass with pts and context_id"


async def in_time(checked: Filter) -> str:
    """No sentence waits in it, and none holds up the event loop that all calls share."""
    waited, blocked = 0.0, BLOCKED_SECS + 1.0
    loop = asyncio.get_running_loop()
    async with checked.line() as line:
        for number in range(1, 9):
            given = _sentences(turn=number)[0]
            before = len(line.down)
            at, really = loop.time(), _real_time()
            await line.push(LLMFullResponseStartFrame(), given, LLMFullResponseEndFrame())
            await line.until(
                lambda before=before: any(  # type: ignore[misc]
                    isinstance(frame, LLMFullResponseEndFrame) for frame in line.down[before:]
                ),
                PASS_SECS,
                "no end of an answer",
            )
            waited = max(waited, loop.time() - at)
            # The least of several: what the machine does besides holds up not every one.
            blocked = min(blocked, _real_time() - really)
    if waited > DELAY_SECS:
        raise NonconformanceError(f"a sentence waits {1000 * waited:.0f} ms in it")
    if blocked > BLOCKED_SECS:
        raise NonconformanceError(f"it holds up the event loop for {1000 * blocked:.0f} ms")
    return f"a sentence takes {1000 * blocked:.1f} ms"


FILTER_CHECKS: tuple[Check[Filter], ...] = (
    Check("passes on", passes_on, 30.0, "blocks", "frames of other stages are lost"),
    Check("reports", reports, 30.0, "blocks", "page, ledger and recording lack turns"),
    Check("interruption", interruption, 30.0, "degrades", "callers hear what they interrupted"),
    Check("end of the call", end_of_call, 30.0, "blocks", "calls do not end"),
    Check("fields", fields, 30.0, "degrades", "what is said loses its turn, sources or caption"),
    Check("timing", timing, 30.0, "degrades", "captions and heard text are out of step"),
    Check("in time", in_time, 30.0, "degrades", "answers are late, in other calls as well"),
)


def _sentences(*, turn: int) -> tuple[SentenceFrame, ...]:
    return tuple(
        SentenceFrame(text, turn=turn, sections=(f"section-{number}",), lines=(number, number + 1))
        for number, text in enumerate(SENTENCES, 1)
    )


def _rests_on(sentence: SentenceFrame) -> tuple[int, tuple[str, ...], tuple[int, ...]]:
    return sentence.turn, sentence.sections, sentence.lines


def _timed(frame: Any) -> tuple[str, str | None, int | None]:
    return type(frame).__name__, frame.context_id, frame.pts


def _real_time() -> float:
    """Seconds that have really passed, in virtual time, too."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)
