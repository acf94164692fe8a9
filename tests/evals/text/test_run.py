"""Scenarios are held, and their outcomes told to people and to CI."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

from evals.judge.judge import Criterion, Exchange, JudgeError, Verdict
from evals.scoring.expectation import Expectation
from evals.text import junit, page
from evals.text.questions import Scenario, Turn
from evals.text.run import Outcome, TextRun
from tests.evals.text.scripted import STUDIED, Scripted, answer, cv, engines_of

WHERE = "Where did she study?"


class Strict:
    """A judge who passes what says Porto, and has no opinion of what says it twice."""

    name = "strict"

    def __init__(self) -> None:
        self.seen: list[tuple[str, Exchange]] = []

    async def verdict(self, criterion: Criterion, exchange: Exchange) -> Verdict:
        self.seen.append((criterion.rule, exchange))
        if criterion.name == "tone":
            raise JudgeError("strict is lost")
        return Verdict("Porto" in exchange.answer, "Porto", "It names the town.")


def scenario(name: str, *turns: Turn) -> Scenario:
    return Scenario(name, turns, file="folder/questions.toml")


async def held(folder: Path, *scenarios: Scenario, **judging: object) -> list[Outcome]:
    brain = Scripted({WHERE: answer(STUDIED, "education")})
    run = TextRun(engines_of(brain, cv(folder)), **judging)  # type: ignore[arg-type]
    seen: list[Outcome] = []
    outcomes = await run.hold(scenarios, seen.append)
    assert seen == outcomes
    return outcomes


async def test_a_scenario_passes_fails_or_has_no_result(tmp_path: Path) -> None:
    outcomes = await held(
        tmp_path,
        scenario("right", Turn(WHERE, (Expectation(says=("Porto",), sections=("education",)),))),
        scenario("wrong", Turn(WHERE, (Expectation(says=("Lisbon",), within_secs=60.0),))),
        scenario("fault", Turn("Why?", (Expectation(decision="escalate"),))),
        scenario("greeting", Turn(None, (Expectation(contains=("an AI",)),)), Turn(WHERE)),
    )
    assert [outcome.status for outcome in outcomes] == ["passed", "failed", "error", "passed"]
    assert outcomes[2].fault == "the brain failed: scripted has no reply"
    assert [found.expected for found in outcomes[1].turns[0].wrong] == ["the words 'Lisbon'"]


async def test_the_same_question_in_two_files_has_a_verdict_in_each(tmp_path: Path) -> None:
    """A person's verdict on one CV's answer is none on another's."""
    asked = scenario("right", Turn(WHERE))
    outcomes = await held(
        tmp_path, asked, replace(asked, file="b.toml"), judge=Strict(), criteria=("faithful",)
    )
    items = [ruling.item for outcome in outcomes for ruling in outcome.rulings]
    assert items == ["folder/questions.toml right#1", "b.toml right#1"]


async def test_a_question_that_cannot_be_asked_is_one_scenario_s_fault(tmp_path: Path) -> None:
    long, right = await held(
        tmp_path, scenario("long", Turn("why " * 2000)), scenario("right", Turn(WHERE))
    )
    assert (long.status, right.status) == ("error", "passed")
    assert "allowed: 1 to 4000" in long.fault


async def test_a_failed_turn_ends_its_scenario(tmp_path: Path) -> None:
    turns = (Turn(WHERE, (Expectation(says=("Lisbon",)),)), Turn(WHERE))
    (outcome,) = await held(tmp_path, scenario("two", *turns))
    assert len(outcome.turns) == 1


async def test_a_judge_sees_what_is_cited_and_its_doubt_is_no_verdict(tmp_path: Path) -> None:
    judge = Strict()
    asked = Turn(WHERE, (Expectation(criterion="names the town"),))
    judged, lost = await held(
        tmp_path, scenario("a", asked), judge=judge, criteria=["faithful"]
    ) + await held(tmp_path, scenario("b", asked), judge=judge, criteria=["tone"])
    assert (judged.status, [ruling.criterion for ruling in judged.rulings]) == (
        "passed",
        ["names the town", "faithful"],
    )
    assert judge.seen[0][0] == "names the town"
    assert judge.seen[0][1].excerpts.endswith(STUDIED)
    assert (lost.status, lost.fault) == ("error", "no verdict: strict is lost")


async def test_ci_reads_failures_and_errors(tmp_path: Path) -> None:
    outcomes = await held(
        tmp_path,
        scenario("right", Turn(WHERE)),
        scenario("wrong & <odd>\x07", Turn(WHERE, (Expectation(says=("Lisbon",)),))),
        scenario("fault", Turn("Why?")),
    )
    junit.write(outcomes, tmp_path / "report.xml")
    root = ElementTree.parse(tmp_path / "report.xml").getroot()
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("3", "1", "1")
    right, wrong, fault = root.iter("testcase")
    assert (right.get("name"), right.get("classname")) == ("right", "questions.Ana Sousa")
    assert wrong.get("name") == "wrong & <odd>\N{REPLACEMENT CHARACTER}"
    (failure,) = wrong
    assert failure.get("message") == "expected the words 'Lisbon'"
    assert STUDIED in (failure.text or "")
    assert fault[0].tag == "error"


async def test_a_page_shows_each_question_with_what_was_said(tmp_path: Path) -> None:
    outcomes = await held(
        tmp_path, scenario("<b>wrong</b>", Turn(WHERE, (Expectation(says=("Lisbon",)),)))
    )
    page.write(outcomes, tmp_path / "page.html", ["The judge cost nothing."])
    html = (tmp_path / "page.html").read_text("utf-8")
    assert "&lt;b&gt;wrong&lt;/b&gt;" in html
    assert "<b>wrong" not in html
    assert "0 of 1 question as expected. The judge cost nothing." in html
    assert STUDIED in html
    assert "missed: the words &#39;Lisbon&#39;" in html
