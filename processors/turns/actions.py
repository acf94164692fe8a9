"""The actions of the turn taking state machine."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Duck:
    """Lower the voice's volume, because the caller may be interrupting."""


@dataclass(frozen=True, slots=True)
class Unduck:
    """Restore the voice's volume, because it was no interruption."""


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Stop the voice and whatever produces it."""


@dataclass(frozen=True, slots=True)
class BeginTurn:
    """The caller has started a turn."""


@dataclass(frozen=True, slots=True)
class DropTurn:
    """The caller's turn had no words."""


@dataclass(frozen=True, slots=True)
class Speculate:
    """Start an answer early, without speaking it, because the turn may be over.

    Parameters:
        question: The words of the turn so far.
        continued: As in :class:`EndTurn`.
    """

    question: str
    continued: bool


@dataclass(frozen=True, slots=True)
class CancelSpeculation:
    """Discard the answer that was started early, because the caller continues."""


@dataclass(frozen=True, slots=True)
class TranscribeNow:
    """Request the words so far of a caller who speaks over the voice."""


@dataclass(frozen=True, slots=True)
class EndTurn:
    """The caller's turn is over. Times are in seconds on the state machine's clock.

    Parameters:
        question: All words of the turn.
        speech_end: When the last word ended.
        transcribed: When its transcript arrived.
        continued: Whether the turn continues the previous one, of whose answer nothing was heard.
    """

    question: str
    speech_end: float
    transcribed: float
    continued: bool


@dataclass(frozen=True, slots=True)
class Caption:
    """A caption of the caller's turn.

    Parameters:
        text: The words of the turn so far.
        final: Whether the turn is over.
    """

    text: str
    final: bool


@dataclass(frozen=True, slots=True)
class Say:
    """Speak a fixed phrase.

    Parameters:
        phrase: A key of :data:`processors.turns.processor.PHRASES`.
    """

    phrase: Literal["silence", "goodbye", "not_heard", "fault"]


Action = (
    Duck
    | Unduck
    | Interrupt
    | BeginTurn
    | DropTurn
    | Speculate
    | CancelSpeculation
    | TranscribeNow
    | EndTurn
    | Caption
    | Say
)
