"""What a call uses is in exactly one turn's record, whenever its vendors report it."""

from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipecat.frames.frames import MetricsFrame
from pipecat.metrics.metrics import STTUsage, STTUsageMetricsData, TTSUsageMetricsData

from conversation.frames import Usage
from conversation.meter import Meter
from conversation.records import Failover, StageCost, TurnRecord, Used
from conversation.turns import Conversation


class PennyEach:
    """A micro-dollar a token, two a character, three a second."""

    def cost(self, vendor: str, model: str, used: Used) -> int:
        tokens = used.input_tokens + used.output_tokens
        tokens += used.cache_read_tokens + used.cache_write_tokens
        return tokens + 2 * used.characters + round(3 * Fraction(used.audio_seconds))


def metered() -> tuple[Conversation, dict[int, TurnRecord]]:
    """A conversation on three vendors, and the records it has kept, the last of each turn."""
    kept: dict[int, TurnRecord] = {}
    meter = Meter(
        PennyEach(),
        vendors={"stt": "deepgram", "brain": "claude", "tts": "elevenlabs", "vad": "silero"},
        models={"deepgram": "nova-3", "claude": "claude-haiku-4-5"},
    )
    meter.register_processor("Ears#0", "stt", "deepgram")
    meter.register_processor("Mouth#0", "tts", "elevenlabs")
    meter.register_processor("Mouth#1", "tts", "hibari")
    conversation = Conversation(
        call="c-1",
        clock=lambda: 100.0,
        wall=lambda: 5_000.0,
        meter=meter,
        kept=lambda record: kept.update({record.number: record}),
    )
    return conversation, kept


def heard(secs: float) -> MetricsFrame:
    usage = STTUsage(audio_seconds=secs)
    return MetricsFrame(data=[STTUsageMetricsData(processor="Ears#0", value=usage)])


def spoke(characters: int, processor: str = "Mouth#0") -> MetricsFrame:
    return MetricsFrame(data=[TTSUsageMetricsData(processor=processor, value=characters)])


def test_a_turn_pays_for_its_stages_and_for_the_greeting_before_it() -> None:
    conversation, kept = metered()
    conversation.meter.metrics(0, spoke(40))
    conversation.meter.tokens(0, "claude", Usage(cache_write_tokens=5000))
    conversation.meter.metrics(0, heard(3.0))
    turn = conversation.begin_turn("Where did she study?", 98.0, 98.3)
    conversation.meter.tokens(1, "claude", Usage(input_tokens=20, output_tokens=30))
    conversation.meter.metrics(1, spoke(31))
    record = conversation.record_turn(turn)
    assert kept == {1: record}
    assert (record.call, record.number, record.at) == ("c-1", 1, 4_998.0)
    assert record.used == Used(20, 30, 0, 5000, characters=71, audio_seconds=3.0)
    assert record.cost == StageCost(stt=9, brain=5050, tts=142)
    assert record.vendors == {"stt": "deepgram", "brain": "claude", "tts": "elevenlabs"}
    assert record.models == {"stt": "nova-3", "brain": "claude-haiku-4-5"}


def test_two_vendors_of_a_turn_are_priced_each_for_what_it_did() -> None:
    conversation, _ = metered()
    turn = conversation.begin_turn("Where?", 98.0, None)
    conversation.meter.metrics(1, spoke(10))
    conversation.meter.failover(1, Failover("tts", "elevenlabs", "hibari"))
    conversation.meter.metrics(1, spoke(12, "Mouth#1"))
    conversation.meter.trouble(1, "Mouth: gone")
    record = conversation.record_turn(turn)
    assert record.used.characters == 22
    assert record.vendors["tts"] == "hibari"
    assert record.failovers == (Failover("tts", "elevenlabs", "hibari"),)
    assert record.errors == ("Mouth: gone",)


def test_tokens_of_answers_begun_too_early_are_paid_for_and_told_apart() -> None:
    conversation, _ = metered()
    conversation.meter.tokens(1, "claude", Usage(input_tokens=100), wasted=True)
    turn = conversation.begin_turn("Where did she study?", 98.0, None)
    conversation.meter.tokens(1, "claude", Usage(input_tokens=110, output_tokens=20))
    record = conversation.record_turn(turn)
    assert record.wasted_tokens == 100
    assert record.used.input_tokens == 210


def test_what_comes_late_is_added_to_its_own_turn_at_the_end() -> None:
    conversation, kept = metered()
    first = conversation.begin_turn("One?", 90.0, None)
    conversation.record_turn(first)
    second = conversation.begin_turn("Two?", 95.0, None)
    conversation.meter.tokens(1, "claude", Usage(output_tokens=7))
    conversation.record_turn(second)
    assert kept[2].used == Used()
    conversation.meter.metrics(2, heard(1.0))
    conversation.record_rest()
    assert kept[1].used.output_tokens == 7
    assert kept[2].used.audio_seconds == 1.0


def test_a_call_in_which_nobody_asked_anything_has_a_record_of_what_it_cost() -> None:
    conversation, kept = metered()
    conversation.meter.metrics(0, spoke(40))
    conversation.record_rest()
    assert kept[0].cost == StageCost(tts=80)
    assert (kept[0].question, kept[0].decision) == ("", None)


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("heard"), st.integers(0, 50)),
        st.tuples(st.just("spoke"), st.integers(1, 50)),
        st.tuples(st.just("tokens"), st.integers(1, 50)),
        st.tuples(st.just("turn"), st.just(0)),
        st.tuples(st.just("keep"), st.integers(0, 5)),
    ),
    max_size=40,
)


@given(events=EVENTS, ahead=st.lists(st.integers(-2, 1), min_size=40, max_size=40))
def test_nothing_is_left_out_and_nothing_is_counted_twice(
    events: list[tuple[str, int]], ahead: list[int]
) -> None:
    conversation, kept = metered()
    noted: Counter[str] = Counter()
    for (kind, amount), offset in zip(events, ahead, strict=False):
        turn = max(0, conversation.number + offset)
        match kind:
            case "heard":
                conversation.meter.metrics(turn, heard(amount))
            case "spoke":
                conversation.meter.metrics(turn, spoke(amount))
            case "tokens":
                conversation.meter.tokens(turn, "claude", Usage(output_tokens=amount))
            case "turn":
                conversation.begin_turn("?", 98.0, None)
            case "keep" if conversation.turns:
                conversation.record_turn(conversation.turns[amount % len(conversation.turns)])
        if kind in ("heard", "spoke", "tokens"):
            noted[kind] += amount
    everything = conversation.meter.cost
    conversation.record_rest()
    total = sum((record.used for record in kept.values()), Used())
    assert total.audio_seconds == noted["heard"]
    assert total.characters == noted["spoke"]
    assert total.output_tokens == noted["tokens"]
    assert sum((record.cost for record in kept.values()), StageCost()) == everything
    conversation.record_rest()
    assert sum((record.used for record in kept.values()), Used()) == total


@pytest.mark.parametrize("secs", [-1.0, float("nan"), float("inf"), 10.0**9])
def test_a_report_that_cannot_be_true_books_the_most_that_can(secs: float) -> None:
    meter = Meter(
        vendors={"stt": "deepgram"},
        most={"stt": Used(audio_seconds=240.0), "tts": Used(characters=2_000)},
    )
    meter.register_processor("Ears#0", "stt", "deepgram")
    meter.register_processor("Mouth#0", "tts", "elevenlabs")
    meter.metrics(1, heard(3.0))
    meter.metrics(1, spoke(40))
    assert meter.collect(1).used == Used(audio_seconds=3.0, characters=40)
    meter.metrics(2, heard(secs))
    meter.metrics(2, spoke(-5))
    turn = meter.collect(2)
    assert turn.used == Used(audio_seconds=240.0, characters=2_000)
    assert [error.partition(" reports")[0] for error in turn.errors] == ["deepgram", "elevenlabs"]
