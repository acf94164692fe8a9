"""Every vendor's faults in whole calls: real clients, real sockets, simulated vendors.

The calls are held in virtual time: 20 s of call take about one. The sockets are real.
"""

import asyncio
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from client.caller import HeardCall
from evals.replay import virtual_time
from pipeline.call import REASONS
from pipeline.engines import Engines
from processors.brain.guardrails import Phrases
from tests.end_to_end import faults
from tests.end_to_end.faults import ROWS, Outcome, Row
from tests.end_to_end.simulated import APOLOGIES, MODELS, QUESTIONS, Asker, Stack


def outcome(heard: HeardCall, asker: Asker, question: int, *, scripted: bool = True) -> Outcome:
    """What became of a question."""
    turn = heard.turns[question]
    if turn.decision is not None and turn.heard_text == turn.answer:
        if turn.decision == "escalate":
            return Outcome.HANDED_OVER
        partly = turn.answer.endswith(Phrases.without_follow_up().rest_uncertain)
        heard_well = turn.transcript == QUESTIONS[question][1]
        assert heard_well or not scripted, "the words were heard, each once"
        return Outcome.PARTLY if partly else Outcome.ANSWERED
    asked, then = (
        asker.asked_secs.get(number, float("inf")) for number in (question, question + 1)
    )
    if any(text in APOLOGIES and asked < at < then for at, text in spoken(heard)):
        return Outcome.APOLOGISED
    assert heard.ended == "fault", f"silence: {turn}, {spoken(heard)}"
    ((_, end),) = own(heard, "end")
    assert end["message"] == REASONS["fault"], "the page is told why"
    return Outcome.ENDED


def spoken(heard: HeardCall) -> list[tuple[float, str]]:
    """All sentences that were said, and when."""
    return [
        (at, message["data"]["text"])
        for at, message in heard.messages
        if message["type"] == "bot-output"
    ]


def own(heard: HeardCall, kind: str) -> list[tuple[float, dict[str, Any]]]:
    """Viva's messages of a kind."""
    return [
        (at, message["data"])
        for at, message in heard.messages
        if message["type"] == "server-message" and message["data"]["type"] == kind
    ]


def words_secs(heard: HeardCall, asker: Asker) -> float:
    """From the end of the first question to words: heard, or of the call's end."""
    latency = heard.turns[0].e2e_latency_ms
    if latency is not None:
        return latency / 1000
    ((at, end),) = own(heard, "end")
    assert end["message"] == REASONS["fault"]
    return at - asker.asked_secs.get(0, at)


async def hold(
    engines: Engines, row: Row, data_dir: Path, *, reserve: bool
) -> tuple[tuple[Outcome, Outcome], float, HeardCall]:
    """One call in which something goes wrong; nothing may be left of it."""
    async with Stack(engines, row, reserve=reserve, data_dir=data_dir) as stack:
        before = asyncio.all_tasks()
        heard, asker = await stack.call()
        await asyncio.sleep(2.0)
        names = {str(task.get_coro()) for task in asyncio.all_tasks() - before}
        assert not [name for name in names if "RequestHandler" not in name], "tasks are left"
        assert not stack.left_open(), "connections are left"
    return (outcome(heard, asker, 0), outcome(heard, asker, 1)), words_secs(heard, asker), heard


STAGES = {
    "deepgram": "stt",
    "deepgram-flux": "stt",
    "claude": "brain",
    "openai": "brain",
    "elevenlabs": "tts",
    "elevenlabs, whole": "tts",
}


def rows() -> Iterator[Any]:
    """Every row, alone and with a reserve; of a stage's with the same outcome one is enough.

    So is the row alone where the vendor itself goes on and the reserve is not asked. The vendors'
    own tests tell their faults apart; what follows is the stage's.
    """
    seen = set()
    for row in ROWS:
        for reserve, name in ((False, "alone"), (True, "with a reserve")):
            course = (
                STAGES[row.vendor],
                reserve,
                row.reserved if reserve else row.alone,
                reserve and row.takes_over and row.when == "in the answer",
                reserve and row.takes_over,
            )
            unasked = reserve and not row.takes_over
            marks = [pytest.mark.thorough] if course in seen or unasked else []
            seen.add(course)
            yield pytest.param(row, reserve, id=f"{row.name}-{name}", marks=marks)


@pytest.mark.parametrize(("row", "reserve"), rows())
def test_a_fault_has_the_outcome_that_the_table_tells(
    engines: Engines, data_dir: Path, row: Row, reserve: bool
) -> None:
    outcomes, secs, heard = virtual_time.run(hold(engines, row, data_dir, reserve=reserve))
    assert outcomes == (row.reserved if reserve else row.alone)
    assert secs <= row.within_secs, "words come in time"
    if reserve and row.vendor in MODELS:
        brain = own(heard, "decision")[0][1]["brain"]
        assert (brain == "extractive") is row.takes_over
    elif reserve:
        assert bool(own(heard, "failover")) is row.takes_over, "the page is told who took over"


_BESIDE = (
    "deepgram: connection drops, then 401, the caller speaks, for good",
    pytest.param("claude: goes silent, thinking, once", marks=pytest.mark.thorough),
    pytest.param(
        "elevenlabs: quota exceeded, before the voice, for good", marks=pytest.mark.thorough
    ),
)


@pytest.mark.parametrize("name", _BESIDE)
def test_another_call_at_the_same_time_does_not_notice(
    engines: Engines, data_dir: Path, name: str
) -> None:
    row = next(row for row in ROWS if row.name == name)
    if row.vendor == "elevenlabs":  # of the first connection, which is the first call's
        befallen = tuple(dataclasses.replace(fault, request=1) for fault in row.faults)
        row = dataclasses.replace(row, faults=befallen)
    elif row.vendor == "deepgram":
        drop, refused = row.faults
        row = dataclasses.replace(row, faults=(drop, dataclasses.replace(refused, connection=2)))

    async def both() -> tuple[tuple[HeardCall, Asker], tuple[HeardCall, Asker]]:
        async with Stack(engines, row, data_dir=data_dir, hears=True) as stack:

            async def later() -> tuple[HeardCall, Asker]:
                await asyncio.sleep(1.0)
                return await stack.call(watched=False)

            return await asyncio.gather(stack.call(), later())

    befallen_call, (other, asker) = virtual_time.run(both())
    assert outcome(*befallen_call, 0, scripted=False) is row.alone[0]
    assert {outcome(other, asker, question, scripted=False) for question in (0, 1)} == {
        Outcome.ANSWERED
    }
    assert max(turn.e2e_latency_ms or 9e9 for turn in other.turns) < 2000
    assert not [message for _, message in other.messages if message["type"] == "error"]
    assert other.ended == "hangup"


def test_the_table_of_faults_is_that_of_the_tests() -> None:
    told = faults.OPERATING.read_text()
    assert told == faults.written(told), "run python -m tests.end_to_end.faults --write"
