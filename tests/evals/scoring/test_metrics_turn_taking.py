"""Turn taking, scored by the definitions of EVA, Full-Duplex-Bench and τ-voice: worked examples."""

from collections.abc import Sequence

import pytest

from evals.scoring.intervals import Interval
from evals.scoring.matching import MatchedCall
from evals.scoring.metrics import barge_in, eva, floor, takeover
from evals.scoring.metrics.metric import Metric
from evals.scoring.truth import Utterance
from processors.turns.processor import PHRASES
from tests.evals.scoring.recorded import Recorded, backchannel, bargein, noise, question

ANSWER = "She studied mathematics and physics at Vassar College."


def measured(module: object, *calls: MatchedCall) -> dict[str, Metric]:
    measure = module.measure  # type: ignore[attr-defined]
    metrics: Sequence[Metric] = measure(calls)
    return {metric.name: metric for metric in metrics}


def value(module: object, name: str, *calls: MatchedCall) -> float:
    found = measured(module, *calls)[name].value
    assert found is not None
    return found


def test_a_clean_turn_is_taken_after_its_end() -> None:
    call = Recorded().turn(1, 3.0).says(3.75, ANSWER, 3.0, turn=1).ends(20.0)
    matched = call.matched(question(1.0, 3.0))
    assert value(takeover, "smooth_takeover", matched) == 1.0
    assert value(takeover, "smooth_latency", matched) == pytest.approx(0.75)
    assert value(floor, "response_rate", matched) == 1.0
    assert value(floor, "response_latency", matched) == pytest.approx(0.75)
    assert value(eva, "eva_turn_taking", matched) == 1.0
    assert value(eva, "eva_on_time", matched) == 1.0


def test_a_turn_that_is_not_answered_is_not_taken() -> None:
    matched = Recorded().turn(1, 3.0, decision=None).ends(20.0).matched(question(1.0, 3.0))
    assert value(takeover, "smooth_takeover", matched) == 0.0
    assert value(floor, "response_rate", matched) == 0.0
    assert measured(takeover, matched)["smooth_latency"].value is None
    assert measured(eva, matched)["eva_turn_taking"].value is None


def test_a_caller_who_goes_on_at_once_has_not_waited_for_an_answer() -> None:
    call = Recorded().turn(1, 3.0, withdrawn=True).turn(2, 5.0)
    call.says(5.5, ANSWER, 3.0, turn=2).ends(20.0)
    matched = call.matched(question(1.0, 3.0), question(3.6, 5.0))
    found = measured(takeover, matched)["smooth_takeover"]
    assert (found.value, len(found.samples)) == (1.0, 1)


@pytest.mark.parametrize(
    ("secs", "text", "taken"),
    [
        (0.6, "I see now.", False),  # under a second, three words: FDB's backchannel
        (0.6, "Yes she did so.", True),  # under a second, four words
        (1.2, "Yes.", True),  # a second or more
    ],
)
def test_a_short_voice_is_no_takeover(secs: float, text: str, taken: bool) -> None:
    call = Recorded().turn(1, 3.0).says(3.5, text, secs, turn=1).ends(20.0)
    assert value(takeover, "smooth_takeover", call.matched(question(1.0, 3.0))) == taken


def test_a_courtesy_may_be_answered_briefly() -> None:
    call = Recorded().turn(1, 3.0).says(3.5, "You're welcome.", 0.7, turn=1).ends(20.0)
    thanks = Utterance("courtesy", "Thank you.", 2.0, 3.0)
    assert value(takeover, "smooth_takeover", call.matched(thanks)) == 1.0
    assert value(takeover, "smooth_takeover", call.matched(question(2.0, 3.0))) == 0.0


def test_an_agent_that_speaks_into_a_pause_has_taken_over() -> None:
    call = Recorded().turn(1, 2.0).says(2.5, ANSWER, 3.0, turn=1).turn(2, 5.0)
    call.interrupted(3.9, played=1.4).says(5.5, ANSWER, 3.0, turn=2).ends(20.0)
    asked = question(1.0, 5.0, pauses=(Interval(2.0, 3.5),))
    patient = Recorded("patient.mcap").turn(1, 5.0).says(5.5, ANSWER, 3.0, turn=1).ends(20.0)
    pauses = measured(takeover, call.matched(asked), patient.matched(asked))["pause_takeover"]
    assert pauses.value == 0.5
    assert [item.call for item in pauses.evidence] == ["call.mcap", "patient.mcap"]
    assert ANSWER in pauses.evidence[0].note


def test_what_begins_when_the_caller_has_gone_on_was_brought_on_by_the_pause_before() -> None:
    call = Recorded().turn(1, 2.0).says(3.7, ANSWER, 2.0, turn=1).ends(20.0)
    asked = question(1.0, 7.0, pauses=(Interval(2.0, 3.5), Interval(5.0, 6.0)))
    samples = measured(takeover, call.matched(asked))["pause_takeover"].samples
    assert [sample.value for sample in samples] == [1.0, 0.0]


# EVA.


@pytest.mark.parametrize(
    ("secs", "score"),
    [(-0.5, 0.0), (0.0, 0.5), (0.2, 0.7), (0.5, 1.0), (2.0, 1.0), (2.75, 0.5), (3.5, 0.0), (9, 0)],
)
def test_eva_s_latency_curve(secs: float, score: float) -> None:
    assert eva.latency_score(secs) == pytest.approx(score)


@pytest.mark.parametrize(("secs", "score"), [(0, 0.5), (0.5, 0.375), (1.0, 0.25), (2.0, 0.0)])
def test_eva_s_overlap_curve(secs: float, score: float) -> None:
    assert eva.overlap_score(secs) == pytest.approx(score)


@pytest.mark.parametrize(("number", "score"), [(1, 0.5), (2, 0.25), (3, 0.0), (5, 0.0)])
def test_eva_s_count_curve(number: int, score: float) -> None:
    assert eva.count_score(number) == pytest.approx(score)


@pytest.mark.parametrize(("secs", "score"), [(0, 1.0), (0.6, 0.7), (1.0, 0.5), (2.0, 0.0)])
def test_eva_s_yield_curve(secs: float, score: float) -> None:
    assert eva.yield_score(secs) == pytest.approx(score)


def test_eva_scores_an_agent_that_interrupts_by_how_much_it_talked_over_the_caller() -> None:
    # It begins at 2.5 in a pause that ends at 3.5, and stops at 3.9: 0.4 s of overlap.
    call = Recorded().turn(1, 2.0).says(2.5, ANSWER, 3.0, turn=1).turn(2, 5.0)
    call.interrupted(3.9, played=1.4).says(5.5, ANSWER, 3.0, turn=2).ends(20.0)
    matched = call.matched(question(1.0, 5.0, pauses=(Interval(2.0, 3.5),)))
    assert value(eva, "eva_turn_taking", matched) == pytest.approx(0.5 * (1 - 0.4 / 2), abs=0.003)
    assert value(eva, "eva_agent_interrupts", matched) == 1.0


def test_eva_gives_nothing_to_a_call_whose_last_turn_was_met_with_silence() -> None:
    call = Recorded().turn(1, 3.0).says(3.75, ANSWER, 3.0, turn=1).ends(30.0, "silence")
    matched = call.matched(question(1.0, 3.0), question(10.0, 12.0))
    assert value(eva, "eva_turn_taking", matched) == 0.0


# Barge-in.


def barged_in(stops_after: float, *, name: str = "call.mcap") -> Recorded:
    """A caller asks again 1 s into an answer; its voice stops so long after."""
    call = Recorded(name).turn(1, 3.0, interrupted=True).says(4.0, ANSWER, 6.0, turn=1)
    call.duck(5.0 + 0.08).interrupted(5.0 + stops_after, played=1.0 + stops_after)
    return call.turn(2, 6.0).says(6.5, ANSWER, 3.0, turn=2).ends(20.0)


def test_a_barge_in_is_timed_from_the_caller_s_first_word_to_the_agent_s_last_sample() -> None:
    fast = barged_in(0.3).matched(question(1.0, 3.0), bargein(5.0, 6.0))
    slow = barged_in(0.5, name="slow.mcap").matched(question(1.0, 3.0), bargein(5.0, 6.0))
    found = measured(barge_in, fast, slow)
    assert found["stop_time"].value == pytest.approx(0.4, abs=0.011)
    assert [item.call for item in found["stop_time"].evidence] == ["slow.mcap", "call.mcap"]
    assert found["duck_time"].value == pytest.approx(0.08)
    assert value(floor, "yield_rate", fast, slow) == 1.0
    assert value(floor, "yield_latency", fast, slow) == pytest.approx(0.4, abs=0.011)
    assert value(eva, "eva_yield_time", fast, slow) == pytest.approx(0.4, abs=0.011)
    assert value(eva, "eva_yield_score", fast, slow) == pytest.approx(0.8, abs=0.006)
    assert value(takeover, "interruption_takeover", fast, slow) == 1.0
    assert value(takeover, "interruption_latency", fast, slow) == pytest.approx(0.5)


def test_an_agent_that_talks_on_for_two_seconds_has_not_yielded() -> None:
    matched = barged_in(2.4).matched(question(1.0, 3.0), bargein(5.0, 6.0))
    assert value(floor, "yield_rate", matched) == 0.0
    assert measured(floor, matched)["yield_latency"].value is None
    assert measured(barge_in, matched)["stop_time"].value is None


def test_a_voice_that_had_ended_anyway_has_not_stopped_for_the_caller() -> None:
    call = Recorded().turn(1, 3.0).says(4.0, ANSWER, 1.5, turn=1).turn(2, 6.0).ends(20.0)
    matched = call.matched(question(1.0, 3.0), bargein(5.0, 6.0))
    assert value(floor, "yield_rate", matched) == 1.0  # as τ-voice counts it
    assert measured(barge_in, matched)["stop_time"].value is None


def test_an_interruption_that_nobody_asked_for_is_false() -> None:
    call = Recorded().turn(1, 3.0, interrupted=True).says(4.0, ANSWER, 6.0, turn=1)
    cough = call.interrupted(5.3, played=1.3).ends(20.0).matched(question(1.0, 3.0), noise(5, 5.2))
    asked = barged_in(0.3, name="asked.mcap").matched(question(1.0, 3.0), bargein(5.0, 6.0))
    found = measured(barge_in, cough, asked)["false_interruptions"]
    assert found.value == 0.5
    assert found.evidence[0].call == "call.mcap"
    assert found.evidence[0].at == pytest.approx(5.3, abs=0.011)


# Selectivity.


def talked_through(cut: float | None = None, *, name: str = "call.mcap") -> Recorded:
    """An answer of 6 s from second 4 on, cut or not."""
    call = Recorded(name).turn(1, 3.0, interrupted=cut is not None)
    call.says(4.0, ANSWER, 6.0, turn=1)
    if cut is not None:
        call.interrupted(cut, played=cut - 4.0)
    return call.ends(20.0)


def test_a_backchannel_is_talked_through() -> None:
    calls = [
        talked_through().matched(question(1.0, 3.0), backchannel(5.0, 5.4)),
        talked_through(cut=5.6).matched(question(1.0, 3.0), backchannel(5.0, 5.4)),
        # A recogniser that is late cuts after τ-voice's 1.0 s, and is caught all the same.
        talked_through(cut=6.2).matched(question(1.0, 3.0), backchannel(5.0, 5.4)),
    ]
    found = measured(floor, *calls)["backchannel_selectivity"]
    assert found.value == pytest.approx(1 / 3)
    assert found.evidence[0].note == "'Mm-hm.' cut the voice after 0.60 s"


def test_a_question_right_after_a_backchannel_may_cut() -> None:
    call = talked_through(cut=6.2).matched(
        question(1.0, 3.0), backchannel(5.0, 5.4), bargein(5.9, 7.0)
    )
    assert value(floor, "backchannel_selectivity", call) == 1.0


def test_the_answer_s_own_end_is_no_reaction_to_a_backchannel() -> None:
    call = Recorded().turn(1, 3.0).says(4.0, ANSWER, 1.5, turn=1).ends(20.0)
    matched = call.matched(question(1.0, 3.0), backchannel(5.2, 5.6))
    assert value(floor, "backchannel_selectivity", matched) == 1.0


def test_a_backchannel_that_was_answered_has_taken_over() -> None:
    call = Recorded().turn(1, 3.0).says(4.0, ANSWER, 1.5, turn=1)
    call.turn(2, 5.6).says(6.2, "Sorry, could you ask again?", 1.5, turn=2).ends(20.0)
    matched = call.matched(question(1.0, 3.0), backchannel(5.2, 5.6))
    assert value(takeover, "backchannel_takeover", matched) == 1.0


def test_a_cough_and_talk_in_the_background_are_ignored_while_the_agent_is_silent() -> None:
    call = Recorded().turn(1, 3.0).says(4.0, ANSWER, 2.0, turn=1).turn(2, 10.0)
    call.says(10.9, "I don't know that.", 1.0, turn=2).ends(20.0)
    matched = call.matched(
        question(1.0, 3.0),
        noise(3.2, 3.5),  # the answer that follows is the question's
        noise(9.0, 10.0, "background", "Dinner is ready."),
        noise(15.0, 15.3),
    )
    found = measured(floor, matched)
    assert (found["noise_selectivity"].value, len(found["noise_selectivity"].samples)) == (1.0, 2)
    assert found["background_selectivity"].value == 0.0
    assert "Dinner is ready." in found["background_selectivity"].evidence[0].note


def test_asking_again_what_nobody_said_is_a_reaction_too() -> None:
    call = Recorded().says(10.9, PHRASES["not_heard"], 1.0).ends(20.0)
    assert value(floor, "noise_selectivity", call.matched(noise(9.5, 10.0))) == 0.0


def test_an_agent_that_begins_while_the_caller_speaks_interrupts() -> None:
    call = Recorded().turn(1, 2.0).says(2.5, ANSWER, 3.0, turn=1).ends(20.0)
    matched = call.matched(question(1.0, 4.0), question(10.0, 12.0))
    assert value(floor, "agent_interruption_rate", matched) == 0.5
