"""What the rules of turn taking can ask for."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Duck:
    """Lower the voice: the caller may be starting to speak."""


@dataclass(frozen=True, slots=True)
class Unduck:
    """Bring the voice back: it was nothing."""


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Stop the voice and everything behind it."""


@dataclass(frozen=True, slots=True)
class BeginTurn:
    """The caller has taken the floor."""


@dataclass(frozen=True, slots=True)
class DropTurn:
    """The caller said nothing after all."""


@dataclass(frozen=True, slots=True)
class Speculate:
    """The caller may have finished: an answer may be begun, but not spoken.

    Parameters:
        question: Everything they said, as far as it is known.
        continued: As in :class:`EndTurn`.
    """

    question: str
    continued: bool


@dataclass(frozen=True, slots=True)
class Withdraw:
    """The caller goes on: an answer that was begun is to be thrown away."""


@dataclass(frozen=True, slots=True)
class Transcribe:
    """Somebody speaks over the voice: ask for their words, and do not wait until they come."""


@dataclass(frozen=True, slots=True)
class EndTurn:
    """The caller has finished.

    Parameters:
        question: Everything they said.
        speech_end: When their last word ended.
        transcribed: When its transcript came.
        continued: The turn goes on from the one before, whose answer was never heard.
    """

    question: str
    speech_end: float
    transcribed: float
    continued: bool


@dataclass(frozen=True, slots=True)
class Caption:
    """What the caller has said so far.

    Parameters:
        text: The whole turn so far.
        final: Whether the turn is over.
    """

    text: str
    final: bool


@dataclass(frozen=True, slots=True)
class Say:
    """Speak a phrase that is no answer.

    Parameters:
        phrase: Which one.
    """

    phrase: Literal["silence", "goodbye", "not_heard", "fault"]


Action = (
    Duck
    | Unduck
    | Interrupt
    | BeginTurn
    | DropTurn
    | Speculate
    | Withdraw
    | Transcribe
    | EndTurn
    | Caption
    | Say
)
