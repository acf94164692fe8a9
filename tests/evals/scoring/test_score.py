"""``viva score``: a folder of recordings becomes figures, each with its interval and its turns."""

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from evals.commands.score import app
from evals.scoring.calls import Run, RunError
from evals.scoring.gate import load_rules
from evals.scoring.matching import match
from evals.scoring.metrics.judge import measure
from evals.scoring.score import Scores, score
from evals.scoring.truth import KINDS, CallTruth, Truth
from knowledge.loading.document import load
from simulators.model import Model, Reply
from simulators.openai import OpenAISimulator
from tests.evals.judge.simulated import openai_judge
from tests.evals.scoring.recorded import Recorded

DOCUMENT = load()
ANSWER = "She studied mathematics and physics at Vassar College."
SAID = "Where did she study?"

TRUTH = """
[[call]]
file = "{file}"
title = "One clean question"
tags = ["clean"]
voice = "heart"
  [[call.utterance]]
  kind = "question"
  text = "Where did she study?"
  start = 1.0
  end = 3.0
  decision = "respond"
  sections = ["education"]
"""


def clean(name: str, *, wait: float = 0.75, heard: str = SAID, **record: Any) -> Recorded:
    """One question, answered rightly."""
    call = Recorded(name, document_hash=DOCUMENT.sha256).speaks(1.0, 3.0)
    decision = {"sections": ["education"], "confidence": "high", "e2e_latency": wait}
    call.turn(1, 3.0, heard, **(decision | record))
    return call.says(3.0 + wait, ANSWER, 3.0, turn=1, sections=["education"]).ends(9.0, stt=100)


def folder_of(tmp_path: Path, *calls: Recorded, name: str = "run", truth: bool = True) -> Path:
    """A folder of recordings, with their truth."""
    folder = tmp_path / name
    folder.mkdir()
    for call in calls:
        call.write(folder)
    if truth:
        text = "".join(TRUTH.format(file=call.name) for call in calls)
        (folder / "truth.toml").write_text(text, "utf-8")
    return folder


def viva(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_recordings_are_scored_and_each_figure_leads_to_its_turns(tmp_path: Path) -> None:
    folder = folder_of(
        tmp_path,
        clean("a.mcap", wait=0.5),
        clean("b.mcap", wait=0.9, heard="Where did he study?"),
        clean("c.mcap", wait=0.7),
    )
    done = viva("score", folder)
    assert done.exit_code == 0, done.output
    assert "3 calls, 3 turns." in done.output
    scores = json.loads((folder / "scores.json").read_text("utf-8"))
    assert (scores["run"], scores["n_calls"], scores["n_turns"]) == ("run", 3, 3)
    median = scores["metrics"]["e2e_latency_p50"]
    assert (median["value"], median["unit"], median["better"], median["n"]) == (
        0.7,
        "s",
        "lower",
        3,
    )
    assert 0.5 <= median["ci95"][0] <= 0.7 <= median["ci95"][1] <= 0.9
    worst = scores["metrics"]["word_error_rate"]["evidence"][0]
    assert worst == {
        "call": "b.mcap",
        "turn": 1,
        "utterance": 0,
        "at": 1.0,
        "value": 0.25,
        "note": "'Where did she study?' was heard as 'Where did he study?'",
    }
    taken = scores["metrics"]["smooth_takeover"]
    assert (taken["value"], taken["target"]) == (1.0, 0.99)
    assert scores["tables"]["wer_by_tag"] == [
        {"tag": "clean", "calls": 3, "words": 12, "wer": pytest.approx(1 / 12)}
    ]
    (first, *_) = scores["calls"]
    assert (first["file"], first["title"], first["tags"]) == (
        "a.mcap",
        "One clean question",
        ["clean"],
    )
    (turn,) = first["turns"]
    assert turn["truth"]["text"] == SAID
    assert turn["times"]["answer_start"] == pytest.approx(3.5)


def test_without_truth_what_needs_none_is_given_all_the_same(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, clean("mine.mcap"), truth=False)
    done = viva("score", folder, "--json")
    scores = json.loads(done.output)
    metrics = scores["metrics"]
    assert metrics["e2e_latency_p50"]["value"] == 0.75
    assert metrics["grounding_violations"]["value"] == 0.0
    assert metrics["call_cost"]["value"] == pytest.approx(0.0001)
    assert metrics["word_error_rate"] == {
        "value": None,
        "unit": "ratio",
        "better": "lower",
        "ci95": None,
        "n": 0,
        "target": None,
        "definition": "docs/metrics/word-error-rate.md",
        "note": "needs ground truth (--truth)",
        "evidence": [],
    }
    assert scores["calls"][0]["turns"][0]["truth"] is None


def test_a_replayed_run_is_scored_by_the_truth_of_its_sources(tmp_path: Path) -> None:
    call = Recorded("a.mcap").turn(1, 2.5, SAID, decision="respond")
    # The replay's caller spoke half a second earlier than the recording's.
    call.put(0.4, "/replay/Shift", {"recorded": 0.9, "replayed": 0.4, "utterance": 0})
    call.says(3.0, ANSWER, 3.0, turn=1).ends(9.0)
    folder = folder_of(tmp_path, call)
    (folder / "truth.toml").write_text(TRUTH.format(file="source.mcap"), "utf-8")
    about = {"calls": [{"file": "a.mcap", "source": "corpus/source.mcap"}]}
    (folder / "run.json").write_text(json.dumps(about), "utf-8")
    scores = score(Run.read(folder), Truth.load(folder / "truth.toml"))
    assert scores.metrics["smooth_latency"].value == pytest.approx(0.5)
    assert scores.metrics["word_error_rate"].value == 0.0


def test_the_same_run_scores_the_same_every_time(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, *(clean(f"{n}.mcap", wait=0.4 + n / 10) for n in range(5)))
    texts = []
    for _ in range(2):
        assert viva("score", folder).exit_code == 0
        texts.append((folder / "scores.json").read_bytes())
    assert texts[0] == texts[1]


def test_a_recording_that_cannot_be_read_is_told_and_the_others_are_scored(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, clean("good.mcap"))
    (folder / "bad.mcap").write_bytes(b"no recording at all")
    done = viva("score", folder)
    assert done.exit_code == 0
    scores = json.loads((folder / "scores.json").read_text("utf-8"))
    assert scores["n_calls"] == 1
    (bad,) = scores["unreadable"]
    assert bad["file"] == "bad.mcap"
    assert "is no recording" in bad["error"]


@pytest.mark.parametrize(
    ("make", "trouble"),
    [
        (lambda path: path / "none", "is no folder; name one that viva replay --out has written"),
        (lambda path: path, "holds no recordings"),
    ],
)
def test_a_folder_without_calls_is_refused(tmp_path: Path, make: Any, trouble: str) -> None:
    done = viva("score", make(tmp_path))
    assert done.exit_code == 2
    with pytest.raises(RunError, match=trouble):
        Run.read(make(tmp_path))


def test_a_run_file_that_is_none_is_refused(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, clean("a.mcap"))
    (folder / "run.json").write_text("{}", "utf-8")
    with pytest.raises(RunError, match="lists no calls with a file each"):
        Run.read(folder)


def test_a_truth_that_cannot_be_used_ends_the_command(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, clean("a.mcap"))
    (folder / "truth.toml").write_text('[[call]]\nfile = "x/a.mcap"', "utf-8")
    assert viva("score", folder).exit_code == 2


def test_every_metric_has_its_page() -> None:
    scores = score(Run("run", (), (), {}), None)
    for name, metric in scores.metrics.items():
        page = Path(metric.definition).read_text("utf-8")
        assert f"`{name}`" in page, f"{metric.definition} does not name {name}"
        for part in (
            "## Inputs",
            "## Formula",
            "## Range",
            "## Source",
            "## What it does not tell",
        ):
            assert part in page, f"{metric.definition} has no {part!r}"
        assert f"({Path(metric.definition).name})" in Path("docs/metrics/README.md").read_text()


def test_the_page_of_metrics_explains_every_kind_and_every_rule(tmp_path: Path) -> None:
    page = Path("docs/metrics/README.md").read_text("utf-8")
    assert all(f"| `{kind}` |" in page for kind in KINDS)
    truth, gates = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    shown = tmp_path / "shown.toml"
    shown.write_text(truth, "utf-8")
    (call,) = Truth.load(shown).calls.values()
    assert call.utterances[0].snr_db == 20
    shown.write_text(gates, "utf-8")
    rules = [rule.metric for rule in load_rules(shown)]
    assert rules == ["backchannel_selectivity", "e2e_latency_p95"]


# The judge.


def ruling(verdict: str, evidence: str = ANSWER) -> Reply:
    arguments = {"evidence": evidence, "why": "It says so.", "verdict": verdict}
    return Reply(tool="verdict", arguments=arguments)


def run_of(*calls: Recorded) -> Scores:
    return score(Run("run", tuple(call.facts for call in calls), (), {}), None, [DOCUMENT])


async def judged(*replies: Reply, calls: int = 1) -> Any:
    held = [clean(f"{number}.mcap") for number in range(calls)]
    async with OpenAISimulator(Model(script=replies)) as vendor:
        judge = openai_judge(vendor)
        try:
            run = run_of(*held).calls
            return await measure(run, [DOCUMENT], judge, ["faithful"]), vendor
        finally:
            await judge.close()


async def test_a_judge_sees_what_was_cited_asked_and_heard_and_its_verdict_is_beside() -> None:
    judgement, vendor = await judged(ruling("pass"))
    (metric,) = judgement.metrics
    assert (metric.name, metric.value) == ("judged_faithful", 1.0)
    assert metric.note == "verdicts of simulated"
    asked = vendor.requests[0].body["messages"][1]["content"]
    assert DOCUMENT.section("education").text in asked
    assert f"Question: {SAID}" in asked
    assert f"Answer: {ANSWER}" in asked
    (found,) = judgement.rulings
    assert (found.item, found.criterion) == ("0.mcap#1", "faithful")


async def test_a_judge_rules_on_what_a_caller_wanted_by_the_whole_call() -> None:
    truth = CallTruth("a.mcap", "", (), "", (), goal="Know her college", wrong_idea="It was Yale")
    call = match(clean("a.mcap").facts, truth)
    async with OpenAISimulator(Model(script=(ruling("pass"), ruling("fail")))) as vendor:
        judge = openai_judge(vendor)
        judgement = await measure([call], [DOCUMENT], judge, [])
        await judge.close()
    assert [metric.name for metric in judgement.metrics] == ["judged_goal", "judged_corrected"]
    assert {ruling.item for ruling in judgement.rulings} == {"a.mcap"}
    bodies = [request.body["messages"][1]["content"] for request in vendor.requests]
    assert all(f"Caller: {SAID}\nAgent: {ANSWER}" in body for body in bodies)
    assert ["Know her college" in body for body in bodies] == [True, False]


async def test_answers_without_a_verdict_are_left_out_and_counted() -> None:
    doubt = Reply(tool="", text="I would rather not say.")
    judgement, _ = await judged(ruling("fail"), doubt, calls=2)
    (metric,) = judgement.metrics
    assert (metric.value, len(metric.samples)) == (0.0, 1)
    assert "none on 1 answers" in metric.note


async def test_the_judge_s_verdicts_are_among_the_scores_and_people_s_are_kept_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(tmp_path, clean("a.mcap"), clean("b.mcap"))
    async with OpenAISimulator(Model(script=(ruling("pass"),))) as vendor:
        monkeypatch.setenv("BRAIN_BASE_URL", vendor.url)
        monkeypatch.setenv("BRAIN_MODEL", "simulated")
        asked = ("score", folder, "--judge", "openai", "--criteria", "faithful")
        done = await asyncio.to_thread(viva, *asked)
        assert done.exit_code == 0, done.output
        verdicts = folder / "verdicts.csv"
        lines = verdicts.read_text("utf-8").splitlines()
        assert len(lines) == 3
        verdicts.write_text("\n".join([lines[0], lines[1] + "pass", lines[2] + "fail"]), "utf-8")
        again = await asyncio.to_thread(viva, *asked)
    scores = json.loads((folder / "scores.json").read_text("utf-8"))
    found = scores["metrics"]["judged_faithful"]
    assert (found["value"], found["n"]) == (1.0, 2)
    assert "its price is not known here" in done.output
    told = " ".join(again.output.split())
    assert "faithful: the judge agrees with you on 1 of 2 answers, kappa 0.00 (none)." in told
    assert verdicts.read_text("utf-8").splitlines()[2].endswith(",fail")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--judge", "gemini"), "--judge is 'gemini'; allowed: openai, claude."),
        (("--judge", "openai", "--criteria", "kind"), "--criteria has 'kind'; allowed: faithful"),
    ],
)
def test_an_unknown_judge_or_criterion_is_refused(
    arguments: tuple[str, ...], told: str, tmp_path: Path
) -> None:
    done = viva("score", folder_of(tmp_path, clean("a.mcap")), *arguments)
    assert done.exit_code == 2
    assert told in done.output


def test_only_a_known_judge_is_asked(tmp_path: Path) -> None:
    done = viva("score", tmp_path, "--judge", "oracle")
    assert done.exit_code == 2


# The tables, and the targets.


def test_tables_fit_80_columns_with_every_name_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    before = folder_of(tmp_path, clean("a.mcap"), clean("b.mcap"))
    for arguments in (("score", before), ("compare", before, before)):
        done = viva(*arguments)
        assert done.exit_code == 0, done.output
        lines = done.output.splitlines()
        first = next(at for at, line in enumerate(lines) if line.startswith("metric "))
        table = lines[first : next(at for at in range(first, len(lines)) if "." in lines[at][-1:])]
        assert len(table) >= 20
        assert all(len(line.rstrip()) <= 80 for line in table)
        names = {line.split()[0] for line in table[1:] if not line.startswith("No value")}
        assert names <= set(json.loads((before / "scores.json").read_text("utf-8"))["metrics"])


def test_rules_in_the_run_s_folder_are_its_targets(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, clean("a.mcap"), clean("b.mcap"))
    (folder / "gates.toml").write_text("[e2e_latency_p50]\nmax = 0.1\n", "utf-8")
    done = viva("score", folder)
    assert "≤ 0.1 missed" in done.output
    metrics = json.loads((folder / "scores.json").read_text("utf-8"))["metrics"]
    assert [name for name, metric in metrics.items() if metric["target"] is not None] == [
        "e2e_latency_p50"
    ]
    (folder / "gates.toml").write_text("[speed]\nmax = 0.1\n", "utf-8")
    assert "speed is no metric of the scores" in viva("score", folder).output


@pytest.mark.parametrize("command", [("score", "."), ("compare", ".", "."), ("gate", ".")])
def test_what_scoring_needs_is_named_with_the_next_step(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "evals.report.report_file", None)
    rules = ("--rules", "gates.toml") if command[0] == "gate" else ()
    done = viva(*command, *rules)
    assert done.exit_code == 2
    assert "is not installed; scoring needs it: run `make install-dev`." in done.output
