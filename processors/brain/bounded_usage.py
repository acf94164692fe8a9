"""What a vendor says that a request used, held against what the request can have used.

Vendors' counts are booked as money, so a count that cannot be true must not be: a negative one
would make a call cheaper, and an absurd one would end it, or not fit the ledger.
"""

import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, fields

from loguru import logger

from conversation.frames import Usage
from knowledge.loading.document import Document
from processors.brain.cached_prompt import (
    estimated_tokens,
    messages,
    prompt,
    restatements,
)
from processors.brain.contract import (
    MAX_DECISION_TOKENS,
    Brain,
    BrainEvent,
    Question,
    UsageReport,
    WarmableBrain,
    events_of,
)
from processors.brain.prompt import tools
from processors.brain.tools import FunctionTool

VENDORS_OWN_TOKENS = 4_000
"""What a vendor may add to a prompt: its own instructions for tools, and each message's frame.

Anthropic documents 313 to 804 tokens for tools
(https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview#pricing).
"""


MOST_OUTPUT_TOKENS = 32_000
"""More than any vendor writes in the seconds that a decision has.

Far beyond what is asked for, since some endpoints count a model's thoughts and do not limit them.
"""


@dataclass(frozen=True, slots=True)
class Bound:
    """What one request may use.

    Parameters:
        prompt_tokens: Most tokens of its prompt: a token is a byte at least.
        output_tokens: Most tokens of its answer, thoughts included.
        worst: What is booked instead of a count that cannot be true: the most that the worst case
            of a call reckons with, all of the prompt written to the cache, which is dearest.
    """

    prompt_tokens: int
    output_tokens: int
    worst: Usage

    def doubt(self, usage: Usage) -> str:
        """Why a count cannot be true; empty if it can."""
        for field in fields(usage):
            counted = getattr(usage, field.name)
            named = field.name.replace("_", " ")
            if not isinstance(counted, int):
                return f"{named} are {counted!r}, no whole number"
            if counted < 0:
                return f"{counted} {named}"
        given = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
        if given > self.prompt_tokens:
            return f"{given} tokens of a prompt that has {self.prompt_tokens} at most"
        if usage.output_tokens > self.output_tokens:
            return f"{usage.output_tokens} output tokens, of {self.output_tokens} at most"
        return ""


Bounds = Callable[[Question | None], Bound]
"""Called with a question, or with nothing for what comes before the first one."""


def bounds_of(
    document: Document, registered: Sequence[FunctionTool] = (), *, token_ratio: float = 1.0
) -> Bounds:
    """How much a request about a document may use; takes some milliseconds.

    Args:
        document: The document.
        registered: The tools that the brain may call.
        token_ratio: As in :class:`pipeline.vendor.Vendor`.
    """
    text = "\n".join([prompt(document, registered), *restatements(document)])
    fixed = len(text.encode()) + len(str(tools(document, registered)).encode())

    def bound(question: Question | None) -> Bound:
        told = [] if question is None else [text for _, text in messages(question)]
        calls = () if question is None else question.calls
        told += [part for call in calls for part in (call.tool, call.arguments, call.result)]
        size = fixed + sum(len(part.encode()) for part in told)
        return Bound(
            prompt_tokens=size + VENDORS_OWN_TOKENS,
            output_tokens=MOST_OUTPUT_TOKENS,
            worst=Usage(
                output_tokens=MAX_DECISION_TOKENS if question is not None else 0,
                cache_write_tokens=math.ceil(estimated_tokens(size) * token_ratio),
            ),
        )

    return bound


class BoundedUsage:
    """A brain whose counts are believed only if they can be true.

    Parameters:
        brain: The brain.
        bound: What a request may use, from :func:`bounds_of`.
    """

    def __init__(self, brain: Brain, bound: Bounds) -> None:
        self._brain = brain
        self._bound = bound

    @property
    def name(self) -> str:
        """The brain's."""
        return self._brain.name

    async def warm(self) -> Usage:
        """Warm the brain, if it can be."""
        if not isinstance(self._brain, WarmableBrain):
            return Usage()
        usage, bound = await self._brain.warm(), self._bound(None)
        if why := bound.doubt(usage):
            self._tell(why)
            return bound.worst
        return usage

    async def decide(self, question: Question) -> AsyncIterator[BrainEvent]:
        """Stream what the brain streams; raises as it does."""
        bound, told = self._bound(question), ""
        async with aclosing(events_of(self._brain, question)) as events:
            async for event in events:
                if isinstance(event, UsageReport) and (why := bound.doubt(event.usage)):
                    if why != told:
                        self._tell(why)
                    told = why
                    yield UsageReport(bound.worst, doubted=why)
                else:
                    yield event

    def _tell(self, why: str) -> None:
        logger.warning("{} reports {}: the worst case is booked instead", self.name, why)
