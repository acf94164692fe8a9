"""Days, dates and times, as documents write them and callers say them."""

import pytest

from knowledge.moments import as_written, fits, in_season, moments, seasons


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("Mon\u2013Fri", {0, 1, 2, 3, 4}),
        ("Fri-Mon", {4, 5, 6, 0}),
        ("Tuesday to Thursday", {1, 2, 3}),
        ("Tue, Thu, Sat", {1, 3, 5}),
        ("daily except Tuesdays", {0, 2, 3, 4, 5, 6}),
        ("on weekends", {5, 6}),
        ("no day at all", set()),
    ],
)
def test_days_are_those_that_are_meant(text: str, days: set[int]) -> None:
    assert moments(text).days == days


@pytest.mark.parametrize(
    "text",
    ["5 June", "June 5th", "the fifth of June", "on June fifth", "2025-06-05", "5th of June"],
)
def test_a_date_is_one_however_it_is_said(text: str) -> None:
    assert moments(text).dates == {(6, 5)}


def test_a_range_of_dates_holds_each() -> None:
    assert moments("from 11 to 13 September").dates == {(9, 11), (9, 12), (9, 13)}


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("at half past eight", "20:30"),
        ("at quarter to nine", "8:45"),
        ("at eleven", "11:00"),
        ("at 8 pm", "20:00"),
        ("at seven o'clock", "19:00"),
        ("at noon", "12:00"),
    ],
)
def test_a_spoken_time_can_be_the_written_one(said: str, written: str) -> None:
    assert moments(said).times & moments(written).times


def test_noon_is_not_midnight() -> None:
    assert moments("at noon").times == moments("12:00").times
    assert moments("at midnight").times == {0}


@pytest.mark.parametrize(
    ("said", "date"),
    [
        ("Are you open on Christmas Day?", (12, 25)),
        ("closed on New Year\u2019s Eve", (12, 31)),
        ("boxing day", (12, 26)),
    ],
)
def test_a_holiday_is_its_date(said: str, date: tuple[int, int]) -> None:
    assert moments(said).dates == {date}


def test_a_question_is_read_with_the_times_of_the_document() -> None:
    evening = moments("20:30 Talk, 22:00 Tour").times
    assert as_written("What's on at half past eight?", evening) == "What's on at 20:30?"
    assert as_written("Who talks at quarter to nine?", evening) == "Who talks at quarter to nine?"
    both = moments("8:30 Breakfast, 20:30 Talk").times
    assert as_written("What's on at half past eight?", both) == "What's on at half past eight?"
    assert as_written("Is it shut on Christmas Day?", both) == "Is it shut on 25 December?"


def test_a_month_is_read_as_the_season_that_includes_it() -> None:
    spans = seasons("April to October: 9 to 18; November\u2013March: closed.")
    assert in_season("Are you open in June?", spans) == "Are you open April to October?"
    assert in_season("And in January?", spans) == "And November\u2013March?"
    assert in_season("Is there a fair in May 2027?", spans) == "Is there a fair in May 2027?"
    both = spans | seasons("The lido is open between May and September.")
    assert in_season("Are you open in June?", both) == "Are you open in June?"


def test_a_duration_is_no_time() -> None:
    assert moments("after two days").times == frozenset()


def test_what_is_asked_of_one_day_does_not_fit_another() -> None:
    asked = moments("When do you open on Saturday?")
    assert fits(asked, moments("Sat 7:00")) == 1
    assert fits(asked, moments("Mon\u2013Fri 6:30")) == -1
    assert fits(asked, moments("Oat milk costs 40 cents more.")) == 0
    assert fits(moments("When is lunch on the 5th?"), moments("Thursday, 5 June")) == 1
    assert fits(moments("When is lunch on the 5th?"), moments("Friday, 6 June")) == -1
