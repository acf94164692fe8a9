"""A socket is for pages of our own, and for whoever has signed in on them."""

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from accounts import operator_key
from accounts.access import OPERATOR
from accounts.origin import allowed_origin
from settings import Settings
from tests.accounts.house import ADA, OpenHouse

OWN, OTHERS = "http://viva.test:7860", ("https://example.com", " https://Partner.example/")


@pytest.mark.parametrize(
    ("origin", "settings", "headers", "others", "allowed"),
    [
        (OWN, {}, {}, (), True),
        ("HTTP://VIVA.TEST:7860", {}, {}, (), True),
        ("https://viva.test:7860", {}, {}, (), True),  # a proxy that is not trusted has TLS
        ("http://viva.test", {}, {}, (), False),
        ("http://viva.test:7861", {}, {}, (), False),
        ("http://evil.example", {}, {}, (), False),
        ("http://viva.test:7860.evil.example", {}, {}, (), False),
        ("ftp://viva.test:7860", {}, {}, (), False),
        ("null", {}, {}, (), False),
        ("", {}, {}, (), False),
        ("", {}, {}, ("",), False),
        ("", {}, {}, ("*",), False),
        (None, {}, {}, ("*",), False),
        ("http://evil.example", {}, {}, ("*",), True),
        ("https://example.com", {}, {}, OTHERS, True),
        ("https://partner.example", {}, {}, OTHERS, True),
        ("http://example.com", {}, {}, OTHERS, False),
        ("https://calls.example", {"public_url": "https://calls.example"}, {}, (), True),
        ("http://calls.example", {"public_url": "https://calls.example"}, {}, (), False),
        (OWN, {"trusted_proxies": "127.0.0.1"}, {"X-Forwarded-Proto": "https"}, (), False),
        (
            "https://viva.test:7860",
            {"trusted_proxies": "127.0.0.1"},
            {"X-Forwarded-Proto": "https"},
            (),
            True,
        ),
    ],
)
async def test_a_page_of_another_site_may_not_open_a_socket(
    origin: str | None,
    settings: dict[str, str],
    headers: dict[str, str],
    others: tuple[str, ...],
    allowed: bool,
) -> None:
    given = Settings(_env_file=None, **settings)  # type: ignore[call-arg, arg-type]

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=str(allowed_origin(request, given, others)))

    app = web.Application()
    app.router.add_get("/", answer)
    sent = {"Host": "viva.test:7860", **headers} | ({} if origin is None else {"Origin": origin})
    async with (
        TestServer(app) as server,
        aiohttp.ClientSession() as http,
        http.get(server.make_url("/"), headers=sent) as response,
    ):
        assert await response.text() == str(allowed)


async def test_a_socket_is_bound_to_whoever_is_signed_in(open_house: OpenHouse) -> None:
    async with open_house() as house:
        browser = await house.signed_in()
        cookie = browser.sending()
        assert await house.call(**cookie, Origin=house.base) == f"you are {ADA}"
        assert await house.call(**cookie, Origin="https://evil.example") == "403"
        assert await house.call(**cookie) == "403"
        assert await house.call(Origin=house.base) == "401"
        assert await house.call() == "401"


async def test_a_program_with_the_key_needs_no_page(open_house: OpenHouse) -> None:
    async with open_house() as house:
        key = operator_key.read(house.settings.data_dir)
        bearer = f"Bearer {key}"
        assert await house.call(Authorization=bearer) == f"you are {OPERATOR}"
        assert await house.call(Authorization=bearer, Origin="https://evil.example") == "403"
        cookie = (await house.signed_in()).sending()
        assert await house.call(**cookie, Authorization="Bearer x") == "401"
