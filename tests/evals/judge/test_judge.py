"""A judge is made to rule, with words that are there; people's verdicts are held against it."""

from pathlib import Path
from typing import Any

import pytest

from evals.judge.agreement import agreement, describe_agreement
from evals.judge.judge import (
    CRITERIA,
    MAX_QUOTABLE,
    TOOL,
    Exchange,
    JudgeError,
    Verdict,
    quotable,
    quoting,
)
from evals.judge.vendors import ClaudeJudge, describe_cost, judge_of
from evals.judge.verdicts import Ruling, agreements, labels, write
from settings import Settings
from simulators.anthropic import AnthropicSimulator
from simulators.model import Fault, Model, Reply
from simulators.openai import OpenAISimulator
from tests.evals.judge.simulated import openai_judge

EXCHANGE = Exchange(
    "Where did she study?",
    "She studied at the University of Porto.",
    "She studied mathematics at the University of Porto from 2004 to 2009.",
)
FAITHFUL = CRITERIA["faithful"]


def ruling(verdict: str = "pass", evidence: str = "University of Porto") -> Reply:
    return Reply("verdict", {"evidence": evidence, "why": "It says so.", "verdict": verdict})


async def by_openai(*replies: Reply, **behaviour: Any) -> tuple[Verdict, OpenAISimulator]:
    async with OpenAISimulator(Model(script=replies), **behaviour) as vendor:
        judge = openai_judge(vendor)
        try:
            return await judge.verdict(FAITHFUL, EXCHANGE), vendor
        finally:
            await judge.close()


async def test_a_verdict_is_forced_and_quotes_what_was_judged() -> None:
    verdict, vendor = await by_openai(ruling("fail", "mathematics … 2009"))
    assert verdict == Verdict(False, "mathematics … 2009", "It says so.")
    body = vendor.requests[0].body
    assert body["tool_choice"] == "required"
    assert [tool["function"]["name"] for tool in body["tools"]] == ["verdict"]
    assert FAITHFUL.rule in body["messages"][1]["content"]


async def test_evidence_that_is_not_there_is_asked_for_again() -> None:
    verdict, vendor = await by_openai(ruling(evidence="Lisbon"), ruling())
    assert verdict.passed
    assert "neither in the answer nor" in vendor.requests[1].body["messages"][1]["content"]


async def test_a_second_attempt_offers_the_sentences_that_evidence_may_be() -> None:
    _, vendor = await by_openai(ruling(evidence="She says where."), ruling())
    offered = [EXCHANGE.answer, EXCHANGE.excerpts]
    first, second = (
        request.body["tools"][0]["function"]["parameters"]["properties"]["evidence"]
        for request in vendor.requests
    )
    assert "enum" not in first
    assert second["enum"] == offered
    told = vendor.requests[1].body["messages"][1]["content"]
    assert told.endswith("".join(f"\n- {sentence}" for sentence in offered))


def test_evidence_is_offered_by_sentence_once_and_within_a_limit() -> None:
    answer = "She studied in Porto. It was mathematics."
    excerpts = f"## Education\n\n- She studied in Porto.\n- {'Long. ' * 900}\n- **2004** to 2009"
    offered = quotable(Exchange("Where?", answer, excerpts))
    assert offered == (
        "She studied in Porto.", "It was mathematics.", "Education", "Long.", "2004** to 2009",
    )  # fmt: skip
    assert quotable(Exchange("Where?", "a " * MAX_QUOTABLE + "b", "More.")) == (
        ("a " * MAX_QUOTABLE + "b"),
    )
    assert quoting(()) is TOOL


@pytest.mark.parametrize(
    "reply", [ruling(evidence="Lisbon"), ruling("perhaps"), Reply("", text="I'd rather not.")]
)
async def test_no_verdict_is_an_error_after_two_attempts(reply: Reply) -> None:
    with pytest.raises(JudgeError, match="simulated gave no verdict"):
        await by_openai(reply)


async def test_a_judge_that_refuses_the_key_is_an_error() -> None:
    fault = Fault("status", status=401)
    async with OpenAISimulator(Model(faults=(fault,))) as vendor:
        judge = openai_judge(vendor)
        with pytest.raises(JudgeError, match="simulated: Error code: 401"):
            await judge.verdict(FAITHFUL, EXCHANGE)
        await judge.close()


async def test_claude_judges_by_a_forced_tool_and_its_cost_is_told() -> None:
    model = "claude-haiku-4-5"
    async with AnthropicSimulator(Model(script=(ruling(),))) as vendor:
        judge = ClaudeJudge(api_key="k", model=model, base_url=vendor.url)
        verdict = await judge.verdict(FAITHFUL, EXCHANGE)
        await judge.close()
    assert verdict.passed
    assert vendor.requests[0].body["tool_choice"]["name"] == "verdict"
    used = judge.used
    cost = used.input_tokens * 1e-6 + used.output_tokens * 5e-6
    told_cost = describe_cost(judge, Settings(_env_file=None))  # type: ignore[call-arg]
    assert told_cost.endswith(f"{used.output_tokens} written, ${cost:.4f}.")


@pytest.mark.parametrize(
    ("vendor", "settings", "told"),
    [
        ("openai", {}, "BRAIN_BASE_URL is not set"),
        ("openai", {"brain_base_url": "http://127.0.0.1:1"}, "BRAIN_MODEL is not set"),
        ("claude", {}, "ANTHROPIC_API_KEY is not set"),
        (
            "claude",
            {"anthropic_api_key": "k", "claude_model": "claude-opus-5-5"},
            "claude-opus-5-5 cannot be made to give a verdict; --judge-model names one",
        ),
        ("gemini", {}, "--judge is 'gemini'; allowed: openai, claude"),
    ],
)
def test_what_a_judge_lacks_is_named(vendor: str, settings: dict[str, str], told: str) -> None:
    with pytest.raises(JudgeError, match=told):
        judge_of(vendor, Settings(_env_file=None, **settings))  # type: ignore[call-arg, arg-type]


# Agreement with people.


def test_kappa_is_agreement_beyond_chance() -> None:
    # Cohen's own form of the sum: 20 both pass, 15 both fail, 5 and 10 differ.
    pairs = [(True, True)] * 20 + [(False, False)] * 15 + [(True, False)] * 5 + [(False, True)] * 10
    found = agreement("tone", pairs)
    assert found.kappa == pytest.approx((0.7 - 0.5) / (1 - 0.5))
    assert describe_agreement(found) == (
        "tone: the judge agrees with you on 35 of 50 answers, kappa 0.40 (fair)."
    )


def test_kappa_is_not_told_where_all_have_one_verdict_or_no_label() -> None:
    assert agreement("tone", [(True, True)] * 9).kappa is None
    assert "kappa is not defined" in describe_agreement(agreement("tone", [(True, True)] * 9))
    assert describe_agreement(agreement("tone", [])) == "tone: no answer has a label of yours."


def test_a_table_of_verdicts_keeps_labels_and_runs_no_formula(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.csv"
    verdict = Verdict(True, "Porto", "So.")
    rulings = [
        Ruling("=1+1#1", "tone", "=cmd()", "Porto.", verdict),
        Ruling("b#1", "tone", "Who?", "Ana.", verdict),
    ]
    assert write(rulings, path, {}) == {}
    filled = path.read_text("utf-8").replace("So.,", "So.,pass", 1)
    assert ",=cmd()" not in filled
    path.write_text(filled, "utf-8")
    known = write(rulings, path, {("b#1", "tone"): False})
    (found,) = agreements(rulings, known)
    assert (found.n, found.agreed) == (2, 1)
    assert labels(path) == known


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("item,criterion\n", "the column person is missing"),
        ("item,criterion,person\na,tone,maybe\n", "line 2: person is 'maybe'; it must be pass or"),
    ],
)
def test_labels_that_cannot_be_read_are_told(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(JudgeError, match=told):
        labels(path)
