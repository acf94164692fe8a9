"""``viva compare``: two runs of the same calls, and what exactly changed between them."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from evals.commands.score import app
from evals.scoring.calls import Run
from evals.scoring.compare import compare_runs, describe
from evals.scoring.score import Scores, score
from evals.scoring.truth import CallTruth, Truth, Utterance
from tests.evals.scoring.recorded import Recorded, question

ANSWER = "She studied mathematics and physics at Vassar College."
SAID = "Where did she study?"


def scored(*calls: Recorded, name: str, truth: bool = True, at: float = 1.0) -> Scores:
    asked: tuple[Utterance, ...] = (
        question(at, at + 2, decision="respond", sections=("education",)),
    )
    known = Truth({call.name: CallTruth(call.name, "", (), "", asked) for call in calls})
    run = Run(name, tuple(call.facts for call in calls), (), {})
    return score(run, known if truth else None)


def asked(name: str, *, wait: float = 0.75, heard: str = SAID, **record: Any) -> Recorded:
    decision = {"sections": ["education"], "e2e_latency": wait, "answer": ANSWER}
    call = Recorded(name).turn(1, 3.0, heard, **(decision | record))
    return call.says(3.0 + wait, ANSWER, 3.0, turn=1).ends(9.0)


def test_the_same_calls_do_not_differ() -> None:
    before = scored(asked("a.mcap"), asked("b.mcap"), name="before")
    compared = compare_runs(before, scored(asked("a.mcap"), asked("b.mcap"), name="after"))
    assert (compared.calls, compared.turns, compared.changed) == (2, 2, ())
    latency = compared.metrics["e2e_latency_p50"]
    assert (latency.n, latency.difference, latency.p, latency.ci95) == (2, 0.0, 1.0, (0.0, 0.0))


def test_a_change_is_told_field_by_field() -> None:
    before = scored(asked("a.mcap"), asked("b.mcap"), name="before")
    other = asked("b.mcap", wait=1.05, heard="Where did he study?", sections=["navy", "career"])
    compared = compare_runs(before, scored(asked("a.mcap", wait=0.755), other, name="after"))
    (changed,) = compared.changed  # 5 ms is no change
    assert (changed.source, changed.utterance, changed.a, changed.b) == ("b.mcap", 0, 1, 1)
    assert describe(compared.changed) == [
        "b.mcap, 'Where did she study?': question Where did she study? → Where did he study?",
        "b.mcap, 'Where did she study?': sections education → navy, career",
        "b.mcap, 'Where did she study?': e2e_latency 0.750 → 1.050",
    ]
    recall = compared.metrics["citation_recall"]
    assert (recall.a, recall.b, recall.test) == (1.0, 0.5, "McNemar, exact")
    assert compared.metrics["word_error_rate"].difference == pytest.approx(1 / 8)


def test_a_steady_gain_over_ten_calls_is_no_accident() -> None:
    names = [f"{number}.mcap" for number in range(10)]
    slow = scored(*(asked(name, wait=0.9 + n / 50) for n, name in enumerate(names)), name="slow")
    fast = scored(*(asked(name, wait=0.6 + n / 50) for n, name in enumerate(names)), name="fast")
    found = compare_runs(slow, fast).metrics["smooth_latency"]
    assert found.difference == pytest.approx(-0.3, abs=0.001)
    assert found.p == pytest.approx(2 / 2**10)  # every swap was tried: this one and its mirror
    assert found.wilcoxon_p == pytest.approx(2 / 2**10)
    assert found.ci95 == pytest.approx((-0.3, -0.3), abs=0.001)
    back = compare_runs(fast, slow).metrics["smooth_latency"]
    assert back.difference == pytest.approx(0.3, abs=0.001)
    assert back.p == found.p


def test_turns_without_truth_are_paired_by_when_they_were_said() -> None:
    before = Recorded("a.mcap").turn(1, 3.0, "One.", e2e_latency=0.5)
    before.turn(2, 10.0, "Two.", e2e_latency=0.6).ends(20.0)
    # The other recogniser made a turn of a cough, and the replay runs half a second ahead from 9 s.
    after = Recorded("a.mcap").turn(1, 3.1, "One.", e2e_latency=0.5)
    after.turn(2, 6.0, "Ahem.", e2e_latency=2.0).turn(3, 9.5, "Two.", e2e_latency=0.7)
    after.put(8.5, "/replay/Shift", {"recorded": 9.0, "replayed": 8.5, "utterance": 1}).ends(20.0)
    compared = compare_runs(
        scored(before, name="before", truth=False), scored(after, name="after", truth=False)
    )
    assert compared.turns == 2
    assert describe(compared.changed) == [
        "a.mcap, 'Ahem.': turn 2 is only in B",
        "a.mcap, 'Two.': e2e_latency 0.600 → 0.700",
    ]
    latency = compared.metrics["e2e_latency_p50"]
    assert (latency.n, latency.a, latency.b) == pytest.approx((2, 0.55, 0.6))


def test_turns_far_apart_are_not_the_same_turn() -> None:
    before = Recorded("a.mcap").turn(1, 3.0, "One.").ends(20.0)
    after = Recorded("a.mcap").turn(1, 5.0, "One.").ends(20.0)
    compared = compare_runs(
        scored(before, name="before", truth=False), scored(after, name="after", truth=False)
    )
    assert compared.turns == 0
    assert describe(compared.changed) == [
        "a.mcap, 'One.': turn 1 is only in A",
        "a.mcap, 'One.': turn 1 is only in B",
    ]


def test_calls_that_only_one_run_has_are_named() -> None:
    before = scored(asked("a.mcap"), asked("b.mcap"), name="before")
    compared = compare_runs(before, scored(asked("b.mcap"), asked("c.mcap"), name="after"))
    assert (compared.only_a, compared.only_b, compared.calls) == (("a.mcap",), ("c.mcap",), 1)


def test_the_command_prints_what_changed(tmp_path: Path) -> None:
    for name, call in (
        ("before", asked("a.mcap")),
        ("after", asked("a.mcap", decision="escalate")),
    ):
        (tmp_path / name).mkdir()
        call.write(tmp_path / name)
    ran = CliRunner().invoke(app, ["compare", str(tmp_path / "before"), str(tmp_path / "after")])
    assert ran.exit_code == 0, ran.output
    assert "decision respond → escalate" in ran.output
    assert "1 turns differ; 1 turns of 1 calls are in both." in ran.output
    arguments = ["compare", str(tmp_path / "before"), str(tmp_path / "after"), "--json"]
    compared = json.loads(CliRunner().invoke(app, arguments).output)
    assert compared["changed"][0]["changes"] == {"decision": ["respond", "escalate"]}
    assert compared["metrics"]["word_error_rate"]["n"] == 0
    assert compared["metrics"]["word_error_rate"]["difference"] is None
