"""The turns of one call: what was asked, decided and heard, and when each stage was done.

Pure bookkeeping on the call's clock (``time.monotonic``), shared by the processors of one call and
nobody else.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pipeline.frames import DecisionFrame, Exchange
from pipeline.playback import Playback

OUTPUT_SAMPLE_RATE = 24_000
INPUT_SAMPLE_RATE = 16_000


@dataclass(slots=True)
class Turn:
    """One turn of the caller and the answer to it.

    Times are seconds on the call's clock, ``None`` until they have come.

    Parameters:
        number: From 1.
        question: Everything the caller said in the turn.
        speech_end: End of the caller's last word.
        transcribed: The final transcript came.
        ended: The turn was taken to be over.
        first_token: The brain's first token.
        first_sentence: The first checked sentence left the brain.
        first_audio: The first audio of the answer was ready to be sent.
        first_played: The first sample of it was played, as the page measured it.
        decision: The complete decision, once made.
        interrupted: The caller cut the answer short.
        withdrawn: The caller went on before a word of the answer was heard; the next turn
            contains this one.
        closed: Nothing more will be heard of it.
    """

    number: int
    question: str
    speech_end: float
    transcribed: float | None = None
    ended: float | None = None
    first_token: float | None = None
    first_sentence: float | None = None
    first_audio: float | None = None
    first_played: float | None = None
    decision: DecisionFrame | None = None
    interrupted: bool = False
    withdrawn: bool = False
    closed: bool = False

    def delay(self, start: str, end: str) -> float | None:
        """Seconds between two of its times, ``None`` where one has not come."""
        begun, done = getattr(self, start), getattr(self, end)
        return None if begun is None or done is None else max(0.0, done - begun)


@dataclass
class Speculation:
    """What answers begun too early have cost a call, against what its turns have.

    Parameters:
        most_wasted: Largest share of the turns' tokens that may be wasted; past it no more answers
            are begun early until the turns have made up for it.
        used_tokens: Of decisions that were spoken.
        wasted_tokens: Of decisions that were thrown away.
    """

    most_wasted: float = 0.25
    used_tokens: int = 0
    wasted_tokens: int = 0

    @property
    def allowed(self) -> bool:
        """Whether an answer may be begun early now."""
        return self.wasted_tokens <= self.most_wasted * self.used_tokens


@dataclass
class Conversation:
    """The turns of one call and its voice.

    Parameters:
        clock: Seconds on the call's clock.
        playback: What was sent and played of the voice.
        turns: The turns so far, oldest first.
        speculation: What answers begun early have cost.
    """

    # Looked up when a call begins: under replay, the clock is another.
    clock: Callable[[], float] = field(default_factory=lambda: time.monotonic)
    playback: Playback = field(default_factory=lambda: Playback(sample_rate=OUTPUT_SAMPLE_RATE))
    turns: list[Turn] = field(default_factory=list)
    speculation: Speculation = field(default_factory=Speculation)

    @property
    def turn(self) -> Turn | None:
        """The latest turn."""
        return self.turns[-1] if self.turns else None

    def begin_turn(self, question: str, speech_end: float, transcribed: float | None) -> Turn:
        """Take the caller's turn to be over."""
        turn = Turn(
            len(self.turns) + 1, question, speech_end, transcribed=transcribed, ended=self.clock()
        )
        self.turns.append(turn)
        return turn

    def heard(self, turn: Turn) -> str:
        """What the caller has heard of the answer to a turn."""
        return self.playback.heard(turn.number, self.clock())

    def history(self, turns: Sequence[Turn] | None = None) -> tuple[Exchange, ...]:
        """Turns as a brain may look back on them: what was heard, not what was sent.

        Args:
            turns: Which; all so far by default.
        """
        return tuple(
            Exchange(
                question=turn.question,
                answer=self.heard(turn),
                sections=turn.decision.sections if turn.decision else (),
                decision=turn.decision.decision if turn.decision else "respond",
                interrupted=turn.interrupted,
            )
            for turn in (self.turns if turns is None else turns)
            if not turn.withdrawn
        )
