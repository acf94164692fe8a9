"""Workers on one port, and their supervisor; they serve pages here, and no calls."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, Self

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from operating.supervisor.workers import listen

START_SECS = 60.0

SETTLED_SECS = 0.2
"""By then the supervisor knows what has become of the connections it gave."""


class Crew:
    """A supervisor and its workers."""

    def __init__(self, *options: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.operating.supervisor.supervised", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self.greeting = self.process.stdout.readline().split()
        self.url = self.greeting[0] if self.greeting else ""
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self.session = await self._stack.enter_async_context(aiohttp.ClientSession())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        for pid in self.left():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.communicate()

    def left(self) -> list[int]:
        """The processes of it that run."""
        left = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                state, _, _, session, *_ = stat.read_text().rpartition(")")[2].split()
                if int(session) == self.process.pid and state != "Z":
                    left.append(int(stat.parent.name))
        return left

    async def who(self) -> dict[str, int]:
        """Who answers a new connection."""
        headers = {"Connection": "close"}
        async with self.session.get(self.url, headers=headers) as answer:
            told: dict[str, int] = await answer.json()
            return told

    async def hold(self) -> tuple[aiohttp.ClientWebSocketResponse, dict[str, int]]:
        """Something like a call, and who holds it."""
        held = await self.session.ws_connect(f"{self.url}/hold")
        return held, await held.receive_json()

    async def everybody(self, count: int) -> dict[int, int]:
        """The workers' processes by number, once as many answer."""
        answered: dict[int, int] = {}

        async def all_there() -> bool:
            told = await self.who()
            answered[told["number"]] = told["pid"]
            return len(answered) == count

        await until(all_there)
        return answered

    async def ended(self, secs: float = 60.0) -> int:
        """Its exit status, which comes in time, after which nothing of it is left."""
        status = await asyncio.to_thread(self.process.wait, secs)
        assert self.left() == []
        return status


async def until(condition: Callable[[], Any], secs: float = START_SECS) -> None:
    give_up = time.monotonic() + secs
    while True:
        met = condition()
        if await met if asyncio.iscoroutine(met) else met:
            return
        assert time.monotonic() < give_up, "it does not come to pass"
        await asyncio.sleep(0.02)


async def test_one_address_is_told_once_and_calls_are_spread_evenly() -> None:
    async with Crew("--count", "3") as crew:
        assert crew.greeting == [crew.url, "a", "test", "http://sign-in"]
        await crew.everybody(3)
        await asyncio.sleep(SETTLED_SECS)
        held = await asyncio.gather(*(crew.hold() for _ in range(30)))
        shares = Counter(told["number"] for _, told in held)
        assert all(9 <= shares[number] <= 11 for number in range(3)), shares
        assert crew.process.stdout is not None
        lines: list[str] = []
        while not lines or lines[-1] != "ready 1.0":
            lines.append(crew.process.stdout.readline().strip())
        assert lines.count("ready 1.0") == 1
        assert all(line.startswith(("ears ", "ready ")) for line in lines)


async def test_a_worker_that_is_full_gets_no_calls_while_another_has_room() -> None:
    async with Crew("--most", "5") as crew:
        await crew.everybody(2)
        await asyncio.sleep(SETTLED_SECS)
        first = [await crew.hold() for _ in range(10)]
        of_nought = [held for held, told in first if told["number"] == 0]
        assert len(of_nought) == 5
        for held in of_nought[:3]:
            await held.close()
        await asyncio.sleep(SETTLED_SECS)
        more = [(await crew.hold())[1]["number"] for _ in range(3)]
        assert more == [0, 0, 0]


async def test_a_worker_that_is_killed_is_replaced_and_the_others_calls_go_on() -> None:
    async with Crew() as crew:
        before = await crew.everybody(2)
        held = [await crew.hold() for _ in range(6)]
        os.kill(before[1], signal.SIGKILL)
        for socket_held, told in held:
            if told["number"] == 1:
                message = await socket_held.receive(timeout=60.0)
                assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
        answers = {(await crew.who())["number"] for _ in range(5)}
        assert answers <= {0, 1}, "the port is never without somebody who answers"
        await until(lambda: len(crew.left()) == 3)

        async def replaced() -> bool:
            told = await crew.who()
            return told["number"] == 1 and told["pid"] != before[1]

        await until(replaced)
        for socket_held, told in held:
            if told["number"] == 0:
                assert not socket_held.closed
                await socket_held.ping()
        crew.process.send_signal(signal.SIGINT)
        assert await crew.ended() == 0


async def test_sigterm_lets_calls_finish_and_a_second_one_does_not() -> None:
    async with Crew() as crew:
        await crew.everybody(2)
        held = [await crew.hold() for _ in range(4)]
        crew.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.4)  # of the second that they may take
        assert crew.process.poll() is None
        assert not any(connection.closed for connection, _ in held)
        crew.process.send_signal(signal.SIGTERM)
        assert await crew.ended() == 0


@pytest.mark.thorough
async def test_ctrl_c_in_a_terminal_ends_all_of_it() -> None:
    async with Crew() as crew:
        await crew.everybody(2)
        held = [await crew.hold() for _ in range(2)]
        os.killpg(crew.process.pid, signal.SIGINT)  # a terminal signals the whole group
        assert await crew.ended() == 0
        assert len(held) == 2


@pytest.mark.thorough
async def test_a_worker_that_will_not_end_is_killed() -> None:
    async with Crew("--stubborn") as crew:
        await crew.everybody(2)
        crew.process.send_signal(signal.SIGTERM)
        assert await crew.ended() == 0


@pytest.mark.thorough
async def test_no_worker_outlives_a_supervisor_that_is_killed() -> None:
    async with Crew() as crew:
        await crew.everybody(2)
        held, _ = await crew.hold()
        crew.process.send_signal(signal.SIGKILL)
        await until(lambda: crew.left() == [])
        assert (await held.receive(timeout=60.0)).type is not aiohttp.WSMsgType.TEXT


@pytest.mark.thorough
async def test_what_is_wrong_is_said_by_the_first_worker_alone() -> None:
    async with Crew("--refuse", "--count", "4") as crew:
        assert crew.greeting == []
        assert await crew.ended() == 2


@pytest.mark.thorough
async def test_all_end_when_no_worker_can_load_its_engines() -> None:
    async with Crew("--unloadable", "--count", "2") as crew:
        assert await crew.ended() == 2


@pytest.mark.thorough
async def test_whoever_answers_tells_the_metrics_of_all() -> None:
    async with Crew("--metrics") as crew:
        workers = await crew.everybody(2)
        held = [await crew.hold() for _ in range(3)]

        async def told() -> dict[str, float]:
            async with crew.session.get(f"{crew.url}/metrics") as answer:
                assert answer.status == 200
                return {
                    sample.labels["worker"]: sample.value
                    for family in text_string_to_metric_families(await answer.text())
                    for sample in family.samples
                    if sample.name == "viva_calls_open"
                }

        for _ in range(3):
            assert sorted((await told()).items()) in (
                [("0", 1.0), ("1", 2.0)],
                [("0", 2.0), ("1", 1.0)],
            )
        os.kill(workers[0], signal.SIGSTOP)
        try:
            await asyncio.sleep(0.1)
            given = [asyncio.create_task(told()) for _ in range(2)]
            done, waiting = await asyncio.wait(given, timeout=4.0)
            assert all(set(task.result()) == {"1"} for task in done), "what hangs is left out"
            for task in waiting:
                task.cancel()
        finally:
            os.kill(workers[0], signal.SIGCONT)
        assert not any(connection.closed for connection, _ in held)


def test_a_port_that_is_taken_is_said_to_be() -> None:
    listeners, address = listen("127.0.0.1", 0)
    port = int(address.rpartition(":")[2])
    try:
        with pytest.raises(OSError, match="in use"):
            listen("127.0.0.1", port)
    finally:
        for listener in listeners:
            listener.close()
    again, _ = listen("127.0.0.1", port)
    assert again[0].family is socket.AF_INET
    again[0].close()
