"""The voice's own words in the microphone are told from the caller's."""

import pytest

from conversation.echo import without_echo
from conversation.playback import Playback

RATE = 24_000
PLAYED = "She earned a doctorate in mathematics at Yale, and then she taught at Vassar."


@pytest.mark.parametrize(
    "heard",
    [
        "She earned a doctorate in mathematics",
        "in mathematics at Yale and then",
        "she earned a doctor in mathematics at Yale",  # as recognisers hear it from a loudspeaker
        "natics at Yale, and then she",
        "at Vassar.",
        "Yale",
    ],
)
def test_what_is_being_played_is_an_echo(heard: str) -> None:
    assert without_echo(heard, PLAYED) == ""


@pytest.mark.parametrize(
    "heard",
    [
        "Wait.",
        "When was that?",
        "And what about Harvard?",
        "Did she earn it at Yale?",
        "She was at Harvard, too.",
        "Yes, and then?",
        "",
    ],
)
def test_what_a_caller_says_is_none(heard: str) -> None:
    assert without_echo(heard, PLAYED) == heard


def test_a_callers_words_behind_an_echo_are_kept() -> None:
    heard = "she earned a doctorate in wait, which year was that?"
    assert without_echo(heard, PLAYED) == "wait, which year was that?"
    assert without_echo("At Yale?", "") == "At Yale?"


def playing() -> Playback:
    """A sentence of four words, of which each takes a second, from second 10 on."""
    playback = Playback(sample_rate=RATE)
    playback.begin_sentence(1, "1934", spoken="nine teen thir four")
    playback.send(4 * RATE, now=10.0)
    return playback


@pytest.mark.parametrize(
    ("since", "until", "spoken"),
    [
        (9.0, 9.9, ""),
        (9.0, 10.5, "nine"),
        (10.1, 11.5, "nine teen"),
        (12.5, 13.9, "thir four"),
        (13.6, 20.0, "four"),
        (14.5, 15.0, ""),
    ],
)
def test_the_words_of_a_time_are_known(since: float, until: float, spoken: str) -> None:
    assert playing().spoken_between(since, until) == spoken


def test_what_was_sent_and_not_played_was_not_spoken() -> None:
    playback = playing()
    playback.report(0, RATE, now=11.0)
    playback.interrupt(now=11.5)
    playback.report(0, int(1.5 * RATE), now=11.6, final=True)
    playback.begin_sentence(0, "Go on.")
    playback.send(RATE, now=13.0)
    assert playback.spoken_between(10.0, 12.5) == "nine teen"
    assert playback.spoken_between(10.0, 13.9) == "nine teen Go on."


def test_a_page_that_repeats_its_last_report_plays_nothing() -> None:
    playback = playing()
    for now in (14.0, 15.0, 16.0):
        playback.report(0, 4 * RATE, now=now)
    assert playback.spoken_between(15.2, 16.0) == ""
