"""The pages to sign in, in Chromium: by keyboard, with their styles, and in the wrong browser."""

import shutil
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

from tests.accounts.house import ADA, House, OpenHouse

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

CHROMIUM = shutil.which("chromium")
expect.set_options(timeout=60_000)
FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("the page's tests need Debian's chromium: apt-get install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One database is enough here: what the pages do is the same on both."""
    return sqlite_url


async def fresh(browser: Browser, troubles: list[str]) -> Page:
    """A page in a browser of its own, whose complaints are kept."""
    context = await browser.new_context()
    context.set_default_timeout(60_000)
    page = await context.new_page()

    def complain(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            troubles.append(message.text)

    page.on("console", complain)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    return page


async def asked(house: House, page: Page) -> str:
    """Ask for a link by keyboard alone; the link."""
    await page.goto(f"{house.base}/sign-in")
    await expect(page.get_by_label("Your e-mail address")).to_be_focused()
    await page.keyboard.type(ADA)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Check the terminal")).to_be_visible()
    await house.accounts.close()
    return house.post.last.link


async def test_a_caller_signs_in_and_out_by_keyboard(
    open_house: OpenHouse, browser: Browser
) -> None:
    async with open_house() as house:
        troubles: list[str] = []
        page = await fresh(browser, troubles)
        await page.goto(await asked(house, page))
        await page.keyboard.press("Tab")
        button = page.get_by_role("button", name="Sign in")
        await expect(button).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page).to_have_title("Call")
        assert page.url == f"{house.base}/"
        await page.goto(f"{house.base}/sign-out")
        await expect(page.get_by_text(ADA)).to_be_visible()
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_role("heading", name="Sign in to call")).to_be_visible()
        assert troubles == []


@pytest.mark.thorough
async def test_in_another_browser_the_button_says_where_the_link_belongs(
    open_house: OpenHouse, browser: Browser
) -> None:
    async with open_house() as house:
        link = await asked(house, await fresh(browser, []))
        other = await fresh(browser, [])
        await other.goto(link)
        await other.get_by_role("button", name="Sign in").click()
        heading = other.get_by_role("heading", name="Another browser asked for this link")
        await expect(heading).to_be_visible()
        await other.get_by_role("link", name="Ask for a link in this browser").click()
        await expect(other.get_by_label("Your e-mail address")).to_be_focused()


@pytest.mark.thorough
async def test_a_link_that_was_cut_has_no_button(open_house: OpenHouse, browser: Browser) -> None:
    async with open_house() as house:
        troubles: list[str] = []
        page = await fresh(browser, troubles)
        link = await asked(house, page)
        await page.goto(link[:-1])
        await expect(page.get_by_text("This link is incomplete.")).to_be_visible()
        await expect(page.get_by_role("button")).to_have_count(0)
        await page.goto(link)  # only what is behind the # changes
        await expect(page.get_by_role("button", name="Sign in")).to_be_visible()
        assert troubles == []


@pytest.mark.thorough
async def test_the_token_is_sent_only_when_the_button_is_pressed(
    open_house: OpenHouse, browser: Browser
) -> None:
    async with open_house() as house:
        page = await fresh(browser, [])
        link = await asked(house, page)
        token = link.partition("#")[2]
        sent: list[str] = []
        page.on("request", lambda request: sent.append(f"{request.url} {request.headers}"))
        await page.goto(link)
        await expect(page.get_by_role("button", name="Sign in")).to_be_visible()
        before = len(sent)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page).to_have_title("Call")
        assert 0 < before < len(sent)
        # Playwright shows an address with what is behind its #, which is not sent.
        for request in sent:
            url, _, rest = request.partition(" ")
            assert token not in url.partition("#")[0]
            assert token not in rest


async def test_what_is_no_address_is_said_beside_its_field(
    open_house: OpenHouse, browser: Browser
) -> None:
    async with open_house() as house:
        page = await fresh(browser, [])
        await page.goto(f"{house.base}/sign-in")
        await page.evaluate("document.querySelector('form').noValidate = true")
        field = page.get_by_label("Your e-mail address")
        await field.fill("ada")
        await field.press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text("not an address")
        await expect(field).to_have_value("ada")
        await expect(field).to_have_accessible_description(
            "This is not an address such as name@example.com."
        )
