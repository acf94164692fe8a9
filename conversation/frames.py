"""The frames that are Viva's own; every other frame is pipecat's.

Treat them as immutable: a frame is created once, pushed, and never changed. pipecat stamps
``id``, ``name`` and ``pts`` on every frame, which is why the dataclasses cannot be ``frozen``.

They are the vocabulary of the stages: processors, recordings and transports import this module, and
it imports nothing of Viva's.
"""

from dataclasses import dataclass, field
from typing import Literal

from pipecat.frames.frames import (
    AggregatedTextFrame,
    ControlFrame,
    DataFrame,
    SystemFrame,
)
from pipecat.utils.text.base_text_aggregator import TextType

Confidence = Literal["high", "medium", "low"]


@dataclass(frozen=True, slots=True)
class Check:
    """One check that code made on a decision before any of it was spoken.

    Parameters:
        name: What was checked, e.g. ``"sections"``, ``"support"``, ``"sensitive"``, ``"decision"``.
        passed: Whether the decision passed it.
        detail: Why not, for the log and the page; if it passed, what had to be repaired for it.
    """

    name: str
    passed: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class LookedUp:
    """A tool's result in a turn, as an answer cites it; it is in no document.

    Parameters:
        section: The id by which it is cited.
        title: Its title, for people.
        text: The text that the answer was checked against.
    """

    section: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What one inference used, in the vendor's own units.

    Parameters:
        input_tokens: Prompt tokens not read from or written to a cache.
        output_tokens: Generated tokens.
        cache_read_tokens: Prompt tokens read from the vendor's cache.
        cache_write_tokens: Prompt tokens written to the vendor's cache.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0

    @property
    def tokens(self) -> int:
        """The sum of all tokens."""
        return (
            self.input_tokens
            + self.output_tokens
            + self.cache_read_tokens
            + self.cache_write_tokens
        )

    def __add__(self, other: "Usage") -> "Usage":
        """What both used together."""
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cache_read_tokens=self.cache_read_tokens + other.cache_read_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
        )


@dataclass(frozen=True, slots=True)
class Exchange:
    """One finished turn of the conversation, as the brain sees it in its history.

    Parameters:
        question: What the caller said, as transcribed.
        answer: What the caller *heard* of the answer, cut at a word when they interrupted.
        sections: Ids of the sections that the answer cited.
        decision: ``"respond"`` or ``"escalate"``.
        interrupted: Whether the caller cut the answer short.
    """

    question: str
    answer: str
    sections: tuple[str, ...] = ()
    decision: Literal["respond", "escalate"] = "respond"
    interrupted: bool = False


@dataclass
class SpeechPauseFrame(SystemFrame):
    """The caller has paused, not yet for long enough to count as stopped.

    A recogniser may start its final transcription now, and discard it if the caller goes on.

    Parameters:
        pause_secs: Silence so far, in seconds.
    """

    pause_secs: float = 0.0


@dataclass
class PauseVerdictFrame(SystemFrame):
    """The turn model's verdict on a pause, before the caller counts as having stopped.

    Parameters:
        probability: Probability that the caller has finished their turn, 0 to 1.
    """

    probability: float = 0.0


@dataclass
class EndOfTurnFrame(SystemFrame):
    """The turn model's verdict on the speech that has just stopped.

    Parameters:
        probability: Probability that the caller has finished their turn, 0 to 1.
        delay_secs: From the stop of speech to this verdict.
    """

    probability: float = 0.0
    delay_secs: float = 0.0


@dataclass
class SecondVoiceFrame(SystemFrame):
    """A second voice takes turns in the call, by its sound; pushed once a call at most."""


@dataclass
class TranscribeNowFrame(SystemFrame):
    """Asks for the words so far in the midst of speech, since somebody speaks over the voice.

    It goes upstream. A recogniser that can be asked answers with a transcript, final or not.
    """


@dataclass
class TurnFrame(DataFrame):
    """The caller has finished a turn: decide on it.

    A snapshot, where pipecat's ``LLMContextFrame`` shares one mutable context: a turn that is
    re-run from a recording, or started before it is certain, must see what it saw then.

    Parameters:
        turn: Number of the caller's turn in the call, from 1.
        question: Everything the caller said in it.
        history: The finished turns before it, oldest first.
        speculation: The end of the turn is not certain yet. The brain may start on the decision,
            but nothing of it may be pushed before the same turn comes without this flag.
        doubt: Probability that some word of the question was heard wrongly; 0 where the recogniser
            does not say.
    """

    turn: int = 0
    question: str = ""
    history: tuple[Exchange, ...] = ()
    speculation: bool = False
    doubt: float = 0.0


@dataclass
class DecisionFrame(SystemFrame):
    """The complete decision of a turn, once the brain has produced all of it.

    A system frame, so that it reaches the page and the ledger at once: a data frame would wait
    behind the voice, and an interruption would drop it.

    Parameters:
        turn: Number of the caller's turn it answers, from 1.
        decision: ``"respond"`` or ``"escalate"``.
        sections: Ids of the cited sections, in the order the brain gave them.
        lines: Source line numbers (from 1) of the document that support the answer.
        confidence: The brain's confidence; ``None`` for an escalation.
        text: Every word sent to be spoken, hedge included.
        reason: Why it escalated (``"unsupported"``, ``"sensitive"``, ``"off_topic"``,
            ``"unclear"``, ``"fault"`` …); empty for an answer.
        checks: The checks made, in order.
        usage: What the inference used.
        brain: Name of the vendor that decided.
        ttft_secs: Time to first token, from the start of the turn; ``None`` if none came.
        ttfs_secs: Time to the first sentence that may be spoken, likewise.
        looked_up: The cited sections that are results of tools.
    """

    turn: int = 0
    decision: Literal["respond", "escalate"] = "respond"
    sections: tuple[str, ...] = ()
    lines: tuple[int, ...] = ()
    confidence: Confidence | None = None
    text: str = ""
    reason: str = ""
    checks: tuple[Check, ...] = ()
    usage: Usage = field(default_factory=Usage)
    brain: str = ""
    ttft_secs: float | None = None
    ttfs_secs: float | None = None
    looked_up: tuple[LookedUp, ...] = ()


@dataclass
class SentenceFrame(AggregatedTextFrame):
    """One checked sentence of an answer, to be spoken, with the lines that support it.

    The grounded responder pushes one a sentence, *instead of* ``LLMTextFrame`` (and of a separate
    citation). pipecat's text to speech speaks an ``AggregatedTextFrame`` at once, without waiting
    for more text, and passes the very same object on, in order, just ahead of its audio: so the
    citation reaches the page exactly with the voice, whatever vendor speaks.

    ``text`` is what the voice is given to say. What is heard is always shown: ``shown`` is the
    caption of the same sentence, and what the ledger and the brain's memory have of it.

    Parameters:
        turn: Number of the caller's turn, from 1.
        sections: Ids of the sections the sentence rests on.
        lines: Source line numbers (from 1) to light while it is spoken.
        shown: The sentence as it is shown; ``text`` by default.
    """

    text_type: TextType | str = TextType.SENTENCE
    turn: int = 0
    sections: tuple[str, ...] = ()
    lines: tuple[int, ...] = ()
    shown: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.shown = self.shown or self.text


def shown_text(frame: AggregatedTextFrame) -> str:
    """The caption of a spoken text: of a sentence or of a prompt."""
    if isinstance(frame, SentenceFrame):
        return frame.shown.strip()
    return str(frame.metadata.get("shown", frame.text)).strip()


@dataclass
class EscalationFrame(SystemFrame):
    """A question handed to a human.

    Parameters:
        turn: Number of the caller's turn, from 1.
        reason: As in :class:`DecisionFrame`.
        question: What the caller asked.
    """

    turn: int = 0
    reason: str = ""
    question: str = ""


@dataclass
class FailoverFrame(SystemFrame):
    """A vendor failed for good, and the next one has taken over its stage.

    Parameters:
        stage: ``"stt"``, ``"brain"`` or ``"tts"``.
        failed: Name of the vendor that failed.
        vendor: Name of the one that took over.
        ends_turns: Whether the new vendor, a recogniser, detects ends of turns itself.
    """

    stage: str = ""
    failed: str = ""
    vendor: str = ""
    ends_turns: bool = False


@dataclass
class PlaybackFrame(SystemFrame):
    """How much of Viva's voice the caller's page has played.

    Parameters:
        epoch: How many interruptions the page had seen when it played it.
        samples: Samples played since that interruption, at the output's sample rate.
        final: The page has dropped the rest of this epoch: no more of it will be heard.
    """

    epoch: int = 0
    samples: int = 0
    final: bool = False


@dataclass
class CallerTypingFrame(SystemFrame):
    """The caller is typing a question, so they are still there."""


@dataclass
class CallerHoldsFrame(SystemFrame):
    """The caller has pressed the button that they hold to talk, or let it go.

    Parameters:
        held: Whether it is held from now on.
    """

    held: bool = False


@dataclass
class CallerTextFrame(SystemFrame):
    """The transcript of the turn so far, for the page's caption.

    pipecat's transcription frames are data frames: they would wait behind the voice, and an
    interruption would drop them.

    Parameters:
        text: The whole turn so far.
        final: The text will not change any more.
    """

    text: str = ""
    final: bool = False


@dataclass
class DuckFrame(SystemFrame):
    """Lower the voice at once: the caller may be starting to speak."""


@dataclass
class UnduckFrame(SystemFrame):
    """Restore the voice's volume: it was a cough or a backchannel."""


@dataclass
class EndCallFrame(ControlFrame):
    """End the call once everything before this frame, and its last words, have been played.

    Turn taking speaks the last words and stops listening; the transport ends the call.

    Parameters:
        reason: Why the call ends (``"cap"``, ``"silence"`` …).
        last_words: What is said first, even over somebody who speaks; empty for nothing.
    """

    reason: str = ""
    last_words: str = ""
