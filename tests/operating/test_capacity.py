import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from evals.replay import virtual_time
from operating.capacity import Capacity
from operating.lag import EventLoopLag
from processors.pool import Pool
from settings import Settings
from transports.switchboard import Switchboard

MAX_LAG_SECS = 0.1


class Lateness(EventLoopLag):
    """A loop that is as late as the test says."""

    late = 0.0

    @property
    def p99(self) -> float:
        return self.late


class Queue(Pool):
    """An engine's threads, for which work waits as long as the test says."""

    wait = 0.0

    @property
    def p99(self) -> float:
        return self.wait


def course(*stretches: tuple[float, ...]) -> tuple[list[bool], str]:
    """How it goes with stretches of so many seconds, in which the loop is so late.

    Args:
        stretches: Seconds, lateness, and if there are any, waits for the threads of engines.

    Returns:
        Whether there was room at the end of each second, and in words why there was none at last.
    """

    async def play() -> tuple[list[bool], str]:
        lag = Lateness()
        queues = Queue(1, "whisper"), Queue(1, "hibari")
        capacity = Capacity(lag, max_lag_secs=MAX_LAG_SECS, pools=lambda: queues)
        capacity.start()
        room = []
        for secs, lag.late, *waits in stretches:
            for queue, wait in zip(queues, waits or (0.0, 0.0), strict=True):
                queue.wait = wait
            for _ in range(round(secs)):
                await asyncio.sleep(1.0)
                room.append(capacity.room)
        capacity.close()
        return room, capacity.trouble

    return virtual_time.run(play())


def changes(room: Sequence[bool]) -> int:
    """How often it changed, from a process that has room."""
    return sum(before is not after for before, after in zip([True, *room], room, strict=False))


def test_a_process_that_is_late_has_no_room_until_it_is_well_on_time_again() -> None:
    allowed = course((30, 0.09))
    assert allowed == ([True] * 30, "")
    room, trouble = course((10, 0.02), (5, 0.187))
    assert room[-4:] == [False] * 4
    assert trouble == "The event loop is 187 ms late; calls are accepted again below 50 ms."
    room, _ = course((5, 0.2), (30, 0.06))
    assert not room[-1], "60 ms are allowed, but not yet well on time"
    room, trouble = course((5, 0.2), (30, 0.06), (3, 0.04))
    assert (room[-1], trouble) == (True, "")
    assert changes(room) == 2


def test_a_process_at_its_limit_does_not_take_and_refuse_by_turns() -> None:
    room, _ = course(*[(2, 0.11), (2, 0.09)] * 20)
    assert changes(room) == 1


def test_work_that_waits_for_an_engine_counts_as_a_late_loop_does() -> None:
    assert course((30, 0.09, 0.09, 0.09)) == ([True] * 30, "")
    room, trouble = course((5, 0.02, 0.03, 0.412))
    assert room[-3:] == [False] * 3
    assert trouble == (
        "Work for hibari waits 412 ms for a thread; calls are accepted again below 50 ms."
    )
    _, trouble = course((5, 0.02, 0.2, 0.15))
    assert trouble.startswith("Work for whisper waits 200 ms for a thread; ")
    _, trouble = course((5, 0.25, 0.2, 0.15))
    assert trouble.startswith("The event loop is 250 ms late; "), "the later of them is told"


def test_there_is_room_again_when_neither_is_late() -> None:
    room, trouble = course((5, 0.0, 0.2, 0.0), (5, 0.06, 0.0, 0.0))
    assert not room[-1]
    assert trouble.startswith("The event loop is 60 ms late; ")
    room, _ = course((5, 0.0, 0.2, 0.0), (5, 0.0, 0.0, 0.06), (3, 0.04, 0.04, 0.04))
    assert (room[-4], room[-1], changes(room)) == (False, True, 2)


def test_one_short_stall_closes_nothing_and_a_long_one_is_felt_for_ten_seconds() -> None:
    async def play() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, virtual_time.VirtualTimeLoop)
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

    virtual_time.run(play())


def test_changes_are_logged_once_each(log: list[str]) -> None:
    course((10, 0.3), (15, 0.0))
    assert [line.partition(":")[0] for line in log] == [
        "refusing further calls",
        "accepting calls again",
    ]


@pytest.mark.parametrize(
    ("most", "lines", "room", "full"),
    [
        pytest.param(0, 0, True, False, id="nobody calls"),
        pytest.param(0, 500, True, False, id="there is no ceiling, and all keeps up"),
        pytest.param(0, 2, False, True, id="what is measured says that two are enough"),
        pytest.param(0, 0, False, False, id="an idle process is late for another reason"),
        pytest.param(3, 2, True, False, id="below the ceiling"),
        pytest.param(3, 3, True, True, id="at the ceiling"),
        pytest.param(3, 1, False, True, id="late below the ceiling"),
        pytest.param(1, 0, False, False, id="idle, with a ceiling"),
    ],
)
def test_lines_are_busy_by_what_is_measured_or_by_a_ceiling(
    most: int, lines: int, room: bool, full: bool
) -> None:
    settings = Settings(_env_file=None, max_calls=most)  # type: ignore[call-arg]
    nobody: Any = None
    switchboard = Switchboard(settings, nobody, nobody, nobody, room=lambda: room)
    switchboard.lines = lines
    assert switchboard.full is full
