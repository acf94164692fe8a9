"""What a browser is told: its cookies' flags, and what its pages may do."""

import re

import pytest

from accounts.headers import HSTS_SECS
from accounts.sign_in.authenticator import REMEMBER_SECS
from tests.accounts.house import ADA, Answer, OpenHouse

TLS = {"X-Forwarded-Proto": "https", "Host": "viva.example.com"}
PROXIED = {"trusted_proxies": "127.0.0.1", "public_url": "https://viva.example.com"}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One database is enough here: what browsers are told is the same on both."""
    return sqlite_url


def flags(answer: Answer, name: str) -> dict[str, object]:
    morsel = answer.cookies[name]
    names = ("path", "domain", "secure", "httponly", "samesite")
    return {name: morsel[name] for name in names}


async def test_on_loopback_cookies_need_no_tls(open_house: OpenHouse) -> None:
    async with open_house(session_days=2) as house:
        browser = house.browser()
        token = await house.token(browser)
        entered = await browser.press(token)
        assert flags(entered, "viva_session") == {
            "path": "/", "domain": "", "secure": "", "httponly": True, "samesite": "Lax",
        }  # fmt: skip
        assert entered.cookies["viva_session"]["max-age"] == f"{2 * 86400}"
        assert "viva_browser" not in entered.cookies  # it stays what it is: a browser that is known
        page = await house.browser().get("/sign-in")
        assert flags(page, "viva_browser")["httponly"] is True


async def test_behind_tls_cookies_are_secure_and_of_this_host_alone(open_house: OpenHouse) -> None:
    async with open_house(**PROXIED) as house:
        browser = house.browser(**TLS)
        entered = await browser.press(await house.token(browser))
        assert set(browser.cookies) == {"__Host-viva_session", "__Host-viva_browser"}
        assert flags(entered, "__Host-viva_session") == {
            "path": "/", "domain": "", "secure": True, "httponly": True, "samesite": "Lax",
        }  # fmt: skip
        assert await browser.who() == ADA
        plain = house.browser(**TLS)  # a cookie that somebody without TLS may have set
        plain.cookies["viva_session"] = browser.cookies["__Host-viva_session"]
        assert await plain.who() == "nobody"


@pytest.mark.parametrize(
    ("settings", "headers", "secure"),
    [
        ({}, {}, False),
        ({}, {"Host": "localhost:7860"}, False),
        ({}, {"Host": "192.168.1.7:7860"}, True),  # off loopback a browser without TLS gets none
        ({}, {"Host": "viva.example.com"}, True),
        ({}, {"X-Forwarded-Proto": "https"}, False),  # by nobody who is trusted
        ({"trusted_proxies": "127.0.0.1"}, {"X-Forwarded-Proto": "https"}, True),
        ({"trusted_proxies": "127.0.0.1"}, {"X-Forwarded-Proto": "http"}, False),
        ({"trusted_proxies": "10.0.0.0/8"}, {"X-Forwarded-Proto": "https"}, False),
        ({"public_url": "https://viva.example.com"}, {}, False),
    ],
)
async def test_a_cookie_is_secure_wherever_that_is_possible(
    open_house: OpenHouse, settings: dict[str, str], headers: dict[str, str], secure: bool
) -> None:
    async with open_house(**settings) as house:
        page = await house.browser(**headers).get("/sign-in")
        name = "__Host-viva_browser" if secure else "viva_browser"
        assert bool(flags(page, name)["secure"]) is secure


async def test_every_answer_has_the_headers(open_house: OpenHouse) -> None:
    async with open_house() as house:
        browser = house.browser()
        answers = [
            await browser.get(path)
            for path in ("/", "/sign-in", "/sign-in/link", "/who", "/nowhere", "/web/style.css")
        ]
        answers.append(await browser.post("/sign-in", email=ADA))
        assert [answer.status for answer in answers] == [200, 200, 200, 401, 404, 200, 403]
        for answer in answers:
            policy = dict(
                part.strip().split(" ", 1)
                for part in answer.headers["Content-Security-Policy"].split(";")
            )
            assert policy == {
                "default-src": "'self'",
                "connect-src": f"'self' ws://{house.base[7:]} wss://{house.base[7:]}",
                "img-src": "'self' data:",
                "media-src": "'self' blob:",
                "object-src": "'none'",
                "base-uri": "'none'",
                "form-action": "'self'",
                "frame-ancestors": "'none'",
            }
            assert answer.headers["Permissions-Policy"].startswith("microphone=(self)")
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
            assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
            assert "Strict-Transport-Security" not in answer.headers


async def test_what_is_for_one_browser_is_stored_nowhere(open_house: OpenHouse) -> None:
    async with open_house() as house:
        browser = house.browser()
        token = await house.token(browser)
        page = await browser.get("/sign-in/link")
        entered = await browser.post("/sign-in/link", form=page.form, token=token)
        leaving = await browser.get("/sign-out")
        for answer in (page, entered, leaving):
            assert answer.headers["Cache-Control"] == "no-store"
        assert (await browser.get("/web/style.css")).headers["Cache-Control"] == "no-cache"


async def test_a_host_that_is_none_is_not_in_the_policy(open_house: OpenHouse) -> None:
    async with open_house() as house:
        page = await house.browser(Host="a; script-src *").get("/sign-in")
        assert "script-src" not in page.headers["Content-Security-Policy"]
        assert "connect-src 'self';" in page.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("settings", "headers", "pinned"),
    [
        (PROXIED, TLS, True),
        (PROXIED, TLS | {"X-Forwarded-Proto": "http"}, False),
        ({}, TLS, False),
        ({"public_url": "https://viva.example.com"}, {"Host": "viva.example.com"}, True),
        ({"public_url": "https://viva.example.com"}, {}, False),
        (PROXIED, {"X-Forwarded-Proto": "https", "Host": "localhost"}, False),
    ],
)
async def test_tls_is_for_good(
    open_house: OpenHouse, settings: dict[str, str], headers: dict[str, str], pinned: bool
) -> None:
    async with open_house(**settings) as house:
        answer = await house.browser(**headers).get("/")
        expected = f"max-age={HSTS_SECS}" if pinned else None
        assert answer.headers.get("Strict-Transport-Security") == expected


async def test_no_page_has_a_script_or_style_in_itself(open_house: OpenHouse) -> None:
    async with open_house() as house:
        browser = house.browser()
        pages = [await browser.get("/sign-in"), await browser.ask(ADA)]
        pages += [await browser.ask("nobody"), await browser.get("/sign-in/link")]
        await house.accounts.close()
        await browser.press(house.post.last.token)
        house.clock.now += REMEMBER_SECS
        pages += [await browser.get("/sign-out"), await house.browser().press("x")]
        for page in pages:
            assert page.text.startswith("<!doctype html>")
            assert "<style" not in page.text
            assert "style=" not in page.text
            assert " on" not in "".join(part.split(">")[0] for part in page.text.split("<")[1:])
            assert page.text.count("<script") == page.text.count('<script type="module" src="/web/')


async def test_below_a_path_every_link_and_redirect_begins_with_it(open_house: OpenHouse) -> None:
    path = {**PROXIED, "public_url": "https://viva.example.com/viva"}
    async with open_house(**path) as house:
        browser, beside = house.browser(**TLS), house.browser()
        assert (await browser.get("/sign-out")).headers["Location"] == "/viva/sign-in"
        assert (await beside.get("/sign-out")).headers["Location"] == "/sign-in"
        for opened in ("/sign-in", "/sign-in/link"):
            found = re.findall(r'(?:href|src|action)="(/[^"]*)"', (await browser.get(opened)).text)
            assert len(found) > 3
            assert all(link.startswith("/viva/") for link in found), found
        token = await house.token(browser)
        assert house.post.last.link == f"https://viva.example.com/viva/sign-in/link#{token}"
        entered = await browser.press(token)
        assert entered.headers["Location"] == "/viva/"
        assert flags(entered, "__Host-viva_session")["path"] == "/"
        refused = await browser.post("/sign-in/link", form="0" * 64, token=token)
        assert 'href="/viva/sign-in"' in refused.text
