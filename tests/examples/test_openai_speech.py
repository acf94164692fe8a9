"""A service of pipecat's as a vendor, over an endpoint on loopback."""

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from examples.openai_speech import VENDOR, SpeechSettings
from knowledge.loading.document import load
from pipeline.vendors import Context
from settings import including
from simulators.elevenlabs import tone
from tests.conftest import with_instant_engines
from tests.processors.tts.test_elevenlabs import (
    VASSAR,
    YALE,
    announced,
    answer,
    hear,
    pitch,
    pitch_of,
    stretches,
)

SETTINGS = including([SpeechSettings])


async def speech(request: web.Request) -> web.Response:
    asked = await request.json()
    assert asked["response_format"] == "pcm"
    return web.Response(body=await tone(asked["input"]))


def test_it_says_which_setting_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPEECH_URL", raising=False)
    assert VENDOR.missing(SETTINGS.load()) == "not set: SPEECH_URL"


def test_it_speaks_each_sentence_after_its_announcement(monkeypatch: pytest.MonkeyPatch) -> None:
    @with_instant_engines
    async def story() -> None:
        app = web.Application()
        app.router.add_post("/audio/speech", speech)
        async with TestServer(app) as server:
            monkeypatch.setenv("SPEECH_URL", str(server.make_url("/")))
            voice = VENDOR.build(None, Context(SETTINGS.load(), load()))
            down, up = await hear(voice, *answer(VASSAR, YALE))
        assert not up
        assert announced(down) == [VASSAR, YALE]
        pitches = [pitch(stretch) for stretch in stretches(down)]
        assert pitches == [await pitch_of(VASSAR), await pitch_of(YALE)]

    story()
