"""The turns of one call: what was asked, decided and heard, and when each stage was done.

:class:`Conversation` owns them, and only it writes a :class:`Turn`: turn taking, the stages and the
transport report events to it and learn what follows from them. It creates the record of every turn
that is over, and knows which turns are stale: interrupted, so that no more of them may be heard.

No I/O; times are on the call's clock (``time.monotonic``). The processors of one call share it.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from pipecat.frames.frames import InterruptionFrame, MetricsFrame

from conversation.far_end import FarEnd
from conversation.frames import DecisionFrame, Exchange, FailoverFrame, PlaybackFrame
from conversation.meter import Meter, Metered
from conversation.observer import CallObserver, Unobserved
from conversation.playback import Playback
from conversation.records import Failover, StageCost, TurnRecord

OUTPUT_SAMPLE_RATE = 24_000
INPUT_SAMPLE_RATE = 16_000

MAX_AUDIBLE_AHEAD_SECS = 0.5
"""How far in the future a page may report its first audible sample."""


FollowUp = Literal["person", "address", "nobody"]
"""Who can answer a question that is left: a person who knows where to write, a person once the
caller has left an address, or nobody."""


@dataclass(slots=True)
class Turn:
    """One turn of the caller and the answer to it; only :class:`Conversation` writes it.

    Times are seconds on the call's clock, ``None`` until they have come.

    Parameters:
        number: From 1.
        question: Everything the caller said in the turn.
        speech_end: End of the caller's last word.
        transcribed: The final transcript came.
        ended: The turn was decided to be over.
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
        closed: No more of it will be heard.
        late_secs: By how much later than it was spoken the question came.
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
    late_secs: float = 0.0

    def delay(self, start: str, end: str) -> float | None:
        """Seconds between two of its times; ``None`` if one has not come."""
        begun, done = getattr(self, start), getattr(self, end)
        return None if begun is None or done is None else max(0.0, done - begun)

    @property
    def waited(self) -> float | None:
        """Seconds for which the caller waited for the answer, their network included."""
        waited = self.delay("speech_end", "first_audible") or self.delay(
            "speech_end", "first_played"
        )
        return None if waited is None else waited + self.late_secs


@dataclass
class Money:
    """What a call may cost and has cost, in micro-dollars, as shown on the page.

    Parameters:
        call: What the call has cost.
        call_cap: Its spending limit; ``None`` without one.
        day: What all calls of the day have cost; ``None`` if unknown.
        day_cap: Their spending limit; ``None`` without one.
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
        playback: Which part of the voice was sent and played.
        turns: The turns so far, oldest first.
        meter: What the call uses.
        money: What it may cost, and has cost.
        kept: Called with the record of each turn that is over, before the page shows it.
        affordable: Whether there is money for another answer.
    """

    call: str = ""

    # Looked up when a call starts: a replay patches the clock.
    clock: Callable[[], float] = field(default_factory=lambda: time.monotonic)
    playback: Playback = field(default_factory=lambda: Playback(sample_rate=OUTPUT_SAMPLE_RATE))
    turns: list[Turn] = field(default_factory=list)
    wall: Callable[[], float] = field(default_factory=lambda: time.time)
    meter: Meter = field(default_factory=Meter)
    money: Money = field(default_factory=Money)
    kept: Callable[[TurnRecord], None] = lambda _record: None
    affordable: Callable[[], bool] = lambda: True
    observer: CallObserver = field(default_factory=Unobserved)
    """Notified of everything that happens in the call; set before its chain is built."""
    playback_is_reported: bool = False
    """Whether the transport itself reports what it has sent and played."""
    follow_up: FollowUp = "person"
    """Who can answer a question that is left; the voice promises no more."""
    far_end: FarEnd | None = None
    """What the loudspeaker plays, if the transport reports that; set before its chain is built."""
    lateness: Callable[[], float] = lambda: 0.0
    """By how many seconds later than it is spoken the caller's voice comes now."""
    stale: int = field(default=0, init=False)
    """Number of the latest turn that was interrupted; 0 if none was."""
    _awaited: dict[int, list[Turn]] = field(default_factory=dict, init=False)
    """Turns cut short, by the epoch whose final playback report is yet to come."""

    @property
    def turn(self) -> Turn | None:
        """The latest turn."""
        return self.turns[-1] if self.turns else None

    @property
    def number(self) -> int:
        """Number of the latest turn, 0 before the first."""
        return len(self.turns)

    def is_stale(self, number: int) -> bool:
        """Whether a turn was interrupted, so that no more of it may be heard.

        Args:
            number: The turn's number; 0, for prompts outside turns, is never stale.
        """
        return 0 < number <= self.stale

    # Reports of turn taking.

    def begin_turn(self, question: str, speech_end: float, transcribed: float | None) -> Turn:
        """Start a turn: the caller has finished speaking."""
        turn = Turn(
            len(self.turns) + 1,
            question,
            speech_end,
            transcribed=transcribed,
            ended=self.clock(),
            late_secs=self.lateness(),
        )
        self.turns.append(turn)
        return turn

    def withdraw(self) -> None:
        """Withdraw the latest turn: the caller went on before hearing any of the answer."""
        if self.turn is not None:
            self.turn.withdrawn = True

    def interrupted(self, frame: InterruptionFrame) -> None:
        """Mark the latest turn as interrupted and stale.

        The first stage that sees the frame reports it. From then on the frame names its turn
        (``metadata["turn"]``, ``None`` before the first turn), because the next turn may have
        started when it arrives elsewhere. Further reports of the same frame change nothing.
        """
        if "turn" in frame.metadata:
            return
        turn = self.turn
        frame.metadata["turn"] = turn.number if turn is not None else None
        if turn is not None:
            turn.interrupted = turn.interrupted or not turn.closed
            self.stale = turn.number

    def close(self, turn: Turn | None) -> TurnRecord | None:
        """Close a turn of which no more will be heard, and keep its record.

        Returns:
            The record to announce; ``None`` if the turn was closed already or withdrawn.
        """
        if turn is None or turn.closed:
            return None
        turn.closed = True
        record = self.record_turn(turn)
        return None if turn.withdrawn else record

    # Reports of the stages.

    def decided(self, decision: DecisionFrame) -> None:
        """Record a complete decision."""
        self.meter.tokens(decision.turn, decision.brain, decision.usage)
        turn = self._numbered(decision.turn)
        if turn is None:
            return
        turn.decision = decision
        if turn.ended is not None and decision.ttft_secs is not None:
            turn.first_token = turn.ended + decision.ttft_secs
        if turn.ended is not None and decision.ttfs_secs is not None:
            turn.first_sentence = turn.ended + decision.ttfs_secs

    def metrics(self, frame: MetricsFrame) -> None:
        """Record what a service reports to have used.

        It counts for the turn that the frame names (``metadata["turn"]``), otherwise for the
        latest. Transcribed audio names its turn, which may begin before or after the report.
        """
        self.meter.metrics(frame.metadata.get("turn", self.number), frame)

    def failed_over(self, frame: FailoverFrame) -> None:
        """Record that another vendor has taken over a stage."""
        taken_over = Failover(stage=frame.stage, failed=frame.failed, vendor=frame.vendor)
        self.meter.failover(self.number, taken_over)

    # Reports of the transport.

    def audio_came(self, number: int) -> None:
        """Record that audio of a sentence is ready to be sent.

        Args:
            number: The turn that the sentence answers, 0 for none.
        """
        turn = self.turn
        if turn is not None and turn.number == number:
            turn.first_audio = turn.first_audio or self.clock()

    def played(self, report: PlaybackFrame) -> bool:
        """Record what the transport has played.

        Returns:
            Whether this was the first audio heard of the answer to the latest turn.
        """
        now = self.clock()
        if not self.playback.report(report.epoch, report.samples, now, final=report.final):
            return False
        turn = self.turn
        if turn is None or turn.first_played is not None:
            return False
        span = self.playback.first_span(turn.number)
        played = self.playback.reported
        if span is None or report.epoch != self.playback.epoch or played <= span.start:
            return False
        first_played = now - (played - span.start) / OUTPUT_SAMPLE_RATE
        turn.first_played = (
            first_played if span.sent_at is None else max(span.sent_at, first_played)
        )
        return True

    def audible(self, *, epoch: int, sample: int, at: float) -> TurnRecord | None:
        """Record when the answer to the latest turn was first audible, as the page measured it.

        Args:
            epoch: The epoch of the playback.
            sample: The first audible sample in it.
            at: When it came out of the loudspeaker, on the call's clock.

        Returns:
            The turn's updated record, if the turn was closed before.
        """
        turn = self.turn
        if turn is None or turn.first_audible is not None or epoch != self.playback.epoch:
            return None
        span = self.playback.first_span(turn.number)
        plausible = turn.speech_end <= at <= self.clock() + MAX_AUDIBLE_AHEAD_SECS
        if span is None or span.sent_at is None or not plausible:
            return None
        if not span.start <= sample < self.playback.sent:
            return None
        # It cannot be heard before it was sent, and what comes before it was played.
        since_start = (sample - span.start) / OUTPUT_SAMPLE_RATE
        turn.first_audible = max(at, span.sent_at + since_start)
        return self.record_turn(turn) if turn.closed else None

    def voice_stopped(self) -> TurnRecord | None:
        """Close the latest turn, whose voice was played to its end; returns as :meth:`close`."""
        return self.close(self.turn)

    def is_silent(self) -> bool:
        """Whether the answer to the latest turn has no audio yet."""
        return self.turn is not None and self.turn.first_audio is None

    def cut_short(self, epoch: int) -> bool:
        """Close stale turns, as the transport drops the rest of the voice, or leave them to settle.

        Args:
            epoch: The epoch that has ended.

        Returns:
            Whether the transport has yet to report how much was heard (:meth:`settle`).
        """
        waiting = {turn.number for turns in self._awaited.values() for turn in turns}
        for turn in self.turns[: self.stale]:
            if turn.withdrawn:
                self.close(turn)
            elif not turn.closed and turn.number not in waiting:
                self._awaited.setdefault(epoch, []).append(turn)
        return epoch in self._awaited

    def settle(self, epoch: int) -> list[TurnRecord]:
        """Close the turns cut short in an epoch, of whose playback no more will be reported.

        Returns:
            The records to announce.
        """
        records = [self.close(turn) for turn in self._awaited.pop(epoch, [])]
        return [record for record in records if record is not None]

    # For transports that do not report playback.

    def sent(self, samples: int) -> None:
        """Record audio sent to the transport, assumed to be played in real time after the rest.

        Args:
            samples: How many, at ``OUTPUT_SAMPLE_RATE``.
        """
        now = self.clock()
        self.playback.send(samples, now)
        turn = self.turn
        if turn is None or turn.first_played is not None:
            return
        span = self.playback.first_span(turn.number)
        if span is not None and span.samples:
            ahead = span.start - self.playback.played(now)
            turn.first_played = now + max(0, ahead) / OUTPUT_SAMPLE_RATE

    def drop_unplayed(self) -> None:
        """Close stale turns: the transport drops what was not played by now."""
        now, epoch = self.clock(), self.playback.epoch
        for turn in self.turns[: self.stale]:
            if not turn.closed and turn.first_played is not None and turn.first_played > now:
                turn.first_played = None
        self.playback.interrupt(now)
        self.cut_short(epoch)
        self.settle(epoch)

    def close_heard(self) -> None:
        """Close every turn of which some was heard: all audio has been played."""
        for turn in self.turns:
            if turn.first_played is not None:
                self.close(turn)

    # The end of the call.

    def cut_off(self, *, voicing: bool) -> TurnRecord | None:
        """Close the open turn at the end of the call, with what was heard so far.

        Args:
            voicing: Whether the voice was being heard.

        Returns:
            As :meth:`close`.
        """
        turn = self.turn
        if turn is None or turn.closed:
            return None
        turn.interrupted = turn.interrupted or voicing
        return self.close(turn)

    # History and records.

    def heard(self, turn: Turn) -> str:
        """The part of the answer to a turn that the caller has heard."""
        return self.playback.heard(turn.number, self.clock())

    def history(self, turns: Sequence[Turn] | None = None) -> tuple[Exchange, ...]:
        """The history for the brain: what was heard, not what was sent.

        Args:
            turns: The turns; all so far by default.
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

    def record_turn(self, turn: Turn) -> TurnRecord:
        """Create a turn's record, with its usage so far, and report it to the listeners."""
        record = self._record(turn, self.meter.collect(turn.number))
        self.kept(record)
        return record

    def record_rest(self) -> None:
        """Keep, at the end of the call, the usage that is in no record yet."""
        last = self.turn
        for turn in self.turns[:-1]:
            self.close(turn)
        for number in self.meter.changed_since_collected():
            if 1 <= number <= len(self.turns) and self.turns[number - 1] is not last:
                self.record_turn(self.turns[number - 1])
        rest = self.meter.collect_rest(last.number if last is not None else 0)
        if last is not None:
            self.kept(self._record(last, rest))
        elif rest.by_source or rest.errors:
            self.kept(self._describe(rest, number=0, at=self.wall()))

    def _numbered(self, number: int) -> Turn | None:
        return self.turns[number - 1] if 1 <= number <= len(self.turns) else None

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
            looked_up=decision.looked_up if decision else (),
            answer=decision.text if decision else "",
            heard_text=self.heard(turn),
            interrupted=turn.interrupted,
            withdrawn=turn.withdrawn,
            transcription_delay=turn.delay("speech_end", "transcribed"),
            end_of_turn_delay=turn.delay("speech_end", "ended"),
            llm_ttft=turn.delay("ended", "first_token"),
            llm_ttfs=turn.delay("ended", "first_sentence"),
            tts_ttfb=turn.delay("first_sentence", "first_audio"),
            e2e_latency=turn.waited,
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
