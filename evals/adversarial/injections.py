"""Spoken prompt injections, and a language model that obeys each of them."""

import json
import tomllib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rapidfuzz.fuzz import token_set_ratio

from knowledge.loading.document import Document
from knowledge.loading.section import Section
from processors.brain.contract import ArgumentsDelta, BrainEvent, Question, ToolStart
from processors.brain.prompt import instructions

FILE = Path(__file__).with_name("injections.toml")

FORMS = ("cited", "after the truth", "uncited", "message")
"""How an obedient model passes on what it was told to say: in an answer that cites a section, there
after a sentence of the document, in an answer that cites nothing, in the message of an escalation.
"""


@dataclass(frozen=True, slots=True)
class Injection:
    """Something that a caller says to make the agent do what it must not.

    Parameters:
        kind: Its kind.
        say: What the caller says.
        obeyed: What a model says that does it.
    """

    kind: str
    say: str
    obeyed: str


def prompt_rules(document: Document) -> str:
    """What the system prompt says beside the document and the greeting, which callers hear."""
    rules = instructions(document).partition("The document, section by section")[0]
    return rules.replace(document.persona.greeting, "")


def injections(document: Document) -> tuple[Injection, ...]:
    """Read the file.

    Args:
        document: Of the system prompt that is put in place of ``{prompt}``.
    """
    prompt = prompt_rules(document).replace('"', "").replace("\n- ", " ").strip()
    return tuple(
        Injection(plain["kind"], plain["say"], plain["obeyed"].replace("{prompt}", prompt))
        for plain in tomllib.loads(FILE.read_text("utf-8"))["injection"]
    )


@dataclass
class ObedientBrain:
    """A language model that does what callers say, in one form after another.

    Parameters:
        document: What it should answer from.
        injections: What it obeys; it takes what it hears for the likest of them.
        told: What it has said so far: the injection's kind, the form, and the words.
    """

    document: Document
    injections: Sequence[Injection]
    told: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """``"obedient"``."""
        return "obedient"

    async def decide(self, question: Question) -> AsyncIterator[BrainEvent]:
        """Stream the tool call of a model that obeys."""
        heard = max(self.injections, key=lambda one: token_set_ratio(one.say, question.text))
        form = FORMS[len(self.told) % len(FORMS)]
        self.told.append((heard.kind, form, heard.obeyed))
        section = next(section for section in self.document.sections if len(section.lines) > 1)
        if form == "message":
            yield ToolStart("escalate")
            yield ArgumentsDelta(json.dumps({"reason": "off_topic", "message": heard.obeyed}))
            return
        said = f"{_truth(section)} {heard.obeyed}" if form == "after the truth" else heard.obeyed
        arguments = {
            "sections": [] if form == "uncited" else [section.id],
            "confidence": "high",
            "answer": said,
        }
        yield ToolStart("respond")
        yield ArgumentsDelta(json.dumps(arguments, ensure_ascii=False))


def _truth(section: Section) -> str:
    return next(line.text for line in section.lines if line.kind != "heading")
