"""Each benchmark is run small: whether it measures, not what."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from benchmarks import barge_in, budgets, density, embedded, grounded, growth, start, turn, vad
from benchmarks.commands import app
from benchmarks.meter import resident_mb
from benchmarks.scripted import ANSWER, STAGES, Marks, tokens
from benchmarks.side import Side, sides, tails
from evals.replay.virtual_time import run
from evals.scoring.statistics import quantile

PEERS = [name for name in sides() if not name.startswith("viva")]


MEASURES: dict[str, Callable[[], Any]] = {
    "density": lambda: density.measure(2, 12.0, systems=["viva"]),
    "turn": lambda: turn.measure([1], 13.0, systems=["viva"]),
    "barge_in": lambda: barge_in.once("viva", 1, 16.0),
    "start": lambda: start.calls("viva", 2, 2.0),
}
"""What takes its time, most of which is that of callers who speak and listen."""

BY_TEST = {
    "density": "test_two_calls_are_answered_and_their_cost_is_a_figure",
    "turn": "test_what_viva_adds_to_a_turn_is_told_by_stage",
    "barge_in": "test_the_voice_is_ducked_before_it_is_stopped",
    "start": "test_a_call_has_a_cold_and_warm_start",
}


@pytest.fixture(scope="module")
def measured(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Any]]:
    """What a benchmark has measured: those that are wanted are run at once."""
    wanted = [
        name
        for name, test in BY_TEST.items()
        if any(item.name == test for item in request.session.items)
    ]
    with ThreadPoolExecutor(len(MEASURES)) as pool:
        going = {name: pool.submit(MEASURES[name]) for name in wanted}
        yield lambda name: going[name].result()


@pytest.mark.thorough
def test_two_calls_are_answered_and_their_cost_is_a_figure(measured: Callable[[str], Any]) -> None:
    result = measured("density")
    viva = result["viva"]
    assert viva["calls"] == 2
    assert viva["turns_answered"] == viva["turns_asked"] > 0
    assert viva["lost_calls"] == 0
    assert viva["cpu_percent_per_call"] > 0
    assert viva["loop_lag_ms_p99"] >= viva["loop_lag_ms_p50"] > 0
    assert viva["chunks"] > 50, "answers of some seconds, in pieces of 100 ms"
    assert [row["calls"] for row in viva["sweep"]] == [1, 2]
    assert result["versions"]["pipecat-ai"]
    assert density.table(result)[1][0] == "viva"
    json.dumps(result)


@pytest.mark.thorough
@pytest.mark.skipif(not PEERS, reason="no peer is installed: make install-bench")
@pytest.mark.parametrize("name", PEERS)
def test_a_peer_answers_the_same_callers(name: str) -> None:
    row = density.once(name, 1, 13.0)
    assert row["turns_answered"] == row["turns_asked"] > 0
    assert row["chunks"] > 50


@pytest.mark.parametrize(
    ("heard", "held"),
    [
        ({}, True),
        ({"latencies_ms": [600.0] * 18 + [1900.0] * 2}, False),
        ({"turns_answered": 19}, False),
        ({"lost_calls": 1}, False),
        ({"turns_asked": 0, "turns_answered": 0, "latencies_ms": []}, False),
    ],
    ids=["in time", "two late of twenty", "one unanswered", "one lost", "nothing asked"],
)
def test_embedded_calls_are_held_if_nearly_all_answers_are_in_time(
    heard: dict[str, Any], held: bool
) -> None:
    callers: dict[str, Any] = {"turns_asked": 20, "turns_answered": 20, "lost_calls": 0}
    callers |= {"late_chunks": 0, "chunks": 900, "load_cpu_percent": 2.0}
    callers |= {"latencies_ms": [600.0] * 20}
    served = {"cpu_percent": 80.0, "secs": 30.0, "rss_mb": 1000.0}
    row = embedded.summary(8, callers | heard, served) | {"load_average": 0.4}
    assert row["held"] is held
    assert row["cpu_percent_per_call"] == 10.0
    assert row["cpu_secs_a_question"] == (1.2 if row["turns_asked"] else None)
    assert embedded.table({"by_calls": [row]})[1][-1] == ("yes" if held else "no")


@pytest.mark.thorough
def test_the_embedded_vendors_answer_callers_over_real_sockets() -> None:
    result = embedded.measure([2], 20.0)
    (row,) = result["by_calls"]
    assert row["turns_answered"] == row["turns_asked"] > 0
    assert row["cpu_secs_a_question"] > 0
    assert result["calls_by_cpu"] > 2
    json.dumps(result)


@pytest.mark.thorough
def test_what_viva_adds_to_a_turn_is_told_by_stage(measured: Callable[[str], Any]) -> None:
    result = measured("turn")
    (row,) = result["viva"]["by_calls"]
    assert row["own_ms"]["n"] > 0
    assert sum(row[stage]["p50"] for stage in STAGES) > 0
    assert turn.table(result)[1][:2] == ["viva", "1"]


@pytest.mark.thorough
def test_the_voice_is_ducked_before_it_is_stopped(measured: Callable[[str], Any]) -> None:
    row = measured("barge_in")
    assert row["barges"] > 0
    assert 0 < row["duck_ms"]["p50"] < row["stop_ms"]["p50"]
    assert row["last_old_sample_ms"]["p50"] <= row["stop_ms"]["max"]
    assert row["confirmed_to_stop_ms"]["n"] > 0


@pytest.mark.thorough
def test_a_call_has_a_cold_and_warm_start(measured: Callable[[str], Any]) -> None:
    row = measured("start")
    assert row["cold_ms"]["n"] == row["warm_ms"]["n"] == 1
    assert row["cold_ms"]["max"] > 0
    assert row["lag_ms_while_starting"]["max"] > 0


def test_windows_are_cheaper_together() -> None:
    result = vad.measure((1, 8), windows=16, repeat=1)
    assert [row["batch"] for row in result["viva"]["by_batch"]] == [1, 8]
    assert all(row["us_per_window"]["median"] > 0 for row in result["viva"]["by_batch"])
    assert result["pipecat"]["us_per_window"]["median"] > 0


def test_a_streamed_decision_has_a_price_a_byte() -> None:
    result = grounded.measure((4, 64), rounds=2, repeat=1)
    assert [row["bytes_a_piece"] for row in result["ns_per_byte"]] == [4, 64]
    assert all(row["stream"]["median"] > 0 for row in result["ns_per_byte"])
    assert len(grounded.table(result)) == 3


def test_the_scripted_model_says_the_whole_answer_and_takes_its_time() -> None:
    async def said() -> str:
        return "".join([token async for token in tokens(ANSWER)])

    assert run(said()) == ANSWER


def test_only_a_whole_turn_counts() -> None:
    marks = Marks()
    marks.note("asked")
    assert marks.turns == [], "nothing happens before the first transcript"
    marks.begin_turn()
    marks.turns[-1] |= {"final": 1.0, "asked": 1.002, "sentence": 2.0, "spoken": 2.001}
    assert marks.own_ms() == []
    marks.turns[-1] |= {"audio": 2.1, "sent": 2.1005}
    (row,) = marks.own_ms()
    assert row["own_ms"] == pytest.approx(3.5)


def test_quantiles_are_between_the_values_that_were_measured() -> None:
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([1.0, 2.0], 0.5) == 1.5
    assert tails([]) == {"n": 0}
    assert resident_mb() > 10


@pytest.mark.thorough
def test_a_server_ends_with_its_callers() -> None:
    with Side("viva") as side:
        assert side.report()["transcripts"] == 0
        process = side._process
    assert process.poll() is not None


def test_an_unknown_system_or_number_is_refused_by_name() -> None:
    def bench(*arguments: str) -> Any:
        return CliRunner().invoke(app, arguments)

    assert app.info.help
    unknown = bench("density", "--systems", "vapi")
    assert unknown.exit_code == 2
    assert "'vapi' is not a system; allowed: viva, viva-turn-model, pipecat" in unknown.stderr
    number = bench("turn", "--calls", "many")
    assert number.exit_code == 2
    assert "--calls='many'" in number.stderr


def test_the_budgets_say_what_was_not_measured() -> None:
    tail = {"n": 3, "p50": 1.25, "p99": 9.5, "max": 9.9}
    sweep: list[dict[str, Any]] = [
        {
            "calls": 32,
            "cpu_percent_per_call": {"median": 1.4},
            "mb_per_call": {"median": 0.6},
            "latency_ms": {"n": 8, "p50": 512.0},
            "late_chunks": 0,
            "chunks": 900,
        }
    ]
    results = {
        "density": {"viva": {"sweep": sweep}},
        "turn": {"viva": {"by_calls": [{"calls": 20, "own_ms": tail}]}},
        "barge_in": {},
        "start": {"viva": {"warm_ms": tail}},
    }
    rows = {row[0]: row[1:3] for row in budgets.table(results)}
    assert rows["CPU of one core per call"] == ["<= 0.8 % at 32", "1.40 % at 32"]
    assert rows["CPU of one core, a call alone"] == ["<= 2 %", "not measured"]
    assert rows["own time in a turn, p50 / p99"] == ["2 / 6 ms at 20", "1.2 / 9.5 at 20"]
    assert rows["barge-in: duck, p50 / p99"] == ["<= 100 ms", "not measured"]
    assert rows["late audio chunks"] == ["0", "0 of 900 at 32"]
    assert rows["replay, times real time a core"] == [">= 300", "not measured"]


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        ((200.0, 201.0, 203.0), "constant"),
        ((5.0, 50.0, 500.0), "as the work (e = 1.04)"),
        ((100.0, 104.0, 140.0), "as the work (e = 1.00)"),
        ((100.0, 150.0, 152.0), "constant from 10 on"),
        ((1.0, 3.0, 7.0), "slower than the work (e = 0.48)"),
        ((1.0, 20.0, 2_000.0), "faster than the work (e = 2.02)"),
    ],
)
def test_growth_is_told_in_words(figures: tuple[float, ...], words: str) -> None:
    assert growth.in_words(list(zip((1, 10, 100), figures, strict=True))) == words
    rows = [{"calls": size, "cpu": cpu} for size, cpu in zip((1, 10, 100), figures, strict=True)]
    assert growth.grows(rows) == {"cpu": words}


def test_systems_are_compared_with_as_many_calls_in_both() -> None:
    def swept(**percent: float) -> dict[str, Any]:
        rows = [
            {"calls": int(calls[1:]), "cpu_percent_per_call": {"median": value}}
            for calls, value in percent.items()
        ]
        return {"sweep": rows}

    costs = {"viva": swept(_8=1.0, _32=0.5), "viva-turn-model": swept(_8=3.0)}
    rows = {row[0]: row[2:4] for row in budgets._times_less(costs)}
    assert rows["CPU of a call, both with 8"] == ["", "3.0 times Viva's"]
    assert rows["CPU of a call, both with 32"] == ["", "not measured"]


@pytest.mark.thorough
def test_results_are_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    row = {"median": 1.4, "min": 1.2, "max": 1.9}
    sweep = [
        {"calls": calls, "cpu_percent_per_call": row, "loop_lag_ms_p99": row} for calls in (1, 8)
    ]
    (tmp_path / "density.json").write_text(json.dumps({"viva": {"sweep": sweep}}))
    command = [sys.executable, "-m", "benchmarks.plots", "--results", str(tmp_path)]
    subprocess.run([*command, "--out", str(tmp_path / "plots")], check=True)
    assert {path.name for path in (tmp_path / "plots").iterdir()} == {
        "cpu.svg",
        "memory.svg",
        "lag.svg",
    }
    assert "allowed: 1.5" in (tmp_path / "plots" / "cpu.svg").read_text()
