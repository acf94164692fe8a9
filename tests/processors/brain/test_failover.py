"""When a brain fails, the next one decides, and the caller hears only the answer."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from conversation.frames import Usage
from evals.replay.virtual_time import run
from processors.brain.claude import ClaudeBrain
from processors.brain.contract import (
    ArgumentsDelta,
    BrainError,
    BrainEvent,
    Question,
    ToolStart,
    UsageReport,
)
from processors.brain.failover import BackoffRegistry, FailoverBrain
from processors.brain.openai_compatible import OpenAICompatibleBrain
from simulators.anthropic import AnthropicSimulator
from simulators.model import Fault, Model, Reply
from simulators.openai import OpenAISimulator
from tests.conftest import with_instant_engines
from tests.processors.brain.deciding import (
    DOCUMENT,
    FIRST,
    INTO_THE_SECOND,
    KEY,
    PHRASES,
    RIGHT,
    SECOND,
    Turn,
    called,
    decide,
    events,
)

BUSY = BrainError("busy")
REFUSED = BrainError("the key was refused", permanent=True)
ANSWER: list[Any] = [UsageReport(Usage(100, 10)), ToolStart("respond"), ArgumentsDelta(RIGHT.json)]


class Scripted:
    """Plays a script a turn: events, waits in seconds, errors; the last one again and again."""

    def __init__(self, name: str, *scripts: Sequence[BrainEvent | float | Exception]) -> None:
        self.name = name
        self.scripts = scripts
        self.asked = 0
        self.open = 0

    async def decide(self, question: Question) -> AsyncIterator[BrainEvent]:
        script = self.scripts[min(self.asked, len(self.scripts) - 1)]
        self.asked += 1
        self.open += 1
        try:
            for step in script:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, float):
                    await asyncio.sleep(step)
                else:
                    yield step
        finally:
            self.open -= 1


class Told:
    """Takes what is reported."""

    def __init__(self) -> None:
        self.reports: list[tuple[str, str, str]] = []

    def __call__(self, before: str, after: str, reason: str) -> None:
        self.reports.append((before, after, reason))


def test_the_first_brain_decides_as_long_as_it_can() -> None:
    one, two, told = Scripted("one", ANSWER), Scripted("two", ANSWER), Told()
    brain = FailoverBrain([one, two], on_failover=told)
    turn = run(decide(brain))
    assert (turn.decision.brain, one.asked, two.asked, told.reports) == ("one", 1, 0, [])


@pytest.mark.parametrize("error", [BUSY, REFUSED])
def test_the_next_brain_takes_over_at_once(error: BrainError) -> None:
    one, two, told = Scripted("one", [error]), Scripted("two", ANSWER), Told()
    brain = FailoverBrain([one, two], on_failover=told)

    async def timed() -> tuple[Turn, float]:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        return await decide(brain), loop.time() - begun

    turn, secs = run(timed())
    assert turn.words == [FIRST, SECOND]
    assert turn.decision.brain == brain.name == "two"
    assert told.reports == [("one", "two", str(error))]
    assert secs < 0.01
    assert (one.asked, one.open, two.open) == (1, 0, 0)


def test_a_refused_key_is_left_alone_for_long_and_a_fault_for_a_moment() -> None:
    async def asked_later(error: BrainError, secs: float) -> int:
        one, two = Scripted("one", [error], ANSWER), Scripted("two", ANSWER)
        backoff = BackoffRegistry(temporary_secs=5.0, permanent_secs=600.0)
        await decide(FailoverBrain([one, two], backoff=backoff))
        await asyncio.sleep(secs)
        # Another call of the process knows, too.
        await decide(FailoverBrain([one, two], backoff=backoff))
        return one.asked

    assert run(asked_later(BUSY, 4.0)) == 1
    assert run(asked_later(BUSY, 6.0)) == 2
    assert run(asked_later(REFUSED, 500.0)) == 1
    assert run(asked_later(REFUSED, 700.0)) == 2
    limited = BrainError("slow down", retry_after_secs=30.0)
    assert run(asked_later(limited, 20.0)) == 1
    assert run(asked_later(limited, 31.0)) == 2


def test_a_silent_brain_is_given_up_and_the_second_attempt_goes_to_the_next() -> None:
    one, two, told = Scripted("one", [3600.0]), Scripted("two", ANSWER), Told()
    brain = FailoverBrain([one, two], stall_secs=0.25, on_failover=told)
    turn = run(decide(brain, first_token_timeout_secs=0.3))
    assert turn.words == [FIRST, SECOND]
    assert (one.asked, one.open) == (1, 0)
    assert [report[:2] for report in told.reports] == [("one", "two")]
    assert "said nothing" in told.reports[0][2]


def test_an_interruption_is_nobodys_fault() -> None:
    one, two = Scripted("one", [1.0, *ANSWER]), Scripted("two", ANSWER)
    brain = FailoverBrain([one, two], stall_secs=2.5)

    async def interrupted() -> Turn:
        deciding = asyncio.create_task(decide(brain, first_token_timeout_secs=3.0))
        await asyncio.sleep(0.5)
        deciding.cancel()
        await asyncio.wait({deciding})
        return await decide(brain, first_token_timeout_secs=3.0)

    assert run(interrupted()).decision.brain == "one"
    assert (one.open, two.asked) == (0, 0)


def test_nothing_streamed_is_ever_repeated() -> None:
    half: list[Any] = [ToolStart("respond"), ArgumentsDelta(RIGHT.json[:INTO_THE_SECOND]), BUSY]
    one, two = Scripted("one", half), Scripted("two", ANSWER)
    turn = run(decide(FailoverBrain([one, two])))
    assert turn.words == [FIRST, PHRASES.rest_uncertain]
    assert two.asked == 0


def test_a_brain_that_breaks_off_before_a_word_is_followed_by_the_next() -> None:
    early: list[Any] = [ToolStart("respond"), ArgumentsDelta(RIGHT.json[:20]), BUSY]
    one, two = Scripted("one", early), Scripted("two", ANSWER)
    turn = run(decide(FailoverBrain([one, two])))
    assert turn.words == [FIRST, SECOND]
    assert (one.asked, two.asked) == (1, 1)


def test_what_a_failed_brain_used_is_counted_too() -> None:
    spends: list[Any] = [UsageReport(Usage(50, 1)), BUSY]
    brain = FailoverBrain([Scripted("one", spends), Scripted("two", ANSWER)])
    _, _, report = called(run(events(brain)))
    assert report.usage == Usage(150, 11)


def test_when_all_fail_the_reason_names_each_and_the_shortest_wait() -> None:
    one = Scripted("one", [BrainError("one is busy", retry_after_secs=9.0)])
    two = Scripted("two", [BrainError("two is busy", retry_after_secs=4.0)])
    with pytest.raises(BrainError, match="one is busy; two is busy") as failed:
        run(events(FailoverBrain([one, two])))
    assert failed.value.retry_after_secs == 4.0
    assert not failed.value.permanent
    with pytest.raises(BrainError) as refused:
        run(events(FailoverBrain([Scripted("one", [REFUSED]), Scripted("two", [REFUSED])])))
    assert refused.value.permanent


def test_when_nobody_may_be_asked_the_one_soonest_free_is() -> None:
    one, two = Scripted("one", [REFUSED]), Scripted("two", [BUSY], ANSWER)
    backoff = BackoffRegistry()

    async def twice() -> Turn:
        with pytest.raises(BrainError):
            await events(FailoverBrain([one, two], backoff=backoff))
        return await decide(FailoverBrain([one, two], backoff=backoff))

    assert run(twice()).words == [FIRST, SECOND]
    assert one.asked == 1


def test_brains_need_names_of_their_own() -> None:
    with pytest.raises(ValueError, match="each with a distinct name"):
        FailoverBrain([Scripted("one", ANSWER), Scripted("one", ANSWER)])


@pytest.mark.parametrize(
    ("fault", "leads_to"),
    [
        (Fault("status", status=401), "two"),
        (Fault("status", status=529), "two"),
        (Fault("drop"), "two"),
        (Fault("stall"), "two"),
        (Fault("error", after_chars=20), "two"),
    ],
    ids=lambda value: getattr(value, "kind", value),
)
@with_instant_engines
async def test_claude_fails_and_another_vendor_answers(fault: Fault, leads_to: str) -> None:
    broken = Model(script=(RIGHT,), faults=(fault,), api_key=KEY)
    async with (
        AnthropicSimulator(broken) as claudes,
        OpenAISimulator(Model(script=(Reply("respond", RIGHT.arguments),))) as others,
    ):
        claude = await asyncio.to_thread(
            lambda: ClaudeBrain.load(DOCUMENT, api_key=KEY, base_url=claudes.url)
        )
        other = OpenAICompatibleBrain(
            DOCUMENT, base_url=others.url, model="simulated", name=leads_to
        )
        told = Told()
        brain = FailoverBrain([claude, other], stall_secs=0.25, on_failover=told)
        await brain.warm()
        first = await decide(brain)
        second = await decide(brain)
        assert first.words == second.words == [FIRST, SECOND]
        assert first.decision.brain == second.decision.brain == leads_to
        assert len(claudes.messages) == 1
        assert [report[:2] for report in told.reports] == [("claude", leads_to)]
        await claude.close()
        await other.close()
