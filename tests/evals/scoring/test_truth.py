"""A truth file says what happened; one that cannot be meant is refused, by field and value."""

from pathlib import Path

import pytest

from evals.scoring.intervals import Interval
from evals.scoring.truth import Truth, TruthError
from tests.evals.scoring.recorded import Recorded, backchannel, noise, question

WHOLE = """
[[call]]
file = "clean-01.mcap"
title = "One clean question"
tags = ["clean", "pause"]
voice = "heart"
  [[call.utterance]]
  kind = "question"
  text = "Where did she study mathematics?"
  start = 6.20
  end = 8.05
  pauses = [[7.0, 7.6]]
  over_agent = false
  takes_turn = true
  decision = "respond"
  sections = ["education"]
  sensitive = false
  snr_db = 99
  [[call.utterance]]
  kind = "noise"
  text = ""
  start = 9
  end = 9.5
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "truth.toml"
    path.write_text(text, "utf-8")
    return path


def test_a_whole_truth_is_read(tmp_path: Path) -> None:
    call = Truth.load(written(tmp_path, WHOLE)).find_call("nothing.mcap", "clean-01.mcap")
    assert call is not None
    asked, cough = call.utterances
    assert (call.tags, call.voice) == (("clean", "pause"), "heart")
    assert (asked.start, asked.end, asked.pauses) == (6.2, 8.05, (Interval(7.0, 7.6),))
    assert (asked.decision, asked.sections, asked.snr_db) == ("respond", ("education",), 99.0)
    assert (cough.takes_turn, cough.decision, cough.snr_db) == (False, "", None)


def test_a_call_that_is_not_in_it_has_no_truth(tmp_path: Path) -> None:
    assert Truth.load(written(tmp_path, WHOLE)).find_call("other.mcap") is None


@pytest.mark.parametrize(
    ("old", "new", "trouble"),
    [
        ('kind = "question"', 'kind = "shout"', "kind is 'shout'; it must be one of 'question'"),
        ("start = 6.20", "", "start is missing"),
        ("start = 6.20", 'start = "6"', "start is '6'; it must be a number"),
        ("start = 6.20", "start = nan", "start is nan; it must be a number"),
        ("start = 6.20", "start = true", "start is True; it must be a number"),
        ("end = 8.05", "end = 6.2", "goes from 6.2 to 6.2; it must end after it starts"),
        ("[[7.0, 7.6]]", "[[7.0, 9.6]]", "it must be pairs of seconds within 6.2 and 8.05"),
        ("[[7.0, 7.6]]", "[[7.6, 7.0]]", "it must be pairs of seconds within 6.2 and 8.05"),
        ("[[7.0, 7.6]]", "[7.0, 7.6]", "pauses is 7.0; it must be pairs"),
        ('decision = "respond"', 'decision = "answer"', "decision is 'answer'; it must be one of"),
        ('["education"]', '"education"', "sections is 'education'; it must be a list of texts"),
        ("sensitive = false", "sensitive = 0", "sensitive is 0; it must be true or false"),
        ("snr_db = 99", "snr = 99", "snr is unknown; allowed: decision, end, expect, kind"),
        ("start = 9\n", "start = 5\n", "its utterances are not in order"),
        ('"clean-01.mcap"', '"calls/clean-01.mcap"', "it must be a file's name without a folder"),
        ("sensitive = false", 'says = ["|"]', "says is ['|']; it must be a list of texts, none of"),
        ("sensitive = false", "expect = 3", "expect is 3; it must be a text"),
        (
            'decision = "respond"',
            'decision = "escalate"\nsays = ["Yale"]',
            "decision is 'escalate', and says, never and expect are of an answer",
        ),
        ("[[call]]", "[[calls]]", "'calls' is unknown; it holds [[call]] tables only"),
        ("Where did she study mathematics?", " ", "text is empty, and takes_turn says"),
        ("file =", "file", "is not TOML"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, old: str, new: str, trouble: str) -> None:
    assert old in WHOLE
    text = WHOLE.replace(old, new, 1)
    with pytest.raises(TruthError) as refused:
        Truth.load(written(tmp_path, text))
    assert trouble in str(refused.value)


def test_a_call_cannot_be_there_twice(tmp_path: Path) -> None:
    with pytest.raises(TruthError, match=r"file 'clean-01.mcap' is there twice"):
        Truth.load(written(tmp_path, WHOLE + WHOLE))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(TruthError, match="cannot be read: No such file"):
        Truth.load(tmp_path / "none.toml")


# Which turn an utterance became.


def test_each_question_became_the_turn_that_ended_with_it() -> None:
    call = Recorded().turn(1, 3.1).turn(2, 9.9).ends(20.0)
    first, second = call.matched(question(1.0, 3.0), question(8.0, 10.0)).heard
    assert [turn.number for turn in first.turns] == [1]
    assert second.answer is not None
    assert second.answer.number == 2


def test_a_turn_ended_too_early_and_the_one_that_contains_it_are_of_one_question() -> None:
    call = Recorded().turn(1, 2.0, withdrawn=True).turn(2, 5.0).ends(20.0)
    (heard,) = call.matched(question(1.0, 5.0, pauses=(Interval(2.0, 3.0),))).heard
    assert [turn.number for turn in heard.turns] == [1, 2]
    assert heard.answer is not None
    assert heard.answer.number == 2


def test_a_cough_after_a_question_does_not_take_its_turn_away() -> None:
    call = Recorded().turn(1, 4.1).ends(20.0)
    asked, cough = call.matched(question(1.0, 3.0), noise(3.8, 4.1)).heard
    assert asked.answer is not None
    assert not cough.turns


def test_a_turn_made_of_a_backchannel_is_the_backchannel_s() -> None:
    call = Recorded().turn(1, 3.0).turn(2, 6.4).ends(20.0)
    matched = call.matched(question(1.0, 3.0), backchannel(6.0, 6.4))
    assert [turn.number for turn in matched.heard[1].turns] == [2]
    assert not matched.spurious


def test_a_turn_begun_anew_on_the_same_speech_is_of_the_same_question() -> None:
    call = Recorded().turn(1, 3.0, "So I'm", decision=None)
    matched = call.turn(2, 3.0, "So I'm did she go?").ends(20.0).matched(question(1.0, 3.0))
    (heard,) = matched.heard
    assert [turn.number for turn in heard.turns] == [1, 2]
    assert heard.understood == "So I'm did she go?"
    assert not matched.spurious


def test_a_question_cut_in_two_was_understood_in_two_parts() -> None:
    call = Recorded().turn(1, 2.0, "Where did she").turn(2, 5.0, "study?").ends(20.0)
    (heard,) = call.matched(question(1.0, 5.0)).heard
    assert heard.understood == "Where did she study?"


def test_a_turn_that_nothing_explains_is_spurious() -> None:
    call = Recorded().turn(1, 3.0).turn(2, 12.0).ends(20.0)
    matched = call.matched(question(1.0, 3.0))
    assert [turn.number for turn in matched.spurious] == [2]


def test_two_questions_in_one_turn_are_answered_together() -> None:
    call = Recorded().turn(1, 6.0).ends(20.0)
    first, second = call.matched(question(1.0, 3.0), question(3.5, 6.0)).heard
    assert first.joined
    assert not second.joined
    assert second.answer is not None


def test_a_question_whose_turn_was_withdrawn_is_in_the_next_one() -> None:
    call = Recorded().turn(1, 3.0, withdrawn=True).turn(2, 6.0).ends(20.0)
    first, second = call.matched(question(1.0, 3.0), question(3.5, 6.0)).heard
    assert (first.joined, second.joined) == (True, False)
    lost = Recorded().turn(1, 3.0, withdrawn=True).ends(20.0).matched(question(1.0, 3.0))
    assert not lost.heard[0].joined  # no turn followed that could hold it


def test_who_spoke_when_an_utterance_began_is_taken_from_this_run_not_the_recording() -> None:
    call = Recorded().says(1.0, "Hello, I'm Viva, an AI.", 2.0).ends(20.0)
    heard = call.matched(question(2.0, 4.0), question(6.0, 7.0, over_agent=True)).heard
    assert [utterance.over is not None for utterance in heard] == [True, False]
