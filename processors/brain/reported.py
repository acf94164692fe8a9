"""What a brain is asked and what it answers, told to the call's observer as it comes."""

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
    ToolStart,
    UsageReport,
    events_of,
)


async def reported(
    brain: Brain, question: Question, observer: CallObserver
) -> AsyncIterator[BrainEvent]:
    """Stream what the brain streams; raises as it does.

    The observer is told the question, each event, and how it ended: ``end``, ``error``, or
    ``aborted`` where nobody wanted the rest.
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
