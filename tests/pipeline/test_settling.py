"""A key that a vendor refuses is met at start, and not by each caller."""

import asyncio
import socket
from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import Field

from pipeline.choice import Choice, choose, choose_for, settle
from pipeline.vendor import VendorSettings
from pipeline.vendors import VENDORS, Stage, Vendor
from processors.key_check import UnreachableError, check_reachable
from settings import Settings, SettingsError, including

GOOD = "a-good-key"
NOT_THERE = {"type": "error", "error": {"type": "not_found_error", "message": "model: x"}}


def settled(
    stage: Stage, *, keyless: bool = True, lists: bool = True, **given: Any
) -> Choice | str:
    """The vendor of a stage in the end, or why the server does not start.

    Without a key, models are listed if the server is `keyless`, and none are unless it `lists` any.
    """

    async def page(request: web.Request) -> web.Response:
        if request.path == "/v1/models" and not lists:
            return web.Response(status=404)
        asked_without = request.path == "/v1/models" and "Authorization" not in request.headers
        if asked_without and keyless:
            return web.json_response({})
        if not any(GOOD in value for value in request.headers.values()):
            return web.json_response({"err_code": "INVALID_AUTH"}, status=401)
        if request.path in ("/v1/auth/token", "/v1/models/claude-haiku-5-5", "/v1/models"):
            return web.json_response({})
        return web.json_response(NOT_THERE, status=404)

    async def main() -> Choice | str:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", page)
        async with TestServer(app) as server:
            url = str(server.make_url("/")).rstrip("/")
            own = {"deepgram_base_url": url, "anthropic_base_url": url, "brain_model": "m"}
            settings = Settings(_env_file=None, **own | given, brain_base_url=f"{url}/v1")  # type: ignore[call-arg]
            first: Mapping[Stage, Choice] = {stage: choose_for(stage, settings)}
            try:
                return (await asyncio.to_thread(settle, first, settings))[stage]
            except SettingsError as refusal:
                return str(refusal)

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("stage", "keys", "vendor", "why"),
    [
        ("stt", {"deepgram_api_key": "old"}, "whisper", "in DEEPGRAM_API_KEY (HTTP 401)."),
        ("brain", {"anthropic_api_key": GOOD}, "claude", ""),
        (
            "brain",
            {"anthropic_api_key": "old"},
            "openai",
            "Claude cannot be used: it refuses the key in A",
        ),
        ("brain", {"anthropic_api_key": "old", "brain": "claude,extractive"}, "extractive", "key"),
        (
            "brain",
            {"anthropic_api_key": GOOD, "claude_model": "x", "brain": "claude,extractive"},
            "extractive",
            "Claude cannot be used: it has no model 'x'; set CLAUDE_MODEL to one that it has",
        ),
        ("brain", {"brain_api_key": GOOD, "brain": "openai"}, "openai", ""),
        ("brain", {"brain_api_key": GOOD, "brain": "openai", "lists": False}, "openai", ""),
        ("brain", {"brain": "openai"}, "openai", ""),  # a server of one's own wants none
        ("stt", {"deepgram_api_key": GOOD, "stt": "deepgram"}, "deepgram", ""),
    ],
)
def test_another_vendor_is_used_where_the_key_is_refused(
    stage: Stage, keys: dict[str, Any], vendor: str, why: str
) -> None:
    choice = settled(stage, **keys)
    assert isinstance(choice, Choice)
    assert choice.vendor.name == vendor
    assert why in " ".join(choice.refused)
    assert bool(choice.refused) == bool(why)


@pytest.mark.parametrize(
    ("stage", "keys", "why"),
    [
        (
            "stt",
            {"deepgram_api_key": "old", "stt": "deepgram"},
            "STT=deepgram: it refuses the key in DEEPGRAM_API_KEY (HTTP 401).",
        ),
        (
            "brain",
            {"brain_api_key": "old", "brain": "openai"},
            "BRAIN=openai: it refuses the key in BRAIN_API_KEY (HTTP 401).",
        ),
        (
            "brain",
            {"brain_api_key": "old", "brain": "openai", "lists": False},
            "BRAIN=openai: it refuses the key in BRAIN_API_KEY (HTTP 401).",
        ),
        (
            "brain",
            {"brain": "openai", "keyless": False},
            "BRAIN=openai: it wants a key (HTTP 401); set BRAIN_API_KEY.",
        ),
    ],
)
def test_a_vendor_without_a_reserve_is_refused_with_the_setting_that_names_it(
    stage: Stage, keys: dict[str, Any], why: str
) -> None:
    assert str(settled(stage, **keys)).startswith(why)


def test_a_vendor_that_nobody_answers_for_is_kept_and_told_at_start() -> None:
    nobody = "http://127.0.0.1:9"
    names = ("deepgram", "anthropic", "brain", "elevenlabs")
    keys = {f"{name}_api_key": "old" for name in names}
    urls = {f"{name}_base_url": f"{nobody}/v1" for name in names}
    settings = Settings(_env_file=None, **keys, **urls, stt="deepgram,whisper")  # type: ignore[call-arg, arg-type]
    choices = settle(choose(settings), settings)
    kept = {stage: choice.vendor.name for stage, choice in choices.items() if choice.unreached}
    assert kept == {"stt": "deepgram", "brain": "claude", "tts": "elevenlabs"}
    told = f"Deepgram Nova cannot be reached: nobody answers at {nobody} (connection refused)."
    assert choices["stt"].unreached == (told,)
    assert not choices["stt"].refused
    assert [vendor.name for vendor in choices["stt"].reserves] == ["whisper"]
    for vendor in VENDORS:
        if vendor.name in ("openai", "deepgram-flux", "aura"):
            assert vendor.unavailable is not None
            with pytest.raises(UnreachableError, match="connection refused"):
                vendor.unavailable(settings)


def test_of_a_vendor_that_cannot_be_asked_the_address_is_tried() -> None:
    class Own(VendorSettings):
        own_url: str = Field("http://127.0.0.1:9/v1", description="Its address.")

    vendor = Vendor(
        stage="tts",
        name="own",
        label="Own voice",
        kind="cloud",
        detail="a voice",
        settings=Own,
        address=("own_url", ""),
        build=lambda *_: None,
    )
    settings = including([Own]).load()
    with pytest.raises(UnreachableError, match=r"nobody answers at http://127\.0\.0\.1:9 \(conn"):
        vendor.refusal(settings)
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        url = f"ws://127.0.0.1:{somebody.getsockname()[1]}"
        assert vendor.refusal(settings.model_copy(update={"own_url": url})) == ""


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (TimeoutError(), "no answer within 5 s"),
        (socket.gaierror(-2, "Name or service not known"), "unknown host name"),
        (OSError("odd"), "OSError: odd"),
    ],
)
def test_why_nobody_answers_is_said_without_the_key(error: Exception, said: str) -> None:
    told = str(UnreachableError.at("https://user:secret@api.example.com:8443/v1?key=1", error))
    assert told == f"nobody answers at https://api.example.com:8443 ({said})"


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("api.example.com", "it must begin with https://, http://, wss:// or ws://"),
        ("ftp://api.example.com", "it must begin with https://, http://, wss:// or ws://"),
        ("http://", "it names no host"),
        ("http://api example.com", "it has a blank in it"),
        ("https://api.example.com:99999/v1", "the port is out of range 0-65535"),
        ("http://127.0.0.1:0", "there is no port 0"),
        (f"https://{'a' * 64}.example.com", "too long"),
    ],
)
def test_an_address_that_is_none_is_told_with_its_setting(url: str, fault: str) -> None:
    settings = Settings.load(stt="deepgram", deepgram_api_key="key", deepgram_base_url=url)
    with pytest.raises(SettingsError) as refused:
        settle(choose(settings), settings)
    told = str(refused.value)
    assert told.startswith(f"STT=deepgram: DEEPGRAM_BASE_URL={url!r} is no server's URL: ")
    assert fault in told
    with pytest.raises(UnreachableError, match="its address is no server's URL: "):
        check_reachable(url)
