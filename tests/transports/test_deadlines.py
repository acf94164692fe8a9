"""Waits with deadlines end as with ``asyncio.timeout``, of which each would have a timer."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.replay import virtual_time
from tests.conftest import with_instant_engines
from transports.deadlines import Deadlines

Within = Callable[[float | None, Awaitable[str]], Awaitable[str]]
Wait = tuple[float, float | None, float]
"""How long it takes, how long it may, and what its task does before."""


async def _with_timeout(secs: float | None, awaitable: Awaitable[str]) -> str:
    async with asyncio.timeout(secs):
        return await awaitable


async def _thing(secs: float) -> str:
    await asyncio.sleep(secs)
    return "came"


def _ends(tasks: list[list[Wait]], within: Callable[[], Within]) -> list[list[tuple[str, float]]]:
    """How the waits of each task end, and when."""

    async def wait(waits: list[Wait], within: Within) -> list[tuple[str, float]]:
        ends = []
        for takes, may_take, before in waits:
            await asyncio.sleep(before)
            try:
                how = await within(may_take, _thing(takes))
            except TimeoutError:
                how = "too late"
            ends.append((how, round(asyncio.get_running_loop().time(), 6)))
        return ends

    async def wait_all() -> list[list[tuple[str, float]]]:
        one = within()
        return await asyncio.gather(*(wait(waits, one) for waits in tasks))

    return virtual_time.run(wait_all())


# No two of them end at the same time: which comes first then is the event loop's choice.
_takes = st.integers(0, 40).map(lambda tenths: tenths / 10)
_may_take = st.none() | st.integers(0, 40).map(lambda tenths: tenths / 10 + 0.05)
_waits = st.lists(st.tuples(_takes, _may_take, _takes), max_size=4)


@given(st.lists(_waits, min_size=1, max_size=3))
def test_waits_end_as_if_each_had_a_timer(tasks: list[list[Wait]]) -> None:
    ended = _ends(tasks, lambda: Deadlines().within)
    assert ended == _ends(tasks, lambda: _with_timeout)


@with_instant_engines
async def test_a_deadline_can_be_moved_ahead_and_back() -> None:
    deadlines, loop = Deadlines(), asyncio.get_running_loop()
    began = loop.time()
    waiting = asyncio.create_task(deadlines.within(None, _thing(9.0)))
    other = asyncio.create_task(deadlines.within(5.0, _thing(9.0)))
    await asyncio.sleep(0.1)
    deadlines.move(waiting, began + 1.0)
    deadlines.move(other, began + 7.0)
    with pytest.raises(TimeoutError):
        await waiting
    assert loop.time() == pytest.approx(began + 1.0)
    deadlines.move(waiting, began)  # it waits no more
    with pytest.raises(TimeoutError):
        await other
    assert loop.time() == pytest.approx(began + 7.0)


@with_instant_engines
async def test_who_is_cancelled_by_somebody_else_is_cancelled_and_not_late() -> None:
    deadlines = Deadlines()
    waiting = asyncio.create_task(deadlines.within(1.0, _thing(9.0)))
    await asyncio.sleep(0.5)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    both = asyncio.create_task(deadlines.within(1.0, _thing(9.0)))
    asyncio.get_running_loop().call_later(1.0, both.cancel)  # at the deadline itself
    with pytest.raises(asyncio.CancelledError):
        await both


@with_instant_engines
async def test_a_fault_of_what_is_waited_for_is_its_own() -> None:
    async def faulty() -> str:
        await asyncio.sleep(0.1)
        raise ConnectionError

    deadlines = Deadlines()
    with pytest.raises(ConnectionError):
        await deadlines.within(1.0, faulty())
    assert await deadlines.within(1.0, _thing(0.2)) == "came"


@with_instant_engines
async def test_a_hundred_messages_take_a_timer_every_second_and_a_half(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks: list[float] = []
    look = Deadlines._look

    def counted(deadlines: Deadlines) -> None:
        looks.append(asyncio.get_running_loop().time())
        look(deadlines)

    monkeypatch.setattr(Deadlines, "_look", counted)
    deadlines = Deadlines()
    for _ in range(100):
        await deadlines.within(1.5, _thing(0.032))
    assert len(looks) == 2  # in 3.2 s
