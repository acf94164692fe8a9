"""Calls over real sockets, on the real engines."""

import asyncio
import dataclasses
import gc
import json
import random
import socket
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from client.caller import Caller, HeardCall
from client.wav import INPUT_RATE
from knowledge.loading.document import load
from ledger.log.query import list_turns
from ledger.store.database import Database
from pipeline.call import Call
from pipeline.engines import Engines
from processors.brain.extractive import ExtractiveBrain
from server import Server
from tests.conftest import AUDIO, ServerFactory, in_virtual_time
from tests.end_to_end.running import spoken
from tests.engines import vectors

READY = {
    "label": "rtvi-ai",
    "type": "client-ready",
    "id": "1",
    "data": {"version": "2.2.0", "about": {"library": "test"}},
}


def socket_url(listening: Any) -> str:
    return str(listening.make_url("/call")).replace("http", "ws", 1)


async def call(listening: Any, *files: str, **options: Any) -> HeardCall:
    return await Caller(socket_url(listening), [AUDIO / name for name in files], **options).call()


async def messages_until(page: aiohttp.ClientWebSocketResponse, kind: str) -> list[Any]:
    """Every text message up to one of a kind."""
    seen = []
    async with asyncio.timeout(60):
        async for message in page:
            if message.type is aiohttp.WSMsgType.TEXT:
                seen.append(json.loads(message.data))
                name = seen[-1]["type"]
                if name == "server-message":
                    name = seen[-1]["data"]["type"]
                if name == kind:
                    return seen
    raise AssertionError(f"the page was closed before {kind}: {seen}")


@in_virtual_time
async def test_a_spoken_question_is_answered_out_loud_from_the_right_section(
    serving: ServerFactory, engines: Any
) -> None:
    async with serving() as (_, listening):
        heard = await call(listening, "where-studied.wav")
    (turn,) = heard.turns
    assert turn.decision == "respond"
    assert any("education" in section for section in turn.sections)
    assert turn.heard_text == turn.answer
    assert turn.e2e_latency_ms is not None
    assert heard.ended == "hangup"
    said = await _recognised(engines, heard.audio)
    assert "vassar" in said or "yale" in said


async def _recognised(engines: Any, audio: bytes) -> str:
    """What the recogniser makes of what was heard."""
    import numpy as np
    import soxr

    samples = np.frombuffer(audio, np.int16).astype(np.float32) / 32768
    pcm = soxr.resample(samples, 24_000, 16_000)[-12 * 16_000 :]
    transcript = await engines.loaded["whisper"].transcribe(pcm, hotwords=(), final=True)
    return str(transcript.text).lower()


@pytest.mark.thorough
@in_virtual_time
async def test_a_follow_up_is_understood_from_the_turn_before(
    serving: ServerFactory, tmp_path: Path
) -> None:
    async with serving() as (_, listening):
        heard = await call(listening, "first-compiler.wav", "follow-when.wav")
    first, second = heard.turns
    assert first.decision == second.decision == "respond"
    assert any(character.isdigit() for character in second.answer)
    rows = list_turns(Database.from_url(f"sqlite:///{tmp_path / 'viva.db'}"))
    assert all(row["audio_seconds"] > 1 for row in rows), "each turn has the audio of its question"


@pytest.mark.thorough
@in_virtual_time
async def test_any_document_can_be_called(
    engines: Engines, lighthouse: Path, data_dir: Path
) -> None:
    document = load(lighthouse)
    brain = await asyncio.to_thread(ExtractiveBrain.load, document, vectors())
    settings = engines.settings.model_copy(update={"data_dir": data_dir, "auth": "off"})
    theirs = dataclasses.replace(
        engines,
        settings=settings,
        document=document,
        loaded={**engines.loaded, "extractive": brain},
    )
    question = await spoken(engines, "Who built the tower of the lighthouse?")
    wav = _pcm_wav(data_dir / "question.wav", question)
    server = Server(settings, document, engines.choices, engines=theirs)
    async with TestServer(server.app()) as listening:
        (turn,) = (await Caller(socket_url(listening), [wav]).call()).turns
    assert turn.decision == "respond"
    assert len(turn.sections) == 1
    (section,) = (section for section in document.sections if section.id == turn.sections[0])
    assert section.title == "The tower"
    assert "Margaret Dunmore" in turn.heard_text


def _pcm_wav(path: Path, pcm: bytes) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(INPUT_RATE)
        file.writeframes(pcm)
    return path


@in_virtual_time
async def test_what_the_document_does_not_say_is_handed_to_a_human(
    serving: ServerFactory, tmp_path: Path
) -> None:
    async with serving() as (_, listening):
        heard = await call(listening, "salary.wav", "favourite-food.wav")
    assert [turn.decision for turn in heard.turns] == ["escalate", "escalate"]
    assert all(turn.heard_text for turn in heard.turns)
    waiting = [json.loads(line) for line in (tmp_path / "escalations.jsonl").open()]
    assert [escalation["question"] for escalation in waiting] == [
        turn.transcript for turn in heard.turns
    ]
    assert waiting[0]["reason"] == "sensitive"


@pytest.mark.thorough
@in_virtual_time
async def test_speaking_over_the_answer_stops_it_and_is_answered(serving: ServerFactory) -> None:
    async with serving() as (_, listening):
        heard = await call(listening, "first-compiler.wav", "where-studied.wav", barge_in_secs=0.8)
    first, second = heard.turns
    assert first.interrupted
    assert len(first.heard_text) < len(first.answer)
    assert second.decision == "respond"
    assert second.heard_text == second.answer


@pytest.mark.thorough
@in_virtual_time
async def test_two_calls_at_once_never_mix(serving: ServerFactory) -> None:
    async with serving() as (server, listening):
        first, second = await asyncio.gather(
            call(listening, "where-studied.wav", "at-yale.wav"),
            call(listening, "first-compiler.wav", "flow-matic.wav"),
        )
        alone = await call(listening, "where-studied.wav")
    assert [turn.answer for turn in first.turns] != [turn.answer for turn in second.turns]
    assert first.turns[0].answer == alone.turns[0].answer
    assert first.turns[0].transcript == alone.turns[0].transcript
    for one, other in ((first, second), (second, first)):
        said = " ".join(turn.transcript for turn in one.turns)
        assert all(turn.transcript not in said for turn in other.turns)
    assert not server.calls


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (b"\0" * 641, "audio message of 641 bytes; 16-bit samples need an even length"),
        (b"\0" * 64_002, "audio message of 64002 bytes; 64000 at most"),
        ("{", "text message is not JSON"),
        ('{"label": "rtvi-ai", "type": "dance"}', "type is 'dance'"),
        ("x" * 17_000, "text message of 17000 characters; 16384 at most"),
    ],
)
async def test_three_unusable_messages_in_a_row_end_the_call_in_words(
    serving: ServerFactory, message: str | bytes, told: str
) -> None:
    async with (
        serving() as (_, listening),
        aiohttp.ClientSession() as session,
        session.ws_connect(socket_url(listening)) as page,
    ):
        await page.send_json(READY)
        await messages_until(page, "bot-ready")
        for _ in range(3):
            if isinstance(message, str):
                await page.send_str(message)
            else:
                await page.send_bytes(message)
        seen = await messages_until(page, "end")
    errors = [message["data"] for message in seen if message["type"] == "error"]
    assert len(errors) == 3
    assert all(error["error"].startswith(told) for error in errors)
    assert [error["fatal"] for error in errors] == [False, False, True]
    assert seen[-1]["data"]["reason"] == "protocol"


async def test_one_unusable_message_costs_nothing(serving: ServerFactory) -> None:
    async with (
        serving() as (_, listening),
        aiohttp.ClientSession() as session,
        session.ws_connect(socket_url(listening)) as page,
    ):
        await page.send_json(READY)
        await messages_until(page, "bot-ready")
        for _ in range(5):
            await page.send_bytes(b"\0")
            await page.send_bytes(b"\0" * 640)
        await page.send_json({"label": "rtvi-ai", "type": "disconnect-bot", "id": "2"})
        seen = await messages_until(page, "end")
    assert seen[-1]["data"]["reason"] == "hangup"
    assert sum(message["type"] == "error" for message in seen) == 5


@pytest.mark.thorough
async def test_a_page_that_stops_reading_costs_its_own_call(serving: ServerFactory) -> None:
    async with serving(page_timeout_secs=0.5, call_secs=60.0) as (server, listening):
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect((listening.host, listening.port))
        raw.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=raw, limit=1024)
        writer.write(
            b"GET /call HTTP/1.1\r\nHost: localhost\r\n"
            b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        await reader.readuntil(b"\r\n\r\n")
        writer.write(_masked(json.dumps(READY).encode()))
        await _until(lambda: bool(server.calls))
        # Every second message is answered in words that the page never reads.
        flood = asyncio.create_task(_flood(writer))
        other = await call(listening, "hello.wav")
        assert other.turns[0].decision == "respond", "another call does not notice"
        await _until(lambda: not server.calls)
        flood.cancel()
        writer.transport.abort()


async def _flood(writer: asyncio.StreamWriter) -> None:
    good, bad = _masked(b"\0" * 640, binary=True), _masked(b"\0", binary=True)
    for _ in range(20_000):
        writer.write(good + bad)
        await writer.drain()


async def _until(condition: Callable[[], bool], timeout_secs: float = 60.0) -> None:
    async with asyncio.timeout(timeout_secs):
        while not condition():
            await asyncio.sleep(0.02)


def _masked(payload: bytes, *, binary: bool = False) -> bytes:
    head = bytes([0x82 if binary else 0x81])
    if len(payload) < 126:
        head += bytes([0x80 | len(payload)])
    else:
        head += bytes([0x80 | 126]) + len(payload).to_bytes(2, "big")
    return head + b"\0\0\0\0" + payload


@pytest.mark.thorough
async def test_twenty_calls_dropped_in_any_state_leave_nothing_behind(
    serving: ServerFactory,
) -> None:
    chance = random.Random(7)
    speech = (AUDIO / "where-studied.wav").read_bytes()[44:]

    async def drop(listening: Any) -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(socket_url(listening)) as page,
        ):
            if chance.random() < 0.9:
                await page.send_json(READY)
            stop = chance.uniform(0.0, 5.0)
            try:
                async with asyncio.timeout(stop):
                    for start in range(0, 200 * 640, 640):
                        await page.send_bytes(speech[start : start + 640] or bytes(640))
                        await asyncio.sleep(0.02)
            except TimeoutError:
                pass
            if chance.random() < 0.5:
                page._response.connection.transport.abort()  # type: ignore[union-attr]

    async with serving(max_calls=40) as (server, listening):
        await drop(listening)
        await asyncio.sleep(0.5)
        before = {task for task in asyncio.all_tasks() if not task.done()}
        await asyncio.gather(*(drop(listening) for _ in range(20)))
        async with asyncio.timeout(60):
            while server.calls:
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)
        after = {task for task in asyncio.all_tasks() if not task.done()}
        assert not after - before, "a dropped call leaves no task"
        gc.collect()
        left = [item for item in gc.get_objects() if isinstance(item, Call)]
        assert not left, "a dropped call leaves no memory"


async def test_a_busy_server_says_so(serving: ServerFactory) -> None:
    async with (
        serving(max_calls=1) as (_, listening),
        aiohttp.ClientSession() as session,
        session.ws_connect(socket_url(listening)) as first,
    ):
        await first.send_json(READY)
        await messages_until(first, "bot-ready")
        async with session.ws_connect(socket_url(listening)) as second:
            (end,) = await messages_until(second, "end")
    assert end["data"]["reason"] == "capacity"


@in_virtual_time
async def test_a_silent_caller_is_asked_once_and_then_let_go(serving: ServerFactory) -> None:
    async with serving(silence_prompt_secs=0.5, silence_end_secs=0.5) as (_, listening):
        heard = await call(listening, "digital-silence.wav", turn_timeout_secs=25.0)
    said = [
        message["data"]["text"] for _, message in heard.messages if message["type"] == "bot-output"
    ]
    assert said[1:] == [
        "Are you still there? You can ask me another question.",
        "I'll let you go then. Goodbye.",
    ]
    assert heard.ended == "silence"


@in_virtual_time
async def test_time_is_announced_before_it_is_up(serving: ServerFactory) -> None:
    async with serving(call_secs=8.0, wind_down_secs=3.0) as (_, listening):
        heard = await call(listening, "digital-silence.wav", turn_timeout_secs=25.0)
    said = [
        message["data"]["text"] for _, message in heard.messages if message["type"] == "bot-output"
    ]
    assert said[-2:] == [
        "We have about 3 seconds left.",
        "I'm afraid our time is up. Thank you for calling. Goodbye.",
    ]
    assert heard.ended == "cap"


async def test_another_site_cannot_place_calls(serving: ServerFactory) -> None:
    async with serving() as (_, listening), aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
            await session.ws_connect(
                socket_url(listening), headers={"Origin": "https://elsewhere.example"}
            )


def test_the_recordings_are_there() -> None:
    assert (AUDIO / "where-studied.wav").exists()
    assert Path("tests/audio/manifest.toml").exists()
