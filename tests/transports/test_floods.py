"""A caller who sends more than any client needs ends their own call, and is noticed by nobody."""

import asyncio
import json
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.caller import Caller
from tests.conftest import AUDIO, ServerFactory, in_virtual_time
from transports.browser.page import BYTES_AT_ONCE, MESSAGES_AT_ONCE, MESSAGES_PER_SEC
from transports.flood import CLOSE_FRAME, SLICE_BYTES, Allowance, ByteGuard

TEXT, BINARY, PING = 0x81, 0x82, 0x89
FRAGMENT = 0x00


def client_message(kind: str, data: dict[str, Any]) -> bytes:
    payload = {"t": kind, "d": data}
    message = {"label": "rtvi-ai", "type": "client-message", "id": "2", "data": payload}
    return frame(TEXT, json.dumps(message).encode())


def frame(head: int, payload: bytes) -> bytes:
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else bytes([0xFE]) + struct.pack(">H", size)
    return bytes([head]) + length + bytes(4) + payload


READY = frame(
    TEXT,
    json.dumps(
        {
            "label": "rtvi-ai",
            "type": "client-ready",
            "id": "1",
            "data": {"version": "2.2.0", "about": {"library": "x"}},
        }
    ).encode(),
)
FLOODS = {
    "questions of the time": client_message("clock", {"sent": 1.0}),
    "reports of playback": client_message("playback", {"epoch": 0, "samples": 1}),
    "reports of what is audible": client_message("audible", {"epoch": 0, "sample": 0, "at": 0.0}),
    "starts": READY,
    "empty audio": frame(BINARY, b""),
    "single samples": frame(BINARY, b"\0\0"),
    "long audio": frame(BINARY, bytes(32_000)),
    "pings": frame(PING, b"x" * 100),
    "pongs": frame(0x8A, b""),
    "empty fragments": frame(FRAGMENT, b""),
    "fragments of a byte": frame(FRAGMENT, b"x"),
}


class Flooder:
    """A connection that says one thing, as often as the server lets it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.sent_bytes = 0
        self.heard = b""

    async def flood(self, what: bytes) -> None:
        """Send it until the server has closed the connection."""
        listening = asyncio.create_task(self._listen())
        if what[0] == FRAGMENT:
            self._writer.write(frame(0x01, b""))  # the beginning of a message without an end
        pack = what * max(1, 4_000 // len(what))
        with suppress(ConnectionError):
            while not listening.done():
                self._writer.write(pack)
                self.sent_bytes += len(pack)
                await self._writer.drain()
                await asyncio.sleep(0)
        await listening

    async def _listen(self) -> None:
        with suppress(ConnectionError):
            while data := await self._reader.read(65_536):
                self.heard += data
                if b'"type": "end"' in self.heard:
                    return

    @property
    def ended(self) -> str:
        """The reason that the call has ended for; empty if none was given."""
        _, found, rest = self.heard.partition(b'{"type": "end", "reason": "')
        return rest.partition(b'"')[0].decode() if found else ""


@asynccontextmanager
async def flooder(listening: Any, *, ready: bool = True) -> AsyncIterator[Flooder]:
    reader, writer = await asyncio.open_connection(listening.host, listening.port)
    writer.write(
        b"GET /call HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    await reader.readuntil(b"\r\n\r\n")
    if ready:
        writer.write(READY)
    try:
        yield Flooder(reader, writer)
    finally:
        writer.transport.abort()


@pytest.mark.parametrize("ready", [True, False], ids=["in a call", "before one"])
async def test_a_flood_of_anything_ends_its_own_call(serving: ServerFactory, ready: bool) -> None:
    async def flood(what: str) -> tuple[str, bool]:
        async with flooder(listening, ready=ready) as caller:
            await caller.flood(FLOODS[what])
            return caller.ended, caller.sent_bytes > 20 * BYTES_AT_ONCE

    async with serving() as (_, listening), asyncio.timeout(60):
        outcomes = await asyncio.gather(*map(flood, FLOODS))
    assert dict(zip(FLOODS, outcomes, strict=True)) == dict.fromkeys(FLOODS, ("protocol", False))


@in_virtual_time
async def test_a_question_beside_floods_is_answered(serving: ServerFactory) -> None:
    async def keep_flooding(what: bytes) -> None:
        async with flooder(listening) as caller:
            await caller.flood(what)
            ended.append(caller.ended)

    ended: list[str] = []
    async with serving() as (_, listening):
        floods = asyncio.gather(*(keep_flooding(what) for what in FLOODS.values()))
        url = str(listening.make_url("/call")).replace("http", "ws", 1)
        heard = await Caller(url, [AUDIO / "where-studied.wav"]).call()
        await floods
    assert [turn.decision for turn in heard.turns] == ["respond"]
    assert ended == ["protocol"] * len(FLOODS)


class Connection(asyncio.Transport):
    """A transport that notes what is written, and whether it is read."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._protocol: asyncio.BaseProtocol = protocol
        self.written = b""
        self.read = True
        self.aborted = False

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def pause_reading(self) -> None:
        self.read = False

    def resume_reading(self) -> None:
        self.read = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def abort(self) -> None:
        self.aborted = True


class Parser(asyncio.Protocol):
    """Takes bytes, and calls something after each slice of them."""

    def __init__(self) -> None:
        self.slices: list[bytes] = []
        self.after: Callable[[], None] = lambda: None

    def data_received(self, data: bytes) -> None:
        self.slices.append(data)
        self.after()


@given(st.lists(st.binary(max_size=3 * SLICE_BYTES), max_size=8), st.booleans())
async def test_much_at_once_is_passed_on_in_slices_and_none_is_lost(
    pieces: list[bytes], ends: bool
) -> None:
    connection = Connection(parser := Parser())
    guard = ByteGuard(connection, Allowance(0, BYTES_AT_ONCE, time.monotonic))
    for piece in pieces:
        guard.data_received(piece)
    if ends:
        guard.eof_received()
    else:
        assert all(len(part) <= SLICE_BYTES for part in parser.slices)
        while sum(map(len, parser.slices)) < sum(map(len, pieces)):
            await asyncio.sleep(0)
    assert b"".join(parser.slices) == b"".join(pieces)
    assert connection.read


@in_virtual_time
async def test_a_client_that_floods_is_not_read_to_the_end() -> None:
    connection = Connection(parser := Parser())
    guard = ByteGuard(connection, Allowance(0, BYTES_AT_ONCE, time.monotonic))
    parser.after = guard.deafen  # whoever counts messages has had enough
    guard.data_received(bytes(BYTES_AT_ONCE))
    await asyncio.sleep(0.1)
    assert [len(part) for part in parser.slices] == [SLICE_BYTES]
    assert not connection.read
    await guard.hang_up(timeout_secs=2.0)
    assert connection.written == CLOSE_FRAME
    assert connection.aborted
    assert len(parser.slices) == 1


def test_an_allowance_is_used_up_at_once_and_comes_back_with_time() -> None:
    now = 0.0
    allowance = Allowance(MESSAGES_PER_SEC, MESSAGES_AT_ONCE, lambda: now)
    assert [allowance.exceeded(1) for _ in range(MESSAGES_AT_ONCE + 1)].index(True) == (
        MESSAGES_AT_ONCE
    )
    now += 1.0
    assert [allowance.exceeded(1) for _ in range(202)].index(True) in (199, 200)
    now += 1.0
    for _ in range(3_600):
        now += 0.02
        assert not allowance.exceeded(2), "100 messages a second may come for ever"
