"""A brain that always gives one answer, and cites it rightly."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

from processors.brain.contract import ArgumentsDelta, BrainEvent, Question, ToolStart


@dataclass(frozen=True, slots=True)
class Quoting:
    """Says one sentence of a section."""

    section: str
    sentence: str

    @property
    def name(self) -> str:
        return "quoting"

    async def decide(self, question: Question) -> AsyncIterator[BrainEvent]:
        yield ToolStart("respond")
        yield ArgumentsDelta(
            json.dumps({"sections": [self.section], "confidence": "high", "answer": self.sentence})
        )
