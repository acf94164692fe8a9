"""Whoever runs the server has a key and a link of their own, on this machine alone."""

import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from accounts import operator_key
from accounts.access import OPERATOR
from accounts.accounts import check_settings
from accounts.sign_in.links import LINK_SECS
from settings import Settings, SettingsError
from tests.accounts.house import ADA, ADMIN, STRANGER, Browser, House, OpenHouse

AWAY = {"X-Forwarded-For": "203.0.113.7"}


async def welcomed(house: House, browser: Browser) -> int:
    link = await house.accounts.welcome_link(house.base)
    assert link is not None
    found = re.fullmatch(rf"{re.escape(house.base)}/sign-in/link#([0-9a-f]{{64}})", link)
    assert found is not None
    return (await browser.press(found[1])).status


# The key.


def test_the_key_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    assert operator_key.read(data_dir) is None
    key = operator_key.load_or_create(data_dir)
    assert re.fullmatch("[0-9a-f]{64}", key)
    path = operator_key.path(data_dir)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    assert operator_key.load_or_create(data_dir) == operator_key.read(data_dir) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(data_dir.iterdir()) == [path]


def test_servers_that_start_at_once_have_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(operator_key.load_or_create, [tmp_path] * 32))
    assert len(keys) == 1


def test_what_is_no_key_is_said_to_be_none(tmp_path: Path) -> None:
    operator_key.path(tmp_path).write_text("secret\n")
    with pytest.raises(
        SettingsError, match=r"operator-key does not hold a key of 64 hex digits; remove"
    ):
        operator_key.load_or_create(tmp_path)


def test_a_folder_that_cannot_hold_the_key_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match=r"Set DATA_DIR to a directory of your own"):
        operator_key.load_or_create(tmp_path / "file")


async def test_the_key_is_the_operator_on_this_machine(open_house: OpenHouse) -> None:
    async with open_house() as house:
        key = operator_key.read(house.settings.data_dir)
        assert await house.browser(Authorization=f"Bearer {key}").who() == f"{OPERATOR} (admin)"
        assert await house.browser(Authorization=f"bearer  {key}").who() == f"{OPERATOR} (admin)"
        for wrong in (f"Bearer {key}0", "Bearer", "Bearer é", f"Basic {key}", str(key)):
            assert await house.browser(Authorization=wrong).who() == "nobody"
        by_proxy = house.browser(Authorization=f"Bearer {key}", **AWAY)
        assert await by_proxy.who() == "nobody"


async def test_behind_a_trusted_proxy_the_key_is_for_this_machine_too(
    open_house: OpenHouse,
) -> None:
    async with open_house(trusted_proxies="127.0.0.1") as house:
        bearer = f"Bearer {operator_key.read(house.settings.data_dir)}"
        assert await house.browser(Authorization=bearer).who() == f"{OPERATOR} (admin)"
        assert await house.browser(Authorization=bearer, **AWAY).who() == "nobody"


async def test_a_password_of_a_proxy_does_not_hide_the_session(open_house: OpenHouse) -> None:
    async with open_house() as house:
        browser = await house.signed_in()
        browser.headers["Authorization"] = "Basic dXNlcjpwYXNz"
        assert await browser.who() == ADA


# The link that greets.


async def test_the_first_link_signs_in_the_first_admin_once(open_house: OpenHouse) -> None:
    async with open_house() as house:
        link = await house.accounts.welcome_link(house.base)
        token = link.partition("#")[2]
        browser, other = house.browser(), house.browser()
        assert (await browser.press(token)).status == 303
        assert await browser.who() == f"{ADMIN} (admin)"
        assert (await other.press(token)).status == 410


async def test_without_admins_it_signs_in_the_operator(open_house: OpenHouse) -> None:
    async with open_house(admins="", allow="") as house:
        browser = house.browser()
        assert await welcomed(house, browser) == 303
        assert await browser.who() == f"{OPERATOR} (admin)"
        browser.headers |= AWAY  # a session of this machine's, that somebody carried off
        assert await browser.who() == "nobody"


async def test_the_first_link_is_of_no_use_elsewhere(open_house: OpenHouse) -> None:
    async with open_house() as house:
        away = house.browser(**AWAY)
        assert await welcomed(house, away) == 403
        assert await away.who() == "nobody"


async def test_the_first_link_is_too_old_after_15_minutes(open_house: OpenHouse) -> None:
    async with open_house() as house:
        link = await house.accounts.welcome_link(house.base)
        house.clock.now += LINK_SECS
        assert (await house.browser().press(link.partition("#")[2])).status == 410


@pytest.mark.parametrize(
    "settings",
    [
        {"smtp_url": "smtp://localhost"},
        {"resend_api_key": "re_1"},
        {"host": "0.0.0.0", "public_url": "https://viva.example.com"},
        {"auth": "off"},
    ],
)
async def test_there_is_a_first_link_only_where_there_is_no_other_way(
    open_house: OpenHouse, settings: dict[str, str]
) -> None:
    async with open_house(**settings) as house:
        assert await house.accounts.welcome_link(house.base) is None
        browser = house.browser()
        await browser.ask(ADA) if house.settings.auth == "link" else None
        await house.accounts.close()
        assert house.told == []


async def test_on_a_machine_without_mail_links_are_told_in_the_terminal(
    open_house: OpenHouse,
) -> None:
    async with open_house() as house:
        browser = house.browser()
        asked = await browser.ask(ADA)
        assert asked.heading == "Check the terminal"
        stranger = await house.browser().ask(STRANGER)
        assert stranger.heading == asked.heading
        await house.accounts.close()
        (told,) = house.told
        assert told == (
            f"Sign-in link for {ADA} (once, 15 minutes, in the browser that asked for it): "
            f"{house.post.last.link}"
        )


# Anybody.


async def test_without_signing_in_everybody_on_this_machine_may_call(
    open_house: OpenHouse,
) -> None:
    async with open_house(auth="off") as house:
        browser = house.browser()
        assert await browser.who() == "local (admin)"
        assert (await browser.get("/sign-in")).headers["Location"] == "/"
        assert await house.browser(Host="localhost:7860").who() == "local (admin)"


async def test_a_site_that_leads_its_name_to_this_machine_may_not(open_house: OpenHouse) -> None:
    async with open_house(auth="off") as house:
        assert await house.browser(Host="evil.example").who() == "nobody"
        assert await house.browser(**AWAY).who() == "nobody"


OFF = {"auth": "off"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (OFF | {"host": "0.0.0.0"}, r"AUTH=off is refused with HOST=0\.0\.0\.0.*HOST=127\.0\.0\.1"),
        (OFF | {"host": "::"}, r"AUTH=off is refused with HOST=::"),
        (OFF | {"host": "192.168.1.7"}, r"AUTH=off is refused with HOST=192\.168\.1\.7"),
        (OFF | {"host": "viva.example.com"}, r"AUTH=off is refused with HOST=viva"),
        (OFF | {"host": ""}, r"AUTH=off is refused with HOST="),
        (OFF | {"trusted_proxies": "127.0.0.1"}, r"AUTH=off is refused with TRUSTED_PROXIES"),
        (OFF | {"public_url": "https://viva.example.com"}, r"AUTH=off is refused with PUBLIC_URL"),
        ({"host": "0.0.0.0"}, r"HOST=0\.0\.0\.0 needs PUBLIC_URL: .*https://viva\.example\.com"),
        ({"public_url": "viva.example.com"}, r"PUBLIC_URL='viva\.example\.com' is not a server's"),
        ({"public_url": "https://a.example/b/../c"}, r"with nothing after the host but a port"),
        ({"public_url": "https://a.example/b c"}, r"with nothing after the host but a port and a"),
        ({"public_url": "https://a.example?b"}, r"with nothing after the host but a port"),
        ({"public_url": "https://u:p@a.example"}, r"is not a server's address"),
        ({"public_url": "https://[a"}, r"is not a server's address"),
        ({"public_url": "https://a:b"}, r"is not a server's address"),
        ({"public_url": "http://viva.example.com"}, r"must begin with https://"),
        ({"allow": "example.com"}, r"ALLOW: 'example\.com' is neither an address .* nor a domain"),
        ({"admins": "root"}, r"ADMINS: 'root' is not an address such as name@example\.com"),
        ({"trusted_proxies": "proxy"}, r"TRUSTED_PROXIES: 'proxy' is not a network"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        check_settings(Settings(_env_file=None, **settings))  # type: ignore[call-arg, arg-type]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        OFF,
        OFF | {"host": "localhost"},
        OFF | {"host": "::1", "public_url": "http://localhost:7860"},
        {"host": "0.0.0.0", "public_url": "https://viva.example.com:8443/"},
        {"trusted_proxies": "10.0.0.0/8, ::1", "allow": "@example.com, ada@example.net,"},
    ],
)
def test_settings_that_go_together_pass(settings: dict[str, str]) -> None:
    check_settings(Settings(_env_file=None, **settings))  # type: ignore[call-arg, arg-type]
