"""``viva gate``: a scored run is held to rules, and a script can tell whether it kept them."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from evals.commands.score import app
from evals.scoring.calls import Run
from evals.scoring.gate import GateError, check, load_rules, with_targets
from evals.scoring.metrics import barge_in, floor, takeover
from evals.scoring.score import score

SHIPPED = Path("evals/corpus/gates.toml")


def scores(**metrics: Any) -> dict[str, Any]:
    """Scores with these metrics: a value, or (value, low, high)."""
    better = {"e2e_latency_p95": "lower", "pause_takeover": "lower", "turn_count": "none"}
    found = {}
    for name, figures in metrics.items():
        value, *ends = figures if isinstance(figures, tuple) else (figures,)
        found[name] = {
            "value": value,
            "better": better.get(name, "higher"),
            "ci95": ends or None,
            "n": 0 if value is None else 40,
            "note": "needs ground truth (--truth)" if value is None else "",
        }
    return {"metrics": found}


def gate(tmp_path: Path, rules: str, found: Any) -> Any:
    (tmp_path / "gates.toml").write_text(rules, "utf-8")
    (tmp_path / "scores.json").write_text(json.dumps(found), "utf-8")
    arguments = ["gate", str(tmp_path), "--rules", str(tmp_path / "gates.toml")]
    return CliRunner().invoke(app, arguments)


RULES = """
[yield_rate]
min = 0.95
[e2e_latency_p95]
max = 1.2
"""


def test_a_run_that_keeps_the_rules_passes(tmp_path: Path) -> None:
    done = gate(tmp_path, RULES, scores(yield_rate=0.95, e2e_latency_p95=1.2))
    assert done.exit_code == 0
    assert "2 of 2 rules are kept." in done.output


def test_a_run_that_breaks_one_fails_and_says_which(tmp_path: Path) -> None:
    done = gate(tmp_path, RULES, scores(yield_rate=0.94, e2e_latency_p95=1.1))
    assert done.exit_code == 1
    assert "yield_rate" in done.output
    assert "value ≥ 0.95" in done.output
    assert "0.94 (n = 40)" in done.output
    assert "e2e_latency_p95" not in done.output


@pytest.mark.parametrize(
    ("rule", "found", "kept"),
    [
        ("[yield_rate]\nmin = 0.9\nci = true", (0.96, 0.91, 1.0), True),
        ("[yield_rate]\nmin = 0.9\nci = true", (0.96, 0.89, 1.0), False),
        ("[e2e_latency_p95]\nmax = 1.2\nci = true", (1.0, 0.8, 1.3), False),
        ("[e2e_latency_p95]\nmax = 1.2\nci = true", (1.0, 0.8, 1.2), True),
        ("[yield_rate]\nmin = 0.9\nci = true", 0.96, False),  # too few calls for an interval
        ("[yield_rate]\nmin = 0.9\nmin_n = 41", 0.96, False),
        ("[yield_rate]\nmin = 0.9\nmin_n = 40", 0.96, True),
        ("[yield_rate]\nmin = 0.9", None, False),  # what was not measured was not kept
        ("[yield_rate]\nmin = 0.9\noptional = true", None, True),
    ],
)
def test_the_pessimistic_end_of_the_interval_counts_where_a_rule_says_so(
    tmp_path: Path, rule: str, found: Any, kept: bool
) -> None:
    name = rule.partition("]")[0].strip("[")
    assert gate(tmp_path, rule, scores(**{name: found})).exit_code == (0 if kept else 1)


@pytest.mark.parametrize(
    ("name", "now", "kept"),
    [
        ("yield_rate", 0.97, True),
        ("yield_rate", 0.98, True),
        ("yield_rate", 0.96, False),
        ("e2e_latency_p95", 1.01, True),
        ("e2e_latency_p95", 1.03, False),
        ("e2e_latency_p95", 0.5, True),
    ],
)
def test_a_run_may_be_no_worse_than_its_baseline(
    tmp_path: Path, name: str, now: float, kept: bool
) -> None:
    before = {"yield_rate": 0.99, "e2e_latency_p95": 0.99}
    (tmp_path / "before.json").write_text(json.dumps(scores(**before)), "utf-8")
    rule = f'[{name}]\nbaseline = "before.json"\nmax_drop = 0.02'
    assert gate(tmp_path, rule, scores(**{name: now})).exit_code == (0 if kept else 1)


def test_one_baseline_may_serve_all_rules(tmp_path: Path) -> None:
    (tmp_path / "before.json").write_text(json.dumps(scores(yield_rate=0.9)), "utf-8")
    rules = 'baseline = "before.json"\n[yield_rate]\nmax_drop = 0.05'
    assert gate(tmp_path, rules, scores(yield_rate=0.84)).exit_code == 1


def test_a_recording_that_could_not_be_read_breaks_every_gate(tmp_path: Path) -> None:
    found = scores(yield_rate=1.0) | {"unreadable": [{"file": "bad.mcap", "error": "damaged"}]}
    done = gate(tmp_path, "[yield_rate]\nmin = 0.9", found)
    assert done.exit_code == 1
    assert "bad.mcap" in done.output


@pytest.mark.parametrize(
    ("rules", "trouble"),
    [
        ("", "has no rules; write one such as"),
        ("[yield_rate", "is not TOML"),
        ("[yield_rate]\nleast = 1", "[yield_rate] least is unknown; allowed: min, max, ci"),
        ('[yield_rate]\nmin = "1"', "[yield_rate] min is '1'; it must be a number"),
        ("[yield_rate]\nmin = true", "[yield_rate] min is True; it must be a number"),
        ("[yield_rate]\nmin = 1\nci = 1", "[yield_rate] ci is 1; it must be true or false"),
        ("[yield_rate]\nci = true", "[yield_rate] asks for nothing; give min, max or max_drop"),
        ("[yield_rate]\nmax_drop = 0.1", "has max_drop, but no baseline"),
        ("yield_rate = 0.9", "yield_rate is 0.9; it must be a table"),
        ("[yield_rate]\nmax_drop = 1\nbaseline = 3", "baseline is 3; it must be a file's name"),
    ],
)
def test_rules_that_cannot_be_meant_are_refused(tmp_path: Path, rules: str, trouble: str) -> None:
    assert gate(tmp_path, rules, scores(yield_rate=1.0)).exit_code == 2
    with pytest.raises(GateError) as refused:
        load_rules(tmp_path / "gates.toml")
    assert trouble in str(refused.value)


def test_a_rule_about_no_metric_is_refused(tmp_path: Path) -> None:
    done = gate(tmp_path, "[yeild_rate]\nmin = 0.9", scores(yield_rate=1.0))
    assert done.exit_code == 2


def test_a_metric_without_a_better_way_cannot_get_worse(tmp_path: Path) -> None:
    (tmp_path / "before.json").write_text(json.dumps(scores(turn_count=3.0)), "utf-8")
    rule = '[turn_count]\nbaseline = "before.json"\nmax_drop = 0.02'
    assert gate(tmp_path, rule, scores(turn_count=3.0)).exit_code == 2


def test_a_run_must_be_scored_before_it_is_gated(tmp_path: Path) -> None:
    (tmp_path / "gates.toml").write_text(RULES, "utf-8")
    arguments = ["gate", str(tmp_path), "--rules", str(tmp_path / "gates.toml")]
    assert CliRunner().invoke(app, arguments).exit_code == 2


def test_the_rules_that_ship_are_the_targets_of_the_metrics() -> None:
    rules = {rule.metric: rule for rule in load_rules(SHIPPED)}
    scored = score(Run("run", (), (), {}), None)
    assert set(rules) <= set(scored.metrics)
    for name, metric in scored.metrics.items():
        if metric.target is not None:
            bound = rules[name].least if metric.better == "higher" else rules[name].most
            assert bound == metric.target
    assert rules["yield_rate"].least == floor.YIELD_TARGET == 0.95
    assert rules["backchannel_selectivity"].least == floor.BACKCHANNEL_TARGET == 0.90
    assert rules["pause_takeover"].most == takeover.PAUSE_TARGET == 0.12
    assert rules["smooth_takeover"].least == takeover.SMOOTH_TARGET == 0.99
    assert rules["stop_time"].most == barge_in.STOP_TARGET_SECS == 0.42


def test_a_run_without_samples_keeps_no_shipped_rule(tmp_path: Path) -> None:
    empty = score(Run("run", (), (), {}), None).as_dict()
    findings = check(empty, load_rules(SHIPPED))
    assert len(findings) == len(load_rules(SHIPPED))
    assert not any(finding.kept for finding in findings)


def test_one_s_own_rules_are_the_targets_in_place_of_the_corpus_s(tmp_path: Path) -> None:
    (tmp_path / "gates.toml").write_text(RULES + "[response_rate]\nmax = 1.0\n", "utf-8")
    found = scores(yield_rate=0.9, e2e_latency_p95=1.0, pause_takeover=0.1, response_rate=1.0)
    found["metrics"]["pause_takeover"]["target"] = 0.12
    metrics = with_targets(found, load_rules(tmp_path / "gates.toml"))["metrics"]
    assert {name: metric["target"] for name, metric in metrics.items()} == {
        "yield_rate": 0.95,
        "e2e_latency_p95": 1.2,
        "pause_takeover": None,
        "response_rate": None,  # a bound on the side that cannot be missed
    }
    assert found["metrics"]["pause_takeover"]["target"] == 0.12
