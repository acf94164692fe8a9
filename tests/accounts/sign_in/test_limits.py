"""A thousand wishes for links are not a thousand mails."""

import asyncio

import pytest
from sqlmodel import func, select

from accounts.access import Access
from accounts.sign_in.authenticator import Authenticator
from accounts.sign_in.limits import ADDRESS_LINKS, DAY, HOUR, LIMITS, QUARTER
from ledger.store.database import Database
from ledger.store.tables import SignInToken
from settings import Settings
from tests.accounts.house import ADA, ADMIN, GRACE, Browser, Clock, House, OpenHouse
from tests.databases import preferably

PROXIED = {"trusted_proxies": "127.0.0.1"}
NETWORK_LINKS, ALL_LINKS = LIMITS[0].links, LIMITS[2].links


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


async def test_an_address_gets_a_few_links_in_a_quarter_of_an_hour(open_house: OpenHouse) -> None:
    async with open_house() as house:
        browser, form = await asking(house)
        for _ in range(ADDRESS_LINKS):
            assert await ask(browser, form, ADA) == 200
        house.clock.now += QUARTER - 1
        for _ in range(ADDRESS_LINKS):  # too many, and they do not keep it waiting longer
            assert await ask(browser, form, ADA) == 200
        assert await ask(browser, form, GRACE) == 200
        await house.accounts.close()
        sent = [mail.recipient for mail in house.post.sent.values()]
        assert sent == [ADA] * ADDRESS_LINKS + [GRACE]
        house.clock.now += 1
        await house.token(house.browser(), ADA)


async def test_a_network_is_told_when_it_has_asked_too_often(open_house: OpenHouse) -> None:
    async with open_house(**PROXIED) as house:
        browser, form = await asking(house)
        for number in range(NETWORK_LINKS):
            comes_from = f"203.0.113.{number}"
            assert await ask(browser, form, f"a{number}@example.com", comes_from) == 200
        refused = await browser.post("/sign-in", form=form, email=ADA)
        assert (refused.status, refused.headers["Retry-After"]) == (429, "900")
        assert refused.heading == "Too many links"
        assert await ask(browser, form, ADA, "203.0.114.1") == 200
        house.clock.now += QUARTER
        assert await ask(browser, form, ADA, "203.0.113.1") == 200


async def test_a_server_that_starts_often_takes_no_links_from_its_admin(
    open_house: OpenHouse,
) -> None:
    async with open_house() as house:
        for _ in range(ADDRESS_LINKS):
            await house.accounts.welcome_link(house.base)
        await house.token(house.browser(), ADMIN)


@preferably("sqlite")
async def test_a_thousand_wishes_from_one_network_are_a_few_mails(open_house: OpenHouse) -> None:
    async with open_house() as house:
        browser, form = await asking(house)
        statuses = [await ask(browser, form, f"a{number}@example.com") for number in range(1000)]
        await house.accounts.close()
        assert statuses == [200] * NETWORK_LINKS + [429] * (1000 - NETWORK_LINKS)
        assert len(house.post.sent) == NETWORK_LINKS
        assert rows(house.database) == NETWORK_LINKS


@preferably("sqlite")
async def test_a_thousand_wishes_from_a_thousand_networks_are_bounded_too(
    open_house: OpenHouse,
) -> None:
    async with open_house(**PROXIED) as house:
        browser, form = await asking(house)
        statuses = [
            await ask(
                browser, form, f"a{number}@example.com", f"10.{number // 250}.{number % 250}.1"
            )
            for number in range(1000)
        ]
        await house.accounts.close()
        assert statuses == [200] * ALL_LINKS + [429] * (1000 - ALL_LINKS)
        assert len(house.post.sent) == rows(house.database) == ALL_LINKS
        house.clock.now += HOUR
        assert await ask(browser, form, ADA) == 200


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
        for number in range(20)
        for server in servers
    ]
    asked = await asyncio.gather(*wishes, return_exceptions=True)
    granted = [result for result in asked if not isinstance(result, BaseException)]
    assert len(granted) == rows(databases[0]) == NETWORK_LINKS
    for database in databases:
        database.close()


@pytest.mark.parametrize(("later", "kept"), [(DAY - 1, 2), (DAY, 1)])
async def test_links_are_forgotten_when_no_limit_counts_them(
    open_house: OpenHouse, later: float, kept: int
) -> None:
    async with open_house() as house:
        await house.token(house.browser(), ADA)
        house.clock.now += later
        await house.token(house.browser(), ADA)
        assert rows(house.database) == kept
