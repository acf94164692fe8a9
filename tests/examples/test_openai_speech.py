"""A service of pipecat's as a vendor, held to its stage's contract over an endpoint on loopback."""

from aiohttp import web
from aiohttp.test_utils import TestServer

from evals.conformance.suite import check_alone
from examples.openai_speech import VENDOR
from simulators.elevenlabs import tone
from tests.conftest import with_instant_engines


async def speech(request: web.Request) -> web.Response:
    if request.headers["Authorization"] != "Bearer the-key":
        raise web.HTTPUnauthorized
    return web.Response(body=await tone((await request.json())["input"]))


@with_instant_engines
async def test_it_keeps_the_contract_of_a_voice() -> None:
    app = web.Application()
    app.router.add_post("/audio/speech", speech)
    async with TestServer(app) as server:
        own = {"speech_url": str(server.make_url("/")), "speech_key": "the-key"}
        results = await check_alone(VENDOR, own, names=("one voice", "flush", "bad key"))
    assert [result.verdict for result in results] == ["passed"] * 3, results
