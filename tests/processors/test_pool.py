"""How long work waits for a thread."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from contextlib import ExitStack
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from processors.pool import Pool

SECS = 10.0
GIVE_UP_SECS = 60.0


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def hand() -> Iterator[Hand]:
    hand = Hand()
    with mock.patch.object(time, "monotonic", hand):
        yield hand


class Job:
    """Work that lasts until it is told to end."""

    def __init__(self, pool: Pool) -> None:
        self.begun = threading.Event()
        self._over = threading.Event()
        self.future: Future[None] = pool.submit(self._run)

    def begins(self) -> None:
        assert self.begun.wait(GIVE_UP_SECS)

    def end(self) -> None:
        self._over.set()
        self.future.result(GIVE_UP_SECS)

    def _run(self) -> None:
        self.begun.set()
        self._over.wait(GIVE_UP_SECS)


def one_at_work_and_one_waiting(pool: Pool) -> tuple[Job, Job]:
    first = Job(pool)
    first.begins()
    return first, Job(pool)


def test_work_among_free_threads_does_not_wait(hand: Hand) -> None:
    with Pool(2, "ears") as pool:
        assert (pool.p50, pool.p99, pool.pending) == (0.0, 0.0, 0)
        for _ in range(5):
            both = [Job(pool), Job(pool)]
            for job in both:
                job.begins()
            hand.now += 3.0  # however long it takes
            for job in both:
                job.end()
        assert (pool.p50, pool.p99) == (0.0, 0.0)


def test_a_wait_counts_while_it_lasts_and_for_ten_seconds_after(hand: Hand) -> None:
    with Pool(1, "voice") as pool:
        first, second = one_at_work_and_one_waiting(pool)
        hand.now += 0.4
        assert pool.p99 == pytest.approx(0.4), "it has no thread yet"
        hand.now += 0.2
        first.end()
        second.begins()
        hand.now += 5.0
        assert pool.p99 == pytest.approx(0.6)
        assert pool.p50 == 0.0, "the first did not wait"
        second.end()
        hand.now += 4.9
        assert pool.p99 == pytest.approx(0.6)
        hand.now += 0.2
        assert pool.p99 == 0.0


def test_work_that_is_taken_back_counts_with_what_it_waited_until_then(hand: Hand) -> None:
    with Pool(1, "voice") as pool:
        first, second = one_at_work_and_one_waiting(pool)
        hand.now += 0.7
        assert second.future.cancel()
        assert pool.pending == 1
        hand.now += 3.0
        assert pool.p99 == pytest.approx(0.7)
        first.end()
        assert not second.begun.is_set()


def test_what_is_forgotten_does_not_count_but_what_still_waits_does(hand: Hand) -> None:
    with Pool(1, "voice") as pool:
        first, second = one_at_work_and_one_waiting(pool)
        hand.now += 0.7
        second.future.cancel()
        third = Job(pool)
        pool.reset_waits()
        assert pool.p99 == 0.0
        hand.now += 0.3
        assert pool.p99 == pytest.approx(0.3)
        first.end()
        third.end()


def test_a_pool_that_is_shut_down_takes_nothing_and_counts_nothing() -> None:
    pool = Pool(1, "ears")
    first = Job(pool)
    first.begins()
    second = pool.submit(int)
    pool.shutdown(wait=False, cancel_futures=True)
    with pytest.raises(CancelledError):
        second.result(GIVE_UP_SECS)
    with pytest.raises(RuntimeError):
        pool.submit(int)
    assert pool.pending == 1
    first.end()
    pool.shutdown()
    assert pool.pending == 0


def test_an_answer_and_a_failure_are_handed_on() -> None:
    with Pool(1, "ears") as pool:
        assert pool.submit(int, "11", base=2).result(GIVE_UP_SECS) == 3
        with pytest.raises(ValueError, match="invalid literal"):
            pool.submit(int, "x").result(GIVE_UP_SECS)


class Queue(RuleBasedStateMachine):
    """Work comes, ends and is taken back in any order, against a plain list of what waited."""

    def __init__(self) -> None:
        super().__init__()
        self.hand = Hand()
        self.stack = ExitStack()
        self.stack.enter_context(mock.patch.object(time, "monotonic", self.hand))
        self.running: list[Job] = []
        self.waiting: list[tuple[Job, float]] = []
        self.waited: list[tuple[float, float]] = []

    @initialize(workers=st.integers(1, 3))
    def open(self, workers: int) -> None:
        self.workers = workers
        self.pool = self.stack.enter_context(Pool(workers, "ears"))

    @rule()
    def comes(self) -> None:
        self.waiting.append((Job(self.pool), self.hand.now))
        self.go_on()

    @rule(secs=st.floats(0.01, 6.0))
    def time_goes_by(self, secs: float) -> None:
        self.hand.now += secs

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def ends(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.running))
        self.running.remove(job)
        job.end()
        self.go_on()

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def is_taken_back(self, data: st.DataObject) -> None:
        job, since = data.draw(st.sampled_from(self.waiting))
        self.waiting.remove((job, since))
        assert job.future.cancel()
        self.waited.append((self.hand.now, self.hand.now - since))

    @invariant()
    def what_is_told_is_what_was_waited(self) -> None:
        now = self.hand.now
        waits = [secs for at, secs in self.waited if now - at < SECS]
        waits += [now - since for _, since in self.waiting]
        if len(waits) <= 100:
            assert self.pool.p99 == max(waits, default=0.0)

    def go_on(self) -> None:
        while self.waiting and len(self.running) < self.workers:
            job, since = self.waiting.pop(0)
            job.begins()
            self.running.append(job)
            self.waited.append((self.hand.now, self.hand.now - since))

    def teardown(self) -> None:
        for job in self.running:
            job.end()
        for job, _ in self.waiting:
            job.end()
        self.stack.close()


TestQueue = Queue.TestCase
TestQueue.settings = settings(stateful_step_count=30)


@given(workers=st.integers(1, 4), jobs=st.integers(1, 40))
def test_all_work_is_counted_once_however_many_threads_there_are(workers: int, jobs: int) -> None:
    with Pool(workers, "ears") as pool:
        done = [pool.submit(int) for _ in range(jobs)]
        for future in done:
            future.result(GIVE_UP_SECS)
    assert pool.pending == 0
    assert len(pool._waits) == jobs
