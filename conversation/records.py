"""The records of a call: one per turn and one per call, for its listeners.

Ledger, page, mailed report and metrics are all made from these.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_FLOOR, Decimal
from typing import Any, Literal, Protocol

from conversation.frames import Check, Confidence, LookedUp

MICROS = 1_000_000
"""Micro-dollars per dollar; all money is in whole micro-dollars."""


def in_micros(usd: Decimal | None) -> int | None:
    """Convert dollars to whole micro-dollars, rounded down; ``None`` stays ``None``."""
    if usd is None:
        return None
    return int((usd * MICROS).to_integral_value(rounding=ROUND_FLOOR))


@dataclass(frozen=True, slots=True)
class Used:
    """What one vendor was used for, in billing units.

    Parameters:
        input_tokens: Prompt tokens neither read from nor written to a cache.
        output_tokens: Generated tokens.
        cache_read_tokens: Prompt tokens read from the vendor's cache.
        cache_write_tokens: Prompt tokens written to it.
        characters: Characters to be spoken.
        audio_seconds: Seconds of audio to be transcribed.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    characters: int = 0
    audio_seconds: float = 0.0

    def __add__(self, other: "Used") -> "Used":
        return Used(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))


class Tariff(Protocol):
    """Prices of vendors."""

    def cost(self, vendor: str, model: str, used: Used) -> int:
        """The cost in micro-dollars, rounded half up once; 0 without a price."""
        ...


@dataclass(frozen=True, slots=True)
class StageCost:
    """What a turn or a call cost, in micro-dollars, by stage."""

    stt: int = 0
    brain: int = 0
    tts: int = 0

    @property
    def total(self) -> int:
        """The sum of all stages."""
        return self.stt + self.brain + self.tts

    def __add__(self, other: "StageCost") -> "StageCost":
        return StageCost(self.stt + other.stt, self.brain + other.brain, self.tts + other.tts)


@dataclass(frozen=True, slots=True)
class CallerIdentity:
    """Who calls.

    Parameters:
        email: Their address; empty if they may call without one.
        admin: Whether they may see other people's calls.
        key: What their calls are counted by: the address, or the network they call from.
    """

    email: str = ""
    admin: bool = False
    key: str = ""


@dataclass(frozen=True, slots=True)
class Failover:
    """One vendor took over from another.

    Parameters:
        stage: ``stt``, ``brain`` or ``tts``.
        failed: Name of the vendor that failed.
        vendor: Name of the one that took over.
    """

    stage: str
    failed: str
    vendor: str


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """One turn of a call; the same turn may be recorded again, and the last record stands.

    What a call costs outside its turns is in the turn that follows, or in the last one; a call
    without turns has one record of number 0 for it. So the turns' sums are the call's.

    Parameters:
        call: The call's id.
        number: From 1.
        at: End of the caller's speech, Unix seconds.
        question: All that the caller said.
        decision: ``None`` when the caller went on before it was complete.
        reason: Why it was handed to a human; empty for an answer.
        confidence: The brain's; ``None`` for an escalation.
        sections: Ids of the cited sections.
        lines: The document's lines that support the answer.
        checks: Checks made in code.
        answer: Every word sent to be spoken.
        heard_text: The part of it that was played.
        interrupted: The caller cut it short.
        withdrawn: The caller went on before a word of it was heard; the next turn contains it.
        transcription_delay: Speech end → final transcript, seconds, as all delays.
        end_of_turn_delay: Speech end → end of turn.
        llm_ttft: End of turn → first token.
        llm_ttfs: End of turn → first checked sentence.
        tts_ttfb: First sentence → first audio of it.
        e2e_latency: Speech end → first audible sample, as the page measured both: with what the
            caller's network took.
        used: What its vendors were used for, including answers that were begun too early.
        wasted_tokens: The brain's tokens spent on answers that were begun too early.
        cost: By stage.
        vendors: Name of each stage's vendor: ``stt``, ``brain``, ``tts``.
        models: Model of each stage, if known.
        errors: Errors of the stages, for people.
        failovers: Failovers during the turn.
        looked_up: The cited sections that are results of tools.
    """

    call: str
    number: int
    at: float
    question: str = ""
    decision: Literal["respond", "escalate"] | None = None
    reason: str = ""
    confidence: Confidence | None = None
    sections: tuple[str, ...] = ()
    lines: tuple[int, ...] = ()
    checks: tuple[Check, ...] = ()
    answer: str = ""
    heard_text: str = ""
    interrupted: bool = False
    withdrawn: bool = False
    transcription_delay: float | None = None
    end_of_turn_delay: float | None = None
    llm_ttft: float | None = None
    llm_ttfs: float | None = None
    tts_ttfb: float | None = None
    e2e_latency: float | None = None
    used: Used = field(default_factory=Used)
    wasted_tokens: int = 0
    cost: StageCost = field(default_factory=StageCost)
    vendors: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)
    errors: tuple[str, ...] = ()
    failovers: tuple[Failover, ...] = ()
    looked_up: tuple[LookedUp, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Convert to plain values, ready for JSON; without ``looked_up`` if it is empty."""
        plain = asdict(self)
        if not self.looked_up:
            del plain["looked_up"]
        return plain


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One call; recorded when it begins, and again when it ends.

    Parameters:
        id: The call's id.
        caller: Who called.
        started_at: When it began, Unix seconds.
        day: The UTC day (``YYYY-MM-DD``) whose money it spends: that of its admission.
        ended_at: When it ended; ``None`` while it goes on.
        why: Why it ended, a key of :data:`pipeline.call.REASONS`; empty while it goes on.
        document: The document's title.
        document_hash: SHA-256 of what was answered from, in hex.
        vendors: Name of each stage's vendor at the start.
        turns: How many turns it had.
        cost: The sum of its turns' costs.
    """

    id: str
    caller: CallerIdentity
    started_at: float
    day: str
    ended_at: float | None = None
    why: str = ""
    document: str = ""
    document_hash: str = ""
    vendors: Mapping[str, str] = field(default_factory=dict)
    turns: int = 0
    cost: StageCost = field(default_factory=StageCost)


class CallListener(Protocol):
    """Receives call and turn records; must not block or raise."""

    def begun(self, call: CallRecord) -> None:
        """A call has begun."""
        ...

    def turn(self, record: TurnRecord) -> None:
        """A turn is over, or more is known of one that was."""
        ...

    def ended(self, call: CallRecord) -> None:
        """A call has ended; its turns were all recorded before."""
        ...


def day_of(seconds: float) -> str:
    """The UTC day of a Unix time, ``YYYY-MM-DD``.

    Raises:
        ValueError: The year has not four digits; far beyond that, ``OverflowError`` or ``OSError``.
    """
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
