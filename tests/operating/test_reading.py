import asyncio
import threading

import pytest

from operating.reading import Reading


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Source:
    """A value that may be slow, or not be there; counts how often it is read."""

    def __init__(self) -> None:
        self.read = 0
        self.trouble: Exception | None = None
        self.open = threading.Event()
        self.open.set()

    def __call__(self) -> int:
        self.read += 1
        assert self.open.wait(10.0)
        if self.trouble is not None:
            raise self.trouble
        return self.read


async def test_a_value_is_read_anew_only_when_it_is_stale() -> None:
    source, clock = Source(), Clock()
    reading = Reading(source, fresh_secs=5.0, clock=clock)
    assert await asyncio.gather(*(reading.get() for _ in range(50))) == [1] * 50
    clock.now += 4.9
    assert await reading.get() == 1
    clock.now += 0.1
    assert await reading.get() == 2


async def test_one_that_hangs_is_waited_for_so_long_and_takes_one_thread() -> None:
    source = Source()
    source.open.clear()
    reading = Reading(source, timeout_secs=0.02)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await reading.get()
    assert source.read == 1
    source.open.set()
    assert await reading.get() == 1, "the reading that was under way is the answer"


async def test_a_failure_is_raised_and_remembered_as_long_as_a_value() -> None:
    source, clock = Source(), Clock()
    source.trouble = OSError("no such database")
    reading = Reading(source, fresh_secs=5.0, clock=clock)
    for _ in range(3):
        with pytest.raises(OSError, match="no such database"):
            await reading.get()
    assert source.read == 1
    source.trouble = None
    clock.now += 5.0
    assert await reading.get() == 2
