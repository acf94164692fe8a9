"""One owner of a turn: whatever is reported of it, it is kept once, and told of at most once."""

from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pipecat.frames.frames import InterruptionFrame

from conversation.frames import DecisionFrame, PlaybackFrame, Usage
from conversation.playback import AHEAD_SECS
from conversation.records import TurnRecord
from conversation.turns import OUTPUT_SAMPLE_RATE, Conversation


class Clock:
    """Seconds, as a test sets them."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def a_conversation() -> tuple[Conversation, list[TurnRecord], Clock]:
    """A conversation, every record it keeps, and its clock."""
    kept: list[TurnRecord] = []
    clock = Clock()
    return Conversation(clock=clock, wall=clock, kept=kept.append), kept, clock


def ask(conversation: Conversation, question: str = "Where did she study?") -> int:
    """A turn of the caller."""
    now = conversation.clock()
    return conversation.begin_turn(question, now - 0.4, now - 0.1).number


def answer(conversation: Conversation, number: int, secs: float = 1.0) -> None:
    """The decision of a turn, and all its audio, to a transport that says nothing."""
    conversation.decided(DecisionFrame(turn=number, text="At Vassar.", brain="scripted"))
    conversation.playback.begin_sentence(number, "At Vassar.")
    conversation.audio_came(number)
    conversation.sent(round(secs * OUTPUT_SAMPLE_RATE))


def interrupt(conversation: Conversation) -> int | None:
    """Somebody cuts the answer short; the turn that it was."""
    frame = InterruptionFrame()
    conversation.interrupted(frame)
    turn: int | None = frame.metadata["turn"]
    return turn


def test_an_interruption_that_arrives_late_is_of_the_turn_of_whoever_saw_it_first() -> None:
    conversation, _, _ = a_conversation()
    early, late = InterruptionFrame(), InterruptionFrame()
    conversation.interrupted(early)
    first = ask(conversation)
    conversation.interrupted(early)
    assert not conversation.is_stale(first), "it cut the greeting short"
    conversation.interrupted(late)
    second = ask(conversation)
    conversation.interrupted(late)
    assert (conversation.is_stale(first), conversation.is_stale(second)) == (True, False)


def test_an_interruption_makes_the_turn_stale_and_every_one_before_it_but_none_to_come() -> None:
    conversation, _, _ = a_conversation()
    assert interrupt(conversation) is None, "nobody has asked anything"
    first, second = ask(conversation), ask(conversation)
    assert not conversation.is_stale(second)
    assert interrupt(conversation) == second
    third = ask(conversation)
    assert [conversation.is_stale(number) for number in (0, first, second, third)] == [
        False, True, True, False,
    ]  # fmt: skip


def test_an_interruption_after_the_answer_leaves_its_turn_as_it_was() -> None:
    conversation, kept, clock = a_conversation()
    answer(conversation, ask(conversation))
    clock.now += 1.0
    conversation.close_heard()
    interrupt(conversation)
    conversation.drop_unplayed()
    (record,) = kept
    assert (record.interrupted, record.heard_text) == (False, "At Vassar.")


def test_a_transport_that_reports_nothing_has_played_what_had_the_time_to_be() -> None:
    conversation, kept, clock = a_conversation()
    answer(conversation, ask(conversation), secs=1.0)
    clock.now += 0.15
    interrupt(conversation)
    conversation.drop_unplayed()
    (record,) = kept
    assert (record.interrupted, record.heard_text) == (True, "At")
    assert record.e2e_latency == pytest.approx(0.4)


def test_an_answer_that_waits_behind_a_prompt_is_not_heard_when_the_prompt_is_cut_short() -> None:
    conversation, kept, clock = a_conversation()
    conversation.playback.begin_sentence(0, "One moment, please.")
    conversation.sent(OUTPUT_SAMPLE_RATE)
    answer(conversation, ask(conversation))
    clock.now += 0.5
    interrupt(conversation)
    conversation.drop_unplayed()
    (record,) = kept
    assert (record.heard_text, record.e2e_latency) == ("", None)


def test_a_turn_cut_short_closes_when_the_transport_has_said_what_was_heard() -> None:
    conversation, kept, _ = a_conversation()
    answer(conversation, ask(conversation), secs=1.0)
    interrupt(conversation)
    conversation.playback.interrupt(conversation.clock())
    assert conversation.cut_short(0), "its last report is awaited"
    assert kept == []
    conversation.played(PlaybackFrame(epoch=0, samples=OUTPUT_SAMPLE_RATE, final=True))
    (record,) = conversation.settle(0)
    assert kept == [record]
    assert record.heard_text == "At Vassar."
    assert conversation.settle(0) == []


def test_a_turn_withdrawn_while_its_last_report_is_awaited_is_kept_and_not_announced() -> None:
    conversation, kept, _ = a_conversation()
    ask(conversation, "Where")
    interrupt(conversation)
    conversation.cut_short(0)
    conversation.withdraw()
    ask(conversation, "Where did she study?")
    assert conversation.settle(0) == []
    (record,) = kept
    assert (record.number, record.withdrawn) == (1, True)


def test_a_decision_of_no_turn_is_paid_for_and_belongs_to_none() -> None:
    conversation, _, _ = a_conversation()
    ask(conversation)
    conversation.decided(DecisionFrame(turn=7, brain="scripted", usage=Usage(output_tokens=3)))
    assert conversation.turns[0].decision is None
    conversation.record_rest()
    assert conversation.record_turn(conversation.turns[0]).used.output_tokens == 3


EVENTS = st.lists(
    st.sampled_from(
        ["ask", "go on", "answer", "interrupt", "drop", "cut", "settle", "heard", "stop", "wait"]
    ),
    max_size=40,
)


@given(events=EVENTS)
def test_each_turn_is_kept_once_whoever_closes_it_and_announced_at_most_once(
    events: list[str],
) -> None:
    conversation, kept, clock = a_conversation()
    announced: list[TurnRecord | None] = []
    stale = 0
    for event in events:
        match event:
            case "ask":
                ask(conversation)
            case "go on":
                conversation.withdraw()
                ask(conversation)
            case "answer":
                answer(conversation, conversation.number)
            case "interrupt":
                stale = interrupt(conversation) or 0
            case "drop":
                conversation.drop_unplayed()
            case "cut":
                epoch = conversation.playback.epoch
                conversation.playback.interrupt(clock.now)
                conversation.cut_short(epoch)
            case "settle":
                for epoch in range(conversation.playback.epoch):
                    announced += conversation.settle(epoch)
            case "heard":
                conversation.close_heard()
            case "stop":
                announced.append(conversation.voice_stopped())
            case "wait":
                clock.now += 0.5
        assert conversation.stale == stale, "only an interruption makes a turn stale"
        assert all(turn.closed for turn in conversation.turns if turn.number in numbers(kept))
    announced.append(conversation.cut_off(voicing=False))
    once = numbers(kept)
    assert max(once.values(), default=0) <= 1
    told = Counter(record.number for record in announced if record is not None)
    assert max(told.values(), default=0) <= 1
    assert not any(record.withdrawn for record in announced if record is not None)
    conversation.record_rest()
    assert sorted(numbers(kept)) == [turn.number for turn in conversation.turns]
    assert all(turn.closed for turn in conversation.turns)
    for turn in conversation.turns[:-1]:
        assert numbers(kept)[turn.number] == 1, "only the last is kept again, at the end"


def numbers(kept: list[TurnRecord]) -> Counter[int]:
    """How often each turn was kept."""
    return Counter(record.number for record in kept)


@example(waited=0.18, played=16_320, sample=0, early=0.0)
@given(
    waited=st.floats(0, 3),
    played=st.integers(0, 2**53 - 1),
    sample=st.integers(0, 2**53 - 1),
    early=st.floats(0, 3),
)
def test_no_report_makes_an_answer_heard_before_it_was_sent(
    waited: float, played: int, sample: int, early: float
) -> None:
    conversation, _, clock = a_conversation()
    number = ask(conversation)
    clock.now += 1.0
    sent_at = clock.now
    conversation.playback.begin_sentence(number, "At Vassar, and then at Yale.")
    conversation.playback.send(2 * OUTPUT_SAMPLE_RATE, sent_at)
    clock.now += waited
    conversation.audible(epoch=0, sample=sample, at=clock.now - early)
    conversation.played(PlaybackFrame(epoch=0, samples=played))
    turn = conversation.turn
    assert turn is not None
    for first in (turn.first_audible, turn.first_played):
        assert first is None or sent_at <= first
    heard_secs = conversation.playback.reported / OUTPUT_SAMPLE_RATE
    assert heard_secs <= min(2.0, waited + AHEAD_SECS) + 0.5 / OUTPUT_SAMPLE_RATE, "to the sample"
