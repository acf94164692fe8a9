"""Which worker the supervisor hands a connection, by what the workers have told."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from operating.supervisor.workers import Worker, Workers

OPEN = st.lists(st.integers(0, 12), min_size=2, max_size=5)
"""Calls that are open at first, by worker."""


class Crew:
    """A supervisor whose workers are this test."""

    def __init__(self, stack: ExitStack, calls: Sequence[int]) -> None:
        nothing: Any = None
        self.supervisor = Workers([], len(calls), [], address="", stop_secs=1.0)
        stack.callback(self.supervisor._folder.cleanup)
        self._ends = []
        for number, count in enumerate(calls):
            ours, theirs = (stack.enter_context(end) for end in socket.socketpair())
            theirs.setblocking(False)
            self._ends.append(theirs)
            self.supervisor.workers[number] = Worker(number, nothing, ours)
            self.tell(number, up=True, loaded=True, calls=count, taken=0)
        self._caller, _ = (stack.enter_context(end) for end in socket.socketpair())

    def tell(self, number: int, **news: Any) -> None:
        """What a worker tells of itself."""
        self.supervisor.workers[number].update_status(news)

    def call(self) -> int:
        """Somebody calls; the number of the worker that gets them."""
        self.supervisor._hand_over(self._caller)
        (number,) = [number for number, end in enumerate(self._ends) if self._is_given(end)]
        return number

    @staticmethod
    def _is_given(end: socket.socket) -> bool:
        try:
            _, descriptors, _, _ = socket.recv_fds(end, 1, 1)
        except BlockingIOError:
            return False
        for descriptor in descriptors:
            socket.close(descriptor)
        return bool(descriptors)


@contextmanager
def crew(calls: Sequence[int]) -> Iterator[Crew]:
    with ExitStack() as stack:
        yield Crew(stack, calls)


@given(calls=OPEN, callers=st.integers(1, 40), told=st.data())
def test_without_a_ceiling_each_call_goes_where_fewest_are(
    calls: list[int], callers: int, told: st.DataObject
) -> None:
    calls = list(calls)
    taken = [0] * len(calls)
    with crew(calls) as supervisor:
        for _ in range(callers):
            number = supervisor.call()
            assert calls[number] == min(calls)
            calls[number] += 1
            taken[number] += 1
            if told.draw(st.booleans()):  # news comes when it comes
                supervisor.tell(number, calls=calls[number], taken=taken[number])


@given(calls=OPEN, late=st.data())
def test_a_worker_that_is_late_gets_no_call_while_another_keeps_up(
    calls: list[int], late: st.DataObject
) -> None:
    numbers = st.integers(0, len(calls) - 1)
    behind = late.draw(st.sets(numbers, max_size=len(calls) - 1))
    with crew(calls) as supervisor:
        for number in behind:
            supervisor.tell(number, taking=False)
        given_to = {supervisor.call() for _ in range(30)}
        assert not given_to & behind
        for number in range(len(calls)):
            supervisor.tell(number, taking=False)
        assert supervisor.call() in range(len(calls)), (
            "who is told that all lines are busy is told so"
        )


@given(calls=OPEN, ends=st.data())
def test_calls_that_end_make_room_for_the_next(calls: list[int], ends: st.DataObject) -> None:
    ended = ends.draw(st.integers(0, len(calls) - 1))
    with crew([20, *calls]) as supervisor:
        for number in range(len(calls) + 1):
            supervisor.tell(number, calls=20)
        supervisor.tell(ended, calls=17)
        assert [supervisor.call() for _ in range(3)] == [ended] * 3


def test_equal_workers_take_turns() -> None:
    with crew([0, 0, 0]) as supervisor:
        first = [supervisor.call() for _ in range(6)]
        assert sorted(first) == [0, 0, 1, 1, 2, 2]
        supervisor.tell(0, calls=0, taken=2)
        supervisor.tell(1, calls=0, taken=2)
        supervisor.tell(2, calls=0, taken=2)
        answered = []
        for _ in range(6):  # each is answered before the next comes, as pages are
            number = supervisor.call()
            answered.append(number)
            supervisor.tell(number, taken=2 + answered.count(number))
        assert len(set(answered)) == 3
