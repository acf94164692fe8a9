"""A network between a page and its server: it delays, jitters, stalls, and can be gone."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import threading
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

READ_BYTES = 1460
"""A packet's worth: what is delayed and lost as one."""

HEADER_BYTES = 40
"""What a packet takes besides: TCP's header and IP's."""


@dataclass(frozen=True)
class Quality:
    """How a network carries packets; what is lost comes after a stall, and all behind it.

    Parameters:
        round_trip_secs: Both ways together.
        jitter_secs: By how much each way differs from half of that, at most.
        loss: Share of packets that are lost once.
        stall_secs: How long it takes until a lost packet has been sent again.
        up_bits_per_sec: What it carries from the page; infinity for a fast one.
        down_bits_per_sec: What it carries to it.
    """

    round_trip_secs: float = 0.0
    jitter_secs: float = 0.0
    loss: float = 0.0
    stall_secs: float = 0.25
    up_bits_per_sec: float = math.inf
    down_bits_per_sec: float = math.inf


class Network:
    """A TCP proxy in a thread of its own.

    Parameters:
        port: Of the server on this machine.
        quality: How it carries packets.
        seed: Of what is lost and late.
    """

    def __init__(self, port: int, quality: Quality, *, seed: int = 1) -> None:
        self.quality = quality
        self.port = 0
        self.there = True
        self._server_port = port
        self._random = random.Random(seed)
        self._free = {True: 0.0, False: 0.0}
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """Be gone: what is under way is lost, and nobody is told."""
        self.there = False

    def mend(self) -> None:
        """Carry new connections; those from before stay dead."""
        self.there = True

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connect(self, page: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        while not self.there:  # a packet that opens a connection is sent again and again
            await asyncio.sleep(0.05)
        server, on = await asyncio.open_connection("127.0.0.1", self._server_port)
        alive = [True]
        for reader, writer, up in ((page, on, True), (server, back, False)):
            task = self._loop.create_task(self._carry(reader, writer, alive, up=up))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _carry(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        alive: list[bool],
        *,
        up: bool,
    ) -> None:
        """Carry one direction, in order; what is slow queues up, as at a bad router."""
        packets: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        delivering = self._loop.create_task(self._deliver(packets, writer, alive))
        try:
            while data := await reader.read(READ_BYTES):
                if not self.there:
                    alive[0] = False
                packets.put_nowait((self._through(len(data), up=up) + self._delay(), data))
            packets.put_nowait((self._through(0, up=up) + self._delay(), b""))
            await delivering
        except ConnectionError:
            packets.put_nowait((0.0, b""))
            await delivering
        finally:
            delivering.cancel()

    def _through(self, size: int, *, up: bool) -> float:
        """When a packet is through the slow part of the way, which all connections share."""
        quality = self.quality
        bits = 8 * (size + HEADER_BYTES)
        rate = quality.up_bits_per_sec if up else quality.down_bits_per_sec
        self._free[up] = max(self._free[up], time.monotonic()) + bits / rate
        return self._free[up]

    def _delay(self) -> float:
        quality, chance = self.quality, self._random
        delay = quality.round_trip_secs / 2 + chance.uniform(-1, 1) * quality.jitter_secs
        if chance.random() < quality.loss:
            delay += quality.stall_secs
        return max(0.0, delay)

    async def _deliver(
        self,
        packets: asyncio.Queue[tuple[float, bytes]],
        writer: asyncio.StreamWriter,
        alive: list[bool],
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                due, data = await packets.get()
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                if not (alive[0] and self.there):
                    alive[0] = False
                    continue
                if not data:
                    break
                writer.write(data)
                await writer.drain()
        writer.close()
