"""Where a request comes from, and whom its headers make one believe."""

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from accounts.network import client_network, from_loopback, is_https, is_loopback_host, site
from settings import Settings

LOOPBACK = "127.0.0.0/24"


async def told(settings: dict[str, str], headers: dict[str, str]) -> tuple[str, bool, bool]:
    """The network that a request comes from, whether from this machine, and whether by TLS."""
    given = Settings(_env_file=None, **settings)  # type: ignore[call-arg, arg-type]

    async def answer(request: web.Request) -> web.Response:
        return web.json_response(
            [
                client_network(request, given),
                from_loopback(request, given),
                is_https(request, given),
            ]
        )

    app = web.Application()
    app.router.add_get("/", answer)
    async with (
        TestServer(app) as server,
        aiohttp.ClientSession() as http,
        http.get(server.make_url("/"), headers=headers) as response,
    ):
        network, local, https = await response.json()
        return network, local, https


@pytest.mark.parametrize(
    ("proxies", "forwarded_for", "network", "local"),
    [
        ("", "", LOOPBACK, True),
        ("", "203.0.113.7", LOOPBACK, False),  # by nobody who is trusted, yet not of this machine
        ("10.0.0.0/8", "203.0.113.7", LOOPBACK, False),
        ("127.0.0.1", "", LOOPBACK, True),
        ("127.0.0.1", "203.0.113.7", "203.0.113.0/24", False),
        ("127.0.0.1", "203.0.113.7:51234", "203.0.113.0/24", False),
        ("127.0.0.1", "127.0.0.1, 203.0.113.7", "203.0.113.0/24", False),  # forged by the client
        ("127.0.0.1", "127.0.0.1", LOOPBACK, True),
        ("127.0.0.1, 10.0.0.0/8", "198.51.100.9, 10.1.2.3", "198.51.100.0/24", False),
        ("127.0.0.1, 10.0.0.0/8", "10.9.9.9, 198.51.100.9, 10.1.2.3", "198.51.100.0/24", False),
        ("127.0.0.1", "unknown", "0.0.0.0/24", False),
        ("127.0.0.1", "127.0.0.1, ???", "0.0.0.0/24", False),
        ("127.0.0.1", "2001:db8:1:2ff::7", "2001:db8:1:2ff::/64", False),
        ("127.0.0.1", "[2001:db8:1:2ff::7]:443", "2001:db8:1:2ff::/64", False),
        ("127.0.0.1", "::1", "::/64", True),
        ("127.0.0.1", "::ffff:203.0.113.7", "203.0.113.0/24", False),
        ("127.0.0.1", "fe80::1%eth0", "fe80::/64", False),
    ],
)
async def test_only_trusted_proxies_say_where_a_request_comes_from(
    proxies: str, forwarded_for: str, network: str, local: bool
) -> None:
    headers = {"X-Forwarded-For": forwarded_for} if forwarded_for else {}
    found = await told({"trusted_proxies": proxies}, headers)
    assert found == (network, local, False)


@pytest.mark.parametrize("header", ["X-Real-IP", "Forwarded", "Via"])
async def test_what_a_proxy_has_handed_on_is_not_of_this_machine(header: str) -> None:
    assert await told({}, {header: "203.0.113.7"}) == (LOOPBACK, False, False)


@pytest.mark.parametrize(
    ("settings", "headers", "https"),
    [
        ({}, {"X-Forwarded-Proto": "https"}, False),
        ({"trusted_proxies": "127.0.0.1"}, {"X-Forwarded-Proto": "https"}, True),
        ({"trusted_proxies": "127.0.0.1"}, {"X-Forwarded-Proto": "HTTPS"}, True),
        ({"trusted_proxies": "127.0.0.1"}, {"X-Forwarded-Proto": "https, http"}, False),
        ({"trusted_proxies": "127.0.0.1"}, {"X-Forwarded-Proto": "http, https"}, True),
        ({"public_url": "https://viva.example.com"}, {"Host": "Viva.example.com"}, True),
        ({"public_url": "https://viva.example.com"}, {"Host": "127.0.0.1:7860"}, False),
        ({"public_url": "http://localhost:7860"}, {"Host": "localhost:7860"}, False),
    ],
)
async def test_only_trusted_proxies_say_that_there_is_tls(
    settings: dict[str, str], headers: dict[str, str], https: bool
) -> None:
    assert (await told(settings, headers))[2] is https


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8:80", True),
        ("localhost", True),
        ("LOCALHOST.:7860", True),
        ("viva.localhost:7860", True),
        ("::1", True),
        ("[::1]", True),
        ("[::1]:7860", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("192.168.1.7", False),
        ("localhost.example.com", False),
        ("127.0.0.1.example.com", False),
        ("localhost:80@example.com", False),
        ("localhost/", False),
        ("evil.example#localhost", False),
    ],
)
def test_this_machine_has_its_names(host: str, loopback: bool) -> None:
    assert is_loopback_host(host) is loopback


@pytest.mark.parametrize(
    ("network", "of"),
    [
        ("203.0.113.0/24", "203.0.113.0/24"),
        ("2001:db8:1:2ff::/64", "2001:db8:1::/48"),
        ("2001:db8:1::/64", "2001:db8:1::/48"),
        ("::/64", "::/48"),
    ],
)
def test_a_site_is_what_a_provider_gives_one_customer(network: str, of: str) -> None:
    assert site(network) == of
