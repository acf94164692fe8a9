"""No message leaves a call deaf: each is accepted, answered by one error, or ends the call."""

import asyncio
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import WSMessage, WSMsgType
from hypothesis import given, settings
from hypothesis import strategies as st
from loguru import logger

from conversation.observer import Unobserved
from conversation.turns import Conversation
from evals.replay import virtual_time
from tests.transports.hostile import VALID, Hostile, browser_message, protobuf, rtvi_message
from transports.browser.messages import CLIENT_PAYLOADS
from transports.browser.page import Page
from transports.browser.transport import BrowserTransport
from transports.rtvi.page import RtviPage

READY = json.dumps({"label": "rtvi-ai", "id": "1", **VALID[0]})
SPEECH = b"\1\0" * 320
ENDS = {"", "protocol", "hangup"}


@dataclass
class Socket:
    """A client's end of a socket: it waits, once it has said what there is to say."""

    said: asyncio.Queue[WSMessage] = field(default_factory=asyncio.Queue)
    sent: list[str | bytes] = field(default_factory=list)
    closed: bool = False

    async def receive(self) -> WSMessage:
        return await self.said.get()

    async def send_str(self, text: str) -> None:
        text.encode()  # as aiohttp does
        self.sent.append(text)

    async def send_bytes(self, data: bytes) -> None:
        self.sent.append(data)

    def say(self, data: str | bytes) -> None:
        kind = WSMsgType.TEXT if isinstance(data, str) else WSMsgType.BINARY
        self.said.put_nowait(WSMessage(kind, data, None))

    def told(self) -> list[dict[str, Any]]:
        """Remove and return the messages that the client got."""
        sent, self.sent = self.sent, []
        return [
            json.loads(message, parse_constant=pytest.fail)
            for message in map(_text, sent)
            if message
        ]


def _text(message: str | bytes) -> str:
    if isinstance(message, str):
        return message
    return str(protobuf.Frame.FromString(message).message.data)


class Heard(Unobserved):
    """Counts the audio that is passed on."""

    live = True
    pieces = 0

    def heard(self, audio: bytes) -> None:
        self.pieces += 1


class HostileCall:
    """A call in the middle of an answer, whose client says what no honest client says."""

    def __init__(self, kind: type[Page]) -> None:
        self.socket = Socket()
        self.ended = ""
        self.seen = Heard()
        self.conversation = conversation = Conversation(observer=self.seen)
        conversation.begin_turn(
            "Where did she study?", speech_end=conversation.clock(), transcribed=None
        )
        conversation.playback.begin_sentence(1, "She studied at Vassar.")
        conversation.playback.send(24_000, conversation.clock())
        page = kind(self.socket)  # type: ignore[arg-type]
        transport = BrowserTransport(page, conversation, ended=self._end)
        self._speech = SPEECH if kind is Page else _spoken()
        reader: Any = transport.input()
        self.socket.say(READY if kind is Page else _framed(READY))
        self.reading = asyncio.ensure_future(self._hold(page, reader))

    async def _hold(self, page: Page, reader: Any) -> None:
        await page.ready()
        await reader._read()

    async def close(self) -> None:
        self.reading.cancel()
        await asyncio.wait([self.reading])

    def _end(self, reason: str) -> None:
        self.ended = self.ended or reason

    async def outcome(self, message: str | bytes) -> str:
        """What a message led to: the call's end, an error, or nothing."""
        self.socket.say(message)
        await asyncio.sleep(0.02)
        answers = Counter(answer["type"] for answer in self.socket.told())
        errors = answers["error"] + answers["error-response"]
        assert self.ended in ENDS, (self.ended, message)
        assert errors <= 1, (answers, message)
        assert self.ended or not self.reading.done(), message
        if self.ended:
            return self.ended
        before = self.seen.pieces
        self.socket.say(self._speech)
        await asyncio.sleep(0.02)
        assert self.seen.pieces == before + 1, f"deaf after {message!r}"
        return "error" if errors else "accepted"


def _spoken() -> bytes:
    frame = protobuf.Frame()
    frame.audio.audio, frame.audio.sample_rate, frame.audio.num_channels = SPEECH, 16_000, 1
    return bytes(frame.SerializeToString())


def _framed(text: str) -> bytes:
    frame = protobuf.Frame()
    frame.message.data = text
    return bytes(frame.SerializeToString())


def outcomes(kind: type[Page], hostile: Hostile, seed: int, count: int) -> Counter[str]:
    """The outcomes of so many messages; a call that has ended is followed by another."""

    async def story() -> Counter[str]:
        chance, seen, call = random.Random(seed), Counter[str](), HostileCall(kind)
        for _ in range(count):
            outcome = await call.outcome(hostile(chance))
            seen[outcome] += 1
            if call.ended:
                await call.close()
                call = HostileCall(kind)
        await call.close()
        return seen

    logger.disable("pipecat")  # it logs an error for each frame that it cannot read
    try:
        return virtual_time.run(story())
    finally:
        logger.enable("pipecat")


WIRES = [
    pytest.param(Page, browser_message, id="browser"),
    pytest.param(RtviPage, rtvi_message, id="rtvi"),
]


def test_every_message_of_a_page_is_among_those_that_are_spoilt() -> None:
    spoilt = {message["data"]["t"] for message in VALID if message["type"] == "client-message"}
    assert spoilt == set(CLIENT_PAYLOADS)


@pytest.mark.parametrize(("kind", "hostile"), WIRES)
@settings(max_examples=3)
@given(seed=st.integers(0, 2**32))
def test_no_message_leaves_a_call_deaf(kind: type[Page], hostile: Hostile, seed: int) -> None:
    outcomes(kind, hostile, seed, 40)


def test_a_reader_that_fails_ends_its_call_in_words() -> None:
    async def story() -> None:
        call = HostileCall(Page)
        await asyncio.sleep(0.02)
        call.conversation.played = _broken  # type: ignore[method-assign, assignment]
        report = {"t": "playback", "d": {"epoch": 0, "samples": 480}}
        message = {"label": "rtvi-ai", "type": "client-message", "id": "2", "data": report}
        call.socket.say(json.dumps(message))
        await asyncio.sleep(0.02)
        assert call.ended == "fault"
        await call.close()

    virtual_time.run(story())


def _broken(_report: object) -> bool:
    raise ArithmeticError


@pytest.mark.thorough
@pytest.mark.parametrize(("kind", "hostile"), WIRES)
def test_a_hundred_thousand_messages_leave_no_call_deaf(kind: type[Page], hostile: Hostile) -> None:
    @settings(max_examples=1_000)
    @given(seed=st.integers(0, 2**32))
    def fifty(seed: int) -> None:
        seen.update(outcomes(kind, hostile, seed, 50))

    seen = Counter[str]()
    fifty()
    assert seen.total() >= 50_000
    # By chance, more audio in two seconds than a page may send ends a call by "protocol".
    assert {"accepted", "error", "hangup"} <= set(seen) <= {"accepted", "error", *ENDS}
