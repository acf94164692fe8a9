"""The turns of one call: what was asked, decided and heard, and when each stage was done.

Pure bookkeeping on the call's clock (``time.monotonic``), shared by the processors of one call and
nobody else.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from conversation.frames import DecisionFrame, Exchange
from conversation.meter import Meter, Metered
from conversation.playback import Playback
from conversation.records import StageCost, TurnRecord

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
        first_played: The first sample of it was played, as the page reported it.
        first_audible: The first sample of it that can be heard came out of the loudspeaker, as the
            page measured it, in time with this clock.
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
    first_audible: float | None = None
    decision: DecisionFrame | None = None
    interrupted: bool = False
    withdrawn: bool = False
    closed: bool = False

    def delay(self, start: str, end: str) -> float | None:
        """Seconds between two of its times, ``None`` where one has not come."""
        begun, done = getattr(self, start), getattr(self, end)
        return None if begun is None or done is None else max(0.0, done - begun)


@dataclass
class Money:
    """What a call may cost and has cost, in micro-dollars, as its page is told.

    Parameters:
        call: What the call has cost.
        call_cap: Most that it may cost; ``None`` without a cap.
        day: What all calls of the day have cost; ``None`` if nobody knows.
        day_cap: Most that they may cost; ``None`` without a cap.
    """

    call: StageCost = field(default_factory=StageCost)
    call_cap: int | None = None
    day: int | None = None
    day_cap: int | None = None


@dataclass
class Conversation:
    """The turns of one call and its voice.

    Parameters:
        call: The call's id.
        clock: Seconds on the call's clock.
        wall: Unix seconds.
        playback: What was sent and played of the voice.
        turns: The turns so far, oldest first.
        meter: What the call uses.
        money: What it may cost, and has cost.
        kept: Called with the record of each turn that is over, before the page is told of it.
        affordable: Whether another answer may be begun.
    """

    call: str = ""

    # Looked up when a call begins: under replay, the clock is another.
    clock: Callable[[], float] = field(default_factory=lambda: time.monotonic)
    playback: Playback = field(default_factory=lambda: Playback(sample_rate=OUTPUT_SAMPLE_RATE))
    turns: list[Turn] = field(default_factory=list)
    wall: Callable[[], float] = field(default_factory=lambda: time.time)
    meter: Meter = field(default_factory=Meter)
    money: Money = field(default_factory=Money)
    kept: Callable[[TurnRecord], None] = lambda _record: None
    affordable: Callable[[], bool] = lambda: True

    @property
    def turn(self) -> Turn | None:
        """The latest turn."""
        return self.turns[-1] if self.turns else None

    @property
    def number(self) -> int:
        """Number of the latest turn, 0 before the first."""
        return len(self.turns)

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

    def keep(self, turn: Turn) -> TurnRecord:
        """Write a turn down, with everything that was used for it so far."""
        record = self._record(turn, self.meter.take(turn.number))
        self.kept(record)
        return record

    def keep_rest(self) -> None:
        """Write down, at the end of the call, what no record has yet."""
        last = self.turn
        for number in self.meter.late():
            if 1 <= number <= len(self.turns) and self.turns[number - 1] is not last:
                self.keep(self.turns[number - 1])
        rest = self.meter.take_rest(last.number if last is not None else 0)
        if last is not None:
            self.kept(self._record(last, rest))
        elif rest.by_source or rest.errors:
            self.kept(self._describe(rest, number=0, at=self.wall()))

    def _record(self, turn: Turn, metered: Metered) -> TurnRecord:
        decision = turn.decision
        return replace(
            self._describe(
                metered, number=turn.number, at=self.wall() - (self.clock() - turn.speech_end)
            ),
            question=turn.question,
            decision=decision.decision if decision else None,
            reason=decision.reason if decision else "",
            confidence=decision.confidence if decision else None,
            sections=decision.sections if decision else (),
            lines=decision.lines if decision else (),
            checks=decision.checks if decision else (),
            answer=decision.text if decision else "",
            heard_text=self.heard(turn),
            interrupted=turn.interrupted,
            withdrawn=turn.withdrawn,
            transcription_delay=turn.delay("speech_end", "transcribed"),
            end_of_turn_delay=turn.delay("speech_end", "ended"),
            llm_ttft=turn.delay("ended", "first_token"),
            llm_ttfs=turn.delay("ended", "first_sentence"),
            tts_ttfb=turn.delay("first_sentence", "first_audio"),
            e2e_latency=turn.delay("speech_end", "first_audible")
            or turn.delay("speech_end", "first_played"),
        )

    def _describe(self, metered: Metered, *, number: int, at: float) -> TurnRecord:
        return TurnRecord(
            call=self.call,
            number=number,
            at=at,
            used=metered.used,
            wasted_tokens=metered.wasted_tokens,
            cost=self.meter.cost_of(metered),
            vendors=dict(metered.vendors),
            models=dict(metered.models),
            errors=tuple(metered.errors),
            failovers=tuple(metered.failovers),
        )
