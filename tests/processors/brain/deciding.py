"""One turn decided by a brain over a real socket, with short timeouts."""

import asyncio
import time
from dataclasses import dataclass

from conversation.frames import DecisionFrame, Exchange, SentenceFrame, TurnFrame
from knowledge.loading.document import load
from processors.brain.contract import (
    ArgumentsDelta,
    Brain,
    BrainEvent,
    Question,
    ToolStart,
    UsageReport,
)
from processors.brain.decision_run import DecisionRun, DecisionTimeouts
from processors.brain.guardrails import Phrases
from simulators.model import Reply

DOCUMENT = load()
PHRASES = Phrases()
KEY = "sk-secret-0123456789-do-not-log"

FIRST = "She earned her PhD in mathematics from Yale University in 1934."
SECOND = "Her master's degree in mathematics is from Yale University, in 1930."
RIGHT = Reply(
    "respond",
    {"sections": ["education"], "confidence": "high", "answer": f"{FIRST} {SECOND}"},
)
PASSED_ON = Reply(
    "escalate", {"reason": "unsupported", "message": "I will pass that on to a person."}
)
QUESTION = "Which degrees did she take at Yale?"
INTO_THE_SECOND = RIGHT.json.index(SECOND) + 20
"""How many characters of the right answer hold its first sentence, and not all of the second."""


@dataclass
class Turn:
    """What became of a turn.

    Parameters:
        decision: The decision.
        said: Each sentence, with its time on the event loop's clock.
        fault: How the brain failed in the end.
        secs: How long it took.
    """

    decision: DecisionFrame
    said: list[tuple[float, str]]
    fault: str
    secs: float

    @property
    def words(self) -> list[str]:
        return [text for _, text in self.said]


async def decide(
    brain: Brain,
    question: str = QUESTION,
    history: tuple[Exchange, ...] = (),
    *,
    first_token_timeout_secs: float = 1.0,
    decision_timeout_secs: float = 4.0,
    by_clause: bool = False,
) -> Turn:
    """Let a brain decide a turn."""
    loop = asyncio.get_running_loop()
    said: list[tuple[float, str]] = []

    async def say(sentence: SentenceFrame) -> None:
        said.append((loop.time(), sentence.text))

    decision_run = DecisionRun(
        TurnFrame(turn=1, question=question, history=history),
        brain=brain,
        document=DOCUMENT,
        phrases=PHRASES,
        timeouts=DecisionTimeouts(
            first_token_timeout_secs=first_token_timeout_secs,
            decision_timeout_secs=decision_timeout_secs,
            trailing_timeout_secs=0.3,
            abort_timeout_secs=0.5,
        ),
        say=say,
        by_clause=by_clause,
    )
    begun = time.monotonic()
    decision = await decision_run.decide()
    return Turn(decision, said, decision_run.fault, time.monotonic() - begun)


async def events(
    brain: Brain, question: str = QUESTION, history: tuple[Exchange, ...] = ()
) -> list[BrainEvent]:
    """All that a brain streams."""
    return [event async for event in brain.decide(Question(question, history))]


def called(streamed: list[BrainEvent]) -> tuple[list[str], str, UsageReport]:
    """The tools that were called, the arguments, and the last usage report."""
    names = [event.name for event in streamed if isinstance(event, ToolStart)]
    source = "".join(event.json for event in streamed if isinstance(event, ArgumentsDelta))
    reports = [event for event in streamed if isinstance(event, UsageReport)]
    return names, source, reports[-1]


async def until_ended(request: object) -> str:
    """Wait until a simulator has done with a request, and say how it ended."""
    async with asyncio.timeout(2.0):
        while not getattr(request, "ended_at", 0.0):
            await asyncio.sleep(0.01)
    return str(getattr(request, "ended", ""))
