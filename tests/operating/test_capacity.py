import asyncio
from collections.abc import Sequence

from operating.capacity import Capacity
from operating.lag import EventLoopLag
from pipeline import clock

MAX_LAG_SECS = 0.1


class Lateness(EventLoopLag):
    """A loop that is as late as the test says."""

    late = 0.0

    @property
    def p99(self) -> float:
        return self.late


def course(*stretches: tuple[float, float]) -> tuple[list[bool], str]:
    """How it goes with stretches of so many seconds, in which the loop is so late.

    Returns:
        Whether there was room at the end of each second, and in words why there was none at last.
    """

    async def play() -> tuple[list[bool], str]:
        lag = Lateness()
        capacity = Capacity(lag, max_lag_secs=MAX_LAG_SECS)
        capacity.start()
        room = []
        for secs, late in stretches:
            lag.late = late
            for _ in range(round(secs)):
                await asyncio.sleep(1.0)
                room.append(capacity.room)
        capacity.close()
        return room, capacity.trouble

    return clock.run(play())


def changes(room: Sequence[bool]) -> int:
    """How often it changed, from a process that has room."""
    return sum(before is not after for before, after in zip([True, *room], room, strict=False))


def test_a_process_that_is_late_has_no_room_until_it_is_well_on_time_again() -> None:
    allowed = course((30, 0.09))
    assert allowed == ([True] * 30, "")
    room, trouble = course((10, 0.02), (5, 0.187))
    assert room[-4:] == [False] * 4
    assert (
        trouble == "The event loop is 187 ms late; further calls are taken once it is below 50 ms."
    )
    room, _ = course((5, 0.2), (30, 0.06))
    assert not room[-1], "60 ms are allowed, but not yet well on time"
    room, trouble = course((5, 0.2), (30, 0.06), (3, 0.04))
    assert (room[-1], trouble) == (True, "")
    assert changes(room) == 2


def test_a_process_at_its_limit_does_not_take_and_refuse_by_turns() -> None:
    room, _ = course(*[(2, 0.11), (2, 0.09)] * 20)
    assert changes(room) == 1


def test_one_short_stall_closes_nothing_and_a_long_one_is_felt_for_ten_seconds() -> None:
    async def play() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, clock.VirtualTimeLoop)
        lag = EventLoopLag()
        capacity = Capacity(lag, max_lag_secs=MAX_LAG_SECS)
        lag.start()
        capacity.start()
        await asyncio.sleep(10.0)
        loop.advance(0.15)
        await asyncio.sleep(3.0)
        room = [capacity.room]
        loop.advance(1.0)
        for secs in (8.0, 4.0):
            await asyncio.sleep(secs)
            room.append(capacity.room)
        capacity.close()
        lag.close()
        assert room == [True, False, True]

    clock.run(play())


def test_changes_are_logged_once_each(log: list[str]) -> None:
    course((10, 0.3), (15, 0.0))
    assert [line.partition(":")[0] for line in log] == [
        "no further calls are taken",
        "further calls are taken again",
    ]
