"""What a brain is asked and how it answers, and what the responder in front of it gives.

A brain is shown one turn and must make exactly one tool call: ``respond(sections, confidence,
answer)`` or ``escalate(reason, message)``. It streams that call as it is produced; what is in the
call is checked by :class:`processors.brain.responder.GroundedResponder`, never by the brain itself.
Where tools are registered it may call one of those instead, and is asked again with the result.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from pipecat.frames.frames import (
    EagerEndOfTurnCancelFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
)

from conversation.frames import (
    DecisionFrame,
    EscalationFrame,
    Exchange,
    FailoverFrame,
    SentenceFrame,
    TurnFrame,
    Usage,
)
from processors.brain.tools import ToolCall
from processors.contract import ChainStage

Tool = Literal["respond", "escalate"]

MAX_DECISION_TOKENS = 512
"""Longest decision: every brain that is charged by the token asks its vendor for no more."""


@dataclass(frozen=True, slots=True)
class Question:
    """One turn put to a brain.

    Parameters:
        text: What the caller said.
        history: The finished turns before it, oldest first.
        calls: The registered tools called in this turn so far, with what they gave.
    """

    text: str
    history: tuple[Exchange, ...] = ()
    calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolStart:
    """The brain has begun a tool call.

    Parameters:
        name: The tool's name as the brain gave it; an unknown one is for the guardrails to refuse.
    """

    name: str


@dataclass(frozen=True, slots=True)
class ArgumentsDelta:
    """A further piece of the tool call's JSON arguments, cut anywhere.

    Parameters:
        json: The piece; all pieces joined are one JSON object.
    """

    json: str


@dataclass(frozen=True, slots=True)
class UsageReport:
    """What the inference has used so far; the last one stands.

    Parameters:
        usage: The counts.
        doubted: What the vendor had reported, if that cannot be true and these are booked instead.
    """

    usage: Usage
    doubted: str = ""


BrainEvent = ToolStart | ArgumentsDelta | UsageReport


class Brain(Protocol):
    """Something that can decide a turn.

    One brain serves all calls of a process, so ``decide`` keeps no state between turns. Closing
    the iterator (or cancelling the task that runs it) aborts the inference at the vendor.
    """

    @property
    def name(self) -> str:
        """The vendor's name in settings, e.g. ``"extractive"`` or ``"claude"``."""
        ...

    def decide(self, question: Question) -> AsyncIterator[BrainEvent]:
        """Stream one tool call that answers the question.

        Raises:
            BrainError: The vendor failed; ``permanent`` says whether trying again is useless.
        """
        ...


async def events_of(brain: Brain, question: Question) -> AsyncGenerator[BrainEvent, None]:
    """A brain's events for a question, as a generator: closing it aborts the inference.

    A brain may give any iterator, one without ``aclose`` included.
    """
    events = brain.decide(question)
    try:
        async for event in events:
            yield event
    finally:
        close = getattr(events, "aclose", None)
        if close is not None:
            await close()


@runtime_checkable
class WarmableBrain(Brain, Protocol):
    """A brain that is faster once its vendor has read the document."""

    async def warm(self) -> Usage:
        """Have the vendor read it; returns what that used."""
        ...


TAKES: tuple[type[Frame], ...] = (TurnFrame, EagerEndOfTurnCancelFrame, InterruptionFrame)
"""What the responder takes, the stage that puts turns to a brain."""

GIVES: tuple[type[Frame], ...] = (
    LLMFullResponseStartFrame,
    SentenceFrame,
    LLMFullResponseEndFrame,
    DecisionFrame,
    EscalationFrame,
    FailoverFrame,
)


class ResponderStage(ChainStage, Protocol):
    """Puts each turn to the brain, checks what it streams, and gives what may be said.

    * Each ``TurnFrame`` that is not interrupted gives exactly one ``DecisionFrame``; a turn that
      cannot be decided becomes an escalation in words, never silence.
    * A sentence goes out as a ``SentenceFrame`` as soon as it is checked, between one
      ``LLMFullResponseStartFrame`` and one ``LLMFullResponseEndFrame``.
    * Nothing of a speculation (``TurnFrame.speculation``) goes out before its turn is confirmed.
    * An interruption aborts the brain's inference, and nothing more of the turn goes out.
    * It closes no turn, and sends no interruption.
    """


class BrainError(Exception):
    """A brain could not decide.

    Parameters:
        message: What went wrong, in a sentence.
        permanent: Whether the same request can never succeed (a refused key, an unknown model).
        retry_after_secs: How long the vendor asked to be left alone, if it did.
    """

    def __init__(
        self, message: str, *, permanent: bool = False, retry_after_secs: float | None = None
    ) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.retry_after_secs = retry_after_secs
