"""Whether the machine gave a test in real time the time it needed.

``@pytest.mark.real_time`` marks a test that a busy machine can fail, and :func:`in_time` what it
asserts about time: how soon something came, or what came out only if all else was soon enough. If
that does not hold while other programs took more than ``OUTSIDE_SHARE`` of the machine, or while
the run's other workers took most of it *and* a tick came ``LATE_SECS`` late, the test is skipped,
and says how late; on a machine that was free it fails. What the test itself and its processes take
never counts as the machine's being busy, so code that has become slow is not excused. Whatever
else the test asserts, such as a count, fails it on any machine, with a note if it was busy.

Where whoever runs the tests may do so (root may), such a test and what it starts go before the
run's other tests, which can wait.
"""

import os
import subprocess
import threading
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic  # the real one, in tests in virtual time, too

import pytest

OUTSIDE_SHARE = 0.3
"""Of all cores, by programs that are not of this test run: two that always work take 40 % of two
cores beside three workers."""
OTHERS_SHARE = 0.6
"""Of all cores, the run's other workers included."""
LATE_SECS = 0.1
"""So late no tick came at a load of 6 on two cores, so it is more than workers among themselves."""
TICK_SECS = 0.01
PRIORITY = -10
"""Nice value of a test in real time: about nine times an ordinary test's share of a core."""
READINGS = 20
"""Of all processes, at most, until none ends meanwhile; one takes some 5 ms."""

_HERTZ = os.sysconf("SC_CLK_TCK")

clocks: list[Callable[[], float]] = []
"""What else can come late in the running test, such as a page: its worst, in seconds."""


class Lateness:
    """What a test had of the machine, from its start until it is stopped.

    Attributes:
        worst_secs: How late the latest tick of a thread of this process came, or of `clocks`.
        others_share: Of all cores' time, what was taken by processes that are not this test's.
        outside_share: The same by processes that are not of the whole test run.
    """

    def __init__(self) -> None:
        self.worst_secs = 0.0
        self.others_share = self.outside_share = 0.0
        self._over = threading.Event()
        self._ticking = threading.Thread(target=self._tick, daemon=True)

    def start(self) -> None:
        self._before = self._elsewhere_secs()
        self._began = monotonic()
        self._ticking.start()

    def stop(self) -> None:
        self._over.set()
        self._ticking.join()
        self.worst_secs = max(self.worst_secs, *(clock() for clock in clocks), 0.0)
        taken = zip(self._elsewhere_secs(), self._before, strict=True)
        secs = (monotonic() - self._began) * (os.cpu_count() or 1)
        self.others_share, self.outside_share = (
            max(0.0, now - before) / max(secs, 1e-3) for now, before in taken
        )

    @property
    def excuses(self) -> bool:
        """Whether the machine was too busy for a test in real time."""
        crowded = self.others_share > OTHERS_SHARE and self.worst_secs > LATE_SECS
        return crowded or self.outside_share > OUTSIDE_SHARE

    @staticmethod
    def _elsewhere_secs() -> tuple[float, float]:
        """What all but this test has worked, and all but this test run."""
        run = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
        processes = _Processes()
        busy = _busy_secs()
        return busy - processes.tree_secs(os.getpid()), busy - processes.tree_secs(run)

    def _tick(self) -> None:
        due = monotonic() + TICK_SECS
        while not self._over.wait(max(0.0, due - monotonic())):
            now = monotonic()
            self.worst_secs = max(self.worst_secs, now - due)
            due = now + TICK_SECS


def _busy_secs() -> float:
    """What all cores have worked since the machine started."""
    user, nice, system, _idle, _iowait, irq, softirq, steal, *_ = (
        int(ticks) for ticks in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    )
    return (user + nice + system + irq + softirq + steal) / _HERTZ


class _Processes:
    """What each process has worked, and whose child it is.

    A process that ends while they are read hands what it worked to its parent, which may have been
    read before: then they are read again, or the machine would seem idle for as long as it worked.
    """

    def __init__(self, proc: Path = Path("/proc")) -> None:
        for _ in range(READINGS):
            self._children: dict[int, list[int]] = defaultdict(list)
            self._worked: dict[int, int] = {}
            listed = _numbers(proc)
            for number in listed:
                try:
                    stat = (proc / str(number) / "stat").read_text()
                except OSError:
                    continue  # it has ended
                fields = stat.rpartition(")")[2].split()
                self._children[int(fields[1])].append(number)
                self._worked[number] = sum(map(int, fields[11:15]))  # its ended children's, too
            if set(listed) <= set(_numbers(proc)):
                break

    def tree_secs(self, root: int) -> float:
        """What a process and all that it started have worked, those that have ended included."""
        ours, total = [root], 0
        while ours:
            number = ours.pop()
            total += self._worked.get(number, 0)
            ours += self._children[number]
        return total / _HERTZ


def _numbers(proc: Path) -> list[int]:
    return [int(entry.name) for entry in proc.iterdir() if entry.name.isdigit()]


class TooLateError(AssertionError):
    """What was asserted under :func:`in_time` did not hold."""


@contextmanager
def in_time() -> Iterator[None]:
    """What is asserted here is about time: if it does not hold, a busy machine may be the cause.

    Raises:
        TooLateError: An assertion did not hold, or something was waited for in vain.
    """
    try:
        yield
    except (AssertionError, TimeoutError, subprocess.TimeoutExpired) as error:
        raise TooLateError(f"{type(error).__name__}: {error}") from error


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "real_time: a busy machine can fail what it asserts about time: see lateness.py"
    )


@contextmanager
def first_in_line() -> Iterator[None]:
    """What this thread does here, and the processes and threads it starts, go before other tests.

    A browser or a server keeps the priority at which it was started, so those that tests in real
    time share are started under this.
    """
    usual = os.getpriority(os.PRIO_PROCESS, 0)
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, usual)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Fixtures included."""
    if item.get_closest_marker("real_time") is None:
        return (yield)
    with first_in_line():
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    if item.get_closest_marker("real_time") is None:
        return (yield)
    lateness = Lateness()
    lateness.start()
    try:
        return (yield)
    except Exception as error:
        lateness.stop()
        if not lateness.excuses:
            raise
        busy = (
            f"{lateness.worst_secs:.3f} s late, other work took {lateness.others_share:.0%} of it"
        )
        if not isinstance(error, TooLateError):
            error.add_note(f"The machine was busy ({busy}), which does not excuse this.")
            raise
        pytest.skip(f"machine too busy for {item.nodeid}: {busy}; {error}"[:400])
    finally:
        lateness._over.set()
        clocks.clear()
