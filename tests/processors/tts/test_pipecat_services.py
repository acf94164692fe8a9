"""Cartesia and Aura as pipecat has them: what Viva adds, over sockets that speak as they do."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer
from pipecat.frames.frames import Frame, InterruptionFrame, TTSAudioRawFrame, TTSTextFrame
from pipecat.tests.utils import SleepFrame, run_test

from knowledge.loading.document import load
from pipeline.vendors import Context, aura, cartesia
from settings import Settings
from simulators.elevenlabs import RATE, SECS_A_CHARACTER, tone
from tests.conftest import with_instant_engines
from tests.processors.tts.test_elevenlabs import (
    NAVY,
    VASSAR,
    YALE,
    announced,
    answer,
    pitch,
    pitch_of,
    sound,
    stretches,
    told,
)

OWN: dict[str, Any] = {
    "cartesia_api_key": "key", "cartesia_voice_id": "voice", "deepgram_api_key": "key",
}  # fmt: skip
CALL = Context(Settings(_env_file=None, **OWN), load())  # type: ignore[call-arg]

Log = list[dict[str, Any]]
Answers = Callable[[web.WebSocketResponse, dict[str, Any], dict[str, float]], Any]


@asynccontextmanager
async def listening(
    path: str, answers: Answers
) -> AsyncIterator[tuple[str, Log, list[web.Request]]]:
    log: Log = []
    came: list[web.Request] = []

    async def serve(request: web.Request) -> web.WebSocketResponse:
        came.append(request)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        said: dict[str, float] = {}
        async for raw in socket:
            if raw.type is WSMsgType.TEXT:
                message = json.loads(raw.data)
                log.append(message)
                await answers(socket, message, said)
        return socket

    app = web.Application()
    app.router.add_get(path, serve)
    async with TestServer(app) as server:
        yield f"ws://{server.host}:{server.port}", log, came


async def as_cartesia(socket: Any, message: dict[str, Any], said: dict[str, float]) -> None:
    context = message["context_id"]
    if message.get("cancel"):
        return
    if text := message["transcript"]:
        begin = said.setdefault(context, 0.0)
        words = text.split()
        starts = [begin + SECS_A_CHARACTER * text.index(word) for word in words]
        times = {"words": words, "start": starts, "end": starts}
        timed = {"type": "timestamps", "context_id": context, "word_timestamps": times}
        await socket.send_json(timed)
        pcm = await tone(text)
        said[context] += len(pcm) / 2 / RATE
        for at in range(0, len(pcm), 9600):
            data = base64.b64encode(pcm[at : at + 9600]).decode()
            await socket.send_json({"type": "chunk", "context_id": context, "data": data})
    if not message["continue"]:
        await socket.send_json({"type": "done", "context_id": context})


async def as_aura(socket: Any, message: dict[str, Any], _: dict[str, float]) -> None:
    match message["type"]:
        case "Speak":
            pcm = await tone(message["text"])
            for at in range(0, len(pcm), 9600):
                await socket.send_bytes(pcm[at : at + 9600])
        case "Flush":
            await socket.send_json({"type": "Flushed", "sequence_id": 0})


async def hear(tts: Any, *frames: Frame) -> tuple[Any, Any]:
    async with asyncio.timeout(10):
        return await run_test(tts, frames_to_send=frames)


ORDER = [
    "LLMFullResponseStartFrame",
    "SentenceFrame",
    "TTSStartedFrame",
    "TTSAudioRawFrame",
    "SentenceFrame",
    "TTSAudioRawFrame",
    "TTSStoppedFrame",
    "LLMFullResponseEndFrame",
]


@with_instant_engines
async def test_cartesia_says_an_answer_in_one_context_each_sentence_before_its_audio() -> None:
    async with listening("/tts/websocket", as_cartesia) as (url, log, came):
        tts = cartesia.build(None, CALL, f"{url}/tts/websocket")
        down, up = await hear(tts, *answer(VASSAR, YALE))
    assert not up
    assert told(down) == ORDER
    assert announced(down) == [VASSAR, YALE]
    assert [pitch(stretch) for stretch in stretches(down)] == [
        await pitch_of(t) for t in (VASSAR, YALE)
    ]
    assert [f.text for f in down if isinstance(f, TTSTextFrame)] == f"{VASSAR} {YALE}".split()
    assert len({message["context_id"] for message in log}) == 1
    assert [message["transcript"] for message in log] == [f"{VASSAR} ", f"{YALE} ", ""]
    assert log[0]["model_id"] == "sonic-3.6"
    assert log[0]["output_format"]["sample_rate"] == 24_000
    assert came[0].headers["X-API-Key"] == "key"


@with_instant_engines
async def test_aura_says_an_answer_each_sentence_where_its_letters_let_expect_it() -> None:
    async with listening("/v1/speak", as_aura) as (url, log, came):
        down, up = await hear(aura.build(None, CALL, url), *answer(VASSAR, YALE))
    assert not up
    assert told(down) == ORDER
    assert announced(down) == [VASSAR, YALE]
    assert sound(down).endswith(await tone(VASSAR) + await tone(YALE))
    assert [message["type"] for message in log] == ["Speak", "Speak", "Flush", "Close"]
    assert dict(came[0].query) == {
        "model": "aura-2-helena-en",
        "encoding": "linear16",
        "sample_rate": "24000",
    }
    assert came[0].headers["Authorization"] == "Token key"


@pytest.mark.parametrize(
    ("make", "path", "answers", "stops"),
    [
        (lambda url: cartesia.build(None, CALL, url), "/tts", as_cartesia, "cancel"),
        (lambda url: aura.build(None, CALL, url.removesuffix("/v1/speak")), "/v1/speak", as_aura,
         "Clear"),
    ],
)  # fmt: skip
@with_instant_engines
async def test_an_interruption_is_told_to_the_vendor_and_nothing_old_follows(
    make: Any, path: str, answers: Answers, stops: str
) -> None:
    async with listening(path, answers) as (url, log, _):
        old = answer(VASSAR, NAVY)[:-1]
        down, up = await hear(
            make(url + path), *old, SleepFrame(sleep=0.2), InterruptionFrame(),
            SleepFrame(sleep=0.1), *answer(YALE),
        )  # fmt: skip
    assert not up
    at = next(i for i, frame in enumerate(down) if isinstance(frame, InterruptionFrame))
    assert announced(down[at:]) == [YALE]
    assert sound(down[at:]).endswith(await tone(YALE))
    assert any(message.get("cancel") or message.get("type") == stops for message in log)
    contexts = [
        {f.context_id for f in part if isinstance(f, TTSAudioRawFrame)}
        for part in (down[:at], down[at:])
    ]
    assert not contexts[0] & contexts[1]
