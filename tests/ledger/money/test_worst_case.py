"""What a call can cost at worst, and that no call costs more."""

import dataclasses
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from conversation.records import Used
from conversation.turns import FollowUp
from examples.opening_hours import TOOL
from knowledge.loading.document import load
from ledger.money import worst_case as reckoned
from ledger.money.prices import Prices
from ledger.money.worst_case import (
    CallBudget,
    WorstCase,
    call_budget,
    cap_warnings,
    check_prompt,
    compute_worst_case,
    worst_case,
)
from pipeline import call
from pipeline.choice import choose
from pipeline.vendors.claude import ClaudeSettings
from processors.brain import cached_prompt
from processors.brain.claude_models import minimum_tokens, token_ratio
from processors.brain.contract import MAX_DECISION_TOKENS
from processors.brain.decision_run import ATTEMPTS
from processors.brain.follow_up import phrases_for
from processors.brain.guardrails import Phrases
from processors.brain.tools import MAX_TOOL_CALLS
from processors.turns.processor import PHRASES
from settings import Settings, SettingsError

DOCUMENT = load()
PRICES = Prices.load()
KEYS = {"deepgram_api_key": "k", "anthropic_api_key": "k", "elevenlabs_api_key": "k"}


def cloud(**overrides: Any) -> Settings:
    """Deepgram, Claude and ElevenLabs."""
    return Settings(_env_file=None, **{**KEYS, **overrides})  # type: ignore[call-arg]


def of(settings: Settings) -> tuple[Any, ...]:
    prices = Prices.load(cache_ttl=settings.for_vendor(ClaudeSettings).claude_cache_ttl)
    return settings, DOCUMENT, choose(settings), prices


def capped(settings: Settings) -> tuple[Settings, WorstCase]:
    return settings, compute_worst_case(*of(settings))


# The limits are those that calls are held to.


@pytest.mark.parametrize(
    ("limit", "overrides"),
    [
        ("MAX_DECISION_TOKENS", {}),
        ("ATTEMPTS", {}),
        ("MAX_EXCHANGES", {"call_secs": 1200.0}),
        ("WHOLE_ANSWER_ATTEMPTS", {"tts_mode": "whole"}),
    ],
)
def test_the_worst_case_rises_with_each_limit_that_calls_are_held_to(
    monkeypatch: pytest.MonkeyPatch, limit: str, overrides: dict[str, Any]
) -> None:
    before = compute_worst_case(*of(cloud(**overrides)))
    monkeypatch.setattr(reckoned, limit, getattr(reckoned, limit) + 1)
    after = compute_worst_case(*of(cloud(**overrides)))
    assert (after.call, after.turn) > (before.call, before.turn)


def test_no_notice_is_longer_than_is_reckoned() -> None:
    said = [*PHRASES.values(), call._TIME_IS_SHORT, call._TIME_IS_UP, call._MONEY_IS_UP]
    whoever: tuple[FollowUp, ...] = ("person", "address", "nobody")
    for phrases in (phrases_for(follow_up, load()) for follow_up in whoever):
        texts = [getattr(phrases, field.name) for field in fields(Phrases)]
        for text in texts:
            said += text if isinstance(text, tuple) else [text] if isinstance(text, str) else []
    assert max(map(len, said)) <= reckoned.NOTICE_CHARS


@pytest.mark.parametrize("model", ["claude-haiku-5-5", "claude-haiku-4-5"])
def test_the_document_is_not_longer_than_is_reckoned(model: str) -> None:
    settings = cloud(claude_model=model)
    brain = choose(settings)["brain"].vendor
    tokens, cached = reckoned._Rates(settings, DOCUMENT, PRICES)._cached_prompt(brain)

    def count(text: str) -> int:
        return cached_prompt.estimated_tokens(len(text), low=True)

    sent = cached_prompt.build(DOCUMENT, minimum=minimum_tokens(model), count=count)
    assert cached
    assert sent.cacheable
    assert tokens >= cached_prompt.estimated_tokens(len(sent.text)) * token_ratio(model)


def test_a_model_that_makes_more_tokens_of_a_text_is_reckoned_with_more() -> None:
    def rates(model: str) -> tuple[reckoned._Rates, Any]:
        settings = cloud(claude_model=model)
        return reckoned._Rates(settings, DOCUMENT, PRICES), choose(settings)["brain"].vendor

    # Both cache from the same length, so that the text is the same.
    (older, brain), (newer, _) = rates("claude-sonnet-4-6"), rates("claude-sonnet-5")
    assert newer._cached_prompt(brain)[0] == pytest.approx(
        1.3 * older._cached_prompt(brain)[0], abs=2
    )
    assert newer.longest_prompt(brain, 60.0) > 1.29 * older.longest_prompt(brain, 60.0)


def test_a_document_whose_prompt_is_longer_than_its_price_is_for_is_refused_under_a_cap() -> None:
    long = dataclasses.replace(DOCUMENT, sections=DOCUMENT.sections * 30)
    free, kept = cloud(), cloud(daily_spend_cap_usd=Decimal(5))
    check_prompt(free, long, choose(free), PRICES)
    check_prompt(kept, DOCUMENT, choose(kept), PRICES)
    with pytest.raises(SettingsError, match=r"may have 1\d\d,\d{3} tokens, .* at most 100,000"):
        check_prompt(kept, long, choose(kept), PRICES)
    older = cloud(daily_spend_cap_usd=Decimal(5), claude_model="claude-haiku-4-5")
    check_prompt(older, long, choose(older), PRICES)


# What comes of them.


def test_embedded_vendors_cost_nothing_at_worst() -> None:
    embedded = Settings(_env_file=None)  # type: ignore[call-arg]
    worst = compute_worst_case(*of(embedded))
    assert (worst.call, worst.opening, worst.turn) == (0, 0, 0)
    assert call_budget(*capped(cloud(stt="whisper", brain="extractive", tts="hibari"))).turn == 0


def test_each_stage_in_the_cloud_adds_to_the_worst_case() -> None:
    alone = {"stt": "whisper", "brain": "extractive", "tts": "hibari"}
    stages = [
        compute_worst_case(*of(cloud(**{**alone, stage: vendor}))).call
        for stage, vendor in (("stt", "deepgram"), ("brain", "claude"), ("tts", "elevenlabs"))
    ]
    assert all(stages)
    whole = compute_worst_case(*of(cloud())).call
    assert max(stages) < whole
    assert whole >= sum(stages) * 0.9


@pytest.mark.parametrize(
    "more",
    [
        {"call_secs": 240.0},
        {"claude_cache_ttl": "1h"},
        {"tts_mode": "whole"},
        {"brain": "claude,groq", "groq_api_key": "k"},
        {"stt": "deepgram,assemblyai", "assemblyai_api_key": "k"},
    ],
)
def test_what_costs_more_is_reckoned_as_more(more: dict[str, Any]) -> None:
    usual, dearer = compute_worst_case(*of(cloud())), compute_worst_case(*of(cloud(**more)))
    assert dearer.call > usual.call
    assert dearer.turn > usual.turn


@pytest.mark.parametrize("brain", ["claude", "groq"])
def test_a_tool_adds_the_requests_that_it_may_cost(brain: str) -> None:
    settings, document, choices, prices = given = of(cloud(brain=brain, groq_api_key="k"))
    without = compute_worst_case(settings, document, choices, prices, offered=[])
    offered = compute_worst_case(settings, document, choices, prices, offered=[TOOL])
    assert offered.turn > without.turn
    assert offered.call > without.call
    # Each call of it is another decision at its worst, and is told to those that follow.
    decision = reckoned._Rates(given[0], DOCUMENT, given[3]).decision(
        given[2]["brain"].vendor, 60.0
    )
    assert offered.turn - without.turn >= MAX_TOOL_CALLS * decision
    assert compute_worst_case(*given) == without


def test_answers_that_are_not_begun_early_cost_less() -> None:
    assert (
        compute_worst_case(*of(cloud(preemptive="off"))).turn
        < compute_worst_case(*of(cloud())).turn
    )


def test_a_cap_lowers_what_is_set_aside_for_a_call() -> None:
    free = compute_worst_case(*of(cloud())).call
    assert worst_case(*capped(cloud())) == free
    assert worst_case(*capped(cloud(call_spend_cap_usd=Decimal("0.3")))) == 300_000
    assert worst_case(*capped(cloud(daily_spend_cap_usd=Decimal("0.2")))) == 200_000
    assert worst_case(*capped(cloud(call_spend_cap_usd=Decimal(50)))) == free


def test_a_call_has_a_budget_under_any_cap_and_none_without() -> None:
    worst = compute_worst_case(*of(cloud()))
    assert call_budget(*capped(cloud())).cap is None
    assert call_budget(*capped(cloud(daily_spend_cap_usd=Decimal(9)))).cap == worst.call
    assert call_budget(*capped(cloud(call_spend_cap_usd=Decimal("0.3")))).cap == 300_000


def test_a_call_may_continue_while_its_worst_turn_fits() -> None:
    budget = CallBudget(cap=1_000, turn=300)
    assert [budget.may_continue(spent) for spent in (0, 700, 701, 2_000)] == [
        True, True, False, False,
    ]  # fmt: skip
    assert CallBudget(cap=None, turn=300).may_continue(10**12)


def test_caps_that_leave_no_call_a_turn_are_named_at_start() -> None:
    worst = compute_worst_case(*of(cloud()))
    least = f"{-(-(worst.opening + worst.turn) // 10_000) / 100:.2f}"
    (told,) = cap_warnings(cloud(call_spend_cap_usd=Decimal("0.05")), worst)
    assert told.startswith("CALL_SPEND_CAP_USD=0.05 ends every call before its first answer")
    assert f"may cost {least} USD at worst; allowed: that or more" in told
    assert cap_warnings(cloud(call_spend_cap_usd=Decimal(least)), worst) == []
    assert len(cap_warnings(cloud(daily_spend_cap_usd=Decimal("0.01")), worst)) == 1
    assert cap_warnings(cloud(), worst) == []


# No call costs more, and no usual one is cut short.


def cost(settings: Settings, used: Mapping[str, Used]) -> int:
    choices = choose(settings)
    return sum(
        PRICES.cost(vendor.name, vendor.model_of(settings), used[stage])
        for stage in ("stt", "brain", "tts")
        for vendor in (choices[stage].vendor,)
    )


def test_two_minutes_of_questions_and_answers_are_not_cut_short() -> None:
    settings = cloud(daily_spend_cap_usd=Decimal(100))
    budget = call_budget(*capped(settings))
    opening = {
        "stt": Used(audio_seconds=6.0),
        "brain": Used(cache_write_tokens=7_000),
        "tts": Used(characters=180),
    }
    spent = cost(settings, opening)
    for turn in range(24):
        assert budget.may_continue(spent), turn
        used = {
            "stt": Used(audio_seconds=5.0),
            "brain": Used(60 + 110 * turn, 140, 7_000),
            "tts": Used(characters=280),
        }
        spent += cost(settings, used)
    assert spent < worst_case(*capped(settings))


WORST = compute_worst_case(*of(cloud()))
decisions = st.builds(
    Used,
    input_tokens=st.integers(0, 3_000),
    output_tokens=st.integers(0, MAX_DECISION_TOKENS),
    cache_write_tokens=st.integers(0, 9_000),
)
turns = st.lists(
    st.tuples(
        st.lists(decisions, min_size=1, max_size=ATTEMPTS + 1),
        st.integers(0, 2_600),
        st.floats(0, 120),
    ),
    max_size=60,
)


@given(turns=turns, cap=st.integers(WORST.opening + WORST.turn, 2 * WORST.call))
@hypothesis_settings(deadline=None)
def test_no_call_costs_more_than_was_set_aside_whatever_its_turns(
    turns: list[tuple[list[Used], int, float]], cap: int
) -> None:
    settings = cloud(call_spend_cap_usd=Decimal(cap) / 10**6)
    held = min(cap, WORST.call)
    budget = CallBudget(held, WORST.turn)
    spent, listened = WORST.opening, 0.0
    for asked, chars, secs in turns:
        if not budget.may_continue(spent):
            break
        left = min(secs, 120.0 - listened)
        listened += left
        used = {
            "stt": Used(audio_seconds=left),
            "brain": sum(asked, Used()),
            "tts": Used(characters=chars),
        }
        spent += cost(settings, used)
    # And the farewell is heard, and listened through.
    rest = {
        "stt": Used(audio_seconds=20.0 + 120.0 - listened),
        "brain": Used(),
        "tts": Used(characters=reckoned.NOTICE_CHARS),
    }
    assert spent + (cost(settings, rest) if turns else 0) <= held


BROKEN_CLIENT = """
from ledger.money.worst_case import check_prompt, compute_worst_case
from tests.ledger.money.test_worst_case import cloud, of

settings = cloud(brain="claude", call_spend_cap_usd=5.0)
check_prompt(*of(settings))
assert compute_worst_case(*of(settings)).call > 0
"""


@pytest.mark.thorough
def test_it_needs_no_vendors_client(tmp_path: Path) -> None:
    # It is computed before anything is loaded: a client that cannot be imported would end the
    # start with a traceback here, not with the sentence that says what to do.
    (tmp_path / "anthropic.py").write_text("raise ImportError('half installed')\n")
    path = os.pathsep.join((str(tmp_path), *sys.path))
    environment = {**os.environ, "PYTHONPATH": path}
    subprocess.run([sys.executable, "-c", BROKEN_CLIENT], env=environment, check=True, timeout=60)
