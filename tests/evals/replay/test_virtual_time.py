"""Virtual time: timers cost nothing, threads freeze the clock, and every run is the same."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from evals.replay import virtual_time
from evals.replay.virtual_time import START, VirtualTimeLoop

real_sleep = time.sleep
real_clock = time.perf_counter


def work(secs: float, answer: str = "") -> str:
    real_sleep(secs)
    return answer


class OwnTime(threading.local):
    """A clock that each thread moves for itself, by what its work is to take."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def virtual_loop() -> VirtualTimeLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    return loop


def test_an_hour_of_timers_takes_no_time_and_every_clock_shows_it() -> None:
    async def hour() -> list[float]:
        await asyncio.sleep(3_600)
        return [time.time(), time.monotonic(), time.perf_counter(), time.time_ns() / 1e9]

    began = real_clock()
    shown = virtual_time.run(hour())

    assert real_clock() - began < 60
    assert shown == pytest.approx([START + 3_600] * 4)


def test_whoever_sleeps_for_the_rest_of_a_time_gets_there() -> None:
    async def main() -> float:
        loop = virtual_loop()
        for rest in (3e-7, 1e-6):  # less than a float of a billion seconds, or the loop, can tell
            due = loop.time() + rest
            while (left := due - loop.time()) > 0:
                await asyncio.sleep(left)
        began = loop.time()
        await asyncio.sleep(1e-16)
        return loop.time() - began

    assert 0 < virtual_time.run(main()) < 1e-5


def test_a_thread_freezes_the_clock() -> None:
    async def main() -> tuple[str, float]:
        timer = asyncio.create_task(asyncio.sleep(0.001))
        answer = await asyncio.to_thread(work, 0.05, "done")
        assert not timer.done()
        return answer, time.time()

    assert virtual_time.run(main()) == ("done", START)


def test_threads_are_heard_in_the_order_in_which_they_were_asked_however_long_they_take() -> None:
    async def steps(slow: float, fast: float) -> list[str]:
        loop, said = virtual_loop(), list[str]()

        def speak(name: str, secs: float) -> None:
            loop.call_soon_threadsafe(said.append, f"{name} begins")
            real_sleep(secs)
            loop.call_soon_threadsafe(said.append, f"{name} goes on")

        async def ask(name: str, secs: float) -> None:
            await asyncio.to_thread(speak, name, secs)
            said.append(f"{name} is heard")

        async def meanwhile() -> None:
            for step in range(5):
                await asyncio.sleep(0)
                said.append(f"step {step}")

        await asyncio.gather(ask("first", slow), ask("second", fast), meanwhile())
        return said

    runs = [virtual_time.run(steps(*secs)) for secs in ((0.05, 0.0), (0.0, 0.05), (0.0, 0.0))]

    assert runs[0] == runs[1] == runs[2]
    assert runs[0].index("first is heard") < runs[0].index("second begins")


def test_what_a_thread_took_is_counted_and_what_is_due_before_comes_first() -> None:
    clock_of_work, go = OwnTime(), threading.Event()

    async def main() -> list[tuple[str, float]]:
        loop, seen = virtual_loop(), list[tuple[str, float]]()

        def see(what: str) -> None:
            seen.append((what, loop.time() - START))

        def speak() -> None:
            assert go.wait(60)
            for chunk in ("chunk 1", "chunk 2"):
                clock_of_work.now += 0.05
                loop.call_soon_threadsafe(see, chunk)
            clock_of_work.now += 0.05

        for due in (0.025, 0.075, 0.125):
            loop.call_later(due, see, "timer")
        speaking = asyncio.create_task(asyncio.to_thread(speak))
        loop.call_soon(loop.call_soon, go.set)
        await speaking
        see("answer")
        return seen

    seen = virtual_time.run(main(), counted=True, counted_by=clock_of_work)

    assert [what for what, _ in seen] == ["timer", "chunk 1", "timer", "chunk 2", "timer", "answer"]
    moments = [at for what, at in seen if what != "timer"]
    assert moments == pytest.approx([0.05, 0.1, 0.15], abs=1e-5)


def test_counted_threads_that_work_at_once_each_take_their_own_time() -> None:
    clock_of_work, at_work, go = OwnTime(), threading.Barrier(2), threading.Event()

    def take(secs: float) -> None:
        at_work.wait(60)
        assert go.wait(60)
        clock_of_work.now = secs

    async def main() -> list[tuple[str, float]]:
        arrived: list[tuple[str, float]] = []

        async def ask(name: str, secs: float) -> None:
            await asyncio.to_thread(take, secs)
            arrived.append((name, time.time() - START))

        virtual_loop().call_soon(virtual_loop().call_soon, go.set)
        await asyncio.gather(ask("slow", 0.15), ask("fast", 0.05))
        return arrived

    (first, at), (second, later) = virtual_time.run(main(), counted=True, counted_by=clock_of_work)

    assert (first, second) == ("fast", "slow")
    assert (at, later) == pytest.approx((0.05, 0.15), abs=1e-5)


def test_counted_work_waits_for_the_work_before_it_in_its_thread() -> None:
    clock_of_work = OwnTime()

    def take(secs: float) -> None:
        clock_of_work.now += secs

    async def main() -> tuple[float, float]:
        with ThreadPoolExecutor(1) as one:

            async def ask(secs: float) -> float:
                await virtual_loop().run_in_executor(one, take, secs)
                return time.time() - START

            return await asyncio.gather(ask(0.2), ask(0.05))

    arrived = virtual_time.run(main(), counted=True, counted_by=clock_of_work)

    assert arrived == pytest.approx([0.2, 0.25], abs=1e-5)


@pytest.mark.parametrize("counted", [False, True])
def test_a_threads_fault_is_the_askers(counted: bool) -> None:
    def fail() -> None:
        raise LookupError("no such word")

    async def main() -> None:
        await asyncio.to_thread(fail)

    with pytest.raises(LookupError, match="no such word"):
        virtual_time.run(main(), counted=counted)


@pytest.mark.parametrize("counted", [False, True])
def test_work_that_is_taken_back_in_the_queue_is_never_done(counted: bool) -> None:
    async def main() -> list[str]:
        loop, done, go = virtual_loop(), list[str](), threading.Event()

        def first() -> None:
            go.wait(60)
            done.append("first")

        with ThreadPoolExecutor(1) as one:
            running = loop.run_in_executor(one, first)
            queued = loop.run_in_executor(one, done.append, "second")
            queued.cancel()
            await asyncio.sleep(0)
            go.set()
            await running
            with pytest.raises(asyncio.CancelledError):
                await queued
        return done

    assert virtual_time.run(main(), counted=counted) == ["first"]


@pytest.mark.parametrize("counted", [False, True])
def test_a_real_clock_runs_while_it_is_asked_for(counted: bool) -> None:
    async def main() -> tuple[float, float, float]:
        loop = virtual_loop()
        await asyncio.sleep(60)
        began, before = real_clock(), loop.time()
        with loop.real_time():
            await asyncio.sleep(0.05)
            with loop.real_time():
                await asyncio.to_thread(work, 0.05)
            await asyncio.sleep(0.02)
        virtual, real = loop.time() - before, real_clock() - began
        await asyncio.sleep(60)
        return virtual, real, loop.time() - START

    virtual, real, whole = virtual_time.run(main(), counted=counted)

    assert 0.12 <= virtual <= real
    assert whole == pytest.approx(120 + virtual, abs=0.01)


def test_a_thread_of_nobody_is_heard_at_once() -> None:
    async def main() -> float:
        loop, heard = virtual_loop(), asyncio.Event()
        threading.Thread(target=lambda: loop.call_soon_threadsafe(heard.set)).start()
        await heard.wait()
        return loop.time()

    assert virtual_time.run(main()) == START


def test_work_can_be_counted_by_what_it_computes_and_not_by_what_it_waits_for() -> None:
    async def took() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.to_thread(threading.Event().wait, 0.3)
        return loop.time() - began

    assert virtual_time.run(took(), counted=True) >= 0.3
    assert virtual_time.run(took(), counted=True, counted_by=virtual_time.cpu_clock) < 0.2


def test_what_others_compute_meanwhile_is_theirs() -> None:
    at_work = threading.Barrier(2)

    def compute(secs: float) -> float:
        began = time.thread_time()
        at_work.wait(60)
        while time.thread_time() < began + secs:
            pass
        at_work.wait(60)
        return time.thread_time() - began

    async def took(secs: float) -> tuple[float, float]:
        began = time.time()
        computed = await asyncio.to_thread(compute, secs)
        return time.time() - began, computed

    async def both() -> tuple[tuple[float, float], tuple[float, float]]:
        return await asyncio.gather(took(0.03), took(0.06))

    for _ in range(3):  # the next threads have the identifiers of those that have ended
        fast, slow = virtual_time.run(both(), counted=True, counted_by=virtual_time.cpu_clock)
        # A host that takes the processor away lengthens what a thread counts, so each is held to
        # its own count: with the other's, it would be 0.09 s.
        for secs, computed in (fast, slow):
            assert computed <= secs < computed + 0.02


@pytest.mark.parametrize("counted", [False, True])
def test_a_child_process_takes_the_time_that_it_takes(counted: bool) -> None:
    async def main() -> tuple[float, float]:
        loop, real = asyncio.get_running_loop(), real_clock()
        began = loop.time()
        child = await asyncio.create_subprocess_exec("sleep", "0.1")
        async with asyncio.timeout(10.0):
            assert await child.wait() == 0
        took, really = loop.time() - began, real_clock() - real
        assert 0.1 <= took <= really
        with pytest.raises(FileNotFoundError):
            await asyncio.create_subprocess_exec("there-is-no-such-program")
        began = loop.time()
        await asyncio.sleep(60)
        return loop.time() - began, real_clock() - real - really

    virtual, real = virtual_time.run(main(), counted=counted)
    assert virtual == pytest.approx(60.0, abs=0.01)
    assert real < 30
