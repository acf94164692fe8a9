"""What was heard of the voice, and not what was sent."""

from hypothesis import given
from hypothesis import strategies as st

from conversation.playback import AHEAD_SECS, Playback

RATE = 24_000


def test_only_the_words_that_were_played_were_heard() -> None:
    playback = Playback(sample_rate=RATE)
    playback.begin_sentence(1, "She studied at Vassar.")
    playback.send(2 * RATE, now=0.0)
    playback.begin_sentence(1, "Then she went to Yale.")
    playback.send(2 * RATE, now=0.0)
    playback.report(0, int(2.5 * RATE), now=2.5)
    playback.interrupt(now=2.5)
    assert playback.heard(1, now=9.0) == "She studied at Vassar. Then she"


def test_the_last_report_of_an_interrupted_answer_corrects_the_estimate() -> None:
    playback = Playback(sample_rate=RATE)
    playback.begin_sentence(1, "She studied at Vassar.")
    playback.send(2 * RATE, now=0.0)
    assert playback.interrupt(now=1.0) == 1
    assert playback.heard(1, now=1.0) == "She studied"
    assert playback.report(0, 0, now=1.1, final=True)
    assert playback.heard(1, now=1.1) == ""
    assert not playback.report(0, 2 * RATE, now=1.2, final=True), "a closed epoch stays closed"


def test_words_that_were_never_sent_were_not_heard() -> None:
    playback = Playback(sample_rate=RATE)
    span = playback.begin_sentence(1, "She studied at Vassar.")
    span.voice = 2 * RATE  # all of the sentence has come from the voice
    playback.send(RATE, now=0.0)  # half of it was sent
    playback.report(0, RATE, now=1.0)
    playback.interrupt(now=1.0)
    assert playback.heard(1, now=1.0) == "She studied"


def test_a_vendor_that_times_its_words_is_believed_to_the_word() -> None:
    playback = Playback(sample_rate=RATE)
    playback.begin_sentence(1, "She went to Yale, and on to Vassar.")
    for word in ("She", "went", "to", "Yale,", "and", "on", "to", "Vassar."):
        playback.word(word)
        playback.send(RATE // 4, now=0.0)
    playback.report(0, RATE + 1, now=1.0)
    playback.interrupt(now=1.0)
    assert playback.heard(1, now=1.0) == "She went to Yale, and"


def test_a_page_that_reports_nothing_is_taken_to_play_in_real_time() -> None:
    playback = Playback(sample_rate=RATE)
    playback.begin_sentence(1, "one two")
    playback.send(RATE, now=10.0)
    assert playback.played(10.25) == RATE // 4
    assert playback.remaining_secs(10.25) == 0.75
    assert playback.played(12.0) == RATE


def test_silence_between_two_answers_is_not_counted_as_played() -> None:
    playback = Playback(sample_rate=RATE)
    playback.begin_sentence(1, "one")
    playback.send(RATE, now=0.0)
    playback.begin_sentence(2, "two")
    playback.send(RATE, now=5.0)
    assert playback.played(5.5) == RATE + RATE // 2


def test_a_page_cannot_claim_more_than_it_was_sent() -> None:
    playback = Playback(sample_rate=RATE)
    playback.begin_sentence(1, "one")
    playback.send(RATE, now=0.0)
    playback.report(0, 10 * RATE, now=1.0)
    assert playback.played(1.0) == RATE
    assert not playback.report(3, 1, now=1.0), "an epoch to come cannot have been played"


def test_a_page_cannot_claim_to_have_played_faster_than_sound_goes_by() -> None:
    playback = Playback(sample_rate=RATE)
    playback.begin_sentence(1, "one two three")
    playback.send(10 * RATE, now=5.0)
    playback.report(0, 10 * RATE, now=6.0)
    assert playback.reported == int((1.0 + AHEAD_SECS) * RATE)
    assert playback.remaining_secs(6.0) == 9.0 - AHEAD_SECS, "no more is sent before its time"


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("send"), st.integers(1, 4800)),
            st.tuples(st.just("report"), st.integers(0, 100_000)),
            st.tuples(st.just("wait"), st.integers(0, 500)),
            st.tuples(st.just("interrupt"), st.just(0)),
        )
    )
)
def test_what_was_heard_is_always_a_beginning_of_what_was_said(
    events: list[tuple[str, int]],
) -> None:
    playback = Playback(sample_rate=RATE)
    said, now, turn = "one two three four five six seven", 0.0, 1
    playback.begin_sentence(turn, said)
    for event, amount in events:
        if event == "send":
            playback.send(amount, now)
        elif event == "report":
            playback.report(playback.epoch, amount, now)
        elif event == "wait":
            now += amount / 1000
        else:
            playback.interrupt(now)
            turn += 1
            playback.begin_sentence(turn, said)
        assert 0 <= playback.played(now) <= playback.sent
        heard = playback.heard(turn, now)
        assert said.startswith(heard)
        assert heard == said[: len(heard)].rstrip()


def test_what_was_heard_is_told_in_the_words_that_are_shown() -> None:
    playback = Playback(sample_rate=RATE)
    playback.begin_sentence(
        1, "In 1959 she went to Yale.", "In nineteen fifty-nine she went to Yale."
    )
    for word in ("In", "nineteen", "fifty-nine", "she", "went", "to", "Yale."):
        playback.word(word)
        playback.send(RATE // 4, now=0.0)
    told = [(2, "In"), (3, "In 1959"), (5, "In 1959 she went"), (7, "In 1959 she went to Yale.")]
    for words, heard in told:
        playback.report(0, words * RATE // 4, now=2.0)
        assert playback.heard(1, now=2.0) == heard


def test_without_word_times_the_spoken_letters_are_counted() -> None:
    playback = Playback(sample_rate=RATE)
    playback.begin_sentence(1, "1959 in Yale", "nineteen fifty-nine in Yale")
    playback.send(RATE, now=0.0)
    playback.report(0, RATE // 4, now=0.25)  # within "nineteen"
    assert playback.interrupt(now=0.25) == 1
    assert playback.heard(1, now=1.0) == ""
    assert playback.report(0, 3 * RATE // 4, now=1.1, final=True)  # within "in"
    assert playback.heard(1, now=1.2) == "1959 in"


def test_a_sentence_without_any_audio_was_not_heard() -> None:
    playback = Playback(sample_rate=1000)
    playback.begin_sentence(1, "她毕业于耶鲁大学。")
    assert playback.heard(1, now=0.0) == ""
    playback.begin_sentence(1, "I'm sorry, I can't say that aloud.")
    playback.send(2000, now=0.0)
    assert playback.heard(1, now=9.0) == "I'm sorry, I can't say that aloud."
    playback.begin_sentence(1, "It has not come yet.")
    assert playback.heard(1, now=9.0) == "I'm sorry, I can't say that aloud."
