"""What a brain does to its own task or to the program is the brain's fault, and no one else's."""

import asyncio
import sys
from collections.abc import AsyncIterator

import pytest

from processors.brain.contract import BrainError, BrainEvent, Question, ToolStart, events_of


class Ending:
    """A brain that begins a call of a tool, and then raises."""

    name = "ending"

    def __init__(self, end: BaseException | None) -> None:
        self._end = end

    async def decide(self, question: Question) -> AsyncIterator[BrainEvent]:
        yield ToolStart("respond")
        if self._end is None:
            await asyncio.Event().wait()
        elif isinstance(self._end, SystemExit):
            sys.exit(3)
        else:
            raise self._end


async def read(brain: Ending) -> list[BrainEvent]:
    return [event async for event in events_of(brain, Question("Where did she study?"))]


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (SystemExit(3), r"ending ends the program \(SystemExit: 3\)"),
        (asyncio.CancelledError(), "ending cancelled its own task"),
    ],
)
async def test_a_brain_that_ends_the_program_or_its_task_has_failed(
    end: BaseException, told: str
) -> None:
    with pytest.raises(BrainError, match=told):
        await read(Ending(end))


async def test_a_question_that_is_given_up_is_no_fault_of_the_brain() -> None:
    asking = asyncio.create_task(read(Ending(None)))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await read(Ending(None))
