"""Reports a brain's questions and events to the call's observer."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import asdict
from typing import Any

from conversation.observer import CallObserver
from processors.brain.contract import (
    ArgumentsDelta,
    Brain,
    BrainError,
    BrainEvent,
    Question,
    Repaired,
    ToolStart,
    UsageReport,
    events_of,
)


async def reported(
    brain: Brain, question: Question, observer: CallObserver
) -> AsyncIterator[BrainEvent]:
    """Stream a brain's events, and report them; raises what the brain raises.

    The observer gets the question, each event, and how the stream ended: ``end``, ``error``, or
    ``aborted`` if it was closed early.
    """
    calls = [asdict(call) for call in question.calls]
    ask = observer.asked(question.text, question.history, calls)
    outcome: dict[str, Any] = {"event": "aborted"}
    try:
        async with aclosing(events_of(brain, question)) as events:
            async for event in events:
                observer.answered(ask, brain.name, _plain(event))
                yield event
        outcome = {"event": "end"}
    except BrainError as error:
        outcome = {
            "event": "error",
            "error": str(error),
            "permanent": error.permanent,
            "retry_after_secs": error.retry_after_secs,
        }
        raise
    except Exception as error:
        outcome = {"event": "error", "error": str(error), "permanent": False}
        raise
    finally:
        observer.answered(ask, brain.name, outcome)


def _plain(event: BrainEvent) -> dict[str, Any]:
    match event:
        case ToolStart(name=name):
            return {"event": "tool_start", "name": name}
        case ArgumentsDelta(json=piece):
            return {"event": "arguments", "json": piece}
        case UsageReport(usage=usage):
            return {"event": "usage", "usage": asdict(usage)}
        case Repaired(ways=ways):
            return {"event": "repaired", "ways": list(ways)}
