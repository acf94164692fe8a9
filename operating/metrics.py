"""What calls come to, for Prometheus: counted from the same records as the ledger's."""

from collections import Counter as Tally
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from conversation.records import MICROS, CallRecord, TurnRecord
from operating.stage import OTHER, stage_name, troubled, troubles, vendor_name
from pipeline.call import REASONS
from processors.brain.prompt import REASONS as ESCALATIONS

BUCKETS = (
    *(0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8),
    *(1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0),
)
"""Of latencies, in seconds: finest about the 0.6 s within which an answer is to be heard."""

LATENCIES = {
    "transcription_delay": ("stt", "End of the caller's speech to its transcript."),
    "end_of_turn_delay": ("stt", "End of the caller's speech to the end of their turn."),
    "llm_ttft": ("brain", "End of the turn to the brain's first token."),
    "llm_ttfs": ("brain", "End of the turn to the brain's first checked sentence."),
    "tts_ttfb": ("tts", "First sentence to the first audio of it."),
    "e2e_latency": ("", "End of the caller's speech to the first audible sample of the answer."),
}
"""The latencies of a turn: the stage whose vendor they are told by, and what they are."""

DECISIONS = ("respond", "escalate", "withdrawn", "none")
"""What can become of a turn; ``none``: the call ended before it was decided."""

REFUSALS = ("capacity", "budget", "daily_calls", "shutdown")
"""Why calls are not taken, of the reasons for which one can end."""

MAX_CALLS = 1024
"""Calls that are kept in mind; past it the one that began first is taken to be over."""

MAX_TURNS = 256
"""Turns of a call that are kept in mind; more of an older one is not counted."""

Amount = tuple[Counter, tuple[str, ...], str, float]
"""A counter, its labels, what tells it from others of the turn, and how much there was."""


@dataclass(slots=True)
class _Turn:
    """What was counted of a turn.

    Parameters:
        first: Its first record, whose vendors all of the turn is counted for.
        last: Its last one, until it is counted how the turn came out.
        most: The most that was recorded of each amount, which is what was counted.
    """

    first: TurnRecord
    last: TurnRecord | None = None
    most: dict[str, float] = field(default_factory=dict)


class Metrics:
    """Keeps records of calls as Prometheus metrics, in a registry of its own.

    The same turn may be recorded again. What it used and cost is counted at once, and from then on
    what has been added to it. How it came out, and how long it took, is counted once: when a later
    turn is recorded, or the call ends.

    No label holds anything of a caller's; each has as many values as there are vendors, stages,
    decisions and reasons.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._calls: OrderedDict[str, dict[int, _Turn]] = OrderedDict()
        ProcessCollector(registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"viva_{name}", text, labels, registry=registry)

        Gauge("viva_calls_open", "Calls that are open.", registry=registry).set_function(
            lambda: len(self._calls)
        )
        self._ended = counter("calls", "Calls that have ended, by why.", "why")
        self._refused = counter("calls_refused", "Calls that were not taken, by why.", "why")
        self._turns = counter("turns", "Turns, by what became of them.", "decision")
        self._escalations = counter(
            "escalations", "Questions that were handed to a human, by why.", "reason"
        )
        self._interruptions = counter("interruptions", "Answers that their callers cut short.")
        self._latencies = {
            name: Histogram(
                f"viva_{name}_seconds",
                text,
                ["vendor"] if stage else [],
                buckets=BUCKETS,
                registry=registry,
            )
            for name, (stage, text) in LATENCIES.items()
        }
        self._dollars = counter("spend_dollars", "What calls have cost.", "stage", "vendor")
        self._tokens = counter("tokens", "Tokens, by what they were.", "vendor", "kind")
        self._wasted = counter("wasted_tokens", "Tokens of answers begun too early.", "vendor")
        self._characters = counter("characters", "Characters to be spoken.", "vendor")
        self._audio = counter("audio_seconds", "Seconds of audio to be transcribed.", "vendor")
        self._errors = counter("errors", "Troubles that stages had.", "stage", "vendor")
        self._failovers = counter(
            "failovers", "Vendors that took over.", "stage", "failed", "vendor"
        )
        for why in REASONS:  # so that the first of each is seen as a rise
            self._ended.labels(why)
        for why in REFUSALS:
            self._refused.labels(why)
        for decision in DECISIONS:
            self._turns.labels(decision)
        for reason in (*ESCALATIONS, "fault"):
            self._escalations.labels(reason)

    def begun(self, call: CallRecord) -> None:
        """A call has begun."""
        self._calls.setdefault(call.id, {})
        if len(self._calls) > MAX_CALLS:
            self._end(next(iter(self._calls)), OTHER)

    def turn(self, record: TurnRecord) -> None:
        """A turn is over, or more is known of one that is."""
        turns = self._calls.get(record.call)
        if turns is None:
            return
        turn = turns.get(record.number)
        if turn is None:
            if len(turns) >= MAX_TURNS:
                oldest = min(turns)
                if record.number < oldest:
                    return
                self._settle(turns.pop(oldest))
            turn = turns[record.number] = _Turn(record, last=record)
        if turn.last is not None:
            turn.last = record
        for counter, labels, what, amount in self._amounts(turn.first, record):
            more = amount - turn.most.get(what, 0)
            if more > 0:
                counter.labels(*labels).inc(more)
                turn.most[what] = amount
        for number, earlier in turns.items():
            if number < record.number:
                self._settle(earlier)

    def ended(self, call: CallRecord) -> None:
        """A call has ended; its turns were all recorded before."""
        self._end(call.id, call.why)

    def refused(self, why: str) -> None:
        """A call was not taken.

        Args:
            why: A key of :data:`pipeline.call.REASONS`.
        """
        self._refused.labels(_reason(why)).inc()

    def _end(self, call: str, why: str) -> None:
        turns = self._calls.pop(call, None)
        if turns is not None:
            for turn in turns.values():
                self._settle(turn)
            self._ended.labels(_reason(why)).inc()

    def _settle(self, turn: _Turn) -> None:
        """Count how a turn came out, once."""
        record, turn.last = turn.last, None
        if record is None or record.number == 0:
            return
        decision = "withdrawn" if record.withdrawn else record.decision or "none"
        self._turns.labels(decision).inc()
        if decision == "escalate":
            reason = record.reason if record.reason in (*ESCALATIONS, "fault") else OTHER
            self._escalations.labels(reason).inc()
        if record.interrupted:
            self._interruptions.inc()
        for name, (stage, _) in LATENCIES.items():
            secs = getattr(record, name)
            if secs is not None:
                latency = self._latencies[name]
                vendor = vendor_name(turn.first.vendors.get(stage, ""))
                (latency.labels(vendor) if stage else latency).observe(secs)

    def _amounts(self, first: TurnRecord, record: TurnRecord) -> Iterator[Amount]:
        """What a turn has used and cost so far, and how often something went wrong in it."""
        vendors = {stage: vendor_name(first.vendors.get(stage, "")) for stage in first.vendors}
        stt, brain, tts = (vendors.get(stage, OTHER) for stage in ("stt", "brain", "tts"))
        used, cost = record.used, record.cost
        for kind in ("input", "output", "cache_read", "cache_write"):
            yield self._tokens, (brain, kind), kind, getattr(used, f"{kind}_tokens")
        yield self._wasted, (brain,), "wasted", record.wasted_tokens
        yield self._characters, (tts,), "characters", used.characters
        yield self._audio, (stt,), "audio", used.audio_seconds
        for stage, vendor in (("stt", stt), ("brain", brain), ("tts", tts)):
            dollars = getattr(cost, stage) / MICROS
            yield self._dollars, (stage, vendor), f"cost of {stage}", dollars
        for stage, count in troubles(record).items():
            vendor = troubled(replace(record, vendors=first.vendors), stage)
            yield self._errors, (stage, vendor), f"errors of {stage}", count
        for one, count in Tally(record.failovers).items():
            labels = (stage_name(one.stage), vendor_name(one.failed), vendor_name(one.vendor))
            yield self._failovers, labels, f"failover {one}", count


def _reason(why: str) -> str:
    return why if why in REASONS else OTHER
