"""Services as pipecat has them, with vendors that refuse or stay silent: the reserve takes over."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    LLMFullResponseEndFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.utils.errors import ErrorCategory

from conversation.frames import FailoverFrame
from conversation.turns import Conversation
from evals.conformance.harness import StageHarness
from examples import openai_speech
from pipeline.vendors import Context, assemblyai, aura, cartesia, soniox
from processors.stock_service import permanent_refusal
from processors.stt.failover import SpeechToTextFailover
from processors.tts.failover import TextToSpeechFailover
from settings import including
from tests.chain import ScriptedVoice
from tests.conftest import with_instant_engines
from tests.processors.stt.test_pipecat_services import about
from tests.processors.test_failover import ScriptedRecogniser
from tests.processors.tts.test_elevenlabs import VASSAR, YALE, answer
from tests.processors.tts.test_pipecat_services import CALL, as_cartesia, listening

Handler = Callable[[web.Request], Any]


async def refuse(_: web.Request) -> web.Response:
    """The key is wrong."""
    return web.json_response({"error": {"message": "Incorrect API key provided."}}, status=401)


async def accept_and_stay_silent(request: web.Request) -> web.StreamResponse:
    """The request is taken, and nothing comes of it."""
    if request.headers.get("Upgrade") is None:
        await asyncio.sleep(3600)
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for _ in socket:
        pass
    return socket


@asynccontextmanager
async def vendor(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    async with TestServer(app) as server:
        yield str(server.make_url("/")).rstrip("/")


def openai_voice(url: str) -> Any:
    settings = including([openai_speech.SpeechSettings]).load()
    return openai_speech.build(
        None, Context(settings.model_copy(update={"speech_url": url}), CALL.document)
    )


def cartesia_voice(url: str) -> Any:
    return cartesia.build(None, CALL, url.replace("http", "ws"))


def aura_voice(url: str) -> Any:
    return aura.build(None, CALL, url.replace("http", "ws"))


def with_reserve(voice: Any) -> TextToSpeechFailover:
    return TextToSpeechFailover([voice, ScriptedVoice(Conversation())], names=["stock", "reserve"])


async def heard(harness: StageHarness, *frames: Frame, within_secs: float) -> float:
    """Give a voice something to say; after how many seconds the first of it is heard."""
    began = asyncio.get_running_loop().time()
    await harness.push(*frames)
    await harness.wait_for(lambda: harness.received(TTSAudioRawFrame), within_secs, "silence")
    await harness.wait_for(
        lambda: harness.received(LLMFullResponseEndFrame), 10.0, "no end of the answer"
    )
    return harness.received(TTSAudioRawFrame)[0][0] - began


@pytest.mark.parametrize("voice", [openai_voice, cartesia_voice, aura_voice])
@pytest.mark.parametrize(
    ("handler", "within_secs"),
    [
        pytest.param(refuse, 0.5, id="a refused key"),
        pytest.param(accept_and_stay_silent, 3.5, id="no audio"),
    ],
)
@with_instant_engines
async def test_the_reserve_says_what_a_stock_voice_does_not(
    voice: Callable[[str], Any], handler: Handler, within_secs: float
) -> None:
    async with vendor(handler) as url, StageHarness(with_reserve(voice(url))) as harness:
        await heard(harness, *answer(VASSAR, YALE), within_secs=within_secs)
        ((_, notice),) = harness.received(FailoverFrame)
        assert (notice.failed, notice.vendor) == ("stock", "reserve")
        secs = sum(frame.num_frames for _, frame in harness.received(TTSAudioRawFrame)) / 24_000
        assert secs == pytest.approx(0.06 * len(VASSAR + YALE)), "all of it, and nothing twice"
        assert not harness.errors


@with_instant_engines
async def test_what_a_stock_voice_says_but_half_of_the_reserve_says_the_rest_of() -> None:
    async def first_sentence_only(socket: Any, message: Any, said: Any) -> None:
        if message.get("transcript", "").startswith(VASSAR):
            await as_cartesia(socket, message, said)

    async with listening("/tts", first_sentence_only) as (url, _, _):
        voice = cartesia.build(None, CALL, f"{url}/tts")
        async with StageHarness(with_reserve(voice)) as harness:
            await heard(harness, *answer(VASSAR, YALE), within_secs=1.0)
            assert harness.received(FailoverFrame)
            audio = [frame for _, frame in harness.received(TTSAudioRawFrame)]
            by_reserve = [frame for frame in audio if frame.context_id == audio[-1].context_id]
            assert by_reserve[0].context_id != audio[0].context_id
            secs = sum(frame.num_frames for frame in by_reserve) / 24_000
            assert secs == pytest.approx(0.06 * len(YALE)), "the second sentence"


@with_instant_engines
async def test_a_brain_that_takes_its_time_is_no_fault_of_the_voice() -> None:
    begin, first, second, end = answer(VASSAR, YALE)
    async with listening("/tts", as_cartesia) as (url, _, _):
        voice = cartesia.build(None, CALL, f"{url}/tts")
        async with StageHarness(with_reserve(voice)) as harness:
            await harness.push(begin, first)
            await asyncio.sleep(2.5)
            await harness.push(second, end)
            await harness.wait_for(
                lambda: harness.received(LLMFullResponseEndFrame), 10.0, "no end"
            )
            await asyncio.sleep(10.0)
            assert voice.is_usable
            assert not harness.received(FailoverFrame)


@with_instant_engines
async def test_how_long_a_voice_may_owe_audio_is_a_setting() -> None:
    settings = CALL.settings.model_copy(update={"first_audio_timeout_secs": 0.8})
    async with vendor(accept_and_stay_silent) as url:
        voice = cartesia.build(None, Context(settings, CALL.document), url.replace("http", "ws"))
        async with StageHarness(with_reserve(voice)) as harness:
            after = await heard(harness, *answer(VASSAR), within_secs=1.5)
    assert 0.8 <= after < 1.0


def soniox_recogniser(url: str) -> Any:
    return soniox.build(None, about("Grace Hopper"), url.replace("http", "ws"))


def assemblyai_recogniser(url: str) -> Any:
    return assemblyai.build(None, about("Grace Hopper"), url.replace("http", "ws"))


@pytest.mark.parametrize("recogniser", [soniox_recogniser, assemblyai_recogniser])
@pytest.mark.parametrize("handler", [refuse, None], ids=["a refused key", "nobody listens"])
@with_instant_engines
async def test_the_reserve_hears_what_a_stock_recogniser_does_not(
    recogniser: Callable[[str], Any], handler: Handler | None
) -> None:
    async with vendor(handler or refuse) as url:
        stock = recogniser(url if handler else "http://127.0.0.1:9")
        both = [stock, ScriptedRecogniser()]
        async with StageHarness(SpeechToTextFailover(both, names=["stock", "reserve"])) as harness:
            await harness.push(VADUserStartedSpeakingFrame(start_secs=0.096))
            for _ in range(50):
                await harness.push(InputAudioRawFrame(bytes(640), 16_000, 1))
                await asyncio.sleep(0.02)
            await harness.push(VADUserStoppedSpeakingFrame(stop_secs=0.2))
            await harness.wait_for(
                lambda: harness.received(TranscriptionFrame), 1.0, "no transcript"
            )
            ((_, notice),) = harness.received(FailoverFrame)
            ((_, words),) = harness.received(TranscriptionFrame)
    assert (notice.failed, notice.vendor) == ("stock", "reserve")
    assert words.text == "1.0 seconds"


@with_instant_engines
async def test_a_refusal_that_only_an_event_tells_is_a_lasting_error() -> None:
    async with vendor(accept_and_stay_silent) as url:
        voice = cartesia_voice(url)
        async with StageHarness(voice) as harness:
            refusal = "server rejected WebSocket connection: HTTP 403"
            await voice._call_event_handler("on_connection_error", refusal)
            await harness.wait_for(lambda: harness.errors, 1.0, "no error")
            assert not voice.is_usable
            assert harness.errors[0].category is ErrorCategory.AUTHORIZATION


class RefusedError(Exception):
    def __init__(self, status: int) -> None:
        super().__init__("no")
        self.status_code = status


def caused_by(cause: Exception) -> Exception:
    error = RuntimeError("it failed")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ErrorFrame("server rejected WebSocket connection: HTTP 401"), 401),
        (ErrorFrame("Error getting audio (status: 403, error: no)"), 403),
        (ErrorFrame("Unknown error occurred: Error code: 404 - no such voice"), 404),
        (ErrorFrame("401, message='Unauthorized', url='https://example.com'"), 401),
        (ErrorFrame("it failed", exception=RefusedError(402)), 402),
        (ErrorFrame("it failed", exception=caused_by(RefusedError(401))), 401),
        (ErrorFrame("it failed", exception=RefusedError(429)), None),
        (ErrorFrame("Error code: 429 - slow down"), None),
        (ErrorFrame("it failed", exception=RefusedError(503)), None),
        (ErrorFrame("HTTP 500"), None),
        (ErrorFrame("the text has 412 letters"), None),
        (ErrorFrame('Parrot answered 401: {"error": "no such key"}'), 401),
        (ErrorFrame("the server responded with 403"), 403),
        (ErrorFrame("Error 402: out of credit"), 402),
        (ErrorFrame("received 480 bytes instead of 960"), None),
        (ErrorFrame("the request was answered 450 ms late"), None),
        (ErrorFrame("the socket was closed with 4001"), None),
    ],
)
def test_which_refusals_will_not_pass(error: ErrorFrame, status: int | None) -> None:
    assert permanent_refusal(error) == status
