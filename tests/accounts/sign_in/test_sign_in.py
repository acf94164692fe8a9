"""Somebody signs in by a link, and nobody else can."""

import asyncio
import re
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest
from sqlmodel import select

from accounts import secret
from accounts.mail.mailer import Mailer
from accounts.mail.outbox import Outbox
from accounts.sign_in.authenticator import REMEMBER_SECS
from accounts.sign_in.links import LINK_SECS
from ledger.store.database import Database
from ledger.store.tables import Session, SignInToken, User
from settings import Settings
from tests.accounts.house import ADA, ADMIN, GRACE, OpenHouse

DAY_SECS = 86400.0


async def test_a_link_signs_in_the_browser_that_asked_for_it(open_house: OpenHouse) -> None:
    async with open_house() as house:
        browser = house.browser()
        assert await browser.who() == "nobody"
        asked = await browser.ask("Ada@Example.COM ")
        assert asked.status == 200
        await house.accounts.close()
        sent = house.post.last
        assert (sent.recipient, sent.lasts_secs) == (ADA, LINK_SECS)
        assert sent.link == f"{house.base}/sign-in/link#{sent.token}"
        assert sent.link in sent.html
        entered = await browser.press(sent.token)
        assert (entered.status, entered.headers["Location"]) == (303, "/")
        assert await browser.who() == ADA


async def test_an_admin_is_one_by_the_settings(open_house: OpenHouse) -> None:
    async with open_house() as house:
        assert await (await house.signed_in(ADMIN)).who() == f"{ADMIN} (admin)"
        assert await (await house.signed_in(ADA)).who() == ADA


async def test_the_link_in_the_outbox_of_a_server_without_mail_signs_in(
    open_house: OpenHouse, database: Database, tmp_path: Path
) -> None:
    mail = Mailer.from_settings(Settings(_env_file=None, data_dir=tmp_path))  # type: ignore[call-arg]
    outbox = Outbox(database, mail)
    async with open_house(outbox.enqueue) as house:
        browser = house.browser()
        await browser.ask(ADA)
        await house.accounts.close()
        await outbox.flush()
        (file,) = (tmp_path / "outbox").glob("*.eml")
        letter = message_from_bytes(file.read_bytes(), policy=default)
        body = letter.get_body(("plain",))
        assert body is not None
        (token,) = re.findall(r"/sign-in/link#([0-9a-f]{64})\s", body.get_content())
        await browser.press(token)
        assert await browser.who() == ADA


async def test_a_link_can_be_used_once(open_house: OpenHouse) -> None:
    async with open_house() as house:
        browser = house.browser()
        token = await house.token(browser)
        asking = dict(browser.cookies)
        await browser.press(token)
        browser.cookies = asking  # as if it had never been used
        again = await browser.press(token)
        assert (again.status, again.heading) == (410, "This link has been used")
        assert await browser.who() == "nobody"


async def test_of_two_that_use_a_link_at_once_one_does(open_house: OpenHouse) -> None:
    async with open_house() as house:
        browser = house.browser()
        token = await house.token(browser)
        page = await browser.get("/sign-in/link")
        pressed = [browser.post("/sign-in/link", form=page.form, token=token) for _ in range(8)]
        statuses = sorted([answer.status for answer in await asyncio.gather(*pressed)])
        assert statuses == [303] + [410] * 7


@pytest.mark.parametrize("later", [0.0, LINK_SECS, 7 * 86400.0])
async def test_a_link_that_is_opened_again_leads_whom_it_signed_in_to_the_call(
    open_house: OpenHouse, later: float
) -> None:
    async with open_house() as house:
        browser = house.browser()
        token = await house.token(browser)
        await browser.press(token)
        house.clock.now += later
        again = await browser.press(token)
        assert (again.status, again.headers["Location"]) == (303, "/")
        assert await browser.who() == ADA


async def test_a_signed_in_browser_that_opens_another_link_is_told_who_it_is(
    open_house: OpenHouse,
) -> None:
    async with open_house() as house:
        browser, other = await house.signed_in(GRACE), house.browser()
        token = await house.token(other)
        for status in (403, 410):  # of another browser, and used there
            refused = await browser.press(token)
            assert refused.status == status
            assert f"signed in as <strong>{GRACE}</strong>" in refused.text
            await other.press(token)
        assert f"signed in as <strong>{ADA}" in (await other.press("0" * 64)).text
        stranger = await house.browser().press(token)
        assert (stranger.status, "signed in as" in stranger.text) == (410, False)


async def test_a_link_works_for_15_minutes(open_house: OpenHouse) -> None:
    async with open_house() as house:
        browser = house.browser()
        token = await house.token(browser)
        house.clock.now += LINK_SECS
        late = await browser.press(token)
        assert (late.status, late.heading) == (410, "This link has expired")
        token = await house.token(browser)
        house.clock.now += LINK_SECS - 1
        assert (await browser.press(token)).status == 303


@pytest.mark.parametrize("change", ["other letter", "cut", "longer", "empty", "text", "nul"])
async def test_a_tampered_link_is_not_right(open_house: OpenHouse, change: str) -> None:
    async with open_house() as house:
        browser = house.browser()
        token = await house.token(browser)
        tampered = {
            "other letter": ("0" if token[0] != "0" else "1") + token[1:],
            "cut": token[:-1],
            "longer": token + "0",
            "empty": "",
            "text": "é" * 64,
            "nul": "\x00" + token[1:],
        }[change]
        refused = await browser.press(tampered)
        assert (refused.status, refused.heading) == (403, "This link is not valid")
        assert (await browser.press(token)).status == 303  # the real one is as good as before


async def test_another_browser_is_told_where_to_open_the_link(open_house: OpenHouse) -> None:
    async with open_house() as house:
        asked, other = house.browser(), house.browser()
        token = await house.token(asked)
        refused = await other.press(token)
        assert (refused.status, refused.heading) == (403, "Another browser asked for this link")
        assert "Copy it from the e-mail into the address bar of that browser" in refused.text
        assert await other.who() == "nobody"
        await other.ask(GRACE)  # one that has asked itself is no better
        assert (await other.press(token)).status == 403
        assert (await asked.press(token)).status == 303


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_what_only_opens_links_does_not_use_them_up(
    open_house: OpenHouse, method: str
) -> None:
    async with open_house() as house:
        browser = house.browser()
        token = await house.token(browser)
        for scanner in (house.browser(), browser):
            for path in ("/sign-in/link", f"/sign-in/link?token={token}"):
                opened = await scanner.get(path, method=method)
                assert opened.status == 200
                assert token not in opened.text
        assert (await browser.press(token)).status == 303


async def test_a_scanner_that_presses_buttons_does_not_use_links_up(open_house: OpenHouse) -> None:
    async with open_house() as house:
        browser = house.browser()
        token = await house.token(browser)
        assert (await house.browser().press(token)).status == 403
        assert (await browser.press(token)).status == 303


async def test_only_hashes_of_links_sessions_and_browsers_are_kept(open_house: OpenHouse) -> None:
    async with open_house() as house:
        browser = house.browser()
        token = await house.token(browser)
        asking = browser.cookies["viva_browser"]
        await browser.press(token)
        session = browser.cookies["viva_session"]
        assert len({token, asking, session}) == 3
        with house.database.reading() as db:
            link, kept = db.exec(select(SignInToken)).one(), db.exec(select(Session)).one()
            user = db.exec(select(User)).one()
        assert (link.hash, link.browser_hash) == (secret.digest(token), secret.digest(asking))
        assert (kept.hash, kept.user_id, user.email) == (secret.digest(session), user.id, ADA)


# Sessions.


async def test_a_session_that_was_planted_is_not_the_one_that_signs_in(
    open_house: OpenHouse,
) -> None:
    async with open_house() as house:
        planted = secret.new_secret()
        browser = house.browser()
        browser.cookies["viva_session"] = planted
        await browser.press(await house.token(browser))
        assert browser.cookies["viva_session"] != planted
        attacker = house.browser()
        attacker.cookies["viva_session"] = planted
        assert await attacker.who() == "nobody"


async def test_signing_in_again_ends_the_session_before(open_house: OpenHouse) -> None:
    async with open_house() as house:
        browser = await house.signed_in(ADA)
        before = house.browser()
        before.cookies = dict(browser.cookies)
        assert await before.who() == ADA
        form = (await browser.get("/sign-in/link")).form
        await browser.post("/sign-in", form=form, email=GRACE)
        await house.accounts.close()
        await browser.press(house.post.last.token)
        assert await browser.who() == GRACE
        assert await before.who() == "nobody"


@pytest.mark.parametrize("forged", ["5e" * 32, "0" * 64, "", "x", "0" * 63 + "'", "é" * 64])
async def test_a_forged_cookie_signs_nobody_in(open_house: OpenHouse, forged: str) -> None:
    async with open_house() as house:
        await house.signed_in()
        forger = house.browser()
        forger.cookies["viva_session"] = forged
        assert await forger.who() == "nobody"


async def test_a_hash_from_the_database_signs_nobody_in(open_house: OpenHouse) -> None:
    async with open_house() as house:
        await house.signed_in()
        with house.database.reading() as db:
            kept = db.exec(select(Session)).one()
        thief = house.browser()
        thief.cookies["viva_session"] = kept.hash.hex()
        assert await thief.who() == "nobody"


async def test_a_browser_stays_signed_in_for_session_days(open_house: OpenHouse) -> None:
    async with open_house(session_days=2) as house:
        browser = await house.signed_in()
        house.clock.now += 2 * DAY_SECS - 1
        assert await browser.who() == ADA
        house.clock.now += REMEMBER_SECS
        assert await browser.who() == "nobody"


async def test_signing_out_ends_the_session_at_once(open_house: OpenHouse) -> None:
    async with open_house() as house:
        browser = await house.signed_in()
        stolen = house.browser()
        stolen.cookies = dict(browser.cookies)
        assert await stolen.who() == ADA
        page = await browser.get("/sign-out")
        assert ADA in page.text
        left = await browser.post("/sign-out", form=page.form)
        assert (left.status, left.headers["Location"]) == (303, "/sign-in")
        assert set(browser.cookies) == {"viva_browser"}  # which is known, and signs nobody in
        assert await stolen.who() == "nobody"


async def test_it_is_noted_now_and_then_that_a_session_is_in_use(open_house: OpenHouse) -> None:
    async with open_house() as house:
        browser = await house.signed_in()
        began = house.clock.now
        seen = []
        for _ in range(7):
            house.clock.now += 60
            assert await browser.who() == ADA
            with house.database.reading() as db:
                session, user = db.exec(select(Session)).one(), db.exec(select(User)).one()
            assert session.last_seen_at == user.last_seen_at
            seen.append(session.last_seen_at - began)
        assert seen == [0, 0, 0, 0, 300, 300, 300]


async def test_whoever_is_signed_in_has_no_need_to_sign_in(open_house: OpenHouse) -> None:
    async with open_house() as house:
        browser = await house.signed_in()
        answer = await browser.get("/sign-in")
        assert (answer.status, answer.headers["Location"]) == (303, "/")
        nobody = await house.browser().get("/sign-out")
        assert (nobody.status, nobody.headers["Location"]) == (303, "/sign-in")


# Forms.


@pytest.mark.parametrize("path", ["/sign-in", "/sign-in/link", "/sign-out"])
@pytest.mark.parametrize("forged", ["", "0" * 64, "é", "another browser's"])
async def test_a_form_of_another_page_is_refused(
    open_house: OpenHouse, path: str, forged: str
) -> None:
    async with open_house() as house:
        browser = await house.signed_in() if path == "/sign-out" else house.browser()
        token = "" if path == "/sign-out" else await house.token(browser)
        mails = len(house.post.sent)
        if forged == "another browser's":
            forged = (await house.browser().get("/sign-in")).form
        refused = await browser.post(path, form=forged, token=token, email=ADA)
        assert (refused.status, refused.heading) == (403, "This page is out of date")
        await house.accounts.close()
        assert len(house.post.sent) == mails
        assert await browser.who() == (ADA if path == "/sign-out" else "nobody")


async def test_a_form_without_cookies_is_refused(open_house: OpenHouse) -> None:
    async with open_house() as house:
        browser = house.browser()
        page = await browser.get("/sign-in")
        browser.cookies.clear()
        refused = await browser.post("/sign-in", form=page.form, email=ADA)
        assert refused.status == 403
        assert "cookies" in refused.text
        anybodys = secret.form_token("")
        assert (await browser.post("/sign-in", form=anybodys, email=ADA)).status == 403


@pytest.mark.parametrize(
    ("site", "status"),
    [("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)],
)
async def test_a_form_that_another_site_sends_is_refused(
    open_house: OpenHouse, site: str, status: int
) -> None:
    async with open_house() as house:
        browser = house.browser()
        page = await browser.get("/sign-in")
        browser.headers["Sec-Fetch-Site"] = site
        answer = await browser.post("/sign-in", form=page.form, email=ADA)
        assert answer.status == status


async def test_a_form_is_read_within_bounds(open_house: OpenHouse) -> None:
    async with open_house() as house:
        browser = house.browser()
        page = await browser.get("/sign-in")
        long = await browser.post("/sign-in", form=page.form, email="a" * 10_000)
        assert long.status == 413
        browser.headers["Content-Type"] = "application/x-www-form-urlencoded; charset=nope"
        assert (await browser.post("/sign-in", form=page.form, email=ADA)).status == 400
        browser.headers["Content-Type"] = "application/json"
        assert (await browser.post("/sign-in", form=page.form, email=ADA)).status == 415


@pytest.mark.parametrize(
    "typed",
    ["", "ada", "ada@", "@example.com", "Ada <ada@example.com>", "ada@example.com\r\nBcc: x@y.z",
     "a@b@example.com", "ada@example.com, grace@example.com", "\u212aada@example.com", '"<b>"@x'],
)  # fmt: skip
async def test_what_is_no_address_is_said_to_be_none(open_house: OpenHouse, typed: str) -> None:
    async with open_house() as house:
        answer = await house.browser().ask(typed)
        assert answer.status == 400
        assert "not an address such as name@example.com" in answer.text
        assert "<b>" not in answer.text
        await house.accounts.close()
        assert house.post.sent == {}


async def test_nothing_says_where_to_go_after_signing_in(open_house: OpenHouse) -> None:
    async with open_house() as house:
        away = "https://evil.example"
        browser = house.browser()
        token = await house.token(browser)
        page = await browser.get(f"/sign-in/link?next={away}&url={away}")
        assert away not in page.text
        entered = await browser.post(
            f"/sign-in/link?next={away}&to=//evil.example", form=page.form, token=token, next=away
        )
        assert (entered.status, entered.headers["Location"]) == (303, "/")
        again = await browser.get(f"/sign-in?next={away}")
        assert again.headers["Location"] == "/"


async def test_a_request_cannot_say_where_links_lead(open_house: OpenHouse) -> None:
    async with open_house() as house:
        for host in ("evil.example", "localhost:80@evil.example", "localhost.evil.example"):
            poisoned = house.browser(Host=host)
            page = await poisoned.get("/sign-in")
            refused = await poisoned.post("/sign-in", form=page.form, email=ADA)
            assert (refused.status, "PUBLIC_URL" in refused.text) == (503, True)
        await house.accounts.close()
        assert house.post.sent == {}


@pytest.mark.parametrize("host", ["127.0.0.1:9", "localhost:9", "127.0.0.2:{port}", "[::1]:{port}"])
async def test_nor_to_which_port_or_address_of_this_machine(
    open_house: OpenHouse, host: str
) -> None:
    async with open_house() as house:
        port = house.base.rpartition(":")[2]
        browser = house.browser(Host=host.format(port=port))
        page = await house.browser().get("/sign-in")
        browser.cookies = {name: morsel.value for name, morsel in page.cookies.items()}
        assert (await browser.post("/sign-in", form=page.form, email=ADA)).status == 200
        await house.accounts.close()
        assert house.post.last.link.startswith(f"{house.base}/sign-in/link#")


async def test_whoever_comes_by_another_name_of_this_machine_signs_in_by_the_one_of_links(
    open_house: OpenHouse,
) -> None:
    async with open_house() as house:
        port = house.base.rpartition(":")[2]
        led = await house.browser(Host=f"localhost:{port}").get("/sign-in")
        assert (led.status, led.headers["Location"]) == (303, f"{house.base}/sign-in")
        assert (await house.browser(Host="localhost:9").get("/sign-in")).status == 200
    async with open_house(public_url="http://localhost:7860") as house:
        assert (await house.browser(Host="127.0.0.1:7860").get("/sign-in")).status == 200


async def test_links_begin_with_the_public_address(open_house: OpenHouse) -> None:
    async with open_house(public_url="https://viva.example.com/") as house:
        browser = house.browser()
        token = await house.token(browser)
        assert house.post.last.link == f"https://viva.example.com/sign-in/link#{token}"


async def test_a_database_that_is_away_is_said_to_be(open_house: OpenHouse) -> None:
    async with open_house() as house:
        browser = await house.signed_in()
        house.clock.now += REMEMBER_SECS
        stranger = house.browser()
        form = (await stranger.get("/sign-in")).form
        with house.without_database():
            known = await browser.get("/who")
            asked = await stranger.post("/sign-in", form=form, email=ADA)
        assert (known.status, asked.status) == (503, 503)
        assert asked.heading == "Sign-in is temporarily unavailable"
        assert await browser.who() == ADA
