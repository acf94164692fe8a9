"""Who may sign in, that nobody learns who may, and that access can be taken away."""

import re
from dataclasses import dataclass, replace

import pytest
from sqlmodel import Session as Db

from accounts import access
from accounts.access import OPERATOR, Access, normalize_address, normalize_pattern
from accounts.sign_in import links, sessions
from accounts.sign_in.authenticator import REMEMBER_SECS
from accounts.sign_in.limits import ALL_LINKS, BROWSER_LINKS, HOUR
from ledger.store.database import Database
from settings import Settings, SettingsError
from tests.accounts.house import ADA, ADMIN, GRACE, START, STRANGER, House, OpenHouse, ask_for_links


def rule(house: House, name: str, *, allowed: bool) -> None:
    with house.database.writing() as db:
        access.set_rule(db, name, allowed=allowed, now=house.clock.now)


@pytest.mark.parametrize(
    ("email", "rules", "admitted"),
    [
        ("ada@example.com", {}, True),
        ("ada@example.com", {"ada@example.com": False}, False),
        ("ada@example.com", {"@example.com": False}, False),
        ("ada@example.com", {"ada@example.com": True, "@example.com": False}, False),
        ("ada@example.com", {"ada@example.com": False, "@example.com": True}, False),
        ("ada@sub.example.com", {}, False),
        ("ada@notexample.com", {}, False),
        ("example.com@example.net", {}, False),
        ("one@example.net", {}, True),
        ("two@example.net", {}, False),
        ("two@example.net", {"two@example.net": True}, True),
        ("two@example.net", {"@example.net": True}, True),
        ("two@example.net", {"one@example.net": True, "%@example.net": True}, False),
        ("root@example.org", {}, True),
        ("root@example.org", {"root@example.org": False}, False),
        ("ada+calls@example.com", {"ada@example.com": False}, False),
        ("ada@example.com", {"ada+calls@example.com": False}, False),
        ("ada+one@example.com", {"ada+two@example.com": False}, False),
        ("adam@example.com", {"ada@example.com": False}, True),
        ("ada+x@example.com", {"ada@example.net": False}, True),
        ("one+x@example.net", {}, False),
        ("two+x@example.net", {"two@example.net": True}, False),
        ("two+x@example.net", {"two+x@example.net": True}, True),
        (OPERATOR, {OPERATOR: True, "@localhost": True}, False),
    ],
)
def test_a_rule_adds_to_the_settings_and_a_denial_wins(
    database: Database, email: str, rules: dict[str, bool], admitted: bool
) -> None:
    given = Access.from_settings(
        Settings(
            _env_file=None,  # type: ignore[call-arg]
            allow="@Example.com, one@example.net",
            admins="root@example.org",
        )
    )
    with database.writing() as db:
        for name, allowed in rules.items():
            access.set_rule(db, name, allowed=allowed, now=START)
    with database.reading() as db:
        assert given.admits(db, email) is admitted


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (" Ada@Example.COM ", "ada@example.com"),
        ("ada+calls@example.com", "ada+calls@example.com"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
    ],
)
def test_an_address_is_kept_in_one_form(text: str, kept: str) -> None:
    assert normalize_address(text) == kept


def test_a_domain_is_kept_in_one_form() -> None:
    assert normalize_pattern(" @Bücher.Example") == "@xn--bcher-kva.example"
    for wrong in ("@", "example.com", "@a@b", "@exa mple.com", "*@example.com ada", ""):
        with pytest.raises(ValueError, match=r"neither an address .* nor a domain"):
            normalize_pattern(wrong)


@pytest.mark.parametrize("text", ["*@example.com", "@*.example.com", "*", "ada*@example.com"])
def test_a_star_is_said_to_stand_for_nothing(text: str) -> None:
    settings = Settings(_env_file=None, allow=text)  # type: ignore[call-arg]
    with pytest.raises(SettingsError, match=r"ALLOW: .*@example\.com, which is everybody there"):
        Access.from_settings(settings)
    settings = Settings(_env_file=None, admins=text)  # type: ignore[call-arg]
    with pytest.raises(SettingsError, match=r"ADMINS: .* names nobody, .* write each address"):
        Access.from_settings(settings)


@pytest.mark.parametrize(
    ("subaddresses", "denied"),
    [("all", True), ("none", False), ("example.com", True), ("@Example.com, x.org", True),
     ("example.org", False)],
)  # fmt: skip
def test_where_a_plus_is_part_of_the_name_a_setting_says_so(
    database: Database, subaddresses: str, denied: bool
) -> None:
    given = Access.from_settings(
        Settings(
            _env_file=None,  # type: ignore[call-arg]
            allow="@example.com",
            subaddresses=subaddresses,
        )
    )
    with database.writing() as db:
        access.set_rule(db, ADA, allowed=False, now=START)
    with database.reading() as db:
        assert given.admits(db, "ada+calls@example.com") is not denied
        assert not given.admits(db, ADA)
        assert given.admits(db, "+@example.com")  # the name of nobody's mailbox but its own


def test_a_domain_of_subaddresses_is_one() -> None:
    settings = Settings(_env_file=None, subaddresses="example.com; x")  # type: ignore[call-arg]
    with pytest.raises(SettingsError, match=r"SUBADDRESSES: 'example.com; x' is not a domain"):
        Access.from_settings(settings)


async def test_the_addresses_of_a_mailbox_are_one_caller(open_house: OpenHouse) -> None:
    async with open_house() as house:
        one, two = await house.signed_in(ADA), await house.signed_in("ada+x@example.com")
        assert [await one.key(), await two.key()] == [ADA, ADA]
        assert [await one.who(), await two.who()] == [ADA, "ada+x@example.com"]


def test_a_setting_that_names_nobody_is_refused() -> None:
    for name, text in (("allow", "example.com"), ("admins", "@example.com")):
        settings = Settings(_env_file=None, **{name: text})  # type: ignore[call-arg, arg-type]
        with pytest.raises(SettingsError, match=rf"{name.upper()}: '{text}' is"):
            Access.from_settings(settings)


# Nobody learns who may sign in.


@dataclass(frozen=True)
class Seen:
    """What of asking for a link can be seen from outside, and what was done for it inside."""

    status: int
    text: str
    headers: dict[str, str]
    statements: list[str]


async def seen(house: House, email: str) -> Seen:
    browser = house.browser()
    form = (await browser.get("/sign-in")).form
    with house.statements() as statements:
        answer = await browser.post("/sign-in", form=form, email=email)
    await house.accounts.close()
    text = answer.text.replace(email, "ADDRESS")
    headers = {
        name: re.sub("[0-9a-f]{64}", "SECRET", value)
        for name, value in answer.headers.items()
        if name not in ("Date", "Content-Length")
    }
    return Seen(answer.status, text, headers, statements)


async def test_whether_an_address_may_sign_in_is_not_told(open_house: OpenHouse) -> None:
    async with open_house() as house:
        rule(house, "denied@example.com", allowed=False)
        known = await house.signed_in(ADA)
        await known.post("/sign-out", form=(await known.get("/sign-out")).form)
        sent = len(house.post.sent)
        kinds = [ADA, GRACE, ADMIN, STRANGER, "denied@example.com", OPERATOR]
        answers = [await seen(house, email) for email in kinds]
        assert len(house.post.sent) - sent == 3  # to the first three
        assert answers[0].status == 200
        assert len(answers[0].statements) > 4
        for answer in answers[1:]:
            assert answer == answers[0]


async def test_whether_an_address_has_had_its_links_is_not_told(open_house: OpenHouse) -> None:
    async with open_house() as house:
        for _ in range(BROWSER_LINKS):
            await house.token(house.browser(), ADA)
        assert await seen(house, ADA) == await seen(house, GRACE)
        assert len(house.post.sent) == BROWSER_LINKS + 2


async def test_limits_tell_as_little(open_house: OpenHouse) -> None:
    async with open_house() as house:
        told = []
        for email in (ADA, STRANGER):
            browser = house.browser()
            answers = [await browser.ask(email) for _ in range(BROWSER_LINKS + 1)]
            told.append([(answer.status, answer.heading) for answer in answers])
        assert told[0] == told[1]
        assert told[0][-1] == (429, "Too many links")


async def test_a_busy_server_tells_as_little(open_house: OpenHouse) -> None:
    async with open_house() as house:
        await house.signed_in(ADA)
        ask_for_links(house, ALL_LINKS)
        sent = len(house.post.sent)
        kinds = [ADA, ADMIN, GRACE, STRANGER, OPERATOR]
        for _ in range(BROWSER_LINKS + 1):
            # What is stored is stored later, behind the pause before the mail.
            answers = [replace(await seen(house, email), statements=[]) for email in kinds]
            assert answers[0].status == 200
            for answer in answers[1:]:
                assert answer == answers[0]
        asked = {mail.recipient for mail in list(house.post.sent.values())[sent:]}
        assert asked == {ADA, ADMIN}  # who have signed in before, or are named by the settings
        house.clock.now += HOUR
        assert await seen(house, ADA) == await seen(house, STRANGER)


async def test_the_answer_does_not_wait_for_the_mail(open_house: OpenHouse) -> None:
    async def never(*_letter: object, lasts_secs: float) -> None:
        raise ValueError("whoever sends mail is broken")

    async with open_house(never) as house:
        assert (await seen(house, ADA)).status == (await seen(house, STRANGER)).status == 200


# Access can be taken away.


async def test_whoever_is_denied_is_signed_out_within_seconds(open_house: OpenHouse) -> None:
    async with open_house() as house:
        browser = await house.signed_in(ADA)
        assert await browser.who() == ADA
        rule(house, "@example.com", allowed=False)
        house.clock.now += REMEMBER_SECS
        assert await browser.who() == "nobody"
        assert REMEMBER_SECS <= 5


async def test_a_link_that_was_sent_before_a_denial_signs_nobody_in(
    open_house: OpenHouse,
) -> None:
    async with open_house() as house:
        browser = house.browser()
        token = await house.token(browser, ADA)
        rule(house, ADA, allowed=False)
        refused = await browser.press(token)
        assert (refused.status, refused.heading) == (403, "This address may no longer call")
        assert await browser.who() == "nobody"


async def test_revoking_ends_every_session_of_an_address_and_no_other(
    open_house: OpenHouse,
) -> None:
    async with open_house() as house:
        one, two = await house.signed_in(ADA), await house.signed_in(ADA)
        other = await house.signed_in(GRACE)
        waiting = house.browser()
        token = await house.token(waiting, ADA)
        with house.database.writing() as db:
            assert revoke(db, ADA) == 2
            assert revoke(db, ADA) == 0
        house.clock.now += REMEMBER_SECS
        assert [await one.who(), await two.who(), await other.who()] == ["nobody", "nobody", GRACE]
        assert (await waiting.press(token)).status == 410
        again = await house.signed_in(ADA)
        assert await again.who() == ADA


async def test_revoking_a_domain_ends_the_sessions_of_its_addresses(open_house: OpenHouse) -> None:
    async with open_house(allow="@example.com, @other-example.com") as house:
        ada = await house.signed_in(ADA)
        other = await house.signed_in("bob@other-example.com")
        with house.database.writing() as db:
            assert revoke(db, "@example.com") == 1
        house.clock.now += REMEMBER_SECS
        assert [await ada.who(), await other.who()] == ["nobody", "bob@other-example.com"]


def revoke(db: Db, whose: str) -> int:
    """As ``viva accounts revoke`` does, at the servers' time."""
    now = START + 1
    links.expire_links(db, whose, now=now)
    return sessions.end_sessions(db, whose, now=now)
