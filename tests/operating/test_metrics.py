from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from conversation.records import MICROS, Failover, StageCost, TurnRecord, Used
from operating.metrics import BUCKETS, LATENCIES, MAX_CALLS, MAX_TURNS, Metrics
from pipeline.call import REASONS
from tests.operating.calls import ANSWER, CALLER, QUESTION, TAKEN_OVER, call, over, turn


@dataclass(frozen=True)
class Scrape:
    """What Prometheus would see."""

    samples: Mapping[tuple[str, tuple[tuple[str, str], ...]], float]
    text: str

    @classmethod
    def of(cls, metrics: Metrics) -> "Scrape":
        text = generate_latest(metrics.registry).decode()
        return cls(
            {
                (sample.name, tuple(sorted(sample.labels.items()))): sample.value
                for family in text_string_to_metric_families(text)
                for sample in family.samples
            },
            text,
        )

    def get(self, name: str, **labels: str) -> float:
        return self.samples.get((f"viva_{name}", tuple(sorted(labels.items()))), 0.0)

    def total(self, name: str) -> float:
        return sum(value for (found, _), value in self.samples.items() if found == f"viva_{name}")

    def labels(self, name: str, label: str) -> set[str]:
        return {dict(labels)[label] for found, labels in self.samples if found == f"viva_{name}"}


def test_a_call_is_open_until_it_has_ended() -> None:
    metrics = Metrics()
    metrics.begun(call("c-1"))
    metrics.begun(call("c-2"))
    assert Scrape.of(metrics).get("calls_open") == 2
    metrics.ended(over(call("c-1"), "hangup"))
    metrics.ended(over(call("c-1"), "hangup"))
    seen = Scrape.of(metrics)
    assert seen.get("calls_open") == 1
    assert seen.get("calls_total", why="hangup") == 1
    assert seen.total("calls_total") == 1


def test_every_reason_is_there_from_the_start_so_that_the_first_one_is_a_rise() -> None:
    seen = Scrape.of(Metrics())
    assert seen.labels("calls_total", "why") == set(REASONS)
    assert {"capacity", "budget"} <= seen.labels("calls_refused_total", "why") <= set(REASONS)


def test_the_first_failover_and_the_first_error_are_rises_too() -> None:
    """Prometheus sees no rise in a series that begins with 1, so no alert would fire."""
    metrics = Metrics({"stt": ["deepgram", "whisper"], "tts": ["hibari"]})
    failover = (("failed", "deepgram"), ("stage", "stt"), ("vendor", "whisper"))
    errors = [(("stage", "stt"), ("vendor", "deepgram")), (("stage", "tts"), ("vendor", "hibari"))]
    seen = Scrape.of(metrics).samples
    assert seen["viva_failovers_total", failover] == 0
    assert [seen["viva_errors_total", labels] for labels in errors] == [0, 0]
    metrics.begun(call())
    metrics.turn(turn(failovers=(TAKEN_OVER,), errors=("DeepgramSTT: x",)))
    seen = Scrape.of(metrics).samples
    assert seen["viva_failovers_total", failover] == 1
    assert seen["viva_errors_total", errors[0]] == 1


def test_a_call_that_was_not_taken_is_counted_by_why() -> None:
    metrics = Metrics()
    metrics.refused("budget")
    seen = Scrape.of(metrics)
    assert seen.get("calls_refused_total", why="budget") == 1
    assert seen.total("calls_total") == 0


def test_what_a_turn_used_and_cost_is_counted_for_its_vendors() -> None:
    metrics = Metrics()
    metrics.begun(call())
    metrics.turn(turn())
    seen = Scrape.of(metrics)
    assert seen.get("tokens_total", vendor="claude", kind="input") == 100
    assert seen.get("tokens_total", vendor="claude", kind="output") == 40
    assert seen.get("tokens_total", vendor="claude", kind="cache_read") == 3000
    assert seen.get("tokens_total", vendor="claude", kind="cache_write") == 500
    assert seen.get("wasted_tokens_total", vendor="claude") == 7
    assert seen.get("characters_total", vendor="elevenlabs") == 38
    assert seen.get("audio_seconds_total", vendor="deepgram") == 2.5
    assert seen.get("spend_dollars_total", stage="stt", vendor="deepgram") == 0.0002
    assert seen.get("spend_dollars_total", stage="brain", vendor="claude") == 0.0014
    assert seen.get("spend_dollars_total", stage="tts", vendor="elevenlabs") == 0.0019


def test_how_a_turn_came_out_is_counted_once_it_is_certain() -> None:
    metrics = Metrics()
    metrics.begun(call())
    metrics.turn(turn(1, e2e_latency=None, decision=None))
    assert Scrape.of(metrics).total("turns_total") == 0
    metrics.turn(turn(1, e2e_latency=0.55, interrupted=True))
    metrics.turn(turn(2, decision="escalate"))
    seen = Scrape.of(metrics)
    assert seen.get("turns_total", decision="respond") == 1
    assert seen.get("interruptions_total") == 1
    assert seen.get("e2e_latency_seconds_count") == 1
    assert seen.get("e2e_latency_seconds_sum") == 0.55
    metrics.turn(turn(1, e2e_latency=9.0))
    metrics.ended(over(call()))
    seen = Scrape.of(metrics)
    assert seen.get("turns_total", decision="escalate") == 1
    assert seen.total("turns_total") == 2
    assert seen.get("e2e_latency_seconds_sum") == 0.55 + 0.9


def test_questions_for_a_human_are_counted_by_why() -> None:
    metrics = Metrics()
    metrics.begun(call())
    metrics.turn(turn(1, decision="escalate", reason="off_topic"))
    metrics.turn(turn(2, decision="escalate", reason="fault"))
    metrics.ended(over(call()))
    seen = Scrape.of(metrics)
    assert seen.get("escalations_total", reason="off_topic") == 1
    assert seen.get("escalations_total", reason="fault") == 1
    assert seen.get("turns_total", decision="escalate") == seen.total("escalations_total") == 2


def test_a_turn_that_its_caller_took_back_is_none_of_the_answers() -> None:
    metrics = Metrics()
    metrics.begun(call())
    metrics.turn(turn(1, withdrawn=True))
    metrics.ended(over(call()))
    seen = Scrape.of(metrics)
    assert seen.get("turns_total", decision="withdrawn") == 1
    assert seen.total("turns_total") == 1


def test_latencies_are_told_by_the_vendor_that_took_them() -> None:
    metrics = Metrics()
    metrics.begun(call())
    metrics.turn(turn())
    metrics.ended(over(call()))
    seen = Scrape.of(metrics)
    assert seen.get("transcription_delay_seconds_sum", vendor="deepgram") == 0.25
    assert seen.get("end_of_turn_delay_seconds_sum", vendor="deepgram") == 0.3
    assert seen.get("llm_ttft_seconds_sum", vendor="claude") == 0.2
    assert seen.get("llm_ttfs_seconds_sum", vendor="claude") == 0.35
    assert seen.get("tts_ttfb_seconds_sum", vendor="elevenlabs") == 0.1
    assert seen.get("e2e_latency_seconds_bucket", le="0.8") == 0
    assert seen.get("e2e_latency_seconds_bucket", le="1.0") == 1


def test_the_buckets_hold_20_ms_to_10_s_and_the_budget_of_an_answer() -> None:
    assert BUCKETS[0] == 0.02
    assert BUCKETS[-1] == 10.0
    assert 0.6 in BUCKETS


def test_what_a_call_without_turns_cost_is_counted_and_no_turn_is() -> None:
    metrics = Metrics()
    metrics.begun(call())
    metrics.turn(turn(0, decision=None, e2e_latency=None, cost=StageCost(brain=900)))
    metrics.ended(over(call()))
    seen = Scrape.of(metrics)
    assert seen.get("spend_dollars_total", stage="brain", vendor="claude") == 0.0009
    assert seen.total("turns_total") == 0
    assert seen.get("e2e_latency_seconds_count") == 0


def test_troubles_are_counted_for_the_vendor_that_had_them() -> None:
    metrics = Metrics()
    metrics.begun(call())
    after = {"stt": "whisper", "brain": "claude", "tts": "elevenlabs"}
    errors = ("DeepgramSTT: connection lost", "GroundedResponder: claude could not decide: 529")
    metrics.turn(turn(1, errors=errors, failovers=(TAKEN_OVER,), vendors=after))
    metrics.turn(turn(1, errors=(*errors, "DeepgramSTT: 401"), failovers=(TAKEN_OVER,)))
    metrics.turn(turn(2, errors=("ElevenLabsTTS: quota", "Something: else")))
    seen = Scrape.of(metrics)
    assert seen.get("errors_total", stage="stt", vendor="deepgram") == 2
    assert seen.get("errors_total", stage="brain", vendor="claude") == 1
    assert seen.get("errors_total", stage="tts", vendor="elevenlabs") == 1
    assert seen.get("errors_total", stage="other", vendor="other") == 1
    assert seen.get("failovers_total", stage="stt", failed="deepgram", vendor="whisper") == 1
    assert seen.total("failovers_total") == 1


def test_no_label_is_anything_that_somebody_said() -> None:
    metrics = Metrics()
    metrics.begun(call())
    odd = {"stt": "<script>", "brain": "claude", "tts": "x" * 500}
    metrics.turn(
        turn(1, vendors=odd, failovers=(Failover("a stage", "a", "b"),), errors=("a: b",) * 3)
    )
    metrics.turn(turn(2, decision="escalate", reason="what she said"))
    metrics.ended(over(call(), "a reason of its own"))
    metrics.refused("another")
    seen = Scrape.of(metrics)
    assert seen.get("audio_seconds_total", vendor="other") == 2.5
    assert seen.get("escalations_total", reason="other") == 1
    assert seen.get("calls_total", why="other") == 1
    assert seen.get("failovers_total", stage="other", failed="other", vendor="other") == 1
    for said in (
        QUESTION,
        ANSWER,
        CALLER.email,
        "<script>",
        "xxx",
        "c-1",
        "she said",
        "of its own",
    ):
        assert said not in seen.text


def test_calls_whose_end_never_came_do_not_pile_up() -> None:
    metrics = Metrics()
    for number in range(MAX_CALLS + 10):
        metrics.begun(call(f"c-{number}"))
        metrics.turn(turn(1, f"c-{number}"))
    seen = Scrape.of(metrics)
    assert seen.get("calls_open") == MAX_CALLS
    assert seen.get("calls_total", why="other") == 10
    metrics.turn(turn(1, "c-0"))
    metrics.ended(over(call("c-0")))
    again = Scrape.of(metrics)
    assert again.total("tokens_total") == seen.total("tokens_total"), "and none is counted twice"
    assert again.total("calls_total") == 10


def test_turns_of_an_endless_call_do_not_pile_up() -> None:
    metrics = Metrics()
    metrics.begun(call())
    for number in range(1, MAX_TURNS + 11):
        metrics.turn(turn(number))
    before = Scrape.of(metrics).total("characters_total")
    assert before == 38 * (MAX_TURNS + 10)
    metrics.turn(turn(3))
    assert Scrape.of(metrics).total("characters_total") == before
    metrics.ended(over(call()))
    assert Scrape.of(metrics).total("turns_total") == MAX_TURNS + 10


# The same turn may be recorded again.

AMOUNTS = st.fixed_dictionaries(
    {name: st.integers(0, 5000) for name in ("input", "output", "chars", "brain", "tts", "errors")}
    | {"e2e": st.none() | st.floats(0.0, 12.0), "decision": st.sampled_from([None, "respond"])}
)
STEPS = st.lists(
    st.tuples(st.sampled_from(["c-1", "c-2", "c-3"]), st.integers(0, 4), AMOUNTS), max_size=40
)


def as_record(name: str, number: int, amounts: Mapping[str, int]) -> TurnRecord:
    return turn(
        number,
        name,
        used=Used(amounts["input"], amounts["output"], characters=amounts["chars"]),
        cost=StageCost(brain=amounts["brain"], tts=amounts["tts"]),
        errors=("GroundedResponder: x",) * (amounts["errors"] % 7),
        e2e_latency=amounts["e2e"],
        decision=amounts["decision"],
    )


@settings(deadline=None)
@given(STEPS, st.booleans())
def test_what_is_recorded_again_is_counted_once(
    steps: list[tuple[str, int, dict[str, int]]], growing: bool
) -> None:
    """However often, in whatever order: each turn counts as the most that was recorded of it."""
    metrics = Metrics()
    for name in ("c-1", "c-2", "c-3"):
        metrics.begun(call(name))
    most: dict[tuple[str, int], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for name, number, given_amounts in steps:
        amounts = dict(given_amounts)
        known = most[name, number]
        for amount in ("input", "output", "chars", "brain", "tts"):
            if growing:  # as the chain's records do
                amounts[amount] += known[amount]
            known[amount] = max(known[amount], amounts[amount])
        known["errors"] = max(known["errors"], amounts["errors"] % 7)
        metrics.turn(as_record(name, number, amounts))
    for name in ("c-1", "c-2", "c-3"):
        metrics.ended(over(call(name)))

    def expected(amount: str) -> int:
        return sum(known[amount] for known in most.values())

    seen = Scrape.of(metrics)
    assert seen.get("tokens_total", vendor="claude", kind="input") == expected("input")
    assert seen.get("tokens_total", vendor="claude", kind="output") == expected("output")
    assert seen.get("characters_total", vendor="elevenlabs") == expected("chars")
    assert seen.get("errors_total", stage="brain", vendor="claude") == expected("errors")
    for stage, vendor in (("brain", "claude"), ("tts", "elevenlabs")):
        dollars = seen.get("spend_dollars_total", stage=stage, vendor=vendor)
        assert round(dollars * MICROS) == expected(stage)
    real = {(name, number) for name, number, _ in steps if number > 0}
    assert seen.total("turns_total") == len(real)
    for latency in LATENCIES:
        if latency != "e2e_latency":
            assert seen.total(f"{latency}_seconds_count") == len(real)


@settings(deadline=None)
@given(st.lists(st.floats(0.0, 30.0), min_size=1, max_size=8))
def test_of_a_latency_that_was_measured_again_the_last_one_stands(seconds: list[float]) -> None:
    metrics = Metrics()
    metrics.begun(call())
    for secs in seconds:
        metrics.turn(replace(turn(1), e2e_latency=secs))
    metrics.ended(over(call()))
    seen = Scrape.of(metrics)
    assert seen.get("e2e_latency_seconds_count") == 1
    assert seen.get("e2e_latency_seconds_sum") == seconds[-1]
