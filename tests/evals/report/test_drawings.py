"""What a report draws, and what it lets one hear."""

import io
import re
from itertools import pairwise

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from evals.report.call_timeline_chart import CallTimeline, Mark, Segment, VoiceTrack, rows
from evals.report.clips import Clip, bounded, select
from evals.report.plots import Bin, Scale, Series, distribution, reliability, strip, ticks
from evals.report.waterfall import profile, scale_of, steps, waterfall
from evals.report.waveform import clip, clip_bytes, cut, data_uri, outline
from evals.scoring.statistics import quantile

RECORD = {
    "transcription_delay": 0.2,
    "end_of_turn_delay": 0.3,
    "llm_ttft": 0.1,
    "llm_ttfs": 0.15,
    "tts_ttfb": 0.05,
    "e2e_latency": 0.6,
}


def test_a_clip_has_the_caller_left_and_the_agent_right() -> None:
    tone = np.round(8000 * np.sin(2 * np.pi * 440 * np.arange(48_000) / 16_000)).astype(np.int16)
    caller = tone[:32_000].copy()
    caller[:16_000] = 0
    agent = np.round(4000 * np.sin(2 * np.pi * 300 * np.arange(48_000) / 24_000)).astype(np.int16)
    mp3 = clip(caller.tobytes(), agent.tobytes(), 0.5, 1.5, caller_rate=16_000, agent_rate=24_000)
    both, rate = soundfile.read(io.BytesIO(mp3), dtype="int16")
    assert rate == 16_000
    assert 16_000 <= len(both) <= 16_000 + 3 * 1152
    left, right = both[2_000:7_000], both[11_000:15_000]
    assert np.std(left[:, 0].astype(float)) < 500
    assert np.std(right[:, 0].astype(float)) == pytest.approx(8000 / 2**0.5, rel=0.1)
    for heard in (left, right):
        assert np.std(heard[:, 1].astype(float)) == pytest.approx(4000 / 2**0.5, rel=0.1)


@pytest.mark.parametrize("secs", [0.01, 1.7, 30.0])
def test_a_clip_weighs_what_was_reckoned(secs: float) -> None:
    noise = np.random.default_rng(1).integers(-3000, 3000, 31 * 24_000, np.int16).tobytes()
    mp3 = clip(noise, noise, 0.0, secs, caller_rate=16_000, agent_rate=24_000)
    assert len(data_uri(mp3)) <= clip_bytes(secs) <= len(data_uri(mp3)) + 6 * 108


def test_a_stretch_outside_of_a_voice_is_silent() -> None:
    pcm = np.full(100, 7, np.int16).tobytes()
    assert cut(pcm, 100, -0.5, 0.5).tolist() == [0] * 50 + [7] * 50
    assert cut(pcm, 100, 0.9, 1.1).tolist() == [7] * 10 + [0] * 10
    assert cut(pcm, 100, 5.0, 5.1).tolist() == [0] * 10


def test_an_outline_is_as_high_as_the_loudest_of_each_part() -> None:
    samples = np.array([0, 100, -200, 50, 0, 0, 400, 0], np.int16)
    assert outline(samples, 4, 400) == [0.25, 0.5, 0.0, 1.0]
    assert outline(samples[:0], 2, 400) == [0.0, 0.0]
    assert outline(samples, 2, 0) == [0.0, 0.0]


@given(st.lists(st.floats(0, 40, allow_nan=False), max_size=40), st.integers(0, 2_000_000))
def test_clips_never_weigh_more_than_they_may(lengths: list[float], most: int) -> None:
    clips = [Clip((0, "a.mcap", at), 0.0, secs) for at, secs in enumerate(lengths)]
    selection = select(clips, most)
    assert selection.size <= most
    heard = [clip for clip in clips if clip.secs > 0]
    assert len(selection.included) + len(selection.left_out) == len(heard)
    smallest = min((clip.size for clip in selection.left_out), default=None)
    assert smallest is None or smallest > most - selection.size


def test_the_most_telling_clips_come_first_and_each_once() -> None:
    first, again = Clip((0, "a.mcap", 1), 0.0, 2.0), Clip((0, "a.mcap", 1), 0.0, 2.0)
    second = Clip((0, "b.mcap", 1), 0.0, 2.0)
    selection = select([first, again, second], first.size)
    assert list(selection.included.values()) == [first]
    assert selection.left_out == (second,)


def test_no_clip_is_longer_than_half_a_minute() -> None:
    assert bounded(10.0, 100.0) == (10.0, 40.0)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50), st.floats(0, 1))
def test_quantiles_are_numpys(values: list[float], share: float) -> None:
    expected = float(np.quantile(np.array(values), share))
    assert quantile(values, share) == pytest.approx(expected, rel=1e-9, abs=1e-6)


@given(st.floats(0, 1e4), st.floats(1e-3, 1e4), st.integers(3, 8))
def test_ticks_are_few_in_order_and_on_the_scale(low: float, span: float, most: int) -> None:
    found = ticks(low, low + span, most)
    assert len(found) <= most
    assert found == sorted(found)
    slack = 1e-5 * span + 1e-8
    assert all(low - slack <= match <= low + span + slack for match in found)


def test_ticks_are_round() -> None:
    assert ticks(0.0, 1.37, 5) == [0.0, 0.5, 1.0]
    assert ticks(0.0, 0.02, 5) == [0.0, 0.005, 0.01, 0.015, 0.02]


def test_a_distribution_goes_through_its_quantiles() -> None:
    values = (0.5, 1.0, 2.0)
    drawn = distribution([Series("run", values)], label="waiting <time>", high=2.0 / 1.04)
    path = re.search(r'class="step now" d="([^"]+)"', drawn)
    assert path is not None
    # From 40 to 332 for 0 to 2, and from 150 up to 10 for 0 to 1.
    assert path[1] == "M40.0 150.0H113.0L113.0 150.0L186.0 80.0L332.0 10.0H332"
    assert '<circle class="mark now" cx="186.0" cy="80.0"' in drawn
    assert drawn.count('class="mark now"') == 3
    assert 'aria-label="Distribution: waiting &lt;time&gt;"' in drawn


def test_the_run_held_against_is_dashed() -> None:
    drawn = distribution([Series("a", (1.0,)), Series("b", (2.0,))], label="x")
    assert 'class="step before"' in drawn
    assert 'class="step now"' in drawn


def test_a_reliability_curve_says_how_many_answers_it_rests_on() -> None:
    drawn = reliability([[Bin(0.95, 0.8, 12, "high", 0.5, 0.95), Bin(0.5, 0.0, 0)]], label="x")
    assert ">n 12<" in drawn
    assert drawn.count("<circle") == 1
    assert 'class="whisker"' in drawn


def test_a_strip_shows_value_interval_and_target() -> None:
    drawn = strip(0.5, (0.25, 0.75), 1.0, ratio=True)
    assert '<circle class="value" cx="100.0"' in drawn
    assert '<rect class="interval" x="52.0" y="8.0" width="96.0"' in drawn
    assert '<path class="target" d="M196.0' in drawn
    assert strip(None, None, None, ratio=True) == ""


@given(st.floats(-1e9, 1e9))
def test_nothing_is_drawn_outside_of_its_scale(value: float) -> None:
    assert 10 <= Scale(-1.0, 3.0, 10, 90)(value) <= 90


def test_a_turns_steps_follow_each_other_to_the_first_sound() -> None:
    found = steps(RECORD)
    assert [(match.name, match.stage) for match in found] == [
        ("transcript", "hearing"),
        ("end of turn", "waiting"),
        ("first token", "deciding"),
        ("first sentence", "deciding"),
        ("first audio", "speaking"),
        ("audible", "travelling"),
    ]
    assert [round(match.end, 3) for match in found] == [0.2, 0.3, 0.4, 0.45, 0.5, 0.6]
    assert all(a.end == b.start for a, b in pairwise(found))
    assert scale_of([found]) == pytest.approx(0.6)


def test_an_answer_begun_early_has_no_negative_steps() -> None:
    found = steps({**RECORD, "transcription_delay": 0.5})
    assert all(match.secs >= 0 for match in found)


def test_a_waterfall_is_told_to_those_who_do_not_see_it() -> None:
    drawn = waterfall(steps(RECORD), 1.0)
    assert "transcript 0.20 s, end of turn 0.10 s" in drawn
    assert waterfall((), 1.0) == ""


def test_the_slowest_turn_is_the_first_of_the_profile() -> None:
    slow = {**RECORD, "transcription_delay": 0.25, "e2e_latency": 0.9}
    drawn = profile([steps(RECORD), steps(slow)], 1.0)
    first = re.search(r'<rect class="hearing" x="0.0" y="0" width="(\d+)', drawn)
    assert first is not None
    assert first[1] == "250"


def _timeline(**changes: object) -> CallTimeline:
    caller = np.zeros(16_000 * 25, np.int16)
    caller[16_000:32_000] = 5000
    values = {
        "secs": 25.0,
        "caller": VoiceTrack(caller.tobytes(), 16_000),
        "agent": VoiceTrack(bytes(2 * 24_000 * 25), 24_000),
        "utterances": (Segment(1.0, 2.0, "question", "Who <b>was</b> she?"),),
        **changes,
    }
    return CallTimeline(**values)  # type: ignore[arg-type]


def test_a_call_is_drawn_in_rows_of_twenty_seconds() -> None:
    drawn = list(rows(_timeline()))
    assert len(drawn) == 2
    assert 'data-start="0" data-end="20"' in drawn[0]
    assert 'data-start="20" data-end="40"' in drawn[1]


def test_a_voice_is_drawn_where_it_was_and_nowhere_else() -> None:
    first, second = rows(_timeline())
    wave = re.search(r'class="wave caller" d="([^"]+)"', first)
    assert wave is not None
    places = [int(x) for x in re.findall(r"M(\d+) ", wave[1])]
    # 57 pixels a second.
    assert 56 <= min(places) <= 59
    assert 112 <= max(places) <= 115
    assert "wave caller" not in second


def test_what_was_said_is_no_markup() -> None:
    drawn = "".join(rows(_timeline()))
    assert "<b>" not in drawn
    assert "Who &lt;b&gt;was&lt;/b&gt; she?" in drawn


def test_the_end_of_a_turn_leads_to_the_turn() -> None:
    timeline = _timeline(marks=(Mark(2.5, "turn", "1", "#c1-t1"), Mark(3.0, "cut", "")))
    drawn = next(rows(timeline))
    assert '<a href="#c1-t1" tabindex="-1"><text class="number"' in drawn
    assert 'class="cut"' in drawn
    assert "at 3.0 s the agent is cut short" in drawn


def test_a_long_sentence_is_cut_to_its_room() -> None:
    long = "word " * 80
    timeline = _timeline(
        sentences=(Segment(3.0, 5.0, "sentence", long), Segment(5.0, 6.0, "sentence", "Next one."))
    )
    drawn = next(rows(timeline))
    lines = re.findall(r'class="said agent sentence"[^>]*>([^<]*)<', drawn)
    assert lines[-1] == "Next one." or lines[-2].endswith("…")
    assert sum("word" in line for line in lines) <= 3
