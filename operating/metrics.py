"""Prometheus metrics of calls, counted from the records that the ledger stores."""

from collections import Counter as Tally
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from conversation.records import MICROS, CallRecord, TurnRecord
from operating.stage import OTHER, error_counts, failed_vendor, stage_name, vendor_name
from pipeline.call import REASONS
from processors.brain.prompt import REASONS as ESCALATIONS
from processors.brain.repair import WAYS

BUCKETS = (
    *(0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8),
    *(1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0),
)
"""Latency buckets in seconds, finest around the target of 0.6 s."""

LATENCIES = {
    "transcription_delay": ("stt", "End of the caller's speech to its transcript."),
    "end_of_turn_delay": ("stt", "End of the caller's speech to the end of their turn."),
    "llm_ttft": ("brain", "End of the turn to the brain's first token."),
    "llm_ttfs": ("brain", "End of the turn to the brain's first checked sentence."),
    "tts_ttfb": ("tts", "First sentence to the first audio of it."),
    "e2e_latency": ("", "End of the caller's speech to the first audible sample of the answer."),
}
"""Latencies of a turn: the stage whose vendor labels it, and its meaning."""

DECISIONS = ("respond", "escalate", "withdrawn", "none")
"""Outcomes of a turn; ``none``: the call ended before a decision."""

REFUSALS = ("capacity", "budget", "daily_calls", "open_calls", "shutdown", "fault")
"""Reasons for refusing a call, out of all reasons for ending one."""

MAX_CALLS = 1024
"""Limit on calls tracked; beyond it, the oldest is treated as ended."""

MAX_TURNS = 256
"""Limit on turns tracked per call; later changes to older ones are not counted."""

Amount = tuple[Counter, tuple[str, ...], str, float]
"""A counter, its labels, a name unique within the turn, and the amount."""


@dataclass(slots=True)
class _Turn:
    """What has been counted of a turn.

    Parameters:
        first: Its first record, whose vendors the turn is attributed to.
        last: Its latest record, until the outcome is counted.
        most: The largest value seen of each amount, all of which has been counted.
    """

    first: TurnRecord
    last: TurnRecord | None = None
    most: dict[str, float] = field(default_factory=dict)


class Metrics:
    """Counts call records in a Prometheus registry of its own.

    A turn may be recorded repeatedly. Usage and cost are counted at once, by the increase since the
    previous record. Outcome and latencies are counted once: when a later turn is recorded, or when
    the call ends.

    Labels hold nothing of callers; their values are vendors, stages, decisions, reasons and
    repairs.

    Parameters:
        vendors: Names of the chosen vendors by stage, in order: what can fail and take over.
    """

    def __init__(self, vendors: Mapping[str, Sequence[str]] | None = None) -> None:
        self.registry = registry = CollectorRegistry()
        self._calls: OrderedDict[str, dict[int, _Turn]] = OrderedDict()
        ProcessCollector(registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"viva_{name}", text, labels, registry=registry)

        Gauge("viva_calls_open", "Open calls.", registry=registry).set_function(
            lambda: len(self._calls)
        )
        self._ended = counter("calls", "Ended calls, by reason.", "why")
        self._refused = counter("calls_refused", "Refused calls, by reason.", "why")
        self._turns = counter("turns", "Turns, by outcome.", "decision")
        self._escalations = counter(
            "escalations", "Questions handed to a person, by reason.", "reason"
        )
        self._interruptions = counter("interruptions", "Answers that callers interrupted.")
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
        self._dollars = counter("spend_dollars", "Cost of calls.", "stage", "vendor")
        self._tokens = counter("tokens", "Tokens, by kind.", "vendor", "kind")
        self._wasted = counter("wasted_tokens", "Tokens of discarded early answers.", "vendor")
        self._characters = counter("characters", "Characters sent to text to speech.", "vendor")
        self._audio = counter("audio_seconds", "Seconds of audio sent to speech to text.", "vendor")
        self._errors = counter("errors", "Errors of stages.", "stage", "vendor")
        self._failovers = counter(
            "failovers", "Failovers to a reserve vendor.", "stage", "failed", "vendor"
        )
        self._repairs = counter(
            "repairs", "Turns in which a call's form was repaired, by what it was.", "vendor", "way"
        )
        for why in REASONS:  # start at 0, so that the first of each shows as a rise
            self._ended.labels(why)
        for why in REFUSALS:
            self._refused.labels(why)
        for decision in DECISIONS:
            self._turns.labels(decision)
        for reason in (*ESCALATIONS, "fault"):
            self._escalations.labels(reason)
        for stage, names in (vendors or {}).items():
            known = [vendor_name(name) for name in names]
            for name in known:
                self._errors.labels(stage, name)
            for failed, reserve in combinations(known, 2):
                self._failovers.labels(stage, failed, reserve)

    def begun(self, call: CallRecord) -> None:
        """Count a call that begins."""
        self._calls.setdefault(call.id, {})
        if len(self._calls) > MAX_CALLS:
            self._end(next(iter(self._calls)), OTHER)

    def turn(self, record: TurnRecord) -> None:
        """Count a turn, or an update of one."""
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
        """Count a call that has ended; all its turns were recorded before."""
        self._end(call.id, call.why)

    def refused(self, why: str) -> None:
        """Count a refused call.

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
        """Count the outcome and latencies of a turn, once."""
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
        """Usage, cost and faults of a turn so far."""
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
        for stage, count in error_counts(record).items():
            vendor = failed_vendor(replace(record, vendors=first.vendors), stage)
            yield self._errors, (stage, vendor), f"errors of {stage}", count
        for check in record.checks:
            for way in check.detail.split(", ") if check.name == "form" else ():
                label = way if way in WAYS else OTHER
                yield self._repairs, (brain, label), f"repair {label}", 1
        for failover, count in Tally(record.failovers).items():
            labels = (
                stage_name(failover.stage),
                vendor_name(failover.failed),
                vendor_name(failover.vendor),
            )
            yield self._failovers, labels, f"failover {failover}", count


def _reason(why: str) -> str:
    return why if why in REASONS else OTHER
