"""A thousand wishes for links are not a thousand mails, and keep nobody from signing in."""

import asyncio

import pytest
from sqlmodel import func, select

from accounts.access import Access
from accounts.sign_in.authenticator import Authenticator, TooManyLinksError
from accounts.sign_in.limits import (
    ALL_LINKS,
    BROWSER_LINKS,
    BUSY,
    CROWD,
    DAY,
    HOUR,
    LIMITS,
    QUARTER,
    stored_network,
    stored_site,
)
from accounts.sign_in.links import KNOWN_SECS
from ledger.store.database import Database
from ledger.store.tables import SignInToken
from settings import Settings
from tests.accounts.house import (
    ADA,
    ADMIN,
    GRACE,
    STRANGER,
    Browser,
    Clock,
    House,
    OpenHouse,
    ask_for_links,
)

PROXIED = {"trusted_proxies": "127.0.0.1"}
HOME, OFFICE = "198.51.100.1", "203.0.113.1"
NETWORK_LINKS = next(limit.links for limit in LIMITS if limit.counted == "network")
SITE_LINKS = next(limit.links for limit in LIMITS if limit.counted == "site")
MAILBOX_SITE_LINKS = next(limit.links for limit in LIMITS if limit.counted == "mailbox from site")


def rows(database: Database) -> int:
    with database.reading() as db:
        return db.exec(select(func.count()).select_from(SignInToken)).one()


async def ask(browser: Browser, form: str, email: str, comes_from: str = "") -> int:
    if comes_from:
        browser.headers["X-Forwarded-For"] = comes_from
    return (await browser.post("/sign-in", form=form, email=email)).status


async def asking(house: House) -> tuple[Browser, str]:
    browser = house.browser()
    return browser, (await browser.get("/sign-in")).form


async def links_to(house: House, email: str) -> int:
    await house.accounts.close()
    return sum(mail.recipient == email for mail in house.post.sent.values())


def at(place: str) -> dict[str, str]:
    return {"X-Forwarded-For": place}


# What a browser and a network may ask for.


async def test_a_browser_gets_a_few_links_in_a_quarter_of_an_hour(open_house: OpenHouse) -> None:
    async with open_house() as house:
        browser, form = await asking(house)
        for _ in range(BROWSER_LINKS):
            assert await ask(browser, form, ADA) == 200
        house.clock.now += QUARTER - 1
        for _ in range(BROWSER_LINKS):  # too many, and they do not keep it waiting longer
            refused = await browser.post("/sign-in", form=form, email=ADA)
            assert (refused.status, refused.headers["Retry-After"]) == (429, "900")
            assert "No link was sent" in refused.text
        assert await ask(browser, form, GRACE) == 200
        assert await links_to(house, ADA) == BROWSER_LINKS
        assert await links_to(house, GRACE) == 1
        house.clock.now += 1
        await house.token(house.browser(), ADA)


async def test_a_network_is_told_when_it_has_asked_too_often(open_house: OpenHouse) -> None:
    async with open_house(**PROXIED) as house:
        ask_for_links(house, NETWORK_LINKS - 1, network="203.0.113.0/24")
        browser, form = await asking(house)
        assert await ask(browser, form, GRACE, "203.0.113.20") == 200
        stored = rows(house.database)
        for _ in range(3):  # and is only told: nothing is written
            refused = await browser.post("/sign-in", form=form, email=ADA)
            assert (refused.status, refused.headers["Retry-After"]) == (429, "900")
            assert refused.heading == "Too many links"
        assert rows(house.database) == stored
        assert await ask(browser, form, ADA, "203.0.114.1") == 200
        house.clock.now += QUARTER
        assert await ask(browser, form, ADA, OFFICE) == 200
        assert await links_to(house, ADA) == 2


async def test_whoever_has_many_networks_of_one_site_is_one(open_house: OpenHouse) -> None:
    async with open_house(**PROXIED) as house:
        ask_for_links(house, SITE_LINKS, each="2001:db8:7:{:x}::/64")
        browser, form = await asking(house)
        assert await ask(browser, form, ADA, "2001:db8:7:ffff::1") == 429
        assert await ask(browser, form, ADA, "2001:db8:8::1") == 200
        assert await ask(browser, form, ADA, "2001:db8:70::1") == 200


def test_the_networks_of_a_site_are_stored_so_that_they_begin_alike() -> None:
    for network in ("2001:db8:7::/64", "2001:db8:7:1::/64", "2001:db8:7:ffff::/64"):
        assert stored_network(network).startswith(stored_site(network))
    assert stored_site("2001:db8:7::/64") != stored_site("2001:db8:70::/64")
    assert stored_site("203.0.113.0/24") == stored_network("203.0.113.0/24") == "203.0.113.0/24"


# Nobody keeps anybody else from signing in.


@pytest.mark.parametrize("as_often", [BROWSER_LINKS, 4 * NETWORK_LINKS])
async def test_somebody_who_asks_for_an_address_elsewhere_does_not_keep_it_out(
    open_house: OpenHouse, as_often: int
) -> None:
    async with open_house(**PROXIED) as house:
        ask_for_links(house, as_often, email=ADA, network="203.0.113.0/24")
        await house.token(house.browser(**at(HOME)), ADA)
        for _ in range(3):  # and asks again, for the mail is late
            house.clock.now += HOUR
            await house.token(house.browser(**at(HOME)), ADA)


async def test_somebody_in_the_same_network_does_not_either(open_house: OpenHouse) -> None:
    async with open_house(**PROXIED) as house:
        mallory = house.browser(**at(OFFICE))
        answers = [await mallory.ask(ADA) for _ in range(BROWSER_LINKS + 1)]
        assert answers[-1].status == 429
        await house.token(house.browser(**at(OFFICE)), ADA)


async def test_a_browser_that_has_signed_in_gets_its_links_whatever_others_ask_for(
    open_house: OpenHouse,
) -> None:
    async with open_house(**PROXIED) as house:
        browser = await house.signed_in(ADA, **at(OFFICE))
        await browser.post("/sign-out", form=(await browser.get("/sign-out")).form)
        for email in (ADA, STRANGER):  # its own network, its mailbox, and all
            ask_for_links(house, ALL_LINKS, email=email, network="203.0.113.0/24")
            ask_for_links(house, ALL_LINKS, email=email)
        token = await house.token(browser, ADA)
        assert (await browser.press(token)).status == 303
        assert (await house.browser(**at(OFFICE)).ask(ADA)).status == 200
        assert await links_to(house, ADA) == 2  # none for a browser that nobody knows
        house.clock.now += HOUR
        assert (await house.browser(**at(OFFICE)).ask(ADA)).status == 429


async def test_a_mailbox_is_not_flooded_from_many_networks(open_house: OpenHouse) -> None:
    async with open_house(**PROXIED) as house:
        ask_for_links(house, CROWD.links, email=ADA)
        statuses = [(await house.browser(**at(HOME)).ask(ADA)).status for _ in range(3)]
        assert statuses == [200, 200, 429]
        ask_for_links(house, 200, email=ADA)
        assert (await house.browser(**at("192.0.2.1")).ask(ADA)).status == 429
        assert await links_to(house, ADA) == 2
        house.clock.now += HOUR
        await house.token(house.browser(**at(HOME)), ADA)


async def test_the_addresses_of_a_mailbox_are_counted_together(open_house: OpenHouse) -> None:
    async with open_house() as house:
        browser, form = await asking(house)
        for number in range(BROWSER_LINKS):
            assert await ask(browser, form, f"ada+{number}@example.com") == 200
        assert await ask(browser, form, ADA) == 429
        assert await ask(browser, form, "adam@example.com") == 200


# A flood from many networks.


async def test_while_many_ask_known_addresses_get_links_and_the_page_says_so(
    open_house: OpenHouse,
) -> None:
    async with open_house(**PROXIED) as house:
        await house.signed_in(ADA)
        ask_for_links(house, ALL_LINKS - 2)
        calm = await house.browser(**at(HOME)).ask(GRACE)
        assert "Viva printed a link" in calm.text
        stored = rows(house.database)
        for email, sent in ((GRACE, 1), (STRANGER, 0), (ADA, 2), (ADMIN, 1)):
            told = await house.browser(**at(HOME)).ask(email)
            assert told.status == 200
            assert "printed a link" not in told.text
            assert "only addresses that have signed in before" in told.text
            assert await links_to(house, email) == sent
        assert rows(house.database) == stored + 2  # nothing is stored for others
        house.clock.now += HOUR
        assert (await house.browser(**at(HOME)).ask(GRACE)).status == 200
        assert await links_to(house, GRACE) == 2


async def test_a_link_of_a_busy_hour_signs_in(open_house: OpenHouse) -> None:
    async with open_house(**PROXIED) as house:
        ask_for_links(house, ALL_LINKS)
        browser = house.browser(**at(HOME))
        token = await house.token(browser, ADMIN)
        with house.database.reading() as db:
            kept = db.exec(select(SignInToken).where(SignInToken.email == ADMIN)).one()
        assert kept.network == f"{BUSY}198.51.100.0/24"
        assert (await browser.press(token)).status == 303


async def test_a_server_that_starts_often_takes_no_links_from_its_admin(
    open_house: OpenHouse,
) -> None:
    async with open_house() as house:
        for _ in range(MAILBOX_SITE_LINKS):
            await house.accounts.welcome_link(house.base)
        await house.token(house.browser(), ADMIN)


async def test_wishes_at_once_from_several_servers_are_counted_together(
    database_url: str,
) -> None:
    access = Access.from_settings(Settings(_env_file=None, allow="@example.com"))  # type: ignore[call-arg]
    databases = [Database.from_url(database_url) for _ in range(3)]
    servers = [
        Authenticator(database, access, session_secs=DAY, clock=Clock()) for database in databases
    ]
    wishes = [
        server.request_link(f"a{number}@example.com", browser="b" * 64, network="203.0.113.0/24")
        for number in range(NETWORK_LINKS // 2)
        for server in servers
    ]
    asked = await asyncio.gather(*wishes, return_exceptions=True)
    granted = [result for result in asked if not isinstance(result, BaseException)]
    assert len(granted) == rows(databases[0]) == NETWORK_LINKS
    assert all(isinstance(result, TooManyLinksError) for result in asked if result not in granted)
    for database in databases:
        database.close()


# What is remembered.


@pytest.mark.parametrize(("later", "kept"), [(DAY - 1, 2), (DAY, 1)])
async def test_links_are_forgotten_when_no_limit_counts_them(
    open_house: OpenHouse, later: float, kept: int
) -> None:
    async with open_house() as house:
        await house.token(house.browser(), ADA)
        house.clock.now += later
        await house.token(house.browser(), ADA)
        assert rows(house.database) == kept


@pytest.mark.parametrize(("later", "kept"), [(DAY, 1), (KNOWN_SECS - 1, 1), (KNOWN_SECS, 0)])
async def test_a_browser_that_has_signed_in_is_remembered_longer_without_its_network(
    open_house: OpenHouse, later: float, kept: int
) -> None:
    async with open_house() as house:
        await house.signed_in(ADA)
        house.clock.now += later
        await house.token(house.browser(), GRACE)
        with house.database.reading() as db:
            known = db.exec(select(SignInToken).where(SignInToken.email == ADA)).all()
        assert [link.network for link in known] == [""] * kept
