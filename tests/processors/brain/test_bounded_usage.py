"""A vendor's count is booked only if it can be true; else the worst case is, and it is said."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversation.frames import Exchange, Usage
from evals.replay.virtual_time import run
from processors.brain.bounded_usage import BoundedUsage, bounds_of
from processors.brain.claude import ClaudeBrain
from processors.brain.contract import ArgumentsDelta, BrainEvent, Question, ToolStart, UsageReport
from processors.brain.failover import FailoverBrain
from processors.brain.openai_compatible import OpenAICompatibleBrain
from simulators.anthropic import AnthropicSimulator
from simulators.model import Model
from simulators.openai import OpenAISimulator
from tests.processors.brain.deciding import DOCUMENT, KEY, RIGHT, decide

BOUNDS = bounds_of(DOCUMENT)
ASKED = Question("Where did she study?")
WORST = BOUNDS(ASKED).worst
HONEST = Usage(1_200, 90, 5_000, 100)


class Counting:
    """Answers rightly, and counts as it is told to."""

    name = "counting"

    def __init__(self, *counts: Usage, warming: Usage | None = None) -> None:
        self._counts = counts
        self._warming = warming or Usage()

    async def warm(self) -> Usage:
        return self._warming

    async def decide(self, _question: Question) -> AsyncIterator[BrainEvent]:
        yield ToolStart("respond")
        yield ArgumentsDelta(RIGHT.json)
        for count in self._counts:
            yield UsageReport(count)


def booked(*counts: Any) -> tuple[Usage, list[str]]:
    """What a decision books when its brain counts so, and which checks of it failed."""
    brain = BoundedUsage(Counting(*counts), BOUNDS)
    decision = run(decide(brain)).decision
    assert decision.decision == "respond", "the caller is answered whatever the vendor counts"
    return decision.usage, [check.detail for check in decision.checks if not check.passed]


def test_a_count_that_can_be_true_is_booked() -> None:
    assert booked(HONEST) == (HONEST, [])
    assert booked(Usage(output_tokens=5), HONEST) == (HONEST, [])


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (Usage(-1, 90, 5_000), "-1 input tokens"),
        (Usage(1_200, -(2**63), 5_000), "output tokens"),
        (Usage(1_200, 90, 10**6), "tokens of a prompt that has"),
        (Usage(2**63, 90), "tokens of a prompt that has"),
        (Usage(1_200, 2**64), "output tokens, of 32000 at most"),
        (Usage(1_200, 10**6), "output tokens, of 32000 at most"),
        (Usage(1_200, 90.5), "no whole number"),  # type: ignore[arg-type]
        (Usage("many", 90), "no whole number"),  # type: ignore[arg-type]
        (Usage(None, 90), "no whole number"),  # type: ignore[arg-type]
        (Usage(float("nan"), 90), "no whole number"),  # type: ignore[arg-type]
    ],
)
def test_a_count_that_cannot_be_true_books_the_worst_case_and_says_so(
    count: Usage, said: str
) -> None:
    usage, (detail,) = booked(HONEST, count)
    assert usage == BOUNDS(Question("Which degrees did she take at Yale?")).worst
    assert said in detail
    assert detail.startswith("counting reports ")


def test_the_last_count_stands() -> None:
    usage, failed = booked(Usage(-1), HONEST)
    assert usage == HONEST
    assert failed, "that the vendor counted wrongly is told all the same"


def test_warming_up_is_bounded_too() -> None:
    def warmed(usage: Usage) -> Usage:
        return run(BoundedUsage(Counting(warming=usage), BOUNDS).warm())

    assert warmed(Usage(cache_write_tokens=5_000)) == Usage(cache_write_tokens=5_000)
    assert warmed(Usage(cache_write_tokens=2**70)) == BOUNDS(None).worst
    assert BOUNDS(None).worst.output_tokens == 0


def test_one_brains_bad_count_does_not_spoil_the_count_of_the_next() -> None:
    class Failing(Counting):
        name = "failing"

        async def decide(self, _question: Question) -> AsyncIterator[BrainEvent]:
            yield UsageReport(Usage(-(10**9), 5))

    brains = [BoundedUsage(Failing(), BOUNDS), BoundedUsage(Counting(HONEST), BOUNDS)]
    decision = run(decide(FailoverBrain(brains))).decision
    worst = BOUNDS(Question("Which degrees did she take at Yale?")).worst
    assert decision.usage.cache_write_tokens == worst.cache_write_tokens + HONEST.cache_write_tokens
    assert decision.usage.input_tokens == HONEST.input_tokens


@given(
    st.builds(
        Usage,
        *[st.integers(-(2**65), 2**65) | st.integers(-10, 10_000) for _ in range(4)],
    )
)
def test_whatever_is_counted_what_is_booked_fits_the_ledger(usage: Usage) -> None:
    bound = BOUNDS(ASKED)
    kept = bound.worst if bound.doubt(usage) else usage
    assert 0 <= kept.tokens < 2**31


def test_a_longer_conversation_may_have_a_longer_prompt() -> None:
    told = Exchange(question="Where did she study? " * 9, answer="At Vassar College. " * 9)
    longer = BOUNDS(Question(ASKED.text, history=(told,)))
    assert longer.prompt_tokens > BOUNDS(ASKED).prompt_tokens
    assert longer.worst.cache_write_tokens > WORST.cache_write_tokens
    newer = bounds_of(DOCUMENT, token_ratio=1.3)(ASKED).worst
    assert newer.cache_write_tokens == pytest.approx(1.3 * WORST.cache_write_tokens, abs=2)


async def test_what_the_real_clients_count_can_be_true() -> None:
    async with AnthropicSimulator(Model(script=(RIGHT,))) as vendor:
        claude = ClaudeBrain.load(DOCUMENT, api_key=KEY, base_url=vendor.url)
        bounded = BoundedUsage(claude, BOUNDS)
        assert (await bounded.warm()).cache_write_tokens > 0
        events = [event async for event in bounded.decide(ASKED)]
        await claude.close()
    async with OpenAISimulator(Model(script=(RIGHT,))) as endpoint:
        brain = OpenAICompatibleBrain(DOCUMENT, base_url=endpoint.url, model="simulated")
        events += [event async for event in BoundedUsage(brain, BOUNDS).decide(ASKED)]
        await brain.close()
    reports = [event for event in events if isinstance(event, UsageReport)]
    assert reports
    assert not any(report.doubted for report in reports)
