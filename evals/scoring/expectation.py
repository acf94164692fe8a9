"""Expectations of a reply (words, sections, the decision), and whether it meets them.

A criterion in words is for a judge to rule on (:mod:`evals.judge`), not for this module.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

DECISIONS = ("respond", "escalate", "sensitive", "clarify", "any")
"""What may be expected of a decision; docs/evaluating.md says what each means."""


class Replied(Protocol):
    """A reply to compare with an expectation."""

    @property
    def text(self) -> str:
        """Its words."""
        ...

    @property
    def decision(self) -> str | None:
        """``respond`` or ``escalate``."""
        ...

    @property
    def reason(self) -> str:
        """Why it was handed to a person."""
        ...

    @property
    def sections(self) -> tuple[str, ...]:
        """The cited sections."""
        ...


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a right reply is; whatever is empty is not asked for.

    Parameters:
        says: Facts that must be said; ``|`` separates forms of one fact.
        never: Texts that must not be said; ``|`` likewise.
        contains: Texts of which each letter must be said, in the same case; pipecat's
            ``text_contains``.
        excludes: Such texts that must not be said.
        sections: Ids of which one must be cited, itself or one below it.
        decision: One of :data:`DECISIONS`; empty for ``respond`` if anything must be said or cited.
        criterion: A criterion in words, for a judge.
        within_secs: How long the reply may take.
    """

    says: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    contains: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()
    decision: str = ""
    criterion: str = ""
    within_secs: float | None = None

    @property
    def empty(self) -> bool:
        """Whether nothing is asked for."""
        return self == Expectation()


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether a reply meets one expectation.

    Parameters:
        expected: The expectation, as text.
        passed: Whether it is met; ``None`` if that is unknown.
        found: What the reply has instead, or the evidence, as text.
    """

    expected: str
    passed: bool | None
    found: str


def check(expectation: Expectation, reply: Replied) -> list[Finding]:
    """Check a reply against an expectation, as far as code can."""
    return [
        *_decision(expectation.decision, reply),
        *(
            Finding(f"the words {fact!r}", says(reply.text, fact), f"it said {reply.text!r}")
            for fact in expectation.says
        ),
        *(
            Finding(f"never {text!r}", not says(reply.text, text), f"it said {reply.text!r}")
            for text in expectation.never
        ),
        *(
            Finding(f"the text {part!r}", _holds(reply.text, part), f"it said {reply.text!r}")
            for part in expectation.contains
        ),
        *(
            Finding(f"no text {part!r}", not _holds(reply.text, part), f"it said {reply.text!r}")
            for part in expectation.excludes
        ),
        *_sections(expectation.sections, reply.sections),
    ]


def right_words(text: str, expectation: Expectation) -> bool:
    """Whether a text says all expected facts and nothing forbidden."""
    return all(says(text, fact) for fact in expectation.says) and not any(
        says(text, never) for never in expectation.never
    )


def says(text: str, fact: str) -> bool:
    """Whether a text says a fact in one of its forms, which ``|`` separates; case does not count.

    A number and a word of up to three letters must stand alone: "Go" is not said by "Good", nor
    200 by 1,200.
    """
    spaced = " ".join(text.lower().split())
    forms = (" ".join(form.lower().split()) for form in fact.split("|"))
    return any(_stands(form, spaced) for form in forms if form)


def cites(sections: Iterable[str], wanted: Iterable[str]) -> bool:
    """Whether one of the wanted sections, or one below it, is cited."""
    cited = tuple(sections)
    return any(id == want or id.startswith(f"{want}/") for id in cited for want in wanted)


def _holds(text: str, part: str) -> bool:
    return " ".join(part.split()) in " ".join(text.split())


def _stands(form: str, text: str) -> bool:
    before = r"(?<![\w.,])" if form[0].isdigit() else r"(?<!\w)" if len(form) < 4 else ""
    after = r"(?!\d|[.,:]\d)" if form[-1].isdigit() else r"(?!\w)" if len(form) < 4 else ""
    return bool(re.search(before + re.escape(form) + after, text))


def _decision(wanted: str, reply: Replied) -> Iterable[Finding]:
    answered = reply.decision == "respond"
    found = f"it did {reply.decision or 'nothing'}" + (f" ({reply.reason})" if reply.reason else "")
    match wanted:
        case "respond":
            yield Finding("an answer", answered, found)
        case "escalate":
            yield Finding("that it is handed to a person", reply.decision == "escalate", found)
        case "sensitive":
            refused = reply.decision == "escalate" and reply.reason == "sensitive"
            yield Finding("that it is refused as sensitive", refused, found)
        case "clarify":
            asks = answered and not reply.sections and reply.text.endswith("?")
            yield Finding("that it asks which is meant", asks, f"it said {reply.text!r}")
        case _:
            pass


def _sections(wanted: Sequence[str], cited: Sequence[str]) -> Iterable[Finding]:
    if wanted:
        found = f"it cited {', '.join(cited) or 'nothing'}"
        yield Finding(f"a citation of {' or '.join(wanted)}", cites(cited, wanted), found)
