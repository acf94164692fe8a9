"""A brain that replies as a test says, and engines with it."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conversation.frames import Usage
from knowledge.loading.document import Document, load
from pipeline.choice import Choice, choose
from pipeline.engines import Engines
from pipeline.vendors import Vendor
from processors.brain.contract import (
    ArgumentsDelta,
    BrainError,
    BrainEvent,
    Question,
    ToolStart,
    UsageReport,
)
from settings import Settings

STUDIED = "She studied mathematics at the University of Porto from 2004 to 2009."
WORKED = "Since 2015 she has been a staff engineer at Farfetch."
CV = (
    "---\nsensitive: [salary]\n---\n# Ana Sousa\n\n"
    f"## Education\n\n- {STUDIED}\n\n## Work\n\n- {WORKED}\n"
)


def answer(text: str, *sections: str) -> tuple[str, dict[str, Any]]:
    """A call of ``respond``."""
    return "respond", {"sections": list(sections), "confidence": "high", "answer": text}


HAND_OVER = ("escalate", {"reason": "unsupported", "message": ""})


@dataclass
class Scripted:
    """Replies to each question as scripted, and notes what it was asked.

    Parameters:
        replies: The call by question; without one, the brain fails.
    """

    replies: Mapping[str, tuple[str, dict[str, Any]]]
    asked: list[Question] = field(default_factory=list)
    name: str = "scripted"

    async def decide(self, question: Question) -> AsyncIterator[BrainEvent]:
        self.asked.append(question)
        if question.text not in self.replies:
            raise BrainError("scripted has no reply", permanent=True)
        tool, arguments = self.replies[question.text]
        yield ToolStart(tool)
        yield ArgumentsDelta(json.dumps(arguments))
        yield UsageReport(Usage(input_tokens=100, output_tokens=10))


def cv(folder: Path) -> Document:
    """A CV of two lines."""
    path = folder / "ana.md"
    path.write_text(CV, "utf-8")
    return load(path)


def engines_of(brain: Scripted, document: Document) -> Engines:
    """Engines whose brain is scripted."""
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    vendor = Vendor(
        stage="brain", name=brain.name, label="a script", kind="embedded", detail="a test"
    )
    choices = {**choose(settings), "brain": Choice(vendor, "scripted")}
    return Engines(settings, document, choices, {brain.name: brain})
