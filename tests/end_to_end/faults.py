"""What vendors do wrong, and what becomes of the call: data, run by ``test_faults.py``.

``python -m tests.end_to_end.faults --write`` writes the table into ``docs/operating.md``.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import groupby
from pathlib import Path
from typing import Literal

from tests.vendors import deepgram, elevenlabs
from tests.vendors.model import Fault as ModelFault
from tests.vendors.model import Reply

OPERATING = Path(__file__).parents[2] / "docs" / "operating.md"
BEGIN = "<!-- faults: written by `python -m tests.end_to_end.faults --write` -->"
END = "<!-- /faults -->"

When = Literal["connecting", "the caller speaks", "thinking", "before the voice", "in the answer"]
Lasts = Literal["once", "a while", "for good"]


class Outcome(Enum):
    """What becomes of a question, as its caller hears it."""

    ANSWERED = "answered"
    PARTLY = "what was said stands; the rest goes to a person, in words"
    APOLOGISED = "an apology; the caller asks again"
    HANDED_OVER = "goes to a person, in words"
    ENDED = "the call ends, in words"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One thing that goes wrong.

    Parameters:
        vendor: Whose simulator does it.
        what: It, in words.
        when: The moment: of the first question, or when the call connects.
        lasts: ``once``; ``a while``: until the second question; ``for good``.
        faults: It, in the simulator's terms. Where they wait for audio, it is counted from the
            moment.
        reply: Instead: what the simulated model replies.
        alone: What becomes of the first question without a reserve.
        then: And of the second.
        reserved: What becomes of the first question with a reserve; the second is answered.
        within_secs: How long after the caller's last word words are heard, or the call's end is,
            at the most; with a reserve and without.
    """

    vendor: Literal["deepgram", "claude", "openai", "elevenlabs", "elevenlabs whole"]
    what: str
    when: When
    lasts: Lasts
    faults: tuple[deepgram.Fault | ModelFault | elevenlabs.Fault, ...] = ()
    reply: Reply | None = None
    alone: Outcome = Outcome.ANSWERED
    then: Outcome = Outcome.ANSWERED
    reserved: Outcome = Outcome.ANSWERED
    within_secs: float = 4.0

    @property
    def name(self) -> str:
        """For the test's id."""
        return f"{self.vendor}: {self.what}, {self.when}, {self.lasts}"
