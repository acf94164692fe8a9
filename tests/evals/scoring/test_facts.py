"""What happened in a call is read off its recording: who was heard when, and what came of it."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.scoring import intervals
from evals.scoring.facts import Shift, facts_of
from evals.scoring.intervals import Interval
from tests.evals.scoring.recorded import Recorded, question

MOMENTS = st.integers(0, 400).map(lambda tick: tick / 8)
INTERVALS = st.lists(
    st.tuples(MOMENTS, MOMENTS).map(lambda pair: Interval(min(pair), max(pair))), max_size=8
)


@given(INTERVALS, INTERVALS)
def test_time_is_neither_lost_nor_counted_twice(
    some: list[Interval], others: list[Interval]
) -> None:
    both = intervals.overlap(some, others)
    assert both == pytest.approx(intervals.overlap(others, some))
    assert intervals.total(intervals.without(some, others)) == pytest.approx(
        intervals.total(some) - both
    )
    union = intervals.total([*some, *others])
    assert union == pytest.approx(intervals.total(some) + intervals.total(others) - both)


@given(INTERVALS, st.integers(0, 16).map(lambda tick: tick / 8))
def test_merged_intervals_are_apart_and_in_order(some: list[Interval], gap: float) -> None:
    joined = intervals.merged(some, gap=gap)
    assert all(earlier.end + gap < later.start for earlier, later in itertools.pairwise(joined))
    assert intervals.merged(joined, gap=gap) == joined


@given(INTERVALS, MOMENTS, MOMENTS)
def test_clipping_keeps_what_lies_within(some: list[Interval], one: float, two: float) -> None:
    start, end = min(one, two), max(one, two)
    clipped = intervals.clipped(some, start, end)
    assert all(start <= part.start <= part.end <= end for part in clipped)
    assert intervals.total(clipped) == pytest.approx(
        intervals.overlap(some, [Interval(start, end)])
    )


def test_an_interval_cannot_end_before_it_starts() -> None:
    with pytest.raises(ValueError, match=r"cannot end at 1\.0 and start at 2\.0"):
        Interval(2.0, 1.0)


def test_the_voice_begins_with_its_first_audible_sample() -> None:
    call = Recorded().says(1.0, "Hello, I'm Viva.", 2.0, lead=0.25, tail=0.5)
    (voice,) = call.ends(5.0).facts.voice
    assert voice.start == pytest.approx(1.25, abs=0.011)
    assert voice.end == pytest.approx(3.25, abs=0.011)
    assert voice.turn == 0
    assert not voice.cut


def test_sentences_sent_at_once_are_played_one_after_the_other_and_are_one_stretch() -> None:
    call = Recorded().turn(1, 3.0)
    call.says(3.5, "She studied at Vassar.", 1.5, turn=1).says(3.6, "Then at Yale.", 1.0, turn=1)
    facts = call.ends(9.0).facts
    assert [round(sentence.audible[0].start, 2) for sentence in facts.sentences] == [3.5, 5.0]
    (voice,) = facts.voice
    assert (round(voice.start, 2), round(voice.end, 2), voice.words) == (3.5, 6.0, 7)
    assert facts.turns[0].begins == voice.start


def test_the_page_s_word_on_what_was_played_counts() -> None:
    # The page waited 0.3 s before it played: at 2.4 s it had played 1.1 s of what came at 1.0.
    call = Recorded().says(1.0, "Hello.", 2.0).played(2.4, 1.1)
    (voice,) = call.ends(9.0).facts.voice
    assert voice.start == pytest.approx(1.3, abs=0.001)


def test_an_interruption_ends_the_voice_with_the_last_sample_that_was_played() -> None:
    call = Recorded().says(4.0, "She was one of the first programmers.", 3.0, turn=1)
    call.played(4.5, 0.5).interrupted(5.25, played=1.2)
    facts = call.turn(1, 3.0, interrupted=True).ends(9.0).facts
    (voice,) = facts.voice
    assert voice.cut
    assert voice.end == pytest.approx(5.25, abs=0.011)
    assert facts.sentences[0].share == pytest.approx(0.4)
    assert facts.interruptions == (5.25,)


def test_without_a_report_the_voice_ends_when_the_page_was_told_to_drop_it() -> None:
    call = Recorded().says(4.0, "She was one of the first programmers.", 3.0, turn=1)
    (voice,) = call.interrupted(5.0).ends(9.0).facts.voice
    assert voice.end == pytest.approx(5.0, abs=0.011)


def test_an_interruption_long_after_the_voice_cuts_nothing() -> None:
    call = Recorded().says(1.0, "Hello.", 1.0).interrupted(5.0, played=1.0)
    (voice,) = call.ends(9.0).facts.voice
    assert not voice.cut


def test_a_voice_that_had_ended_is_not_what_an_interruption_cut() -> None:
    # The rest of the answer never came; the caller asked again 3 s after its first sentence.
    call = Recorded().says(4.0, "She did.", 1.0, turn=1).played(5.0, 1.0)
    call.interrupted(8.0, played=1.0)
    (voice,) = call.turn(1, 3.0, interrupted=True).ends(9.0).facts.voice
    assert not voice.cut


def test_a_page_cannot_have_played_what_had_not_been_sent() -> None:
    (voice,) = Recorded().says(1.0, "Hello.", 2.0).played(2.0, 1.5).ends(9.0).facts.voice
    assert voice.start == 1.0


@pytest.mark.parametrize("how", ["removed", "silent"])
def test_a_voice_that_was_taken_out_of_the_recording_counts_as_long_as_it_was(how: str) -> None:
    # A replay of a recording without its voice plays silence of the same length.
    call = Recorded()
    if how == "removed":
        call.says(1.0, "Hello.", 2.0, removed=True)
    else:
        call.says(1.0, "Hello.", 0.0, lead=2.0)
    (voice,) = call.ends(5.0).facts.voice
    assert (voice.start, round(voice.end, 3)) == (1.0, 3.0)


def test_a_sentence_that_was_cut_in_its_leading_silence_was_not_heard() -> None:
    call = Recorded().says(1.0, "Hello.", 2.0, lead=0.5).interrupted(1.4, played=0.4)
    facts = call.ends(5.0).facts
    assert facts.voice == ()
    assert facts.sentences[0].share == pytest.approx(0.16)


def test_two_answers_are_two_stretches_however_close() -> None:
    call = Recorded().says(1.0, "One.", 1.0, turn=1).says(2.2, "Two.", 1.0, turn=2)
    assert [span.turn for span in call.ends(5.0).facts.voice] == [1, 2]


def test_the_caller_s_speech_is_dated_back_to_when_it_was_spoken() -> None:
    facts = Recorded().speaks(2.0, 3.5).ends(9.0).facts
    ((start, end),) = [(span.start, span.end) for span in facts.speech]
    assert (start, end) == pytest.approx((2.0, 3.5))


def test_a_turn_that_is_written_down_again_is_as_it_was_last() -> None:
    call = Recorded().turn(1, 3.0, heard_text="").turn(1, 3.0, heard_text="She did.")
    (turn,) = call.ends(9.0).facts.turns
    assert turn.record["heard_text"] == "She did."


def test_the_voice_is_lowered_until_it_is_brought_back_or_cut() -> None:
    call = Recorded().duck(1.0, 1.5).duck(3.0).interrupted(3.4).ends(9.0)
    assert [(duck.start, duck.end) for duck in call.facts.ducks] == [(1.0, 1.5), (3.0, 3.4)]


def test_a_call_costs_what_its_end_says_or_the_sum_of_its_turns() -> None:
    call = Recorded().turn(1, 3.0, cost={"stt": 10, "brain": 20, "tts": 30})
    assert call.facts.micros == 60
    assert call.ends(9.0, stt=10, brain=25, tts=30).facts.micros == 65


def test_a_moment_of_the_recording_is_found_in_its_replay_and_back() -> None:
    call = Recorded()
    call.put(6.0, "/replay/Shift", {"recorded": 6.0, "replayed": 5.5, "utterance": 0})
    call.put(11.0, "/replay/Shift", {"recorded": 12.0, "replayed": 11.0, "utterance": 1})
    facts = call.ends(20.0).facts
    assert facts.shifts == (Shift(6.0, 5.5), Shift(12.0, 11.0))
    assert [facts.replayed(at) for at in (1.0, 7.0, 13.0)] == [1.0, 6.5, 12.0]
    assert [facts.recorded(at) for at in (1.0, 6.5, 12.0)] == [1.0, 7.0, 13.0]


def test_an_utterance_may_begin_a_little_before_the_cut_that_moved_it() -> None:
    call = Recorded()
    call.put(5.5, "/replay/Shift", {"recorded": 6.0, "replayed": 5.5, "utterance": 0})
    (heard,) = call.ends(20.0).matched(question(5.9, 8.0)).heard
    assert (heard.truth.start, heard.truth.end) == pytest.approx((5.4, 7.5))


def test_a_replay_says_what_it_missed_and_what_failed() -> None:
    call = Recorded().put(2.0, "/replay/Missing", {"stage": "brain", "what": "ask 3"})
    call.put(3.0, "/stt/ErrorFrame", {"error": "connection lost", "permanent": False})
    facts = facts_of(call.ends(4.0).recording)
    assert facts.missing == (("brain", "ask 3"),)
    assert facts.errors == ("stt: connection lost",)
