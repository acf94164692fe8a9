"""The contracts of a brain and of the responder, the stage that puts turns to it.

A brain is shown one turn and must make exactly one tool call: ``respond(sections, confidence,
answer)`` or ``escalate(reason, message)``. It streams that call as it is produced; what is in the
call is checked by :class:`processors.brain.responder.GroundedResponder`, never by the brain itself.
Where tools are registered it may call one of those instead, and is asked again with the result.
"""

import asyncio
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
from processors.cancellation import is_cancelled
from processors.contract import ChainStage

Tool = Literal["respond", "escalate"]

MAX_COMPLAINT_CHARS = 240
"""Most of a complaint that a brain is told."""

MAX_DECISION_TOKENS = 512
"""Longest decision, in tokens: the limit that every brain charged by the token sets."""


@dataclass(frozen=True, slots=True)
class Question:
    """One turn put to a brain.

    Parameters:
        text: What the caller said.
        history: The finished turns before it, oldest first.
        calls: Calls of registered tools in this turn so far, with their results.
        complaint: Why the first answer to it could not be used; empty the first time.
    """

    text: str
    history: tuple[Exchange, ...] = ()
    calls: tuple[ToolCall, ...] = ()
    complaint: str = ""


@dataclass(frozen=True, slots=True)
class ToolStart:
    """The brain has begun a tool call.

    Parameters:
        name: The tool's name as the brain sent it; the guardrails refuse an unknown one.
    """

    name: str


@dataclass(frozen=True, slots=True)
class ArgumentsDelta:
    """The next piece of the tool call's JSON arguments; it may end anywhere.

    Parameters:
        json: The piece; joined, the pieces are one JSON object.
    """

    json: str


@dataclass(frozen=True, slots=True)
class UsageReport:
    """Tokens used by the inference so far; the last report counts.

    Parameters:
        usage: The counts.
        doubted: The vendor's report, if it is implausible and ``usage`` replaces it.
    """

    usage: Usage
    doubted: str = ""


@dataclass(frozen=True, slots=True)
class Repaired:
    """The call was not in the form that was asked for, but its meaning was certain.

    Parameters:
        ways: What was repaired, each a name of :data:`processors.brain.repair.WAYS`.
    """

    ways: tuple[str, ...]


BrainEvent = ToolStart | ArgumentsDelta | UsageReport | Repaired


class Brain(Protocol):
    """Decides turns.

    One brain serves all calls of a process, so ``decide`` keeps no state between turns. Closing
    the iterator (or cancelling the task that runs it) aborts the inference at the vendor.
    """

    @property
    def name(self) -> str:
        """The vendor's name in the settings, such as ``"extractive"`` or ``"claude"``."""
        ...

    def decide(self, question: Question) -> AsyncIterator[BrainEvent]:
        """Stream one tool call that answers the question.

        Raises:
            BrainError: The vendor failed; ``permanent`` says that retrying is useless.
        """
        ...


async def events_of(brain: Brain, question: Question) -> AsyncGenerator[BrainEvent, None]:
    """Stream a brain's events as a generator; closing it aborts the inference.

    ``decide`` may return any iterator, even one without ``aclose``.

    Raises:
        BrainError: The vendor failed; or it ends the program, or its own task, which would end the
            server, or leave the caller without a word.
    """
    events: AsyncIterator[BrainEvent] | None = None
    try:
        events = brain.decide(question)
        async for event in events:
            yield event
    except SystemExit as error:
        raise BrainError(f"{brain.name} ends the program (SystemExit: {error})") from error
    except asyncio.CancelledError as error:
        if is_cancelled():
            raise
        raise BrainError(f"{brain.name} cancelled its own task") from error
    finally:
        close = getattr(events, "aclose", None)
        if close is not None:
            await close()


@runtime_checkable
class WarmableBrain(Brain, Protocol):
    """A brain that answers faster once its vendor has read the document."""

    async def warm(self) -> Usage:
        """Let the vendor read the document; returns the tokens used."""
        ...


TAKES: tuple[type[Frame], ...] = (TurnFrame, EagerEndOfTurnCancelFrame, InterruptionFrame)
"""The frames that the responder takes."""

GIVES: tuple[type[Frame], ...] = (
    LLMFullResponseStartFrame,
    SentenceFrame,
    LLMFullResponseEndFrame,
    DecisionFrame,
    EscalationFrame,
    FailoverFrame,
)


class ResponderStage(ChainStage, Protocol):
    """Puts each turn to the brain, checks the streamed answer, and emits what may be spoken.

    * Each ``TurnFrame`` that is not interrupted yields exactly one ``DecisionFrame``; a turn that
      cannot be decided becomes a spoken escalation, never silence.
    * Each sentence leaves as a ``SentenceFrame`` as soon as it has passed its checks, between one
      ``LLMFullResponseStartFrame`` and one ``LLMFullResponseEndFrame``.
    * A speculation (``TurnFrame.speculation``) emits nothing before its turn is confirmed.
    * An interruption aborts the brain's inference; the turn emits nothing more.
    * It never closes a turn or sends an interruption.
    """


class BrainError(Exception):
    """A brain could not decide.

    Parameters:
        message: The problem, in a sentence.
        permanent: Whether the same request can never succeed (a refused key, an unknown model).
        retry_after_secs: The wait that the vendor asked for, in seconds; ``None`` if it did not.
    """

    def __init__(
        self, message: str, *, permanent: bool = False, retry_after_secs: float | None = None
    ) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.retry_after_secs = retry_after_secs
