"""The reply to a written question, and what can be asserted of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from conversation.records import TurnRecord
from evals.scoring.expectation import Expectation, Finding, check


@dataclass(frozen=True, slots=True)
class Reply:
    """What a caller would have heard, and on what grounds.

    The methods are for tests: each raises an ``AssertionError`` that says what was replied instead,
    and returns the reply otherwise, so that they can be chained.

    Parameters:
        record: The turn's record, as a call's ledger has it.
        secs: From the question to the complete decision.
    """

    record: TurnRecord
    secs: float

    @property
    def question(self) -> str:
        """What was asked."""
        return self.record.question

    @property
    def text(self) -> str:
        """Every word that would have been spoken."""
        return self.record.answer

    @property
    def decision(self) -> str:
        """``respond`` or ``escalate``."""
        return self.record.decision or ""

    @property
    def reason(self) -> str:
        """Why it was handed to a person; empty for an answer."""
        return self.record.reason

    @property
    def confidence(self) -> str:
        """``high``, ``medium`` or ``low``; empty for an escalation."""
        return self.record.confidence or ""

    @property
    def sections(self) -> tuple[str, ...]:
        """Ids of the cited sections."""
        return self.record.sections

    @property
    def lines(self) -> tuple[int, ...]:
        """The document's lines that support the answer."""
        return self.record.lines

    @property
    def cost_micros(self) -> int:
        """What the brain cost, in micro-dollars; 0 without a price."""
        return self.record.cost.total

    @property
    def fault(self) -> str:
        """How the brain failed, if nothing but that is why it was handed to a person."""
        if self.reason != "fault":
            return ""
        details = [check.detail for check in self.record.checks if not check.passed]
        return details[-1] if details else "the brain failed"

    @property
    def grounds(self) -> str:
        """Decision, confidence or reason, and sections, in one line."""
        about = ", ".join(filter(None, (self.decision, self.confidence or self.reason)))
        return f"[{about}] {', '.join(self.sections)}".strip()

    def as_dict(self) -> dict[str, Any]:
        """The reply as plain values, ready for JSON."""
        return {
            "question": self.question,
            "text": self.text,
            "decision": self.decision,
            "reason": self.reason,
            "confidence": self.confidence,
            "sections": list(self.sections),
            "lines": list(self.lines),
            "secs": round(self.secs, 3),
            "cost_usd": self.cost_micros / 1_000_000,
            "fault": self.fault,
        }

    def says(self, *facts: str) -> Self:
        """Assert that all facts are said; ``|`` separates forms of one fact."""
        return self._asserted(Expectation(says=facts))

    def never_says(self, *texts: str) -> Self:
        """Assert that none of the texts is said."""
        return self._asserted(Expectation(never=texts))

    def cites(self, *sections: str) -> Self:
        """Assert that one of the sections, or one below it, is cited."""
        return self._asserted(Expectation(sections=sections))

    def answers(self) -> Self:
        """Assert that the question was answered."""
        return self._asserted(Expectation(decision="respond"))

    def escalates(self, reason: str = "") -> Self:
        """Assert that the question was handed to a person, for that reason if one is given."""
        self._asserted(Expectation(decision="escalate"))
        if reason and self.reason != reason:
            raise AssertionError(f"it escalates because of {self.reason!r}, not {reason!r}. {self}")
        return self

    def _asserted(self, expectation: Expectation) -> Self:
        if failed := [found for found in check(expectation, self) if not found.passed]:
            raise AssertionError(_told(failed, self))
        return self

    def __str__(self) -> str:
        return f"{self.question!r}: {self.text!r} {self.grounds}"


def _told(failed: Sequence[Finding], reply: Reply) -> str:
    what = "; ".join(f"expected {found.expected}, {found.found}" for found in failed)
    fault = f" The brain failed: {reply.fault}." if reply.fault else ""
    return f"{what}.{fault}\n{reply}"
