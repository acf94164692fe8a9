"""Recognisers that pipecat has: what they ask of their vendors, on a socket that only listens.

It knows nothing of their protocols: what they make of answers is pipecat's to test.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import create_autospec

import pytest
from aiohttp import WSMsgType, web
from pipecat.services.stt_service import STTService

from evals.replay import virtual_time
from knowledge.loading.document import load
from pipeline.vendors import Context, assemblyai, soniox
from processors.vad.silero import SileroEngine
from settings import Settings
from tests.processors.stt.test_deepgram import Call, recording, silence

NAMES = ("Grace Hopper", "COBOL")


def about(*names: str) -> Context:
    """What a call knows whose document has these names."""
    keys: dict[str, Any] = {"assemblyai_api_key": "a-key", "soniox_api_key": "a-key"}
    settings = Settings(_env_file=None, **keys)  # type: ignore[call-arg]
    document = create_autospec(load())
    document.proper_nouns.return_value = names
    return Context(settings, document)


@asynccontextmanager
async def listener() -> AsyncIterator[tuple[str, dict[str, Any]]]:
    heard: dict[str, Any] = {"texts": [], "audio": 0}

    async def serve(request: web.Request) -> web.WebSocketResponse:
        heard["query"] = dict(request.query)
        heard["key"] = request.headers.get("authorization", "")
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                heard["audio"] += len(message.data)
            else:
                heard["texts"].append(json.loads(message.data or "null"))
        return socket

    app = web.Application()
    app.router.add_get("/listen", serve)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"ws://127.0.0.1:{runner.addresses[0][1]}/listen", heard
    await runner.cleanup()


def call_of(silero: SileroEngine, make: Callable[[str], STTService]) -> dict[str, Any]:
    async def main() -> dict[str, Any]:
        async with listener() as (url, heard):
            async with Call(silero, make(url)) as call:
                await call.say(silence(0.3), recording("where-studied"), silence(0.6))
                await asyncio.sleep(0.1)
            assert not call.errors()
            return heard

    return virtual_time.run(main())


def test_assemblyai_is_asked_for_the_names_and_told_when_speech_stops(
    silero: SileroEngine,
) -> None:
    context = about(*NAMES, "x" * 51)
    heard = call_of(silero, lambda url: assemblyai.build(None, context, url))
    assert heard["key"].endswith("a-key")
    assert heard["query"]["sample_rate"] == "16000"
    assert heard["query"]["speech_model"] == "universal-3-6-pro"
    assert json.loads(heard["query"]["keyterms_prompt"]) == list(NAMES)
    assert json.loads(heard["query"]["language_codes"]) == ["en"]
    assert {"type": "ForceEndpoint"} in heard["texts"]
    assert heard["audio"] / 32_000 == pytest.approx(3.12, abs=0.1)


def test_soniox_is_asked_for_the_names_and_told_when_speech_stops(silero: SileroEngine) -> None:
    heard = call_of(silero, lambda url: soniox.build(None, about(*NAMES), url))
    assert heard["key"] == "Bearer a-key"
    configuration = heard["texts"][0]
    assert configuration["model"] == "stt-rt-v5"
    assert configuration["sample_rate"] == 16_000
    assert configuration["audio_format"] == "pcm_s16le"
    assert configuration["language_hints"] == ["en"]
    assert configuration["context"]["terms"] == list(NAMES)
    assert {"type": "finalize"} in heard["texts"]
    assert heard["audio"] / 32_000 == pytest.approx(3.12, abs=0.1)
